"""The table of what is served, built once from the resources that the assembly hands in.

An `Endpoint` is one resource or subresource with the storage behind it. Making the table asks each
storage for the protocols that its verbs need, so that a gap shows at the start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.apimachinery.apply.fieldset import NOTHING, FieldSet
from tidegate.apimachinery.decoding.decoder import BODY_LIMIT, Decoder
from tidegate.apimachinery.errors import MethodNotAllowed, PathNotFound, Qualified
from tidegate.apimachinery.http.encoding import Encoding
from tidegate.apimachinery.http.routes import Target
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Storage

NUL = "\0"

_SPEC, _STATUS = FieldSet.of([("f:spec",)]), FieldSet.of([("f:status",)])

_PROTOCOLS = {
    "create": "create",
    "delete": "delete",
    "deletecollection": "delete_collection",
    "get": "get",
    "list": "list",
    "patch": "update",
    "update": "update",
    "watch": "watch",
}
"""The method of a storage that each verb needs."""


@dataclass(frozen=True, slots=True)
class Served:
    """A resource, what serves it, and what serves its subresources.

    `names_namespace` says that an object's name is a namespace, whose roles then count for a
    request that names the object (projects; namespaces have it from their path).
    """

    resource: Resource[Any]
    storage: Storage
    subresources: Mapping[str, Storage] = field(default_factory=dict)
    names_namespace: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One resource or subresource: its verbs, its kind, its storage."""

    resource: Resource[Any]
    subresource: str
    verbs: tuple[str, ...]
    storage: Storage
    decoder: Decoder[Any]
    encoding: Encoding

    @property
    def qualified(self) -> Qualified:
        return self.resource.qualified

    @property
    def tracks_managers(self) -> bool:
        """Whether who set which field is kept: not for what is only asked, like a review."""
        return "update" in self.verbs or "patch" in self.verbs

    @property
    def paged(self) -> bool:
        """Whether a get takes the options of a list."""
        return bool(self.subresource) and self.resource.subresources[self.subresource].paged

    @property
    def reset(self) -> FieldSet:
        """The fields that a write here leaves as they are: status has a subresource of its own."""
        if self.subresource == "status":
            return _SPEC
        return _STATUS if "status" in self.resource.subresources else NOTHING

    @property
    def body_limit(self) -> int:
        """Bytes of a request's body: an object of any size allowed fits in."""
        return max(BODY_LIMIT, self.resource.strategy.size_limit)

    @property
    def update_creates(self) -> bool:
        return self.resource.strategy.update_creates and not self.subresource


class Endpoints:
    """Every endpoint by group, version, resource and subresource."""

    def __init__(self, served: Sequence[Served], clock: Callable[[], float]) -> None:
        self._found: dict[tuple[str, str, str, str], Endpoint] = {}
        self._naming: set[tuple[str, str]] = set()
        for each in served:
            resource = each.resource
            key = resource.group, resource.version, resource.plural
            encoding = Encoding(resource, clock)
            self._found[*key, ""] = _checked(
                Endpoint(
                    resource,
                    "",
                    resource.verbs,
                    each.storage,
                    Decoder(resource.kind, resource.api_version, resource.type),
                    encoding,
                )
            )
            if each.names_namespace:
                self._naming.add((resource.group, resource.plural))
            for name, storage in each.subresources.items():
                self._found[*key, name] = _checked(
                    _of_subresource(resource, name, storage, encoding)
                )

    def namespace_judged(self, target: Target) -> str:
        """The namespace whose roles count for a target."""
        if target.name and (target.group, target.resource) in self._naming:
            return target.name
        return target.namespace

    def find(self, target: Target, verb: str) -> Endpoint:
        """The endpoint of a target: `PathNotFound`, or `MethodNotAllowed` without the verb."""
        key = target.group, target.version, target.resource, target.subresource
        found = self._found.get(key)
        if found is None or target.rest or not _in_scope(found.resource, target):
            raise PathNotFound
        if NUL in target.name or NUL in target.namespace:  # which no store can look for
            raise PathNotFound
        if verb not in found.verbs or not _takes(verb, target, found.resource):
            raise MethodNotAllowed
        if target.name and found.resource.namespaced and not target.namespace:
            raise PathNotFound
        return found


def _takes(verb: str, target: Target, resource: Resource[Any]) -> bool:
    """Whether a path may be asked with this verb.

    An object is made in its collection, and a collection is deleted in one namespace, never in all.
    """
    if verb == "create" and not target.subresource:
        return not target.name and _is_collection(target, resource)
    if verb == "deletecollection":
        return _is_collection(target, resource)
    return bool(target.name) or verb not in ("update", "patch")


def _is_collection(target: Target, resource: Resource[Any]) -> bool:
    return bool(target.namespace) or not resource.namespaced


def _in_scope(resource: Resource[Any], target: Target) -> bool:
    """Whether a path with or without a namespace may lead to the resource."""
    if target.subresource and not target.name:
        return False
    if resource.namespaced or not target.namespace:
        return True
    return target.resource == "namespaces" and not target.group and target.namespace == target.name


def _of_subresource(
    resource: Resource[Any], name: str, storage: Storage, encoding: Encoding
) -> Endpoint:
    declared = resource.subresources[name]
    version = f"{declared.group}/{declared.version}" if declared.group else declared.version
    return Endpoint(
        resource,
        name,
        declared.verbs,
        storage,
        Decoder(declared.kind, version, declared.type, declared.values),
        encoding,
    )


def _checked(endpoint: Endpoint) -> Endpoint:
    for verb in endpoint.verbs:
        method = "get_page" if verb == "get" and endpoint.paged else _PROTOCOLS[verb]
        if not callable(getattr(endpoint.storage, method, None)):
            name = f"{endpoint.resource.key}/{endpoint.subresource}".rstrip("/")
            raise TypeError(f"what serves {name} cannot {verb}")
    return endpoint
