"""Drives rollouts: sees what their tags name and their workloads run, looks at gates, and acts.

One process does, the one that acts on triggers; `controllers.rollouts` says when. What it did is in
the status of each Rollout before it goes on, so that a process that takes over goes on from there;
every act is such that doing it twice is doing it once.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from tidegate.apimachinery.documents.deletion import Cascade
from tidegate.apimachinery.errors import ApiError
from tidegate.apimachinery.store import Change, Document, DocumentTransaction, Key, ObjectStore
from tidegate.auth.stored import put, read
from tidegate.delivery.rollouts.balancing import balanced, news
from tidegate.delivery.rollouts.facts import Facts, Look
from tidegate.delivery.rollouts.gates import READY, due_gates
from tidegate.delivery.rollouts.known import Known
from tidegate.delivery.rollouts.lookout import Lookout
from tidegate.delivery.rollouts.machine import advance, refused
from tidegate.delivery.rollouts.phases import ACTIVE, HELD, ROLLING_BACK
from tidegate.delivery.rollouts.routes import Routes
from tidegate.delivery.rollouts.steps import FAILED, ROLLS_OUT, Steps, identity
from tidegate.delivery.rollouts.traffic import Balance, is_to_be_ready
from tidegate.delivery.triggers.decision import Candidate, Hold
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.workload import Source, Workload, WorkloadKey
from tidegate.images.streams.stream import ROLLBACK, Actor, Stream
from tidegate.images.tags.changing import told
from tidegate.images.tags.going_back import Target, roll_back
from tidegate.images.tags.names import TagName
from tidegate.kinds.rollout import ROLLOUTS, Rollout, RolloutStatus
from tidegate.kinds.rollout_traffic import FINALIZER
from tidegate.metastore.database import Database, Transaction
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.timestamp import rfc3339, rfc3339_seconds

USER = "system:tidegate:rollouts"

TICK = 1.0
"""Seconds between two looks at a rollout that is under way."""
OWED = 5.0
"""Seconds between two tries to give an object back its weights, where nothing else goes on."""


class Following(Protocol):
    """What acts on triggers (`controllers.triggers.Triggers`)."""

    def followers(self, source: Source) -> Sequence[Workload]: ...

    def reasons(self, workload: WorkloadKey) -> Sequence[str]: ...

    def reports(self, workload: Workload) -> bool: ...

    def look_at_all(self, namespace: str) -> None: ...


class Driving:
    """The rollouts that there are, in one event loop; a gate of triggers."""

    def __init__(
        self,
        store: ObjectStore,
        database: Database,
        tags: Tags,
        routes: Routes,
        audit: Audit,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._database = database
        self._tags = tags
        self._routes = routes
        self._audit = audit
        self._clock = clock
        self._known = Known()
        self._since = 0.0

    async def load(self) -> list[Key]:
        """Read every rollout; where they are."""
        listing = await self._store.list(ROLLOUTS.key)
        self._known.reset(listing.documents)
        return list(self._known)

    def begin(self) -> None:
        """Somebody looks at rollouts from now on."""
        self._since = self._clock()

    def apply(self, change: Change, following: Following) -> list[Key]:
        """Be told of a rollout that has changed; those to look at, with others of its tag."""
        before = self._known.get(change.key)
        if not self._known.apply(change):
            return []
        after = self._known.get(change.key)
        if before is None or after is None or before.brake != after.brake:
            following.look_at_all(change.key.namespace)
        streams = {each.source.stream for each in (before, after) if each is not None}
        return [change.key, *(key for each in streams for key in self._known.of_stream(each))]

    def of_stream(self, namespace: str, stream: str) -> list[Key]:
        """The rollouts of a stream's tags."""
        return self._known.of_stream(f"{namespace}/{stream}")

    def holds(
        self, workload: Workload, source: Source, candidate: Candidate, now: float
    ) -> Sequence[Hold]:
        """See `triggers.reconciling.Gate`."""
        del now
        key = self._known.governing(source)
        steps = None if key is None else self._known.get(key)
        if steps is None or steps.source.stream.project != workload.namespace:
            return ()
        return steps.holds(workload, candidate)

    async def drive(self, key: Key, following: Following, lookout: Lookout) -> float | None:
        """Look at one rollout and do what is to be done; when to look again by itself."""
        steps = self._known.get(key)
        if steps is None:
            lookout.forget(key)
            return None
        rollout = steps.rollout
        balance = await self._balance(steps, following)
        governing = self._known.governing(steps.source)
        if governing is not None and governing != key and not _leaves(rollout):
            lookout.forget(key)
            why = f"rollout {governing.name} is of {rollout.spec.tag} already"
            status = refused(rollout, why, balance, self._clock())
        else:
            facts = await self._facts(key, steps, following, lookout, balance)
            status = advance(rollout, facts, self._clock())
        if not await self._keep(steps, status, following, balance):
            return self._clock() + TICK
        return self._again(rollout, status)

    def _again(self, rollout: Rollout, status: RolloutStatus) -> float | None:
        if status.phase in ACTIVE and not rollout.spec.suspend:
            return self._clock() + TICK
        held = rollout.spec.suspend or (status.phase == HELD and status.step)
        owes = status.traffic is not None and (_leaves(rollout) or not held)
        return self._clock() + OWED if owes else None

    async def _balance(self, steps: Steps, following: Following) -> Balance:
        """What is seen of the object that splits the traffic, once it has got what it was to."""
        rollout = steps.rollout
        if rollout.spec.suspend and not _leaves(rollout):
            return Balance()
        workloads = following.followers(steps.source)
        reports = any(following.reports(each) for each in workloads)
        return await balanced(self._routes, rollout, reports=reports)

    async def _facts(
        self, key: Key, steps: Steps, following: Following, lookout: Lookout, balance: Balance
    ) -> Facts:
        rollout, source, status = steps.rollout, steps.source, steps.rollout.status
        image = await self._named(source)
        if not image or image != status.target or rollout.spec.suspend:
            lookout.forget(key)
            return Facts(image, balance=balance)
        if status.phase == ROLLING_BACK and not _leaves(rollout):
            lookout.forget(key)
            return await self._back(steps, image, balance)
        workloads = following.followers(source)
        pending = steps.pending(workloads, image)
        if pending:
            lookout.forget(key)
            held = (set(following.reasons(each.key)) for each in pending)
            blocked = any(each - {ROLLS_OUT, FAILED} for each in held)
            names = [each.name for each in pending]
            return Facts(image, names, blocked, since=self._since, balance=balance)
        looks = self._looks(key, steps, workloads, lookout)
        return Facts(image, looks=looks, since=self._since, balance=balance)

    def _looks(
        self, key: Key, steps: Steps, workloads: Sequence[Workload], lookout: Lookout
    ) -> dict[str, Look]:
        rollout, step = steps.rollout, steps.rollout.status.step
        now = [each for each in workloads if steps.step_of(each) == step]
        looks = lookout.seen(key, rollout, due_gates(rollout, self._clock()), now)
        if is_to_be_ready(rollout):
            updated = [each for each in workloads if steps.step_of(each) <= step]
            looks |= lookout.seen(key, rollout, [READY], updated)
        return looks

    async def _named(self, source: Source) -> str:
        """What a tag names, "" for nothing."""
        candidate = (await self._tags.named(source.stream, [source.tag])).get(source)
        return "" if candidate is None else identity(candidate)

    async def _back(self, steps: Steps, image: str, balance: Balance) -> Facts:
        """Let the tag go back, unless somebody moved it meanwhile; what it names then."""
        source, stable = steps.source, steps.rollout.status.stable
        name = TagName(source.stream, source.tag)
        actor = Actor(USER, ROLLBACK, self._clock())
        try:
            with told(name):
                unit = partial(_roll_back, name=name, image=image, stable=stable, actor=actor)
                gone = await self._database.write(unit)
        except ApiError as error:
            self._record(steps, 409, f"{source} cannot go back to {stable}: {error}", stable)
            return Facts(image, refused=str(error), balance=balance)
        if gone:
            self._record(steps, 200, f"{source} goes back from {image} to {stable}", stable)
        named = await self._named(source)
        why = "" if gone or named != image else f"nothing tells {image} from others"
        return Facts(named, refused=why, balance=balance)

    async def _keep(
        self, steps: Steps, status: RolloutStatus, following: Following, balance: Balance
    ) -> bool:
        """Write the status, say what changed, and have triggers act on it.

        False where the rollout has changed since: what was decided was decided on something else.
        """
        rollout = steps.rollout
        leaves = _leaves(rollout) and status.traffic is None
        if status == rollout.status and not (leaves and FINALIZER in rollout.metadata.finalizers):
            return True
        now = rfc3339_seconds(self._clock())
        written = await self._store.write(partial(_put, rollout=rollout, status=status, now=now))
        if written is None:
            return False
        said = news(rollout, status, balance)
        if said:
            self._record(steps, 200, said, status.target)
        if steps.brake != self._known.put(written).brake:
            self._record(steps, 200, f"{status.phase}: {status.message}", status.target)
            following.look_at_all(rollout.metadata.namespace)
        return True

    def _record(self, steps: Steps, status: int, detail: str, image: str) -> None:
        metadata = steps.rollout.metadata
        self._audit.record(
            AuditEvent(
                time=rfc3339(self._clock()),
                action="rollout",
                user=USER,
                repository=steps.source.stream,
                reference=f"{steps.source.tag} rollout {metadata.namespace}/{metadata.name}",
                digest=image,
                status=status,
                detail=detail,
            )
        )


def _leaves(rollout: Rollout) -> bool:
    return bool(rollout.metadata.deletion_timestamp)


def _put(
    tx: DocumentTransaction, rollout: Rollout, status: RolloutStatus, now: str
) -> Document | None:
    """Store the status of a rollout that is as it was; it goes if nothing holds it any more.

    What it owes is named by a finalizer as long as it is owed: weights are given back by nobody
    else.
    """
    metadata = rollout.metadata
    document = tx.get(Key(ROLLOUTS.key, metadata.namespace, metadata.name))
    if document is None or document.uid != metadata.uid:
        return None
    changed = read(ROLLOUTS, document)
    if changed.metadata.resource_version != metadata.resource_version:
        return None
    changed.status = status
    owes = status.traffic is not None and not status.traffic.reported
    others = [each for each in changed.metadata.finalizers if each != FINALIZER]
    changed.metadata.finalizers = [*others, FINALIZER] if owes else others
    if _leaves(rollout) and not changed.metadata.finalizers:
        Cascade(tx, {}, now, None).remove(document)
        return document
    return put(tx, ROLLOUTS, changed)


def _roll_back(tx: Transaction, name: TagName, image: str, stable: str, actor: Actor) -> bool:
    """Let a tag that still names `image` name `stable` again; whether it did."""
    stream = Stream.open(tx, name.stream)
    current = None if stream is None else stream.current(name.tag)
    if current is None or image not in (current.image, current.reference):
        return False
    roll_back(tx, name, Target(image=stable), actor)
    return True
