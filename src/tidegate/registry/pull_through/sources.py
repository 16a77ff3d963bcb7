"""Where a blob may be had, asked in the name of the stream's project.

Its pull secrets are used, whoever pulls: who may pull the stream may pull what it names. A request
that came through other registries says so to the next one, so that none is asked in a circle.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import groupby

from tidegate.apimachinery.store import ObjectStore
from tidegate.images.imports.keyring import keyring_of
from tidegate.images.origins import Candidate
from tidegate.oci.digest import Digest
from tidegate.registry.pull_through.orders import Chunks
from tidegate.registry.request import Request
from tidegate.remote.credentials import Keyring
from tidegate.remote.errors import ContentInvalid, RemoteError, SourcesFailed
from tidegate.remote.exchange import VIA_HEADER
from tidegate.remote.gateway import Gateway, Registries

_VIA = VIA_HEADER.lower().encode()


@dataclass(frozen=True, slots=True)
class Asking:
    """Other registries, as one project asks them on behalf of one request."""

    gateway: Gateway
    keyring: Keyring
    via: Sequence[str]

    @classmethod
    async def of(
        cls, gateway: Gateway, store: ObjectStore, project: str, request: Request
    ) -> "Asking":
        """For a project, and a request of somebody who may pull there."""
        return cls(gateway, await keyring_of(store, project), tuple(request.headers(_VIA)))

    def registries(self, *, insecure: bool) -> Registries:
        """With the project's credentials."""
        return self.gateway.registries(self.keyring, insecure=insecure, via=self.via)


@dataclass(frozen=True, slots=True)
class Sources:
    """Repositories of one registry that may have a blob, whatever mirrors stand for them."""

    asking: Asking
    host: str
    candidates: Sequence[Candidate]
    digest: Digest

    async def size(self) -> int:
        """Bytes of the blob as the registry says; RemoteError when it does not give it to us."""
        errors: list[RemoteError] = []
        for each in self.candidates:
            registries = self.asking.registries(insecure=each.insecure)
            try:
                return await registries.blob_size(each.location, self.digest)
            except RemoteError as error:
                errors.append(error)
        raise together(errors)

    @asynccontextmanager
    async def fetch(self, size: int, offset: int, tries: int) -> AsyncIterator[Chunks]:
        """Bytes from `offset` on, as they come; after `tries` another source comes first.

        Whoever takes them in hashes them.
        """
        errors: list[RemoteError] = []
        async with AsyncExitStack() as stack:
            for number in range(len(self.candidates)):
                turn, place = divmod(tries + number, len(self.candidates))
                each = self.candidates[place]
                registries = self.asking.registries(insecure=each.insecure)
                try:
                    blob = await stack.enter_async_context(
                        registries.blob(
                            each.location, self.digest, offset=offset, turn=turn, verify=False
                        )
                    )
                except RemoteError as error:
                    errors.append(error)
                    continue
                if blob.size == size:
                    yield blob.chunks
                    return
                said = f"{each.location} says that {self.digest} has {blob.size} bytes"
                errors.append(ContentInvalid(f"{said}, its manifest says {size}"))
                await stack.aclose()
        raise together(errors)


def sources_of(asking: Asking, digest: Digest, candidates: Iterable[Candidate]) -> list[Sources]:
    """The candidates by registry, in the order of the first of each."""
    hosts = list(dict.fromkeys(each.location.host for each in candidates))
    ordered = sorted(candidates, key=lambda each: hosts.index(each.location.host))
    return [
        Sources(asking, host, tuple(group), digest)
        for host, group in groupby(ordered, lambda each: each.location.host)
    ]


def together(errors: Sequence[RemoteError]) -> RemoteError:
    """One error for several, or the only one."""
    return errors[0] if len(errors) == 1 else SourcesFailed(errors)
