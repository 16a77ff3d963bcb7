"""Deleting one object of a resource, or all that a selection takes, as a request asks for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import msgspec

from tidegate.apimachinery.documents.bodies import Body, header
from tidegate.apimachinery.documents.deletion import ORDINARY, Ended, Ending
from tidegate.apimachinery.documents.listing import Found, Listings
from tidegate.apimachinery.documents.units import run
from tidegate.apimachinery.documents.writing import Writing
from tidegate.apimachinery.errors import missing, modified
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Admitted, Call, Deleted, DeleteOptions, ListOptions, Page
from tidegate.apimachinery.store import Document, DocumentTransaction, Key

K = TypeVar("K", bound=Object)

_PAGE = 500
_AT_ONCE = 100
"""Objects of a collection that one unit deletes: other writers wait for it."""


def ending_of(
    kind: type[K],
    may_go: Callable[[K], bool] | None,
    terminating: Callable[[K], None] | None,
) -> Ending:
    """A kind's rules for its end, on JSON values as cascades meet them."""
    if may_go is None and terminating is None:
        return ORDINARY

    def values_may_go(values: Body) -> bool:
        return may_go is None or may_go(msgspec.convert(values, kind))

    def values_terminating(values: Body) -> Body:
        if terminating is None:
            return values
        ending = msgspec.convert(values, kind)
        terminating(ending)
        changed: Body = msgspec.to_builtins(ending)
        return changed

    return Ending(values_may_go, values_terminating)


class Ends(Generic[K]):
    """Deletions of one resource."""

    def __init__(self, writing: Writing[K], listings: Listings[K]) -> None:
        self._writing = writing
        self._resource = writing.resource
        self._listings = listings
        self._decode = msgspec.json.Decoder(writing.resource.type).decode

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        """See `storage.Deleter`."""
        key = Key(self._resource.key, call.namespace, name)
        await self._admit(call, key)

        def unit(tx: DocumentTransaction) -> Ended | None:
            document = tx.get(key)
            if document is None:
                raise missing(self._resource.qualified, name)
            self._check(document, options)
            return self._writing.cascade(tx, call).delete(document, options.propagation)

        while True:
            ended = await run(self._writing.store, unit, dry_run=call.dry_run)
            if ended is not None:
                return Deleted(ended.body, ended.gone)

    async def delete_collection(
        self, call: Call, selected: ListOptions, options: DeleteOptions
    ) -> Page:
        """See `storage.CollectionDeleter`: one page with a limit, and else all there are."""
        if selected.limit:
            found = await self._listings.list(call.namespace, selected)
            await self._delete_all(call, found.documents, options)
            return found.page()
        documents: list[Document] = []
        page = replace(selected, limit=_PAGE)
        while True:
            found = await self._listings.list(call.namespace, page)
            await self._delete_all(call, found.documents, options)
            documents.extend(found.documents)
            if not found.token:
                return Found(documents, found.revision).page()
            page = replace(page, token=found.token, revision=None, exact=False)

    async def _delete_all(
        self, call: Call, documents: Sequence[Document], options: DeleteOptions
    ) -> None:
        for start in range(0, len(documents), _AT_ONCE):
            listed = documents[start : start + _AT_ONCE]
            for each in listed:
                await self._admit(call, each.key)

            def unit(tx: DocumentTransaction, listed: Sequence[Document] = listed) -> bool:
                cascade = self._writing.cascade(tx, call)
                for each in listed:
                    document = tx.get(each.key)
                    if document is None or document.uid != each.uid:
                        continue  # gone already, with its owner or by somebody else
                    self._check(document, options)
                    if cascade.delete(document, options.propagation) is None:
                        return False
                return True

            while not await run(self._writing.store, unit, dry_run=call.dry_run):
                pass

    def _check(self, document: Document, options: DeleteOptions) -> None:
        read = header(document.body)
        if options.uid and options.uid != read.uid:
            raise modified(
                self._resource.qualified_kind,
                document.key.name,
                f"the UID in the precondition ({options.uid}) does not match the UID in record "
                f"({read.uid}). The object might have been deleted and then recreated",
            )
        if options.resource_version and options.resource_version != read.resource_version:
            raise modified(
                self._resource.qualified_kind,
                document.key.name,
                f"the ResourceVersion in the precondition ({options.resource_version}) does not "
                f"match the ResourceVersion in record ({read.resource_version}). The object might "
                "have been modified",
            )

    async def _admit(self, call: Call, key: Key) -> None:
        if self._writing.admission is None:
            return
        document = await self._writing.store.get(key)
        if document is not None:
            await self._writing.admit(Admitted(call, None, self._decode(document.body)))
