"""The port behind stored resources: a revisioned table of documents, and its changes.

Implemented by `metastore`; tests of this room may implement it on a dict. A document is the wire
JSON of one object, complete with its resourceVersion, kept as bytes so that a GET is a read.
Revisions are integers that grow in commit order over the whole database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class Key(NamedTuple):
    """Where a document is: `resource` is `plural.group` or `plural` for the core group.

    `namespace` is empty for what belongs to the cluster.
    """

    resource: str
    namespace: str
    name: str


class Document(NamedTuple):
    """A stored object: where, who, as of which revision, and its wire JSON.

    A tuple, because lists make them by the thousand.
    """

    key: Key
    uid: str
    revision: int
    body: bytes


class Listing(NamedTuple):
    """Documents in the order of (namespace, name), as they were at `revision`.

    `more` says that others follow the last one.
    """

    documents: Sequence[Document]
    revision: int
    more: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What one write did to one document.

    `before` is None for a new document, `after` for one that is gone. Both are wire JSON with
    their own resourceVersion. One object is shared by every watcher in the process, so what one
    of them makes of it is kept in `made` for the others.
    """

    revision: int
    key: Key
    before: bytes | None
    after: bytes | None
    made: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)


class DocumentTransaction(Protocol):
    """What a unit of work reads and writes; everything in it holds until the unit ends.

    Units run one at a time over all processes, in a thread: they are plain functions, may run more
    than once, and change nothing but documents. An exception undoes all of a unit.
    """

    def get(self, key: Key) -> Document | None: ...

    def list(
        self, resource: str, namespace: str | None = None, after: Key | None = None, limit: int = 0
    ) -> Sequence[Document]:
        """Documents of a resource in one namespace, or with None in all; `limit` 0 is all."""
        ...

    def put(self, key: Key, uid: str, encode: Callable[[int], bytes]) -> Document:
        """Create or replace; `encode` turns the new revision into the wire JSON."""
        ...

    def delete(self, key: Key) -> Document | None:
        """Remove; the document as it last was, under the revision of the removal."""
        ...

    def dependents(self, uid: str) -> Sequence[Document]:
        """Documents whose metadata.ownerReferences name `uid`."""
        ...


class Subscription(Protocol):
    """Changes of one resource, in order and without a gap; iterate, and close in the end."""

    async def next(self) -> Sequence[Change]:
        """Wait for the next changes, at least one.

        Raises `Expired` when the reader was too slow and fell out of what is kept.
        """
        ...

    def position(self) -> int:
        """Every change up to this revision has been handed out by `next`."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Counting(Protocol):
    """What an `ObjectStore` may also have: a count that reads no document."""

    async def count(
        self, resource: str, namespace: str | None, *, after: tuple[str, str], at: int
    ) -> int | None:
        """How many documents follow `after` in a listing as of `at`; None when it is not known."""
        ...


class ObjectStore(Protocol):
    """Documents of one database."""

    async def get(self, key: Key) -> Document | None: ...

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 0,
        at: int | None = None,
    ) -> Listing:
        """One consistent page: in one namespace or (None) in all, after (namespace, name).

        `at` asks for the state at that revision: `Expired` when it is no longer known, or not yet.
        """
        ...

    async def write(self, unit: Callable[[DocumentTransaction], T]) -> T:
        """Run a unit of work, commit, and give what it returned (see `DocumentTransaction`)."""
        ...

    async def revision(self) -> int:
        """The newest revision of the database."""
        ...

    async def watch(self, resource: str, after: int) -> Subscription:
        """Changes of `resource` after revision `after`.

        `Expired` when they are no longer all kept, or `after` was never reached.
        """
        ...

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        """Call `apply` with every later change of these resources, in order, in the event loop.

        `reset` is called when changes were missed, because compaction overtook this process: what
        was built from them is to be read anew, and `apply` goes on from there.
        """
        ...

    async def catch_up(self) -> int:
        """Hand every change that is committed now to the followers; the revision reached."""
        ...
