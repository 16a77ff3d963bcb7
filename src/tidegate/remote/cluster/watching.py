"""Follows the objects of one resource: lists them, watches from there, and lists anew when lost.

    list, page by page -> told as a whole -> watch from its version -> told one by one
      ^                                        | ends by itself, or breaks: watch on
      +----------------------------------------+ 410: its version is forgotten

Bookmarks move the version on while nothing happens, so that a watch that breaks seldom has to list.
Invariant: what was told last of an object is what it is, or what it was when the connection broke.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from tidegate.remote.cluster.client import ClusterClient, Path
from tidegate.remote.cluster.errors import ClusterRefused, ObjectMissing, WatchExpired
from tidegate.remote.errors import RemoteError

_LOG = logging.getLogger(__name__)

PAGE = 500
WATCH_SECONDS = 60
"""A watch is ended by the server after so many to twice as many seconds."""
SILENCE = WATCH_SECONDS * 2 + 15.0
"""Seconds without a byte after which a watch is taken for broken: the network may have forgotten a
connection without a word."""
EVENT_LIMIT = 16 * 1024 * 1024
PAUSES = (0.2, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds after each failure in a row, at odds with others."""
MISSING_SECONDS = 60.0
"""Between looks for a resource that the cluster does not have."""


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class _Version(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _Object(msgspec.Struct):
    metadata: _Version = msgspec.field(default_factory=_Version)
    message: str = ""
    code: int = 0


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


_PAGE_OF = msgspec.json.Decoder(_Page)
_EVENT_OF = msgspec.json.Decoder(_Event)


class Listener(Protocol):
    """Who is told: of each object in a list, then that it was all, and of each change after it."""

    def begin(self) -> None:
        """A list begins."""
        ...

    def present(self, body: bytes) -> None:
        """An object as it is, in a list or after a change."""
        ...

    def complete(self) -> None:
        """The list is at its end."""
        ...

    def gone(self, body: bytes) -> None:
        """An object as it was before it was deleted."""
        ...


class Follower:
    """Follows one resource of a cluster, in all namespaces.

    One that is `optional` may also be one that we may not read: there is nothing of it then.
    """

    def __init__(
        self, client: ClusterClient, path: Path, listener: Listener, *, optional: bool = False
    ) -> None:
        self._optional = optional
        self._client = client
        self._path = path
        self._listener = listener
        self._version = ""
        self._failures = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                await self._watch()
                self._failures = 0
            except WatchExpired:
                self._version = ""
            except ObjectMissing:  # a kind of its own, which may be installed later
                await self._have_none()
            except (RemoteError, msgspec.DecodeError, UnicodeDecodeError) as error:
                await self._rest(error)

    async def _rest(self, error: Exception) -> None:
        if self._optional and isinstance(error, ClusterRefused) and error.code == 403:
            await self._have_none()
            return
        if isinstance(error, ClusterRefused | msgspec.DecodeError):
            self._version = ""  # whatever it was, it is not to be gone on from
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        log = _LOG.info if self._failures == 1 else _LOG.warning
        log("following %s failed, again in %.0f s: %s", self._path, pause, error)
        await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311  no secret

    async def _have_none(self) -> None:
        """Tell that there are no objects, and look again later."""
        self._version = ""
        self._listener.begin()
        self._listener.complete()
        await asyncio.sleep(MISSING_SECONDS)

    async def _list(self) -> str:
        """Tell of all objects; the version that they were listed at."""
        self._listener.begin()
        token = ""
        while True:
            params = {"limit": str(PAGE), **({"continue": token} if token else {})}
            page = _PAGE_OF.decode(await self._client.get(self._path, params))
            for each in page.items or ():
                self._listener.present(bytes(each))
            token = page.metadata.continue_
            if not token:
                self._listener.complete()
                return page.metadata.resource_version
            await asyncio.sleep(0)

    async def _watch(self) -> None:
        """Tell of changes until the server ends the watch."""
        seconds = WATCH_SECONDS + random.randrange(WATCH_SECONDS)  # noqa: S311  no secret
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(seconds),
        }
        async with self._client.stream(self._path, params, SILENCE) as pieces:
            async for line in lines(pieces):
                self._failures = 0
                self._tell(_EVENT_OF.decode(line))

    def _tell(self, event: _Event) -> None:
        body = bytes(event.object)
        about = msgspec.json.decode(body, type=_Object)
        if event.type == "ERROR":
            message = f"the watch ended: {about.message[:500]}"
            raise (WatchExpired if about.code == 410 else ClusterRefused)(message, about.code)
        if event.type == "DELETED":
            self._listener.gone(body)
        elif event.type in ("ADDED", "MODIFIED"):
            self._listener.present(body)
        self._version = about.metadata.resource_version or self._version


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines of a stream, as each is whole; an unfinished last one is none."""
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        *whole, rest = piece.split(b"\n")
        if whole:
            whole[0] = b"".join((*held, whole[0]))
            held, size = [], 0
            for line in whole:
                if line.strip():
                    yield line
        held.append(rest)
        size += len(rest)
        if size > EVENT_LIMIT:
            raise ClusterRefused("an event of the watch is larger than any object", 413)
