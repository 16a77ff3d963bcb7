"""Triggers of OpenShift's own kinds, which have them in their spec: DeploymentConfig, BuildConfig.

A DeploymentConfig notes what it was triggered with in the trigger itself. A BuildConfig is not
changed: a build is asked for, and the server that makes it notes its image in the status.
"""

from collections.abc import Mapping

import msgspec

from tidegate.delivery.triggers.annotation import ENTRIES, tag_source
from tidegate.delivery.triggers.pod import Pod
from tidegate.delivery.triggers.workload import BuildTrigger, Place, Trigger

IMAGE_STREAM_TAG = "ImageStreamTag"


class _Reference(msgspec.Struct):
    kind: str | None = ""
    name: str | None = ""
    namespace: str | None = ""

    def said(self) -> Mapping[str, str]:
        """As it is written."""
        parts = {"kind": self.kind, "name": self.name, "namespace": self.namespace}
        return {name: value for name, value in parts.items() if value}


class _ChangeParams(msgspec.Struct, rename="camel"):
    automatic: bool | None = False
    container_names: list[str] | None = None
    from_: _Reference | None = msgspec.field(name="from", default=None)
    last_triggered_image: str | None = None


class _DeploymentTrigger(msgspec.Struct, rename="camel"):
    image_change_params: _ChangeParams | None = None


class _DeploymentSpec(msgspec.Struct):
    triggers: list[_DeploymentTrigger] | None = None


class _DeploymentConfig(msgspec.Struct):
    spec: _DeploymentSpec | None = None


def deployment_triggers(body: bytes, namespace: str, pod: Pod) -> tuple[Trigger, ...]:
    """What a DeploymentConfig follows; triggers that are not automatic do not count."""
    spec = msgspec.json.decode(body, type=_DeploymentConfig).spec or _DeploymentSpec()
    found = []
    for index, trigger in enumerate((spec.triggers or ())[:ENTRIES]):
        params = trigger.image_change_params
        if params is None or not params.automatic or params.from_ is None:
            continue
        wanted = params.from_
        source = tag_source(wanted.name or "", wanted.namespace or namespace)
        if wanted.kind != IMAGE_STREAM_TAG or source is None:
            continue
        last = params.last_triggered_image
        remembered = Place(
            f"/spec/triggers/{index}/imageChangeParams/lastTriggeredImage",
            "",
            last or "",
            last is not None,
        )
        places = _places(set(params.container_names or ()), pod)
        found.append(Trigger(source, places, remembered, gates_all=not last))
    return tuple(found)


def _places(names: set[str], pod: Pod) -> tuple[Place, ...]:
    return tuple(
        Place(
            f"/spec/template/spec/{each.list_name}/{each.index}/image",
            each.name,
            each.image,
            each.has_image,
        )
        for each in pod.containers
        if each.name in names
    )


class _ImageChange(msgspec.Struct):
    from_: _Reference | None = msgspec.field(name="from", default=None)
    paused: bool | None = False
    lastTriggeredImageID: str | None = ""  # noqa: N815  the wire's name


class _BuildTrigger(msgspec.Struct, rename="camel"):
    image_change: _ImageChange | None = None


class _Source(msgspec.Struct):
    from_: _Reference | None = msgspec.field(name="from", default=None)


class _Strategy(msgspec.Struct, rename="camel"):
    docker_strategy: _Source | None = None
    source_strategy: _Source | None = None
    custom_strategy: _Source | None = None

    def input(self) -> _Reference | None:
        """The image that builds begin with."""
        for each in (self.source_strategy, self.docker_strategy, self.custom_strategy):
            if each is not None:
                return each.from_
        return None


class _BuildSpec(msgspec.Struct):
    triggers: list[_BuildTrigger] | None = None
    strategy: _Strategy | None = None


class _StatusTrigger(msgspec.Struct):
    from_: _Reference | None = msgspec.field(name="from", default=None)
    lastTriggeredImageID: str | None = ""  # noqa: N815  the wire's name


class _BuildStatus(msgspec.Struct, rename="camel"):
    image_change_triggers: list[_StatusTrigger] | None = None


class _BuildConfig(msgspec.Struct):
    spec: _BuildSpec | None = None
    status: _BuildStatus | None = None


def build_triggers(body: bytes, namespace: str) -> tuple[BuildTrigger, ...]:
    """The tags whose new image starts a build; the status says which started the last one."""
    config = msgspec.json.decode(body, type=_BuildConfig)
    spec, status = config.spec or _BuildSpec(), config.status or _BuildStatus()
    built = {
        source: each.lastTriggeredImageID or ""
        for each in status.image_change_triggers or ()
        if each.from_ is not None
        and (source := tag_source(each.from_.name or "", each.from_.namespace or namespace))
    }
    found: dict[object, BuildTrigger] = {}
    for trigger in (spec.triggers or ())[:ENTRIES]:
        change = trigger.image_change
        if change is None or change.paused:
            continue
        wanted = change.from_ or (spec.strategy or _Strategy()).input()
        if wanted is None or wanted.kind != IMAGE_STREAM_TAG:
            continue
        source = tag_source(wanted.name or "", wanted.namespace or namespace)
        if source is not None:
            last = built.get(source, change.lastTriggeredImageID or "")
            found.setdefault(source, BuildTrigger(source, wanted.said(), last))
    return tuple(found.values())
