"""The parts of an object's JSON that name images: its metadata and its pod's containers."""

from dataclasses import dataclass

import msgspec

INITIAL, ORDINARY = "initContainers", "containers"


class Metadata(msgspec.Struct, rename="camel"):
    """What is read of metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str | None] | None = None
    deletion_timestamp: str | None = None


class _Container(msgspec.Struct):
    name: str | None = ""
    image: str | None = None


class _Spec(msgspec.Struct, rename="camel"):
    init_containers: list[_Container] | None = None
    containers: list[_Container] | None = None
    service_account_name: str | None = ""


class _Template(msgspec.Struct):
    spec: _Spec | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a pod; `initial` says in which of the two lists, `index` where in it."""

    initial: bool
    index: int
    name: str
    image: str
    has_image: bool

    @property
    def list_name(self) -> str:
        return INITIAL if self.initial else ORDINARY


@dataclass(frozen=True, slots=True)
class Pod:
    """The template of an object's pods."""

    containers: tuple[Container, ...]
    account: str


def at(body: bytes | msgspec.Raw, path: tuple[str, ...]) -> bytes | msgspec.Raw:
    """The JSON at a path; `null` where there is nothing."""
    for member in path:
        held = msgspec.json.decode(body, type=dict[str, msgspec.Raw] | None) or {}
        body = held.get(member, msgspec.Raw(b"null"))
    return body


def pod_at(template: bytes | msgspec.Raw) -> Pod:
    """The pod of a template; init containers come first."""
    spec = (msgspec.json.decode(template, type=_Template | None) or _Template()).spec or _Spec()
    return Pod(
        tuple(
            Container(initial, index, each.name or "", each.image or "", each.image is not None)
            for initial, containers in ((True, spec.init_containers), (False, spec.containers))
            for index, each in enumerate(containers or ())
        ),
        spec.service_account_name or "default",
    )
