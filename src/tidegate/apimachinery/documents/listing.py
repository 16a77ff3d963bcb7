"""Reading documents: one, or a list in consistent pages.

Invariant: all that a page holds is as it was at the page's revision, and a watch from there misses
nothing and repeats nothing but, for a list of one name, what that name may have seen since.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from tidegate.apimachinery.documents import continuation
from tidegate.apimachinery.documents.continuation import Continuation
from tidegate.apimachinery.documents.matching import Matching
from tidegate.apimachinery.errors import (
    BadRequest,
    Expired,
    FieldError,
    ResourceExpired,
    ServerTimeout,
    missing,
)
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import ListOptions, Page
from tidegate.apimachinery.store import Counting, Document, Key, Listing, ObjectStore

K = TypeVar("K", bound=Object)

_LIST_EXPIRED = "The resourceVersion for the provided list is too old."
_TOKEN_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can "  # noqa: S105  a text
    "start a new list without the continue parameter."
)
_READ_AT_ONCE = 500
"""Documents read at a time while the matches of a selector are gathered: client-go's page."""


class Found(NamedTuple):
    """A page of documents, as they were at `revision`; see `storage.Page`."""

    documents: Sequence[Document]
    revision: int
    token: str = ""
    remaining: int | None = None

    def page(self) -> Page:
        return Page(
            [each.body for each in self.documents], self.revision, self.token, self.remaining
        )


class Listings(Generic[K]):
    """Gets and lists of one resource."""

    def __init__(self, resource: Resource[K], store: ObjectStore, matching: Matching[K]) -> None:
        self._resource = resource
        self._store = store
        self._matching = matching

    def scope(self, namespace: str) -> str | None:
        """Where to look: None is every namespace."""
        return namespace or (None if self._resource.namespaced else "")

    async def get(self, namespace: str, name: str) -> bytes:
        document = await self._store.get(Key(self._resource.key, namespace, name))
        if document is None:
            raise missing(self._resource.qualified, name)
        return document.body

    async def list(self, namespace: str, options: ListOptions) -> Found:
        """A page of the objects in a namespace, with "" in all."""
        scope = self.scope(namespace)
        selection = options.selection
        if scope is None and selection.namespace is not None:
            scope = selection.namespace
        if options.token:
            return await self._continued(scope, options)
        if options.exact and options.revision:
            return await self._page(scope, options, None, options.revision)
        if selection.name is not None and scope is not None:
            found = await self._one(scope, selection.name, selection)
        else:
            found = await self._page(scope, options, None, None)
        if options.revision is not None and options.revision > found.revision:
            raise _too_large(options.revision, found.revision)  # its reader has seen newer
        return found

    async def _continued(self, scope: str | None, options: ListOptions) -> Found:
        if options.revision:
            raise BadRequest("specifying resource version is not allowed when using continue")
        start = continuation.read(options.token, self._resource.key, scope)
        return await self._page(scope, options, start.last, start.revision)

    async def _one(self, namespace: str, name: str, selection: Selection) -> Found:
        """The one document of a name, and a revision at which that was all there was of it."""
        revision = await self._store.revision()
        key = Key(self._resource.key, namespace, name)
        document = await self._store.get(key)
        if document is None:
            return Found((), revision)
        # What is read is the state from the document's revision on, which may be newer than the
        # revision that was read before it.
        revision = max(revision, document.revision)
        taken = self._matching.takes(selection, key, document.body)
        return Found((document,) if taken else (), revision)

    async def _page(
        self, scope: str | None, options: ListOptions, after: Key | None, at: int | None
    ) -> Found:
        selection, limit = options.selection, options.limit
        if limit and not selection.is_everything:
            return await self._gathered(scope, options, after, at)
        listing = await self._read(scope, after, limit, at, paged=bool(options.token))
        documents = self._taken(selection, listing.documents)
        if not listing.more:
            return Found(documents, listing.revision)
        last = listing.documents[-1].key
        remaining = await self._remaining(scope, last, listing.revision)
        return Found(documents, listing.revision, _token(last, listing.revision), remaining)

    async def _gathered(
        self, scope: str | None, options: ListOptions, after: Key | None, at: int | None
    ) -> Found:
        """A page of `limit` documents that match, of however many that do not."""
        found: list[Document] = []
        limit = options.limit
        while True:
            listing = await self._read(scope, after, _READ_AT_ONCE, at, paged=bool(options.token))
            found.extend(self._taken(options.selection, listing.documents))
            if len(found) > limit:
                token = _token(found[limit - 1].key, listing.revision)
                return Found(found[:limit], listing.revision, token)
            if not listing.more:
                return Found(found, listing.revision)
            after, at = listing.documents[-1].key, listing.revision
            if len(found) == limit:
                return Found(found, listing.revision, _token(after, listing.revision))

    async def _read(
        self, scope: str | None, after: Key | None, limit: int, at: int | None, *, paged: bool
    ) -> Listing:
        try:
            return await self._store.list(
                self._resource.key,
                scope,
                after=None if after is None else (after.namespace, after.name),
                limit=limit,
                at=at,
            )
        except Expired as error:
            newest = await self._store.revision()
            if at is not None and at > newest:
                if paged:
                    raise BadRequest("invalid continue token: continue key is not valid") from error
                raise _too_large(at, newest) from error
            raise ResourceExpired(_TOKEN_EXPIRED if paged else _LIST_EXPIRED) from error

    def _taken(self, selection: Selection, documents: Sequence[Document]) -> Sequence[Document]:
        if selection.is_everything:
            return documents
        takes = self._matching.takes
        return [each for each in documents if takes(selection, each.key, each.body)]

    async def _remaining(self, scope: str | None, last: Key, revision: int) -> int | None:
        if not isinstance(self._store, Counting):
            return None
        return await self._store.count(
            self._resource.key, scope, after=(last.namespace, last.name), at=revision
        )


def _token(last: Key, revision: int) -> str:
    return continuation.written(Continuation(last, revision))


def _too_large(wanted: int, newest: int) -> ServerTimeout:
    return ServerTimeout(
        f"Timeout: Too large resource version: {wanted}, current: {newest}",
        causes=(FieldError("ResourceVersionTooLarge", "", "Too large resource version"),),
        retry_after=1,
    )
