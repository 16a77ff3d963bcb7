"""Pushing to another registry: blobs as upload sessions that survive a cut, then manifests.

distribution-spec, "Pushing Blobs": POST opens a session, PATCH streams into it, PUT closes it with
the digest. After a cut the session is asked how far it came. Invariant: what is reported as pushed
was acknowledged by the registry under the digest that we named.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlencode

from tidegate.oci.digest import Digest
from tidegate.remote.errors import (
    ContentInvalid,
    ContentMissing,
    LeftAlone,
    RateLimited,
    RemoteError,
    Unavailable,
)
from tidegate.remote.http.answer import Answer
from tidegate.remote.http.redirects import Hop, next_hop, origin_of
from tidegate.remote.manifests import parsed_digest
from tidegate.remote.repository import PULL, PUSH, Repository

SMALL = 64 * 1024
"""Bytes of a blob that goes with the request which closes its session: one request less."""

CUTS = 5
"""Cuts in a row without progress, after which an upload is given up."""

CLOSING = 300.0
"""Seconds for a registry to put a blob where it belongs: some copy it, or hash it again."""

Content = Callable[[int], AsyncIterator[bytes]]
"""A blob's bytes from an offset on."""


class Session(Protocol):
    """Where the address of an upload is kept, for a process that goes on after this one."""

    def recall(self) -> str:
        """The address that an earlier process kept, or empty."""
        ...

    def keep(self, address: str) -> None:
        """Keep the address of the upload as it is now; empty once it has ended."""
        ...


class Unkept:
    """Nobody goes on after this process."""

    def recall(self) -> str:
        return ""

    def keep(self, address: str) -> None:
        del address


_BYTES = "application/octet-stream"

LOOKS = (0.0, 0.1, 0.4)
"""Seconds before each look for what a session has: a registry may notice a cut later than we do."""

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})", re.ASCII)


async def has_blob(repository: Repository, digest: Digest) -> bool:
    """Whether the repository has a blob already."""
    about = _about(repository, digest)
    async with repository.ask("HEAD", f"blobs/{digest}", about) as answer:
        if answer.status == 200:
            return True
        error = await repository.refusal(answer, about)
        if isinstance(error, ContentMissing):
            return False
        raise error


async def mount_blob(repository: Repository, digest: Digest, source: str) -> bool:
    """Take a blob over from another repository of the registry; False where it does not let us."""
    about = _about(repository, digest)
    path = f"blobs/uploads/?{urlencode({'mount': digest, 'from': source})}"
    scopes = (repository.scope(PUSH), repository.scope(PULL, source))
    try:
        async with repository.ask("POST", path, about, scopes=scopes) as answer:
            if answer.status == 201:
                return True
            if answer.status != 202:
                raise await repository.refusal(answer, about)
            session = _session(repository, answer)
    except (RateLimited, Unavailable):
        raise
    except RemoteError:
        return False
    await _cancel(repository, session, about)
    return False


async def push_blob(
    repository: Repository,
    digest: Digest,
    size: int,
    content: Content,
    session: Session = Unkept(),  # noqa: B008  it has no state
) -> None:
    """Push `size` bytes whose digest this is; what a cut left there is not sent again."""
    await _Upload(repository, digest, size, content, session).run()


async def push_manifest(
    repository: Repository, reference: str, media_type: str, content: bytes
) -> None:
    """Push a manifest under a tag, or under its own digest."""
    about = repository.location.at(reference)
    async with repository.ask(
        "PUT",
        f"manifests/{reference}",
        about,
        scopes=(repository.scope(PUSH),),
        headers=[("Content-Type", media_type)],
        body=content,
        counted=True,
    ) as answer:
        if answer.status not in (200, 201, 202):
            raise await repository.refusal(answer, about)
        told = parsed_digest(answer.header("docker-content-digest"))
        if told is not None and not told.matches(content):
            raise ContentInvalid(f"{about}: the registry took it for {told}")


class _SessionLost(RemoteError):
    """The registry knows the upload session no more, or not as far as we do."""


class _Upload:
    """An upload under way: its session's address, and how many bytes the registry has."""

    def __init__(
        self,
        repository: Repository,
        digest: Digest,
        size: int,
        content: Content,
        kept: Session,
    ) -> None:
        self._repository = repository
        self._digest = digest
        self._size = size
        self._content = content
        self._about = _about(repository, digest)
        self._scopes = (repository.scope(PUSH),)
        self._kept = kept
        self._session = ""
        self._offset = 0

    async def run(self) -> None:
        """Push it, over as many connections as it takes."""
        await self._recall()
        cuts = 0
        while True:
            before = self._offset
            try:
                await self._go_on()
            except LeftAlone:
                raise
            except (Unavailable, _SessionLost) as error:
                if await self._is_there():
                    return
                await self._find_place()
                cuts = 0 if self._offset > before else cuts + 1
                if cuts > CUTS:
                    raise error
                await self._repository.pause(cuts + 1)
            else:
                self._kept.keep("")
                return

    async def _recall(self) -> None:
        """Go on with what an earlier process left, if the registry still has it."""
        address = self._kept.recall()
        if address and origin_of(address) == self._repository.peer.origin:
            self._session = address
            await self._find_place()

    async def _go_on(self) -> None:
        if not self._session:
            await self._begin()
        if self._size <= SMALL:
            await self._close(await _whole(self._content, self._size))
            return
        while self._offset < self._size:
            await self._send()
        await self._close(b"")

    async def _begin(self) -> None:
        path = "blobs/uploads/"
        asking = self._repository.ask("POST", path, self._about, scopes=self._scopes)
        async with asking as answer:
            if answer.status != 202:
                raise await self._repository.refusal(answer, self._about)
            self._session, self._offset = _session(self._repository, answer), 0
        if self._size > SMALL:
            self._kept.keep(self._session)

    async def _send(self) -> None:
        """Stream what the registry does not have yet."""
        begin, end = self._offset, self._size
        headers = [("Content-Type", _BYTES)]
        if begin:
            headers.append(("Content-Range", f"{begin}-{end - 1}"))
        async with self._repository.ask(
            "PATCH",
            self._session,
            self._about,
            scopes=self._scopes,
            headers=headers,
            body=lambda: self._content(begin),
            length=end - begin,
            large=True,
        ) as answer:
            if answer.status in (404, 416):
                raise _SessionLost(f"{self._about}: the upload was lost, status {answer.status}")
            if answer.status not in (202, 204):
                raise await self._repository.refusal(answer, self._about)
            taken = _taken(answer)
            self._session = _session(self._repository, answer)
        self._kept.keep(self._session)
        self._offset = end if taken is None else min(taken, end)
        if self._offset <= begin:
            raise _SessionLost(f"{self._about}: the registry took nothing of what was sent")

    async def _close(self, body: bytes) -> None:
        joint = "&" if "?" in self._session else "?"
        async with self._repository.ask(
            "PUT",
            f"{self._session}{joint}{urlencode({'digest': self._digest})}",
            self._about,
            scopes=self._scopes,
            headers=[("Content-Type", _BYTES)],
            body=body,
            patience=CLOSING,
        ) as answer:
            if answer.status == 404:
                raise _SessionLost(f"{self._about}: the upload was lost")
            if answer.status not in (200, 201, 204):
                raise await self._repository.refusal(answer, self._about)

    async def _is_there(self) -> bool:
        """Whether what was cut off had been done nevertheless."""
        try:
            return await has_blob(self._repository, self._digest)
        except RemoteError:
            return False

    async def _find_place(self) -> None:
        """Ask how far the session is; begin anew where that cannot be told for certain."""
        session, self._session, self._offset = self._session, "", 0
        if not session:
            return
        for pause in LOOKS:
            await asyncio.sleep(pause)
            with suppress(RemoteError):
                await self._repository.patiently(lambda: self._look(session), self._about)
            if self._session:
                return
        await _cancel(self._repository, session, self._about)

    async def _look(self, session: str) -> None:
        async with self._repository.ask("GET", session, self._about, scopes=self._scopes) as answer:
            taken = _taken(answer)
            # "0-0" is written for one byte and for none; a small blob is sent whole anyway
            if answer.status in (200, 204) and taken is not None and SMALL < taken <= self._size:
                self._session, self._offset = _session(self._repository, answer), taken


async def _cancel(repository: Repository, session: str, about: str) -> None:
    """Give a session back; a registry that does not let us will forget it by itself."""
    scopes = (repository.scope(PUSH),)
    with suppress(RemoteError):
        async with repository.ask("DELETE", session, about, scopes=scopes):
            return


async def _whole(content: Content, size: int) -> bytes:
    found = b"".join([piece async for piece in content(0)])
    if len(found) != size:
        raise RemoteError(f"{len(found)} bytes to push instead of {size}")
    return found


def _session(repository: Repository, answer: Answer) -> str:
    """The address of an upload session, which changes as it goes on."""
    target = answer.header("location")
    if not target:
        raise RemoteError(f"{repository.location}: an upload session without an address")
    return next_hop(Hop(answer.url, ()), target, insecure=repository.peer.insecure).url


def _taken(answer: Answer) -> int | None:
    """How many bytes a session has; None where the registry does not say."""
    span = _RANGE.fullmatch(answer.header("range").strip())
    return int(span[1]) + 1 if span else None


def _about(repository: Repository, digest: Digest) -> str:
    return f"{repository.location}: blob {digest}"
