"""The operations of the API, one for each verb of a resource, before they are written as OpenAPI.

Both versions of the document are written from this one list, so that they cannot disagree. Names
(`listCoreV1NamespacedSecret`), actions and parameters are Kubernetes', since clients are generated
from them and kubectl looks for some: PATCH with `fieldValidation` means that the server validates,
PATCH with `dryRun` that it can try.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.apimachinery.discovery import Declared, kind_of_subresource
from tidegate.apimachinery.openapi.definitions import (
    META,
    PATCH,
    GroupVersionKind,
    kind_of,
    list_kind_of,
)
from tidegate.apimachinery.resource import Subresource

PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
STATUS, DELETE_OPTIONS = f"{META}.Status", f"{META}.DeleteOptions"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the path or the query."""

    name: str
    description: str
    type: str = "string"
    place: str = "query"

    @property
    def required(self) -> bool:
        return self.place == "path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path. `body` and the values of `answers` name definitions."""

    path: str
    method: str
    id: str
    tag: str
    description: str
    action: str
    kind: GroupVersionKind
    parameters: Sequence[Parameter]
    body: str = ""
    consumes: Sequence[str] = ("*/*",)
    answers: dict[int, str]

    @property
    def body_required(self) -> bool:
        return self.body != DELETE_OPTIONS


@dataclass(frozen=True, slots=True)
class _Form:
    """How a verb is written: NAME + ids, the method, on an object (`named`) or on them all."""

    name: str
    method: str
    action: str
    named: bool
    says: str
    parameters: tuple[Parameter, ...] = ()
    codes: tuple[int, ...] = (200,)


_PRETTY = Parameter("pretty", "If true, the output is indented.")
_DRY_RUN = Parameter("dryRun", "All: go through every stage, but store nothing.")
_MANAGER = Parameter("fieldManager", "Who makes the change, for managedFields.")
VALIDATION = Parameter(
    "fieldValidation",
    "What to do about unknown and repeated fields: Ignore them, Warn (the default) or, with"
    " Strict, refuse the request.",
)
_FORCE = Parameter(
    "force", "Take over fields that others manage; for apply patches only.", "boolean"
)
_LIMIT = Parameter("limit", "How many objects to answer with at most.", "integer")
_CONTINUE = Parameter("continue", "Where the list goes on: metadata.continue of its last page.")
_LABELS = Parameter("labelSelector", "Only objects with these labels.")
_FIELDS = Parameter("fieldSelector", "Only objects whose fields have these values.")
_VERSION = Parameter("resourceVersion", "As of which version.")
_MATCH = Parameter("resourceVersionMatch", "How resourceVersion is meant: Exact or NotOlderThan.")
_INITIAL = Parameter(
    "sendInitialEvents",
    "Begin a watch with every object that there is, and a bookmark after them.",
    "boolean",
)
_TIMEOUT = Parameter("timeoutSeconds", "After how many seconds the request ends.", "integer")
_WATCH = Parameter("watch", "Answer with changes, as they come.", "boolean")
_BOOKMARKS = Parameter(
    "allowWatchBookmarks", "Send bookmarks, which say how far the watch has come.", "boolean"
)
_GRACE = Parameter("gracePeriodSeconds", "Seconds before the object goes.", "integer")
_ORPHAN = Parameter("orphanDependents", "Deprecated: use propagationPolicy.", "boolean")
_PROPAGATION = Parameter(
    "propagationPolicy", "What becomes of dependents: Orphan, Background or Foreground."
)
_NAMESPACE = Parameter("namespace", "The project that the object is in.", place="path")

_WRITE = (_PRETTY, _DRY_RUN, _MANAGER, VALIDATION)
_SELECT = (_PRETTY, _CONTINUE, _FIELDS, _LABELS, _LIMIT, _VERSION, _MATCH, _INITIAL, _TIMEOUT)
_DELETE = (_DRY_RUN, _GRACE, _ORPHAN, _PROPAGATION)

_FORMS = {
    "list": _Form(
        "list", "get", "list", False, "list or watch objects of kind {}",
        (*_SELECT, _BOOKMARKS, _WATCH),
    ),
    "create": _Form("create", "post", "post", False, "create a {}", _WRITE, (200, 201, 202)),
    "deletecollection": _Form(
        "delete", "delete", "deletecollection", False, "delete a collection of {}",
        (*_SELECT, *_DELETE),
    ),
    "get": _Form("read", "get", "get", True, "read the specified {}", (_PRETTY,)),
    "update": _Form("replace", "put", "put", True, "replace the specified {}", _WRITE, (200, 201)),
    "patch": _Form(
        "patch", "patch", "patch", True, "partially update the specified {}", (*_WRITE, _FORCE),
        (200, 201),
    ),
    "delete": _Form(
        "delete", "delete", "delete", True, "delete a {}", (_PRETTY, *_DELETE), (200, 202)
    ),
}  # fmt: skip


def operations(resources: Sequence[Declared]) -> Iterator[Operation]:
    """Every operation of the resources, in the order of declaration."""
    for resource in resources:
        for verb in resource.verbs:
            if verb in _FORMS:
                yield _operation(resource, verb)
        if resource.namespaced and "list" in resource.verbs:
            yield _operation(resource, "list", everywhere=True)
        for name, sub in sorted(resource.subresources.items()):
            for verb in sub.verbs:
                if verb in _FORMS:
                    yield _sub_operation(resource, name, sub, verb)


def group_version_path(group: str, version: str) -> str:
    """`api/v1` or `apis/GROUP/VERSION`."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _operation(resource: Declared, verb: str, *, everywhere: bool = False) -> Operation:
    form = _FORMS[verb]
    spread = resource.namespaced and not everywhere
    collection = "Collection" if verb == "deletecollection" else ""
    where = "Namespaced" if spread else ""
    suffix = "ForAllNamespaces" if everywhere else ""
    kind = kind_of(resource)
    return Operation(
        path=_path(resource, spread=spread, named=form.named),
        method=form.method,
        id=f"{form.name}{_owner(resource)}{collection}{where}{resource.kind}{suffix}",
        tag=_tag(resource),
        description=form.says.format(resource.kind),
        action=form.action,
        kind=kind,
        parameters=(*_in_path(resource.kind, spread=spread, named=form.named), *form.parameters),
        body=_body(verb, kind),
        consumes=PATCH_TYPES if verb == "patch" else ("*/*",),
        answers=dict.fromkeys(form.codes, _answer(resource, verb)),
    )


def _sub_operation(resource: Declared, name: str, sub: Subresource, verb: str) -> Operation:
    form = _FORMS[verb]
    kind = GroupVersionKind(*kind_of_subresource(resource, sub))
    where = "Namespaced" if resource.namespaced else ""
    return Operation(
        path=_path(resource, spread=resource.namespaced, named=True) + f"/{name}",
        method=form.method,
        id=f"{form.name}{_owner(resource)}{where}{resource.kind}{_capital(name)}",
        tag=_tag(resource),
        description=form.says.format(f"{name} of the specified {resource.kind}"),
        action=form.action,
        kind=kind,
        parameters=(
            *_in_path(resource.kind, spread=resource.namespaced, named=True),
            *form.parameters,
            *((_CONTINUE, _LIMIT) if sub.paged and verb == "get" else ()),
        ),
        body=_body(verb, kind),
        consumes=PATCH_TYPES if verb == "patch" else ("*/*",),
        answers=dict.fromkeys(form.codes, STATUS if verb == "delete" else kind.definition),
    )


def _body(verb: str, kind: GroupVersionKind) -> str:
    bodies = {
        "create": kind.definition,
        "update": kind.definition,
        "patch": PATCH,
        "delete": DELETE_OPTIONS,
        "deletecollection": DELETE_OPTIONS,
    }
    return bodies.get(verb, "")


def _answer(resource: Declared, verb: str) -> str:
    if verb == "list":
        return list_kind_of(resource).definition
    return STATUS if verb.startswith("delete") else kind_of(resource).definition


def _path(resource: Declared, *, spread: bool, named: bool) -> str:
    path = "/" + group_version_path(resource.group, resource.version)
    if spread:
        path += "/namespaces/{namespace}"
    return f"{path}/{resource.plural}" + ("/{name}" if named else "")


def _in_path(kind: str, *, spread: bool, named: bool) -> Iterator[Parameter]:
    if named:
        yield Parameter("name", f"name of the {kind}", place="path")
    if spread:
        yield _NAMESPACE


def _group_words(resource: Declared) -> str:
    """`Core`, `RbacAuthorization`, `ImageOpenshiftIo`: a group inside names of operations."""
    group = (resource.group or "core").removesuffix(".k8s.io")
    return "".join(_capital(word) for word in group.replace("-", ".").split("."))


def _owner(resource: Declared) -> str:
    return _group_words(resource) + _capital(resource.version)


def _tag(resource: Declared) -> str:
    words = _group_words(resource)
    return f"{words[:1].lower()}{words[1:]}_{resource.version}"


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def by_path(operations: Iterator[Operation]) -> dict[str, list[Operation]]:
    """The operations of each path, paths in order."""
    paths: dict[str, list[Operation]] = {}
    for each in operations:
        paths.setdefault(each.path, []).append(each)
    return dict(sorted(paths.items()))


def extensions(operation: Operation) -> dict[str, Any]:
    """What Kubernetes adds to an operation in either version."""
    return {
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": operation.kind.json(),
    }
