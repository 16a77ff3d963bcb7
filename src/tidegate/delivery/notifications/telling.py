"""Tells one listener of what happened since she was last told: event by event, in order.

    run -> dead letters that are to be replayed -> events after `told` -> the status of the object

An event that fails is tried again later, the same one first, until it was tried as often as the
subscription says; then it is put aside as a dead letter. A run ends when nothing waits, when an
event fails, or after `LONGEST` seconds. Who knows when to run is `controllers.notifications`; how
often the next event was tried is kept in the job's `position`, as jobs fail for other reasons too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidegate.apimachinery.store import Key, ObjectStore
from tidegate.delivery.notifications.calling import Calls, Receiver
from tidegate.delivery.notifications.credentials import SecretMissing, values_of
from tidegate.delivery.notifications.messages import (
    Described,
    cloud_event,
    docker_event,
    message_id,
)
from tidegate.delivery.notifications.retrying import Tries, Verdict, pause
from tidegate.delivery.notifications.selecting import Selects, selector
from tidegate.delivery.notifications.status import Reason, due, shown
from tidegate.delivery.notifications.subscriptions import key_of, put_status, subscription_of
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.event_subscription import DOCKER, Subscription
from tidegate.metastore import manifests, outbox
from tidegate.metastore.database import Database
from tidegate.metastore.outbox import Letter, Listener, Noted
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

BATCH = 50
LONGEST = 20.0
"""Seconds of one run, and a call; what is left is for the next one."""
REPLAYING = LONGEST / 2
"""Seconds of it in which dead letters are replayed, so that they hold up nothing that is new."""
SECRET_PAUSE = 15.0
"""Seconds between two looks for a Secret that is missing."""
KEPT_LETTERS = 10_000
"""Dead letters of one subscription; of more the oldest are lost, and counted."""
REMEMBERED = 10_000


class Keep(Protocol):
    """Keeps the job, and notes its position; raises where somebody else does it by now."""

    async def __call__(self, *, position: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Told:
    """When to run again (None: when something happens), and what went wrong."""

    again_at: float | None
    error: str = ""


NOTHING = Told(None)


class Telling:
    """Tells the listeners of one server. `server` is its URL, as clients use it."""

    def __init__(
        self,
        store: ObjectStore,
        database: Database,
        calls: Calls,
        hosts: Hosts,
        server: str,
        clock: Callable[[], float],
    ) -> None:
        self.store = store
        self.database = database
        self.calls = calls
        self.hosts = hosts
        self.server = server
        self.clock = clock
        self.written: dict[str, float] = {}
        """When the status of a listener was last written, by its uid."""

    async def run(self, job: str, position: str, keep: Keep) -> Told:
        """Tell the listener `NAMESPACE/NAME`; `position` is what the last run told `keep`.

        `keep` is called between events.
        """
        key = key_of(job)
        document = await self.store.get(key)
        if document is None:
            return NOTHING
        subscription = subscription_of(document)
        listener = await outbox.listener(self.database, document.uid)
        if listener is None:
            return NOTHING
        if len(self.written) > REMEMBERED:
            self.written.clear()
        run = _Run(self, key, subscription, listener, Tries.of(position), keep)
        if subscription.spec.suspend:
            return await run.end(Reason.SUSPENDED, None, "")
        return await run.tell()


@dataclass(slots=True)
class _Run:
    """One run for one listener."""

    telling: Telling
    key: Key
    subscription: Subscription
    listener: Listener
    tries: Tries
    keep: Keep
    secrets: dict[str, bytes] = field(default_factory=dict)

    async def tell(self) -> Told:
        """All that waits, until one fails."""
        try:
            self.secrets = await values_of(self.telling.store, self.subscription)
        except SecretMissing as error:
            return await self.end(Reason.SECRET, self.telling.clock() + SECRET_PAUSE, str(error))
        until = self.telling.clock() + LONGEST
        await self._replay(self.telling.clock() + REPLAYING)
        selects = selector(self.subscription.spec)
        while self.telling.clock() < until:
            known = self.listener.told
            whose = self.listener.namespace
            events = await outbox.after(self.telling.database, whose, known, BATCH)
            if not events:
                return await self.end(Reason.DELIVERING, None, "")
            failed = await self._events(events, selects, until)
            if failed is not None:
                return failed
        return await self.end(Reason.DELIVERING, self.telling.clock(), "")

    async def _events(self, events: Sequence[Noted], selects: Selects, until: float) -> Told | None:
        """Tell of these, as far as there is time; None where none failed."""
        noted = True
        for event in events:
            if self.telling.clock() >= until:
                break
            body = await self._message(event) if selects(event) else None
            if body is None:
                self.listener = self.listener._replace(told=event.id)
                noted = False
            elif (failed := await self._deliver(event, body, noted)) is not None:
                return failed
            else:
                noted = True
        if not noted:
            await self._note(0)
        return None

    async def _deliver(self, event: Noted, body: bytes, noted: bool) -> Told | None:
        """Send an event, and note what came of it; None where the next one is to follow.

        `noted` is whether it is known how far she was told before it.
        """
        await self.keep()
        verdict = await self._send(message_id(event), body)
        if verdict.is_good:
            self.listener = self.listener._replace(told=event.id)
            await self._note(1)
            return None
        if not noted:
            await self._note(0)
        if verdict.is_gone:
            return await self.end(Reason.GONE, None, verdict.error)
        self.tries = self.tries.and_one(event.id)
        if self.tries.times < verdict.most(self.subscription.spec.max_attempts):
            await self.keep(position=self.tries.text)
            again_at = self.telling.clock() + pause(self.tries.times, verdict.retry_after)
            return await self.end(Reason.FAILING, again_at, verdict.error)
        await self._bury(event.id, self.tries.times, verdict.error, message_id(event), body)
        self.listener = self.listener._replace(told=event.id)
        return None

    async def _replay(self, until: float) -> None:
        """Try the dead letters again that are to be; one that fails stays one."""
        while self.telling.clock() < until:
            letters = await outbox.raised(self.telling.database, self.listener.uid, BATCH)
            if not letters:
                return
            for letter in letters:
                if self.telling.clock() >= until:
                    return
                await self.keep()
                verdict = await self._send(letter.type, letter.body)
                if verdict.is_good:
                    await self._settle(letter)
                else:
                    await self._bury(letter.id, 1, verdict.error, letter.type, letter.body)

    async def _send(self, message: str, body: bytes) -> Verdict:
        telling = self.telling
        receiver = Receiver(telling.calls, self.subscription.spec, self.secrets)
        return await receiver.send(message, body, telling.clock())

    async def _message(self, event: Noted) -> bytes | None:
        telling = self.telling
        if self.subscription.spec.format != DOCKER:
            return cloud_event(event, telling.hosts, telling.server)
        described = Described()
        if event.image:
            repository = RepositoryName(event.repository)
            stored = await manifests.by_digest(telling.database, repository, Digest(event.image))
            if stored is not None:
                described = Described(stored.media_type, len(stored.content))
        return docker_event(event, described, telling.server)

    async def _note(self, delivered: int) -> None:
        uid, told, now = self.listener.uid, self.listener.told, self.telling.clock()
        await self.telling.database.write(
            lambda tx: outbox.tell(tx, uid, told, delivered, now), durable=False
        )

    async def _bury(
        self, number: int, attempts: int, error: str, message: str, body: bytes
    ) -> None:
        uid = self.listener.uid
        letter = Letter(number, self.telling.clock(), attempts, error, 0, message, body)
        await self.telling.database.write(lambda tx: outbox.bury(tx, uid, letter))

    async def _settle(self, letter: Letter) -> None:
        uid, now = self.listener.uid, self.telling.clock()
        await self.telling.database.write(lambda tx: outbox.settle(tx, uid, letter.id, now))

    async def _lose_letters(self, many: int, listener: Listener) -> tuple[int, Listener]:
        """Give up the oldest dead letters; how many are left, and the listener."""
        lost = await self.telling.database.write(
            lambda tx: outbox.lose_letters(tx, listener.uid, many)
        )
        return KEPT_LETTERS + many - lost, listener._replace(lost=listener.lost + lost)

    async def end(self, reason: Reason, again_at: float | None, error: str) -> Told:
        """Bring the object's status up to date, or have it done soon; what the run gives."""
        telling = self.telling
        now = telling.clock()
        listener = await outbox.listener(telling.database, self.listener.uid)
        if listener is None:
            return NOTHING
        pending = await outbox.waiting(telling.database, listener.namespace, listener.told)
        dead = await outbox.buried(telling.database, listener.uid)
        if dead > KEPT_LETTERS:
            dead, listener = await self._lose_letters(dead - KEPT_LETTERS, listener)
        status = shown(self.subscription, listener, pending, dead, reason, error, now)
        uid = listener.uid
        write_at = due(self.subscription.status, status, telling.written.get(uid, 0.0), now)
        if write_at is None:
            return Told(again_at, error)
        if write_at > now and not error:  # a receiver that fails is not asked for numbers' sake
            return Told(min(write_at, again_at or write_at), error)
        telling.written[uid] = now
        await telling.store.write(lambda tx: put_status(tx, self.key, uid, status))
        return Told(again_at, error)
