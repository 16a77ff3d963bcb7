"""Blobs of another registry, streamed: whole ones are verified before their last bytes leave,
unless whoever reads them hashes them herself.

A connection that breaks is taken up where it broke, by Range, so that a client of ours does not
pay for it; a registry that knows no ranges sends it all again, and what is known is dropped.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

from tidegate.oci.digest import Digest
from tidegate.remote.errors import ContentInvalid, LeftAlone, Unavailable
from tidegate.remote.http.answer import Answer
from tidegate.remote.repository import Repository

RESUMES = 4
"""Broken connections in a row without a byte between them, after which it is given up."""

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RemoteBlob:
    """A blob of `size` bytes in all; `chunks` are those from `offset` on.

    From the first byte to the last, size and digest are verified before the last chunk is handed
    out, unless that was not asked for: ContentInvalid then, and Unavailable when it cannot be read
    to the end.
    """

    size: int
    offset: int
    chunks: AsyncIterator[bytes]


async def size(repository: Repository, digest: Digest) -> int:
    """How many bytes a blob has."""
    about = f"{repository.location}: blob {digest}"
    async with repository.ask("HEAD", f"blobs/{digest}", about) as answer:
        if answer.status != 200:
            raise await repository.refusal(answer, about)
        if answer.length is None:
            raise ContentInvalid(f"{about}: the registry does not say how large it is")
        return answer.length


@asynccontextmanager
async def opened(
    repository: Repository,
    digest: Digest,
    offset: int,
    count: int | None,
    *,
    verify: bool = True,
) -> AsyncIterator[RemoteBlob]:
    """A blob from `offset` on, `count` bytes of it or all that follow."""
    async with AsyncExitStack() as stack:
        reading = _Reading(repository, digest, stack)
        last = None if count is None else offset + count
        await repository.patiently(lambda: reading.begin(offset, last), reading.about)
        if reading.total is None:
            reading.total = await size(repository, digest)
        total = reading.total
        if offset > total:
            raise ContentInvalid(f"{reading.about}: has {total} bytes, none at {offset}")
        end = total if last is None else min(last, total)
        chunks = reading.chunks(offset, end)
        if verify and offset == 0 and end == total:
            chunks = _verified(chunks, digest, total, reading.about)
        async with aclosing(chunks):
            yield RemoteBlob(total, offset, chunks)


class _Reading:
    """A blob on its way; `stack` holds the answer that it comes in."""

    def __init__(self, repository: Repository, digest: Digest, stack: AsyncExitStack) -> None:
        self.about = f"{repository.location}: blob {digest}"
        self.total: int | None = None
        self._repository = repository
        self._path = f"blobs/{digest}"
        self._stack = stack
        self._answer: Answer | None = None
        self._start = 0

    async def begin(self, offset: int, last: int | None) -> None:
        """Ask for what follows `offset`, up to `last` or all."""
        await self._stack.aclose()
        span = f"bytes={offset}-{'' if last is None else last - 1}"
        headers = [("Range", span)] if offset or last is not None else []
        asking = self._repository.ask("GET", self._path, self.about, headers=headers, large=True)
        answer = await self._stack.enter_async_context(asking)
        if answer.status not in (200, 206, 416):
            raise await self._repository.refusal(answer, self.about)
        self._start, total = _place(answer, offset, self.about)
        if None not in (self.total, total) and self.total != total:
            raise ContentInvalid(f"{self.about}: had {self.total} bytes, and now {total}")
        self.total = total if self.total is None else self.total
        self._answer = None if answer.status == 416 else answer

    async def chunks(self, offset: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset` to `end`, over as many connections as it takes."""
        broken = 0
        while offset < end:
            before = offset
            try:
                if self._answer is None:
                    await self.begin(offset, end)
                async for chunk in self._following(offset, end):
                    offset += len(chunk)
                    yield chunk
                if offset < end:
                    raise Unavailable(f"{self.about}: ended after {offset} of {end} bytes")
            except LeftAlone:
                raise
            except Unavailable:
                broken = 1 if offset > before else broken + 1
                if broken > RESUMES:
                    raise
                self._answer = None
                await self._repository.pause(broken)

    async def _following(self, offset: int, end: int) -> AsyncIterator[bytes]:
        """What the answer brings of that; what comes before and after is dropped."""
        if self._answer is None:
            return
        place = self._start
        async with aclosing(self._answer.chunks()) as chunks:
            async for chunk in chunks:
                begin, place = place, place + len(chunk)
                if place > end == self.total:
                    raise ContentInvalid(f"{self.about}: more than {end} bytes came")
                if wanted := chunk[max(offset - begin, 0) : max(end - begin, 0)]:
                    offset += len(wanted)
                    yield wanted
                if place > end:
                    return
                await asyncio.sleep(0)  # a fast server leaves the loop no other moment


def _place(answer: Answer, offset: int, about: str) -> tuple[int, int | None]:
    """Where an answer begins, and the size of the blob if it says so."""
    if answer.status == 200:
        return 0, answer.length
    if answer.status == 416:
        known = _UNSATISFIED.fullmatch(answer.header("content-range"))
        return offset, int(known[1]) if known else None
    span = _RANGE.fullmatch(answer.header("content-range"))
    if span is None or int(span[1]) != offset:
        raise ContentInvalid(f"{about}: another part came than the one from {offset} on")
    return offset, int(span[3])


async def _verified(
    chunks: AsyncGenerator[bytes, None], digest: Digest, total: int, about: str
) -> AsyncGenerator[bytes, None]:
    """The chunks of a whole blob, each when the next one is in, and the last when all is right."""
    hasher, held = digest.hasher(), b""
    async with aclosing(chunks):
        async for chunk in chunks:
            hasher.update(chunk)
            if held:
                yield held
            held = chunk
    if hasher.hexdigest() != digest.encoded:
        raise ContentInvalid(f"{about}: the {total} bytes that came have another digest")
    if held:
        yield held
