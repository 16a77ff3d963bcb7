"""Watch streams: framing, beginnings and ends, bookmarks, sharing."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.unit.apimachinery.http.in_process import SECRETS as RESOURCE
from tests.unit.apimachinery.http.in_process import Api, Secret, Stream
from tidegate.apimachinery.errors import Expired, ResourceExpired
from tidegate.apimachinery.http import watching
from tidegate.apimachinery.http.encoding import Encoding
from tidegate.apimachinery.http.negotiation import PLAIN, negotiate
from tidegate.apimachinery.http.unread import Unread
from tidegate.apimachinery.storage import Event
from tidegate.wire.errors import ClientGone

SECRETS = "/api/v1/namespaces/ns/secrets"
AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def test_a_watch_tells_of_each_change_on_a_line_of_its_own(api: Api) -> None:
    made = api.secret("a")
    after = made["metadata"]["resourceVersion"]

    async def watched() -> list[tuple[str, str]]:
        stream = Stream(api.application, f"{SECRETS}?watch=true&resourceVersion={after}")
        head = await stream.head()
        assert head["status"] == 200
        assert (b"content-type", b"application/json") in head["headers"]
        await asyncio.to_thread(lambda: None)
        await write(api, "POST", SECRETS, {"metadata": {"name": "b"}})
        await write(api, "PUT", f"{SECRETS}/b", {"metadata": {"name": "b"}, "type": "x"})
        await write(api, "DELETE", f"{SECRETS}/b")
        events = [await stream.event() for _ in range(3)]
        stream.leave()
        await stream.task
        return [(each["type"], each["object"]["metadata"]["name"]) for each in events]

    assert api.run(watched()) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]


async def write(api: Api, method: str, path: str, body: Any = None) -> None:
    """A request to the application, made from within the loop."""
    raw = b"" if body is None else msgspec.json.encode(body)
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer root")],
        "client": ("192.0.2.1", 1),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await api.application(scope, receive, send)
    assert sent[0]["status"] < 300, sent


def test_a_watch_without_a_version_begins_with_what_there_is(api: Api) -> None:
    api.secret("a")

    async def watched() -> list[dict[str, Any]]:
        stream = Stream(api.application, f"{SECRETS}?watch=1")
        await stream.head()
        event = await stream.event()
        stream.leave()
        await stream.task
        return [event]

    (event,) = api.run(watched())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")


def test_a_streaming_list_ends_with_a_bookmark_that_says_so(api: Api) -> None:
    api.secret("a")
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1"

    async def watched() -> list[dict[str, Any]]:
        stream = Stream(api.application, f"{SECRETS}?{query}")
        await stream.head()
        events = [await stream.event(), await stream.event()]
        stream.leave()
        await stream.task
        return events

    added, bookmark = api.run(watched())
    assert added["type"] == "ADDED"
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_watch_that_wants_no_initial_events_begins_now(api: Api) -> None:
    api.secret("a")
    query = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"

    async def watched() -> dict[str, Any]:
        stream = Stream(api.application, f"{SECRETS}?{query}")
        await stream.head()
        await write(api, "POST", SECRETS, {"metadata": {"name": "b"}})
        event = await stream.event()
        stream.leave()
        await stream.task
        return event

    assert api.run(watched())["object"]["metadata"]["name"] == "b"


def test_a_draining_server_ends_its_watches_as_whole_bodies(api: Api) -> None:
    async def drained() -> tuple[bool, bool]:
        stream = Stream(api.application, f"{SECRETS}?watch=1")
        await stream.head()
        await asyncio.sleep(0)
        api.application.end_watches()
        late = Stream(api.application, f"{SECRETS}?watch=1")
        return await stream.ended(), await late.ended()

    assert api.run(drained()) == (True, True)


def test_a_version_that_is_too_old_is_410_at_once(api: Api) -> None:
    api.secret("a")
    api.secret("b")
    api.store.forget(api.store.newest)
    answer = api("GET", f"{SECRETS}?watch=1&resourceVersion=1")
    assert answer.status_code == 410
    assert answer.json()["reason"] == "Expired"


class Told:
    """A watch that hands out what it was told to, then fails or waits."""

    def __init__(self, *events: Event, failure: Exception | None = None) -> None:
        self.events = list(events)
        self.failure = failure
        self.closed = False

    async def next(self, patience: float) -> Sequence[Event]:
        if self.events:
            return [self.events.pop(0)]
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(min(patience, 0.001))
        return ()

    def bookmark(self) -> Event:
        return Event("BOOKMARK", b'{"metadata":{"resourceVersion":"9"}}')

    def close(self) -> None:
        self.closed = True


def stream_of(
    watch: Told, lasting: float = 60.0, *, bookmarks: bool = False, unread: Unread | None = None
) -> watching._Stream:
    reader = watching._Reader("una", unread or Unread())
    encoding = Encoding(RESOURCE, lambda: 0.0)
    return watching._Stream(watch, encoding, PLAIN, reader, lasting, bookmarks=bookmarks)


def lines_of(watch: Told, *, bookmarks: bool = False, lasting: float = 60.0) -> list[Any]:
    """What a stream of `watch` writes."""
    stream = stream_of(watch, lasting, bookmarks=bookmarks)
    written: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        written.append(message["body"])

    asyncio.run(stream.write(send, "/x", {}))
    return [msgspec.json.decode(line) for line in b"".join(written).splitlines()]


def test_a_watch_that_cannot_go_on_says_so_in_an_event() -> None:
    (event,) = lines_of(Told(failure=ResourceExpired("too old resource version: 3")))
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_a_watch_that_breaks_tells_nothing_of_how(caplog: pytest.LogCaptureFixture) -> None:
    (event,) = lines_of(Told(failure=RuntimeError("swordfish")))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 500)
    assert "swordfish" not in str(event)
    assert "swordfish" in caplog.text


def test_a_bookmark_comes_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(Told(), lasting=0.01) == []
    (bookmark,) = lines_of(Told(), lasting=0.01, bookmarks=True)
    assert bookmark["type"] == "BOOKMARK"


def test_bookmarks_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BOOKMARK_INTERVAL", 0.0)
    marks = lines_of(Told(failure=None), lasting=0.01, bookmarks=True)
    assert len(marks) > 1


def test_what_is_encoded_of_an_event_is_made_once_for_all_watchers() -> None:
    event = Event("ADDED", msgspec.json.encode(Secret(kind="Secret")))
    one, other = Encoding(RESOURCE, lambda: 0.0), Encoding(RESOURCE, lambda: 0.0)
    assert one.event(PLAIN, event, first=True) is other.event(PLAIN, event, first=False)
    table = negotiate(AS_TABLE)
    first, later = (one.event(table, event, first=each) for each in (True, False))
    assert msgspec.json.decode(first)["object"]["columnDefinitions"]
    assert msgspec.json.decode(later)["object"]["columnDefinitions"] == []
    assert one.event(table, event, first=False) is later


def test_a_watch_refuses_what_cannot_be_streamed(api: Api) -> None:
    answer = api("GET", f"{SECRETS}?watch=1", headers={"accept": "application/yaml"})
    assert answer.status_code == 406


def test_a_head_of_a_watch_is_a_head(api: Api) -> None:
    answer = api("HEAD", f"{SECRETS}?watch=1")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_client_that_goes_while_it_is_written_to_ends_the_stream() -> None:
    stream = stream_of(Told(Event("ADDED", b"{}")))

    async def send(_message: dict[str, Any]) -> None:
        raise ClientGone

    asyncio.run(stream.write(send, "/x", {}))


class Beginning(Told):
    """A watch that begins with a state of several megabytes."""

    async def next(self, patience: float) -> Sequence[Event]:
        if self.closed:
            return await super().next(patience)
        self.closed = True
        return [Event("ADDED", b'{"a":"%s"}' % (b"x" * 100_000)) for _ in range(50)]


def test_a_large_beginning_is_sent_in_pieces_each_when_the_last_was_taken() -> None:
    stream, sizes = stream_of(Beginning(), 0.01), []

    async def send(message: dict[str, Any]) -> None:
        sizes.append(len(message["body"]))

    asyncio.run(stream.write(send, "/x", {}))
    assert sum(sizes) > 5_000_000
    assert max(sizes) < 400_000


def test_who_leaves_large_beginnings_unread_is_told_to_come_again() -> None:
    unread = Unread(of_one=8_000_000)
    told: list[bytes] = []

    async def never_taken(_message: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        told.append(message["body"])

    async def run() -> None:
        writing = asyncio.create_task(
            stream_of(Beginning(), unread=unread).write(never_taken, "/x", {})
        )
        await asyncio.sleep(0)
        await stream_of(Beginning(), unread=unread).write(send, "/x", {})
        writing.cancel()
        await asyncio.wait((writing,))
        assert msgspec.json.decode(told.pop())["object"]["code"] == 429
        await stream_of(Beginning(), 0.01, unread=unread).write(send, "/x", {})
        assert len(told) > 1

    asyncio.run(run())


def test_history_that_a_port_no_longer_has_is_410() -> None:
    (event,) = lines_of(Told(failure=Expired()))
    assert event["object"]["code"] == 410


def test_metadata_alone_is_watched_too() -> None:
    event = Event("ADDED", b'{"kind":"Secret","metadata":{"name":"a"},"data":{}}')
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    line = Encoding(RESOURCE, lambda: 0.0).event(negotiate(accept), event, first=True)
    assert msgspec.json.decode(line)["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "a"},
    }
