"""Server-sent events: what happens to tags, as it happens, for consoles and `curl -N`.

    GET /events[?project=NAME]        of a project, or of all for who may watch all

Driven by the watch of streams. The id of an event is the revision of its change, so that a client
which reconnects with `Last-Event-ID` gets what it missed, as long as that is kept; else `reset`
tells it to read anew. An event is the tag as it is now: changes that come together are one.
Invariant: who may no longer watch is told nothing more after `ASKED_EVERY` seconds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tidegate.apimachinery.authorizer import Attributes, Authorizer, User
from tidegate.apimachinery.errors import ApiError, Expired, forbid
from tidegate.apimachinery.http.lasting import LastingAnswers
from tidegate.apimachinery.store import Change, ObjectStore, Subscription
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore import stream_tags
from tidegate.metastore.database import Database
from tidegate.metastore.errors import MetastoreError
from tidegate.metastore.stream_tags import TagRow
from tidegate.metastore.tag_events import TagEvent
from tidegate.observability.timestamp import rfc3339
from tidegate.oci.name import RepositoryName

_LOG = logging.getLogger(__name__)

PATH = "/events"

ASKED_EVERY = 10.0
"""Seconds between two looks at rights; something is sent then, so that proxies keep the way."""
RETRY = b"retry: 2000\n\n"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Authenticate = Callable[[Sequence[tuple[bytes, bytes]], str], Awaitable[User]]


class LiveEvents:
    """The ASGI application at `PATH`."""

    def __init__(
        self,
        store: ObjectStore,
        database: Database,
        authenticate: Authenticate,
        authorizer: Authorizer,
        hosts: Hosts,
        client_of: Callable[[Scope], str],
    ) -> None:
        self._store = store
        self._database = database
        self._authenticate = authenticate
        self._authorizer = authorizer
        self._hosts = hosts
        self._client_of = client_of
        self._answers = LastingAnswers()

    def end(self) -> None:
        """End every stream, and those that begin from now on: the server stops."""
        self._answers.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] not in ("GET", "HEAD"):
            await _refuse(send, 405, "read this with GET")
            return
        project = _parameter(scope, "project")
        try:
            await self._check(scope, project)
            subscription = await self._subscribe(scope)
        except ApiError as error:
            await _refuse(send, error.code, str(error))
            return
        head = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        if scope["method"] == "HEAD":
            if subscription is not None:
                subscription.close()
            await send({"type": "http.response.body", "body": b""})
            return
        await self._answers.run(self._write(subscription, scope, project, send), receive, send)

    async def _check(self, scope: Scope, project: str) -> None:
        """Whether she may watch; raises `ApiError`."""
        user = await self._authenticate(scope["headers"], self._client_of(scope))
        if not await self._authorizer.authorize(user, Attributes("watch", "imagestreams", project)):
            where = f"project {project}" if project else "every project"
            raise forbid(IMAGE_STREAMS.qualified, "", f"{user.name} may not watch those of {where}")

    async def _subscribe(self, scope: Scope) -> Subscription | None:
        """From where the client was, or from now on; None for a place that is no longer known."""
        seen = _header(scope, b"last-event-id") or _parameter(scope, "lastEventId")
        newest = await self._store.revision()
        if not seen:
            return await self._store.watch(IMAGE_STREAMS.key, newest)
        try:
            after = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 19 else -1
            return await self._store.watch(IMAGE_STREAMS.key, after) if after >= 0 else None
        except Expired:
            return None

    async def _write(
        self, subscription: Subscription | None, scope: Scope, project: str, send: Send
    ) -> None:
        """Write events until the client may no longer watch; a failure ends them, and is logged."""
        try:
            await _send(send, RETRY)
            while True:
                if subscription is None:
                    newest = await self._store.revision()
                    await _send(send, _event("reset", newest, {}))
                    subscription = await self._store.watch(IMAGE_STREAMS.key, newest)
                try:
                    changes = await _next(subscription, project)
                except Expired:  # it reads more slowly than things happen
                    subscription.close()
                    subscription = None
                    continue
                try:
                    await self._check(scope, project)
                except ApiError as error:
                    await _send(send, _event("end", None, {"message": str(error)}))
                    return
                lines = [line for change in changes for line in await self._of(change)]
                await _send(send, b"".join(lines) or _idle(subscription.position()))
        except OSError:
            return  # the client has gone
        except MetastoreError as error:
            _LOG.warning("the events of %s end: %s", project or "all projects", error)
        except Exception:  # noqa: BLE001  the top of a stream: its head is out
            _LOG.exception("the events of %s end", project or "all projects")
        finally:
            if subscription is not None:
                subscription.close()

    async def _of(self, change: Change) -> list[bytes]:
        """The events of one change of a stream."""
        what = {"project": change.key.namespace, "stream": change.key.name}
        if change.after is None:
            return [_event("stream-deleted", change.revision, what)]
        name = RepositoryName(f"{change.key.namespace}/{change.key.name}")
        found = await stream_tags.read_changed_at(self._database, name, change.revision)
        events = [
            _event("tag", change.revision, what | self._tag(row, event)) for row, event in found
        ]
        if change.before is None or not events:
            events.insert(0, _event("stream", change.revision, what))
        return events

    def _tag(self, row: TagRow, event: TagEvent | None) -> dict[str, Any]:
        if event is None:
            return {"tag": row.name, "deleted": not row.is_live}
        return {
            "tag": row.name,
            "digest": event.image,
            "image": self._hosts.shown(event.reference),
            "how": event.how,
            "user": event.who,
            "time": rfc3339(event.recorded_at),
        }


async def _next(subscription: Subscription, project: str) -> Sequence[Change]:
    """The next changes in a project; none when there were none for `ASKED_EVERY` seconds."""
    end = asyncio.get_running_loop().time() + ASKED_EVERY
    changes: Sequence[Change] = ()
    try:
        async with asyncio.timeout_at(end):
            while not changes:
                changes = _within(project, await subscription.next())
    except TimeoutError:
        return ()
    return changes


def _within(project: str, changes: Sequence[Change]) -> Sequence[Change]:
    """Those of the project: what happens in others wakes nobody who may not see it."""
    return [each for each in changes if not project or each.key.namespace == project]


def _idle(position: int) -> bytes:
    """Keeps the way, and the place of a client in whose project nothing happens."""
    return f": still here\nid: {position}\n\n".encode()


def _event(kind: str, number: int | None, what: dict[str, Any]) -> bytes:
    lines = [f"event: {kind}".encode(), b"data: " + msgspec.json.encode(what)]
    if number is not None:
        lines.insert(0, f"id: {number}".encode())
    return b"\n".join(lines) + b"\n\n"


async def _refuse(send: Send, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    head = [(b"content-type", b"text/plain; charset=utf-8")]
    head.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _send(send: Send, lines: bytes) -> None:
    await send({"type": "http.response.body", "body": lines, "more_body": True})


def _parameter(scope: Scope, name: str) -> str:
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("latin-1")).get(name, [""])[0]


def _header(scope: Scope, name: bytes) -> str:
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == name), "")
