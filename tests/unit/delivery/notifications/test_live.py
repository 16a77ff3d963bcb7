"""Server-sent events of a few parts: who is woken, and what a client keeps as her place."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.delivery.notifications import live as room
from tidegate.delivery.notifications.live import LiveEvents
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore.documents import Documents
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.sqlite import SqliteDatabase


class Client:
    """One client of `/events`, and rights that can be taken from her."""

    def __init__(self, store: Documents, database: SqliteDatabase) -> None:
        self.store = store
        self.asked: list[str] = []
        self.projects = {"shop", ""}
        self.sent: list[bytes] = []
        self.status = 0
        self.more = asyncio.Event()
        self.app = LiveEvents(store, database, self.authenticate, self, Hosts("r"), lambda _: "c")

    async def authenticate(self, headers: Sequence[tuple[bytes, bytes]], client: str) -> User:
        del headers, client
        return User("vic")

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        asked = (attributes.verb, attributes.group, attributes.resource)
        assert asked == ("watch", "image.openshift.io", "imagestreams")
        self.asked.append(attributes.namespace)
        return attributes.namespace in self.projects

    async def send(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)
        self.sent.append(message.get("body", b""))
        self.more.set()

    async def receive(self) -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def ask(self, query: str, method: str = "GET") -> None:
        scope = {"method": method, "headers": [], "query_string": query.encode()}
        await self.app(scope, self.receive, self.send)

    async def stream(self, name: str, project: str) -> None:
        """Make a stream."""
        body = json.dumps({"metadata": {"name": name, "namespace": project}}).encode()

        def unit(tx: DocumentTransaction) -> None:
            tx.put(Key(IMAGE_STREAMS.key, project, name), f"uid-{name}", lambda _: body)

        await self.store.write(unit)

    async def until(self, text: bytes) -> bytes:
        while text not in b"".join(self.sent):
            self.more.clear()
            await self.more.wait()
        return b"".join(self.sent)


Scenario = Callable[[Client], Awaitable[None]]
In = Callable[[Scenario], None]


@pytest.fixture
def within(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> In:
    def run(scenario: Scenario) -> None:
        async def work() -> None:
            made = tmp_path_factory.getbasetemp() / "live.db"
            if not made.exists():
                migrate(f"sqlite:///{made}")
            database = await open_database(f"sqlite:///{shutil.copy(made, tmp_path)}")
            assert isinstance(database, SqliteDatabase)
            store = Documents(database)
            await store.start()
            try:
                async with asyncio.timeout(30):
                    await scenario(Client(store, database))
            finally:
                await store.close()
                await database.close()

        asyncio.run(work())

    return run


async def listening(client: Client, query: str) -> "asyncio.Task[None]":
    task = asyncio.create_task(client.ask(query))
    await client.until(room.RETRY)
    return task


async def ended(client: Client, task: "asyncio.Task[None]") -> None:
    client.app.end()
    await task


def test_what_happens_in_other_projects_wakes_nobody(within: In) -> None:
    async def scenario(client: Client) -> None:
        task = await listening(client, "project=shop")
        for number in range(5):
            await client.stream(f"s{number}", "other")
        await client.stream("web", "shop")
        sent = await client.until(b"web")
        assert b"other" not in sent
        assert b"still here" not in sent
        assert client.asked == ["shop"] * 2
        await ended(client, task)

    within(scenario)


def test_a_client_in_whose_project_nothing_happens_keeps_her_place(
    within: In, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ASKED_EVERY", 0.05)

    async def scenario(client: Client) -> None:
        task = await listening(client, "project=shop")
        await client.stream("web", "other")
        newest = await client.store.revision()
        await client.until(f"id: {newest}\n\n".encode())
        await ended(client, task)

    within(scenario)


def test_rights_that_end_end_the_stream_of_who_is_told_nothing(
    within: In, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ASKED_EVERY", 0.05)

    async def scenario(client: Client) -> None:
        task = await listening(client, "project=shop")
        client.projects.clear()
        await task
        assert b"event: end" in b"".join(client.sent)

    within(scenario)


def test_all_projects_are_for_who_may_watch_everywhere(within: In) -> None:
    async def scenario(client: Client) -> None:
        client.projects = {"shop"}
        for query in ("", "project="):
            await client.ask(query)
            assert client.status == 403
        assert client.asked == ["", ""]

    within(scenario)


@pytest.mark.parametrize("place", ["9" * 5000, "-1", "%C2%B2", "1e3", " 7"])
def test_a_place_that_is_none_is_answered_by_a_reset(within: In, place: str) -> None:
    async def scenario(client: Client) -> None:
        task = await listening(client, f"project=shop&lastEventId={place}")
        await client.until(b"event: reset")
        await ended(client, task)

    within(scenario)
