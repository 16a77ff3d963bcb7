"""How a listener is told, whatever her receiver does; receiver and clock are the test's."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tidegate.apimachinery.store import Document, DocumentTransaction, Key
from tidegate.auth.secrets import SECRETS
from tidegate.delivery.notifications import telling as room
from tidegate.delivery.notifications.subscriptions import subscription_of
from tidegate.delivery.notifications.telling import LONGEST, NOTHING, SECRET_PAUSE, Telling, Told
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.event_subscription import EVENT_SUBSCRIPTIONS, EventSubscriptionStatus
from tidegate.metastore import outbox, repositories, tag_events
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import Documents
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.outbox import Listener
from tidegate.metastore.sqlite import SqliteDatabase
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.name import RepositoryName
from tidegate.remote.errors import Unavailable
from tidegate.remote.web import WebAnswer

KEY = Key(EVENT_SUBSCRIPTIONS.key, "shop", "a")
WEB = RepositoryName("shop/web")
START = 1_790_000_000.0


class Sent(NamedTuple):
    """A message, and what was posted of it."""

    id: str
    headers: dict[str, str]
    body: bytes


class World:
    """A subscription on an embedded database, its receiver, and the time."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.store = Documents(database)
        self.now = START
        self.sent: list[Sent] = []
        self.answers: list[int | Exception] = []
        """What the next calls give; 200 when there is none left."""
        self.takes = 0.0
        """Seconds of a call."""
        self.position = ""
        self.kept = 0
        self.telling = Telling(
            self.store, database, self, Hosts("registry:5000"), "https://registry", lambda: self.now
        )

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes,
        *,
        limit: int,
        patience: float,
    ) -> WebAnswer:
        assert (method, url) == ("POST", "https://receiver.example/hook")
        assert limit <= 64 * 1024
        assert patience <= 10
        self.now += self.takes
        self.sent.append(Sent(json.loads(body)["id"], headers, body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return WebAnswer(answer, {"retry-after": "77"} if answer == 429 else {}, b"")

    async def keep(self, *, position: str | None = None) -> None:
        self.kept += 1
        self.position = self.position if position is None else position

    async def write(self, key: Key, **content: Any) -> None:
        def unit(tx: DocumentTransaction) -> None:
            old = tx.get(key)
            before = {} if old is None else json.loads(old.body)
            metadata = {"name": key.name, "namespace": key.namespace, "uid": f"uid-{key.name}"}
            body = {"metadata": metadata, **before, **content}
            tx.put(key, f"uid-{key.name}", lambda _: json.dumps(body).encode())

        await self.store.write(unit)

    async def subscribe(self, **spec: Any) -> None:
        spec = {"url": "https://receiver.example/hook", "maxAttempts": 3, **spec}
        await self.write(KEY, spec=spec)

    async def happen(self, *tags: str) -> None:
        """A push of each tag, in one unit."""

        def unit(tx: Transaction) -> None:
            for tag in tags:
                event = TagEvent(1, self.now, self.now, "/r", "sha256:1", 1, "push", "ann")
                tag_events.append(tx, repositories.ensure(tx, WEB), tag, event)

        await self.database.write(unit)

    async def run(self) -> Told:
        return await self.telling.run("shop/a", self.position, self.keep)

    async def status(self) -> EventSubscriptionStatus:
        document = await self.store.get(KEY)
        assert isinstance(document, Document)
        return subscription_of(document).status

    async def reason(self) -> str:
        return (await self.status()).conditions[0].reason

    async def listener(self) -> Listener:
        found = await outbox.listener(self.database, "uid-a")
        assert found is not None
        return found

    def told(self) -> list[str]:
        """The tags of what was sent, in order."""
        return [each.id.removeprefix("shop/web:").partition("/")[0] for each in self.sent]


Scenario = Callable[[World], Awaitable[None]]
In = Callable[[Scenario], None]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def within(migrated: Path, tmp_path: Path) -> In:
    """Runs a scenario in a world of its own."""

    def run(scenario: Scenario) -> None:
        async def work() -> None:
            database = await open_database(f"sqlite:///{shutil.copy(migrated, tmp_path)}")
            assert isinstance(database, SqliteDatabase)
            try:
                await scenario(World(database))
            finally:
                await database.close()

        asyncio.run(work())

    return run


def test_all_that_waits_is_told_in_order(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(tags=["v*"])
        await world.happen("v1", "other", "v2")
        assert await world.run() == Told(None)
        assert world.told() == ["v1", "v2"]
        listener, status = await world.listener(), await world.status()
        assert (listener.delivered, status.delivered, status.pending) == (2, 2, 0)
        assert await world.reason() == "Delivering"
        assert await world.run() == Told(None)
        assert len(world.sent) == 2

    within(scenario)


def test_an_event_is_tried_again_first_and_becomes_a_dead_letter_in_the_end(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe()
        await world.happen("1", "2")
        world.answers = [503, Unavailable("no answer"), 503]
        for attempt, error in ((1, "answered 503"), (2, "no answer")):
            ended = await world.run()
            assert error in ended.error
            assert ended.again_at is not None
            pause = ended.again_at - world.now
            assert 0.75 * 2 ** (attempt - 1) <= pause <= 1.25 * 2 ** (attempt - 1)
            assert await world.reason() == "Failing"
            assert (await world.status()).pending == 2
            world.now = ended.again_at
        assert await world.run() == Told(None)
        assert world.told() == ["1", "1", "1", "2"]
        (letter,) = await outbox.letters(world.database, "uid-a", 0, 10)
        assert (letter.attempts, letter.error) == (3, "the receiver answered 503")
        assert letter.body == world.sent[0].body
        assert (await world.status()).dead_letters == 1

    within(scenario)


def test_each_event_has_all_its_tries(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(maxAttempts=2)
        await world.happen("1", "2")
        world.answers = [503, 503, 503, 200]
        for _ in range(3):
            await world.run()
        assert world.told() == ["1", "1", "2", "2"]
        assert (await world.status()).dead_letters == 1

    within(scenario)


def test_an_event_that_is_refused_is_not_tried_for_an_hour(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(maxAttempts=100)
        await world.happen("1")
        world.answers = [400] * 10
        for _ in range(5):
            await world.run()
        assert world.told() == ["1"] * 3

    within(scenario)


def test_who_asks_to_wait_is_not_asked_earlier_for_the_sake_of_the_status(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(maxAttempts=100)
        await world.happen("1")
        for tag in ("2", "3"):  # the second one changes numbers alone
            world.answers = [429]
            ended = await world.run()
            assert ended.again_at is not None
            assert ended.again_at >= world.now + 77
            await world.happen(tag)

    within(scenario)


def test_one_who_is_gone_is_asked_again_when_something_happens(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(maxAttempts=1)
        await world.happen("1")
        for _ in range(5):
            world.answers = [410]
            assert (await world.run()).again_at is None
            assert await world.reason() == "Gone"
        await world.run()
        assert world.told() == ["1"] * 6
        assert (await world.status()).dead_letters == 0

    within(scenario)


def test_a_missing_secret_is_waited_for_and_costs_no_try(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(secret="hook", maxAttempts=2)
        await world.happen("1")
        for _ in range(5):
            ended = await world.run()
            assert ended == Told(world.now + SECRET_PAUSE, "there is no Secret hook")
        assert await world.reason() == "SecretMissing"
        assert world.sent == []
        await world.write(Key(SECRETS.key, "shop", "hook"), data={"authorization": "QmVhcmVyIHg="})
        world.answers = [503]
        await world.run()
        assert (await world.status()).dead_letters == 0
        await world.run()
        assert world.sent[-1].headers["Authorization"] == "Bearer x"
        assert await world.reason() == "Delivering"
        assert (await world.listener()).delivered == 1

    within(scenario)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"other": "eA=="}, "neither a key"),
        ({"secret": "d2hzZWNfISE="}, "no base64"),
        ({"authorization": "YQ0KYjogYw=="}, "no value of a header"),
    ],
)
def test_a_secret_that_cannot_be_used_is_one_that_is_missing(
    within: In, data: dict[str, str], why: str
) -> None:
    async def scenario(world: World) -> None:
        await world.write(Key(SECRETS.key, "shop", "hook"), data=data)
        await world.subscribe(secret="hook")
        await world.happen("1")
        assert why in (await world.run()).error
        assert await world.reason() == "SecretMissing"
        assert world.sent == []

    within(scenario)


def test_nothing_is_sent_while_suspended_and_everything_after(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(suspend=True)
        await world.happen("1", "2")
        assert await world.run() == Told(None)
        assert (await world.reason(), (await world.status()).pending) == ("Suspended", 2)
        assert world.sent == []
        await world.subscribe()
        await world.run()
        assert world.told() == ["1", "2"]

    within(scenario)


def test_dead_letters_are_replayed_before_what_is_new_and_one_that_fails_stays(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(maxAttempts=1)
        await world.happen("1", "2")
        world.answers = [503, 503]
        await world.run()
        await world.database.write(lambda tx: outbox.raise_again(tx, "uid-a"))
        await world.happen("3")
        world.answers = [200, 503]
        await world.run()
        assert world.told()[2:] == ["1", "2", "3"]
        (letter,) = await outbox.letters(world.database, "uid-a", 0, 10)
        assert (letter.attempts, letter.again) == (2, 0)
        status = await world.status()
        assert (status.delivered, status.dead_letters) == (2, 1)

    within(scenario)


def test_a_run_ends_in_time_however_slow_the_receiver_is(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe()
        await world.happen(*(str(number) for number in range(20)))
        world.takes = 9.0
        assert await world.run() == Told(world.now)
        assert world.now <= START + LONGEST + world.takes
        told = world.told()
        assert 2 <= len(told) < 20
        await world.run()
        assert world.told() == [str(number) for number in range(len(world.sent))]

    within(scenario)


def test_replays_that_take_long_hold_up_nothing_new(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe(maxAttempts=1)
        await world.happen(*(str(number) for number in range(9)))
        world.answers = [503] * 9
        await world.run()
        await world.database.write(lambda tx: outbox.raise_again(tx, "uid-a"))
        await world.happen("new")
        world.takes = 9.0
        await world.run()
        assert "new" in world.told()
        assert len(await outbox.raised(world.database, "uid-a", 10)) > 5

    within(scenario)


def test_of_dead_letters_beyond_measure_the_oldest_are_lost_and_counted(
    within: In, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "KEPT_LETTERS", 2)

    async def scenario(world: World) -> None:
        await world.subscribe(maxAttempts=1)
        await world.happen("1", "2", "3", "4", "5")
        world.answers = [503] * 5
        await world.run()
        status = await world.status()
        assert (status.dead_letters, status.lost) == (2, 3)
        left = await outbox.letters(world.database, "uid-a", 0, 10)
        assert [json.loads(each.body)["data"]["tag"] for each in left] == ["4", "5"]

    within(scenario)


def test_numbers_alone_are_written_every_few_seconds(within: In) -> None:
    async def scenario(world: World) -> None:
        await world.subscribe()
        await world.run()
        await world.happen("1")
        ended = await world.run()
        assert (await world.status()).delivered == 0
        assert ended == Told(world.now + 5)
        world.now += 5
        assert await world.run() == Told(None)
        assert (await world.status()).delivered == 1

    within(scenario)


def test_a_run_stops_where_somebody_else_tells_her(within: In) -> None:
    class Lost(Exception):
        pass

    async def scenario(world: World) -> None:
        await world.subscribe()
        await world.happen("1", "2")

        async def keep(*, position: str | None = None) -> None:
            await world.keep(position=position)
            if world.kept == 2:
                raise Lost

        with pytest.raises(Lost):
            await world.telling.run("shop/a", "", keep)
        assert world.told() == ["1"]
        await world.run()
        assert world.told() == ["1", "2"]

    within(scenario)


def test_a_subscription_that_is_gone_is_nothing_to_do(within: In) -> None:
    async def scenario(world: World) -> None:
        assert await world.run() == NOTHING

    within(scenario)
