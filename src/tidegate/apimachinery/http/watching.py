"""Watches: a stream of lines that ends when the client goes, the time is up or the server drains.

Whatever ends the stream (`lasting`), the watch is closed.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from tidegate.apimachinery.http.encoding import Encoding, error_line
from tidegate.apimachinery.http.errors import Failures, known, unforeseen
from tidegate.apimachinery.http.exchange import Exchange
from tidegate.apimachinery.http.guarded_watch import GuardedWatch
from tidegate.apimachinery.http.lasting import LastingAnswers
from tidegate.apimachinery.http.negotiation import Form, negotiate
from tidegate.apimachinery.http.parameters import boolean, integer, watch_options
from tidegate.apimachinery.http.request import Receive, Request, Send
from tidegate.apimachinery.http.response import Answer
from tidegate.apimachinery.http.unread import LARGE, Unread
from tidegate.apimachinery.storage import Event, ListOptions, Watch, WatchOptions

BOOKMARK_INTERVAL = 60.0
"""Seconds between bookmarks, as in Kubernetes."""

SHORTEST, LONGEST = 300.0, 600.0
"""Seconds that a watch lasts when the client does not say; random, so that not all come again at
once."""

_LOG = logging.getLogger(__name__)


class Watches:
    """The watches of a process, so that a draining server can end them."""

    def __init__(self, failures: Failures, unread: Unread) -> None:
        self._failures = failures
        self._unread = unread
        self._answers = LastingAnswers()

    def end(self) -> None:
        """End every watch, cleanly; later ones end as they begin."""
        self._answers.end()

    async def start(self, exchange: Exchange) -> Answer:
        """A stream of events, once storage has agreed to watch."""
        request, endpoint = exchange.request, exchange.endpoint
        accept, include = request.header(b"accept"), request.parameter("includeObject")
        form = negotiate(accept, include, stream=True)
        options = await _options(exchange)
        lasting = float(max(integer(request, "timeoutSeconds") or 0, 0))
        lasting = lasting or random.uniform(SHORTEST, LONGEST)  # noqa: S311  no secret
        if request.method == "HEAD":
            return Answer(200, content_type=form.content_type)
        watch: Watch = await endpoint.storage.watch(exchange.call, options)
        guarded = GuardedWatch(watch, exchange.still)
        reader = _Reader(exchange.call.user.name, self._unread)
        stream = _Stream(
            guarded, endpoint.encoding, form, reader, lasting, bookmarks=options.bookmarks
        )
        return Answer(
            200,
            content_type=form.content_type,
            stream=lambda receive, send: self._run(stream, request, receive, send),
        )

    async def _run(self, stream: "_Stream", request: Request, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        try:
            writes = stream.write(send, request.path, self._failures)
            await self._answers.run(writes, receive, send)
        finally:
            stream.close()


async def _options(exchange: Exchange) -> WatchOptions:
    """The options, with the newest revision where a client wants changes from now on alone."""
    request = exchange.request
    options = watch_options(request, exchange.endpoint.resource)
    if boolean(request, "sendInitialEvents") is not False or options.revision:
        return options
    only = ListOptions(selection=options.selection, limit=1)
    page = await exchange.endpoint.storage.list(exchange.call, only)
    return replace(options, revision=page.revision)


class _Reader(NamedTuple):
    """Whose watch it is, for what she leaves unread."""

    name: str
    unread: Unread


class _Stream:
    """One watch being written."""

    def __init__(
        self,
        watch: Watch,
        encoding: Encoding,
        form: Form,
        reader: _Reader,
        lasting: float,
        *,
        bookmarks: bool,
    ) -> None:
        self._watch = watch
        self._reader = reader
        self._encoding = encoding
        self._form = form
        self._lasting = lasting
        self._bookmarks = bookmarks
        self._first = True

    def close(self) -> None:
        self._watch.close()

    async def write(self, send: Send, path: str, failures: Failures) -> None:
        """Write events until the time is up or the watch cannot go on."""
        try:
            await self._write(send)
        except OSError:
            return  # the client has gone
        except Exception as error:  # noqa: BLE001  the top of a stream: its head is out
            line = _failure_line(error, path, failures)
        else:
            return
        await _send(send, line)

    async def _write(self, send: Send) -> None:
        now: Callable[[], float] = asyncio.get_running_loop().time
        end = now() + self._lasting
        due = now() + BOOKMARK_INTERVAL
        while (left := end - now()) > 0:
            patience = min(left, max(due - now(), 0.0)) if self._bookmarks else left
            await self._tell(send, await self._watch.next(patience))
            if self._bookmarks and now() >= due:
                due = now() + BOOKMARK_INTERVAL
                await _send(send, self._line(self._watch.bookmark()))
        if self._bookmarks:
            await _send(send, self._line(self._watch.bookmark()))

    async def _tell(self, send: Send, events: Sequence[Event]) -> None:
        """Send events in pieces, each when the one before has been read, and let go of them.

        What a watch begins with is its own, however large; what comes later all watches share.
        """
        size = sum(len(each.body) for each in events) if self._first else 0
        with self._reader.unread.held(self._reader.name, size if size > LARGE else 0):
            waiting = deque(events)
            del events
            piece: list[bytes] = []
            size = 0
            while waiting:
                piece.append(self._line(waiting.popleft()))
                size += len(piece[-1])
                if size >= LARGE or not waiting:
                    await _send(send, b"".join(piece))
                    piece.clear()
                    size = 0

    def _line(self, event: Event) -> bytes:
        line = self._encoding.event(self._form, event, first=self._first)
        self._first = False
        return line


def _failure_line(error: Exception, path: str, failures: Failures) -> bytes:
    said = known(error, failures)
    if said is None:
        _LOG.exception("the watch of %s failed", path)
    return error_line(said or unforeseen())


async def _send(send: Send, lines: bytes) -> None:
    await send({"type": "http.response.body", "body": lines, "more_body": True})
