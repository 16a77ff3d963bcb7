"""Tells one listener of what happened since she was last told: event by event, in order.

    run -> dead letters that are to be replayed -> events after `told` -> the status of the object

An event that fails is tried again later, the same one first, until it was tried as often as the
subscription says; then it is put aside as a dead letter. A run ends when nothing waits, when an
event fails, or after `LONGEST` seconds. Who knows when to run is `controllers.notifications`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
from tidegate.auth.secrets import SECRETS, value_of
from tidegate.auth.stored import put, read
from tidegate.delivery.notifications import signing
from tidegate.delivery.notifications.messages import (
    CLOUD_EVENT_TYPE,
    DOCKER_TYPE,
    Described,
    cloud_event,
    docker_event,
    message_id,
)
from tidegate.delivery.notifications.retrying import Verdict, judge, pause
from tidegate.delivery.notifications.selecting import selector
from tidegate.delivery.notifications.status import Reason, due, shown
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.event_subscription import (
    CLUSTER_EVENT_SUBSCRIPTIONS,
    DOCKER,
    EVENT_SUBSCRIPTIONS,
    ClusterEventSubscription,
    EventSubscription,
    Subscription,
    secret_of,
)
from tidegate.metastore import manifests, outbox
from tidegate.metastore.database import Database
from tidegate.metastore.outbox import Letter, Listener, Noted
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.remote.errors import RemoteError
from tidegate.remote.web import WebAnswer

BATCH = 50
LONGEST = 20.0
"""Seconds of one run; what is left is for the next one."""
REMEMBERED = 10_000
ANSWER_LIMIT = 64 * 1024
PATIENCE = 10.0
SECRET_KEY, AUTHORIZATION_KEY = "secret", "authorization"
_HEADER_LIMIT = 4096


class Calls(Protocol):
    """What makes the calls: `remote.web.Web`."""

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes,
        *,
        limit: int,
        patience: float,
    ) -> WebAnswer: ...


@dataclass(frozen=True, slots=True)
class Told:
    """When to run again (None: when something happens), and what went wrong."""

    again_at: float | None
    error: str = ""


NOTHING = Told(None)


class SecretMissing(Exception):
    """The Secret is not there, or cannot be used; the message does not tell it."""


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

    async def run(self, job: str, attempts: int, keep: Callable[[], Awaitable[None]]) -> Told:
        """Tell the listener `NAMESPACE/NAME`; `attempts` are the failures of its next event so far.

        `keep` is called between events and raises where somebody else tells her by now.
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
        run = _Run(self, key, subscription, listener, attempts, keep)
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
    attempts: int
    keep: Callable[[], Awaitable[None]]
    secrets: dict[str, bytes] = field(default_factory=dict)

    async def tell(self) -> Told:
        """All that waits, until one fails."""
        try:
            self.secrets = await self._secrets()
        except SecretMissing as error:
            return await self._later(Reason.SECRET, str(error), None)
        until = self.telling.clock() + LONGEST
        await self._replay(until)
        selects = selector(self.subscription.spec)
        while self.telling.clock() < until:
            listener = self.listener
            events = await outbox.after(
                self.telling.database, listener.namespace, listener.told, BATCH
            )
            if not events:
                return await self.end(Reason.DELIVERING, None, "")
            for event in events:
                body = await self._message(event) if selects(event) else None
                if body is None:
                    self.listener = self.listener._replace(told=event.id)
                elif (failed := await self._deliver(event, body)) is not None:
                    return failed
            await self._note(0)
        return await self.end(Reason.DELIVERING, self.telling.clock(), "")

    async def _deliver(self, event: Noted, body: bytes) -> Told | None:
        """Send an event, and note what came of it; None where the next one is to follow."""
        await self.keep()
        verdict = await self._send(message_id(event), body)
        if verdict.is_good:
            self.attempts = 0
            self.listener = self.listener._replace(told=event.id)
            await self._note(1)
            return None
        await self._note(0)  # those before it
        if verdict.is_gone:
            return await self.end(Reason.GONE, None, verdict.error)
        self.attempts += 1
        if self.attempts < verdict.most(self.subscription.spec.max_attempts):
            return await self._later(Reason.FAILING, verdict.error, verdict.retry_after)
        await self._bury(event.id, self.attempts, verdict.error, message_id(event), body)
        self.attempts = 0
        self.listener = self.listener._replace(told=event.id)
        return None

    async def _replay(self, until: float) -> None:
        """Try the dead letters again that are to be; one that fails stays one."""
        while self.telling.clock() < until:
            letters = await outbox.raised(self.telling.database, self.listener.uid, BATCH)
            if not letters:
                return
            for letter in letters:
                await self.keep()
                verdict = await self._send(letter.type, letter.body)
                if verdict.is_good:
                    await self._settle(letter)
                else:
                    await self._bury(letter.id, 1, verdict.error, letter.type, letter.body)

    async def _send(self, message: str, body: bytes) -> Verdict:
        spec, now = self.subscription.spec, self.telling.clock()
        docker = spec.format == DOCKER
        headers = {"Content-Type": DOCKER_TYPE if docker else CLOUD_EVENT_TYPE}
        if SECRET_KEY in self.secrets:
            headers |= signing.headers(self.secrets[SECRET_KEY], message, now, body)
        if AUTHORIZATION_KEY in self.secrets:
            headers["Authorization"] = self.secrets[AUTHORIZATION_KEY].decode("latin-1")
        try:
            answer = await self.telling.calls.request(
                "POST", spec.url, headers, body, limit=ANSWER_LIMIT, patience=PATIENCE
            )
        except RemoteError as error:
            return Verdict(error=str(error))
        return judge(answer.status, answer.headers.get("retry-after", ""), now)

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

    async def _secrets(self) -> dict[str, bytes]:
        """The values of the Secret that are used; raises SecretMissing."""
        named = self.subscription.spec.secret
        if not named:
            return {}
        namespace, name = secret_of(self.subscription)
        document = await self.telling.store.get(Key(SECRETS.key, namespace, name))
        if document is None:
            raise SecretMissing(f"there is no Secret {named}")
        secret = read(SECRETS, document)
        found = {each: value_of(secret, each) for each in (SECRET_KEY, AUTHORIZATION_KEY)}
        values = {each: value for each, value in found.items() if value}
        if not values:
            raise SecretMissing(
                f"Secret {named} has neither a key {SECRET_KEY!r} nor {AUTHORIZATION_KEY!r}"
            )
        try:
            _check(values)
        except signing.SecretInvalid as error:
            raise SecretMissing(f"Secret {named}: {error}") from error
        return values

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

    async def _later(self, reason: Reason, error: str, retry_after: float | None) -> Told:
        return await self.end(
            reason, self.telling.clock() + pause(self.attempts, retry_after), error
        )

    async def end(self, reason: Reason, again_at: float | None, error: str) -> Told:
        """Bring the object's status up to date, or have it done soon; what the run gives."""
        telling = self.telling
        now = telling.clock()
        listener = await outbox.listener(telling.database, self.listener.uid)
        if listener is None:
            return NOTHING
        pending = await outbox.waiting(telling.database, listener.namespace, listener.told)
        dead = await outbox.buried(telling.database, listener.uid)
        status = shown(self.subscription, listener, pending, dead, reason, error, now)
        uid = listener.uid
        write_at = due(self.subscription.status, status, telling.written.get(uid, 0.0), now)
        if write_at is None:
            return Told(again_at, error)
        if write_at > now:
            return Told(min(write_at, again_at or write_at), error)
        telling.written[uid] = now

        def unit(tx: DocumentTransaction) -> None:
            document = tx.get(self.key)
            if document is not None and document.uid == uid:
                changed = subscription_of(document)
                changed.status = status
                _put(tx, changed)

        await telling.store.write(unit)
        return Told(again_at, error)


def _check(values: dict[str, bytes]) -> None:
    signing.headers(values.get(SECRET_KEY, b""), "", 0, b"")
    authorization = values.get(AUTHORIZATION_KEY, b"")
    if len(authorization) > _HEADER_LIMIT or not authorization.decode("latin-1").isprintable():
        raise signing.SecretInvalid(f"{AUTHORIZATION_KEY!r} is no value of a header")


def key_of(job: str) -> Key:
    """Where the subscription of a job is; one without a namespace is the cluster's."""
    namespace, _, name = job.partition("/")
    resource = EVENT_SUBSCRIPTIONS if namespace else CLUSTER_EVENT_SUBSCRIPTIONS
    return Key(resource.key, namespace, name)


def subscription_of(document: Document) -> Subscription:
    """The object that a document holds, of whichever of the two kinds."""
    if document.key.namespace:
        return read(EVENT_SUBSCRIPTIONS, document)
    return read(CLUSTER_EVENT_SUBSCRIPTIONS, document)


def _put(tx: DocumentTransaction, changed: Subscription) -> None:
    if isinstance(changed, EventSubscription):
        put(tx, EVENT_SUBSCRIPTIONS, changed)
    elif isinstance(changed, ClusterEventSubscription):
        put(tx, CLUSTER_EVENT_SUBSCRIPTIONS, changed)
