"""Storage of kinds whose making signs tokens: the signing key is read before the unit of work."""

from collections.abc import Callable
from typing import Any, TypeVar

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Call, Change, Updated
from tidegate.apimachinery.store import DocumentTransaction, ObjectStore
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens, Signer

K = TypeVar("K", bound=Object)


class SigningStorage(DocumentStorage[K]):
    """Documents, with `furnish(tx, object, signer)` run in the unit that makes one.

    `clock` gives seconds since the epoch; `more` is for `DocumentStorage`.
    """

    def __init__(
        self,
        resource: Resource[K],
        store: ObjectStore,
        tokens: ServiceAccountTokens,
        furnish: Callable[[DocumentTransaction, K, Signer], None],
        clock: Callable[[], float],
        **more: Any,
    ) -> None:
        super().__init__(resource, store, companions=self._companions, clock=clock, **more)
        self._tokens = tokens
        self._furnish = furnish
        self._time = clock
        self._signer: Signer | None = None

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`."""
        # Whichever create read it last: any that was read just now serves all of them.
        self._signer = await self._tokens.signer(self._time())
        return await super().create(call, new)

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        """See `storage.Updater`; what is applied may be new, too."""
        if creates:
            self._signer = await self._tokens.signer(self._time())
        return await super().update(call, name, change, creates=creates)

    def _companions(self, tx: DocumentTransaction, made: K) -> None:
        if self._signer is not None:
            self._furnish(tx, made, self._signer)
