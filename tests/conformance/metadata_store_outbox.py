"""Who is to be told of what happens to tags: every engine passes this suite."""

from tests.conformance.metadata_store import using
from tidegate.apimachinery.store import Key
from tidegate.metastore import document_rows, jobs, outbox, repositories, tag_events
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.outbox import Letter, Listener
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.name import RepositoryName

WEB, API = RepositoryName("shop/web"), RepositoryName("dev/api")
SUBSCRIPTIONS = "eventsubscriptions.tidegate.io"
CLUSTER = "clustereventsubscriptions.tidegate.io"
STREAMS = "imagestreams.image.openshift.io"
NOW = 1000.0


async def subscribe(db: Database, name: str = "a", project: str = "shop") -> str:
    """Make a subscription, whose uid is `uid-NAME`; one of the cluster with project ""."""
    key = Key(SUBSCRIPTIONS if project else CLUSTER, project, name)
    await db.write(lambda tx: document_rows.put(tx, key, f"uid-{name}", lambda _: b"{}"))
    return f"uid-{name}"


async def unsubscribe(db: Database, name: str = "a", project: str = "shop") -> None:
    key = Key(SUBSCRIPTIONS, project, name)
    await db.write(lambda tx: document_rows.delete(tx, key))


async def happen(
    db: Database,
    number: int,
    stream: RepositoryName = WEB,
    *,
    how: str = "push",
    at: float = NOW,
    detail: str | None = None,
) -> None:
    """An event of the tag `1`, which names the image `sha256:NUMBER`."""

    def unit(tx: Transaction) -> None:
        image = "" if how == "delete" else f"sha256:{number}"
        event = TagEvent(number, at, at, f"/{stream}@{image}", image, 1, how, "ann", None, detail)
        tag_events.append(tx, repositories.ensure(tx, stream), "1", event)

    await db.write(unit)


async def found(db: Database, uid: str) -> Listener:
    listener = await outbox.listener(db, uid)
    assert listener is not None
    return listener


async def left(db: Database, project: str = "", told: int = 0) -> list[str]:
    return [each.image for each in await outbox.after(db, project, told, 100)]


class MetadataOutboxSuite:
    """Listeners, what they are to be told, and what could not be told."""

    def test_nothing_is_noted_while_nobody_listens(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await happen(db, 1)
            assert await left(db) == []

        using(url, scenario)

    def test_a_listener_is_told_what_happens_in_her_project_from_then_on(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await happen(db, 1)
            await subscribe(db, "b", "dev")
            await happen(db, 1, API)
            uid = await subscribe(db)
            await happen(db, 2)
            await happen(db, 2, API)
            await happen(db, 3, how="import", detail="quay.io/a/b:1")
            listener = await found(db, uid)
            events = await outbox.after(db, "shop", listener.told, 10)
            assert [each[1:] for each in events] == [
                ("shop", "shop/web", "1", 2, NOW, "sha256:2", "sha256:1", "/shop/web@sha256:2",
                 "push", "ann", None),
                ("shop", "shop/web", "1", 3, NOW, "sha256:3", "sha256:2", "/shop/web@sha256:3",
                 "import", "ann", "quay.io/a/b:1"),
            ]  # fmt: skip
            assert events[0].id < events[1].id
            assert await outbox.waiting(db, "shop", listener.told) == 2

        using(url, scenario)

    def test_a_listener_of_the_cluster_is_told_of_every_project(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await subscribe(db, "all", "")
            await happen(db, 1)
            await happen(db, 1, API)
            events = await outbox.after(db, "", 0, 10)
            assert [each.repository for each in events] == [WEB, API]

        using(url, scenario)

    def test_what_a_deleted_tag_was_is_no_ones_to_see(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await subscribe(db)
            await happen(db, 1)
            await happen(db, 2, how="delete", detail='{"hidden":0}')
            event = (await outbox.after(db, "shop", 0, 10))[-1]
            assert (event.how, event.image, event.previous, event.detail) == (
                "delete", "", "sha256:1", None,
            )  # fmt: skip

        using(url, scenario)

    def test_streams_come_and_go(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await subscribe(db)
            key = Key(STREAMS, "shop", "web")
            await db.write(lambda tx: document_rows.put(tx, key, "uid-s", lambda _: b"{}"))
            await db.write(lambda tx: document_rows.put(tx, key, "uid-s", lambda _: b"{ }"))
            await db.write(lambda tx: document_rows.delete(tx, key))
            events = await outbox.after(db, "shop", 0, 10)
            assert [(each.repository, each.tag, each.how, each.detail) for each in events] == [
                ("shop/web", "", "create", "uid-s"),
                ("shop/web", "", "delete", "uid-s"),
            ]

        using(url, scenario)

    def test_what_was_undone_was_never_noted(self, url: str) -> None:
        class Undone(Exception):
            pass

        async def scenario(db: Database) -> None:
            await subscribe(db)

            def unit(tx: Transaction) -> None:
                event = TagEvent(1, NOW, NOW, "r", "sha256:1", 1, "push", "ann")
                tag_events.append(tx, repositories.ensure(tx, WEB), "1", event)
                raise Undone

            try:
                await db.write(unit)
            except Undone:
                assert await left(db) == []
            else:
                raise AssertionError("the unit was kept")

        using(url, scenario)

    def test_an_event_makes_the_job_due_unless_that_waits_after_a_failure(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await subscribe(db)

            def job(tx: Transaction) -> None:
                jobs.enqueue(tx, outbox.JOB, "shop/a", due=NOW - 10, now=NOW)
                held = jobs.claim(tx, outbox.JOB, "me", NOW, 30)
                assert held is not None
                assert jobs.finish(tx, held, NOW, again_at=None)

            await db.write(job)
            await happen(db, 1, API)
            assert await jobs.next_due(db, outbox.JOB) is None
            await happen(db, 1, at=NOW + 5)
            assert await jobs.next_due(db, outbox.JOB) == NOW + 5

            def fail(tx: Transaction) -> None:
                held = jobs.claim(tx, outbox.JOB, "me", NOW + 6, 30)
                assert held is not None
                assert jobs.fail(tx, held, NOW + 6, "no", NOW + 600)

            await db.write(fail)
            await happen(db, 2, at=NOW + 7)
            assert await jobs.next_due(db, outbox.JOB) == NOW + 600

        using(url, scenario)

    def test_a_job_under_way_is_done_once_more_for_what_comes(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await subscribe(db)

            def claim(tx: Transaction) -> jobs.Job:
                jobs.enqueue(tx, outbox.JOB, "shop/a", due=NOW, now=NOW)
                held = jobs.claim(tx, outbox.JOB, "me", NOW, 30)
                assert held is not None
                return held

            held = await db.write(claim)
            await happen(db, 1, at=NOW + 1)
            await db.write(lambda tx: jobs.finish(tx, held, NOW + 2, again_at=None))
            assert await jobs.next_due(db, outbox.JOB) == NOW + 1

        using(url, scenario)

    def test_a_listener_goes_with_its_subscription(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            uid = await subscribe(db)
            letter = Letter(1, NOW, 1, "no", 0, "m", b"{}")
            await db.write(lambda tx: outbox.bury(tx, uid, letter))
            await db.write(lambda tx: jobs.enqueue(tx, outbox.JOB, "shop/a", due=NOW, now=NOW))
            await unsubscribe(db)
            assert await outbox.listener(db, uid) is None
            assert await outbox.letters(db, uid, 0, 10) == []
            assert await jobs.find(db, outbox.JOB, "shop/a") is None
            await happen(db, 1)
            assert await left(db) == []
            await db.write(lambda tx: outbox.bury(tx, uid, letter))
            assert await outbox.buried(db, uid) == 0
            assert not await db.write(lambda tx: outbox.tell(tx, uid, 1, 1, NOW))

        using(url, scenario)

    def test_how_far_a_listener_is_never_goes_back(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            uid = await subscribe(db)
            assert await db.write(lambda tx: outbox.tell(tx, uid, 5, 2, NOW))
            assert not await db.write(lambda tx: outbox.tell(tx, uid, 4, 1, NOW + 1))
            listener = await found(db, uid)
            assert (listener.told, listener.delivered, listener.told_at) == (5, 2, NOW)
            assert await db.write(lambda tx: outbox.tell(tx, uid, 6, 0, NOW + 2))
            assert (await found(db, uid)).told_at == NOW

        using(url, scenario)

    def test_dead_letters_are_kept_until_they_are_told_after_all(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            uid = await subscribe(db)
            for number in (3, 7):
                letter = Letter(number, NOW, 12, "no", 0, f"m{number}", b'{"a":"\xc3\xa9"}')
                await db.write(lambda tx, letter=letter: outbox.bury(tx, uid, letter))  # type: ignore[misc]  # a default binds the loop variable
            assert (await found(db, uid)).told == 7
            assert [each.id for each in await outbox.letters(db, uid, 0, 10)] == [3, 7]
            assert [each.id for each in await outbox.letters(db, uid, 3, 10)] == [7]
            assert await outbox.raised(db, uid, 10) == []
            assert await db.write(lambda tx: outbox.raise_again(tx, uid, [7, 8])) == 1
            (again,) = await outbox.raised(db, uid, 10)
            assert (again.id, again.again, again.body) == (7, 1, b'{"a":"\xc3\xa9"}')
            await db.write(lambda tx: outbox.bury(tx, uid, again._replace(again=0, attempts=1)))
            assert await outbox.raised(db, uid, 10) == []
            assert [each.attempts for each in await outbox.letters(db, uid, 3, 10)] == [13]
            assert await db.write(lambda tx: outbox.raise_again(tx, uid)) == 2
            await db.write(lambda tx: outbox.settle(tx, uid, 3, NOW + 9))
            await db.write(lambda tx: outbox.settle(tx, uid, 3, NOW + 9))
            listener = await found(db, uid)
            assert (listener.delivered, listener.told_at) == (1, NOW + 9)
            assert await outbox.buried(db, uid) == 1

        using(url, scenario)

    def test_the_oldest_dead_letters_can_be_given_up(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            uid, other = await subscribe(db), await subscribe(db, "b")
            for number in (3, 7, 9):
                letter = Letter(number, NOW, 12, "no", 0, "m", b"{}")
                for whose in (uid, other):
                    await db.write(lambda tx, w=whose, each=letter: outbox.bury(tx, w, each))  # type: ignore[misc]  # a default binds the loop variable
            assert await db.write(lambda tx: outbox.lose_letters(tx, uid, 2)) == 2
            assert [each.id for each in await outbox.letters(db, uid, 0, 10)] == [9]
            assert (await found(db, uid)).lost == 2
            assert await outbox.buried(db, other) == 3

        using(url, scenario)

    def test_who_is_told_of_all_goes_on_behind_what_is_not_for_her(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            uid = await subscribe(db)
            everywhere = await subscribe(db, "all", "")
            idle = await subscribe(db, "idle", "dev")
            await happen(db, 1)
            (event,) = await outbox.after(db, "", 0, 10)
            await db.write(lambda tx: outbox.tell(tx, uid, event.id, 1, NOW))
            assert await db.write(lambda tx: outbox.trim(tx, 1000, 0.0, 100)) == 0
            assert (await found(db, everywhere)).told == 0
            assert (await found(db, idle)).told == event.id
            await db.write(lambda tx: outbox.tell(tx, everywhere, event.id, 1, NOW))
            assert await db.write(lambda tx: outbox.trim(tx, 1000, 0.0, 100)) == 1

        using(url, scenario)

    def test_what_everybody_was_told_goes(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            one, two = await subscribe(db), await subscribe(db, "b")
            await subscribe(db, "idle", "dev")
            for number in range(1, 5):
                await happen(db, number)
            events = await outbox.after(db, "shop", 0, 10)
            await db.write(lambda tx: outbox.tell(tx, one, events[3].id, 4, NOW))
            await db.write(lambda tx: outbox.tell(tx, two, events[1].id, 2, NOW))
            assert await db.write(lambda tx: outbox.trim(tx, 1000, 0.0, 100)) == 2
            assert await left(db) == ["sha256:3", "sha256:4"]
            assert (await found(db, two)).lost == 0
            await db.write(lambda tx: outbox.tell(tx, two, events[3].id, 2, NOW))
            assert await db.write(lambda tx: outbox.trim(tx, 1000, 0.0, 1)) == 1
            assert await db.write(lambda tx: outbox.trim(tx, 1000, 0.0, 1)) == 1
            assert await db.write(lambda tx: outbox.trim(tx, 1000, 0.0, 1)) == 0

        using(url, scenario)

    def test_what_waits_too_long_or_is_too_much_is_lost_and_counted(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            uid = await subscribe(db)
            await subscribe(db, "b", "dev")
            for number in range(1, 6):
                await happen(db, number, at=NOW + number)
                await happen(db, number, API, at=NOW + number)
            await db.write(lambda tx: outbox.trim(tx, 6, 0.0, 100))
            assert await left(db, "shop") == ["sha256:3", "sha256:4", "sha256:5"]
            assert (await found(db, uid)).lost == 2
            await db.write(lambda tx: outbox.trim(tx, 6, NOW + 5, 100))
            assert await left(db, "shop") == ["sha256:5"]
            assert (await found(db, uid)).lost == 4

        using(url, scenario)

    def test_without_listeners_nothing_is_left(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await subscribe(db)
            await happen(db, 1)
            await unsubscribe(db)
            assert await db.write(lambda tx: outbox.trim(tx, 1000, 0.0, 100)) == 1
            assert await db.write(lambda tx: outbox.trim(tx, 1000, 0.0, 100)) == 0

        using(url, scenario)
