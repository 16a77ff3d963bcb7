"""What serves a resource: one small protocol per verb, implemented as far as the resource goes.

The endpoints in `http/` know these alone. `documents/storage.py` implements all of them over the
`ObjectStore` port; resources that are computed (reviews, projects, tags) implement what they have.
Objects cross this border as their wire JSON in bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.selectors import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who makes a request and how; one per request, handed to every verb.

    `subresource` is empty for the resource itself. `manager` is the field manager. `warnings`
    gathers what the client is to be warned of (RFC 9111's `Warning` header).
    """

    user: User
    verb: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    dry_run: bool = False
    manager: str = ""
    warnings: list[str] = field(default_factory=list)
    source: str = ""  # the client's address
    weight: int = 0  # bytes of the request's body, which say how much work it may be


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """Which objects of a list, and as of when.

    `revision` None is the newest state, 0 any; `exact` asks for just that revision. `token` is a
    continue token as this server gave it, "" for the first page.
    """

    selection: Selection
    limit: int = 0
    token: str = ""
    revision: int | None = None
    exact: bool = False


class Page(NamedTuple):
    """A page of a list; `token` is not empty when there is more."""

    bodies: Sequence[bytes]
    revision: int
    token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """How to delete: `propagation` is Background, Foreground, Orphan or "" for the default."""

    uid: str = ""
    resource_version: str = ""
    propagation: str = ""
    grace_period: int | None = None


class Deleted(NamedTuple):
    """The object as it is after a delete; `gone` is False while finalizers hold it."""

    body: bytes
    gone: bool


class Updated(NamedTuple):
    """The object as it was written; `created` when the write made it."""

    body: bytes
    created: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """From where to watch and what.

    `revision` None or 0: begin with an ADDED for every object that there is. `initial` is the
    streaming list: those, then a bookmark that says so. `bookmarks` allows others now and then.
    """

    selection: Selection
    revision: int | None = None
    initial: bool = False
    bookmarks: bool = False


class Event:
    """One watch event. The same one goes to every watcher, so what is encoded of it is kept.

    `kind` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, `body` the object's wire JSON.
    """

    __slots__ = ("body", "encoded", "kind")

    def __init__(self, kind: str, body: bytes) -> None:
        self.kind = kind
        self.body = body
        self.encoded: dict[object, bytes] = {}  # by the form it was encoded in


class Watch(Protocol):
    """Events in order; `close` it in the end."""

    async def next(self, patience: float) -> Sequence[Event]:
        """The next events, none when `patience` seconds passed without any.

        Raises `ResourceExpired` when the watch cannot go on.
        """
        ...

    def bookmark(self) -> Event:
        """A bookmark for what has been handed out so far."""
        ...

    def close(self) -> None: ...


Change = Callable[[Mapping[str, Any] | None], Object]
"""From the current object (JSON values; None when there is none) to the wanted one.

It may be called again when somebody else wrote meanwhile, and raises what is wrong with the
request. An object without a resourceVersion is written whatever the current version is.
"""


class Getter(Protocol):
    async def get(self, call: Call, name: str) -> bytes: ...


class PageGetter(Protocol):
    """What a paged subresource has in place of `Getter`."""

    async def get_page(self, call: Call, name: str, options: ListOptions) -> bytes: ...


class Lister(Protocol):
    async def list(self, call: Call, options: ListOptions) -> Page: ...


class Creater(Protocol):
    async def create(self, call: Call, new: Object) -> bytes: ...


class Updater(Protocol):
    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        """Replace the object by what `change` makes of it; `creates` when there may be none."""
        ...


class Deleter(Protocol):
    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted: ...


class CollectionDeleter(Protocol):
    async def delete_collection(
        self, call: Call, selected: ListOptions, options: DeleteOptions
    ) -> Page: ...


class Watcher(Protocol):
    async def watch(self, call: Call, options: WatchOptions) -> Watch: ...


Storage = Any
"""Some of the protocols above; `http/endpoints.py` asks for the one it needs at assembly."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What admission is asked about: a write, before it happens; `old` is None on create.

    For a delete `new` is None.
    """

    call: Call
    new: Object | None
    old: Object | None


class Admission(Protocol):
    """May refuse a write that RBAC allows, for what is in it."""

    async def admit(self, asked: Admitted) -> None:
        """Return, or raise `Forbidden` or another `ApiError`."""
        ...
