"""Where the objects of a cluster name images, which of these names a write changed, and who owns.

Plain functions on the JSON of an object. Knows no stream. Reads only the fields that it needs, so
an object of any version and with any other field goes through.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

RESOLVE_NAMES = "alpha.image.policy.openshift.io/resolve-names"
"""With the value `*` on an object or its template: every name in it is one of a stream."""

BUILDS = ("build.openshift.io", "builds")
JOBS = ("batch", "jobs")
PODS = ("", "pods")

_TEMPLATE = ("spec", "template")

TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    PODS: (),
    ("", "replicationcontrollers"): _TEMPLATE,
    ("apps", "daemonsets"): _TEMPLATE,
    ("apps", "deployments"): _TEMPLATE,
    ("apps", "replicasets"): _TEMPLATE,
    ("apps", "statefulsets"): _TEMPLATE,
    JOBS: _TEMPLATE,
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
    ("apps.openshift.io", "deploymentconfigs"): _TEMPLATE,
}
"""(group, resource) of what runs pods, and where in it the pod, or its template, is."""

RESOURCES = frozenset({*TEMPLATES, BUILDS})
"""Every resource that this webhook looks at."""


class WorkloadInvalid(Exception):
    """An object whose images cannot be found, because a field has another type than it should."""


@dataclass(frozen=True, slots=True)
class Place:
    """One field of an object that names an image.

    `pull_policy` is None for what has none (builds). `kind` and `namespace` are those of an object
    reference; a container's image is always a DockerImage. `image_changed` and `policy_changed`
    say whether this write gave the field another value, as every creation does.
    """

    pointer: str  # of the object that has the field, RFC 6901
    field: str  # of the object's image, as faults name it
    member: str  # under `pointer`: image, or name
    image: str
    pull_policy: str | None = None
    kind: str = "DockerImage"
    namespace: str = ""
    image_changed: bool = True
    policy_changed: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """What admission needs to know of an object."""

    owned: bool  # by a controller, which wrote its images from an object that was admitted itself
    resolve_all: bool
    places: tuple[Place, ...]


class _Owner(msgspec.Struct):
    controller: bool | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    annotations: dict[str, str | None] | None = None
    owner_references: list[_Owner] | None = None

    @property
    def resolve_all(self) -> bool:
        return (self.annotations or {}).get(RESOLVE_NAMES) == "*"


class _Container(msgspec.Struct, rename="camel"):
    name: str = ""
    image: str | None = ""
    image_pull_policy: str | None = ""


class _PodSpec(msgspec.Struct, rename="camel"):
    init_containers: list[_Container] | None = None
    containers: list[_Container] | None = None


class _Pod(msgspec.Struct):
    """A pod, or the template of one."""

    metadata: _Metadata | None = None
    spec: _PodSpec | None = None


class _Source(msgspec.Struct):
    """A reference in a build; equal when all of it is."""

    kind: str = ""
    name: str = ""
    namespace: str = ""


class _From(msgspec.Struct, rename={"source": "from"}):
    source: _Source | None = None


class _Strategy(msgspec.Struct, rename="camel"):
    docker_strategy: _From | None = None
    source_strategy: _From | None = None
    custom_strategy: _From | None = None


class _BuildSource(msgspec.Struct):
    images: list[_From] | None = None


class _BuildSpec(msgspec.Struct):
    source: _BuildSource | None = None
    strategy: _Strategy | None = None


class _Build(msgspec.Struct):
    metadata: _Metadata | None = None
    spec: _BuildSpec | None = None


class _Object(msgspec.Struct):
    metadata: _Metadata | None = None


def read_workload(
    resource: tuple[str, str], new: msgspec.Raw | bytes, old: msgspec.Raw | bytes | None
) -> Workload:
    """What an object of one of `RESOURCES` names; `old` is None where it is being created."""
    try:
        if resource == BUILDS:
            return _read_build(new, old)
        return _read_pods(TEMPLATES[resource], new, old)
    except RecursionError as error:
        raise WorkloadInvalid("the object is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WorkloadInvalid(f"the object cannot be read: {error}") from error


def _read_pods(
    path: tuple[str, ...], new: msgspec.Raw | bytes, old: msgspec.Raw | bytes | None
) -> Workload:
    metadata, pod = _metadata(new), _pod(new, path)
    resolve_all = _resolves_all(metadata, pod)
    before: dict[str, _Container] = {}
    if old is not None:
        old_pod = _pod(old, path)
        before = {each.name: each for _, _, each in _containers(old_pod)}
        if _resolves_all(_metadata(old), old_pod) != resolve_all:
            before = {
                name: msgspec.structs.replace(each, image=None) for name, each in before.items()
            }
    return Workload(
        owned=_owned(metadata),
        resolve_all=resolve_all,
        places=tuple(
            _container_place((*path, "spec"), member, index, each, before.get(each.name))
            for member, index, each in _containers(pod)
        ),
    )


def _container_place(
    path: tuple[str, ...], member: str, index: int, container: _Container, old: _Container | None
) -> Place:
    return Place(
        pointer=f"/{'/'.join(path)}/{member}/{index}",
        field=f"{'.'.join(path)}.{member}[{index}].image",
        member="image",
        image=container.image or "",
        pull_policy=container.image_pull_policy or "",
        image_changed=old is None or old.image != container.image,
        policy_changed=old is None or old.image_pull_policy != container.image_pull_policy,
    )


def _containers(pod: _Pod) -> Iterator[tuple[str, int, _Container]]:
    """Init containers, then containers; ephemeral ones come by a subresource of their own."""
    if pod.spec is None:
        return
    for member, containers in (
        ("initContainers", pod.spec.init_containers),
        ("containers", pod.spec.containers),
    ):
        for index, each in enumerate(containers or ()):
            yield member, index, each


def _pod(raw: msgspec.Raw | bytes, path: tuple[str, ...]) -> _Pod:
    for member in path:
        held = msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | None) or {}
        raw = held.get(member, msgspec.Raw(b"null"))
    return msgspec.json.decode(raw, type=_Pod | None) or _Pod()


def _metadata(raw: msgspec.Raw | bytes) -> _Metadata:
    return msgspec.json.decode(raw, type=_Object).metadata or _Metadata()


def _owned(metadata: _Metadata) -> bool:
    return any(each.controller for each in metadata.owner_references or ())


def _resolves_all(metadata: _Metadata, pod: _Pod) -> bool:
    return metadata.resolve_all or (pod.metadata is not None and pod.metadata.resolve_all)


def _read_build(new: msgspec.Raw | bytes, old: msgspec.Raw | bytes | None) -> Workload:
    build = msgspec.json.decode(new, type=_Build)
    metadata = build.metadata or _Metadata()
    before: list[_Source] = []
    if old is not None:
        former = msgspec.json.decode(old, type=_Build)
        if (former.metadata or _Metadata()).resolve_all == metadata.resolve_all:
            before = [each for _, _, each in _sources(former)]
    return Workload(
        owned=_owned(metadata),
        resolve_all=metadata.resolve_all,
        places=tuple(
            Place(
                pointer=pointer,
                field=f"{field}.name",
                member="name",
                image=each.name,
                kind=each.kind,
                namespace=each.namespace,
                image_changed=each not in before,
            )
            for pointer, field, each in _sources(build)
        ),
    )


def _sources(build: _Build) -> Iterator[tuple[str, str, _Source]]:
    """The images that a build starts from; what it makes is no image yet."""
    if build.spec is None:
        return
    images = build.spec.source.images if build.spec.source is not None else None
    for index, image in enumerate(images or ()):
        if image.source is not None:
            pointer = f"/spec/source/images/{index}/from"
            yield pointer, f"spec.source.images[{index}].from", image.source
    if build.spec.strategy is None:
        return
    for member, strategy in (
        ("dockerStrategy", build.spec.strategy.docker_strategy),
        ("sourceStrategy", build.spec.strategy.source_strategy),
        ("customStrategy", build.spec.strategy.custom_strategy),
    ):
        if strategy is not None and strategy.source is not None:
            pointer = f"/spec/strategy/{member}/from"
            yield pointer, f"spec.strategy.{member}.from", strategy.source
