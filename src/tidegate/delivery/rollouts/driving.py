"""Drives rollouts: sees what their tags name and their workloads run, looks at gates, and acts.

One process does, the one that acts on triggers; `controllers.rollouts` says when. What it did is in
the status of each Rollout before it goes on, so that a process that takes over goes on from there;
every act is such that doing it twice is doing it once.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from tidegate.apimachinery.errors import ApiError
from tidegate.apimachinery.store import Change, Document, DocumentTransaction, Key, ObjectStore
from tidegate.auth.stored import put, read
from tidegate.delivery.rollouts.gates import due_gates
from tidegate.delivery.rollouts.known import Known
from tidegate.delivery.rollouts.lookout import Lookout
from tidegate.delivery.rollouts.machine import (
    ACTIVE,
    ROLLING_BACK,
    Facts,
    advance,
    refused,
)
from tidegate.delivery.rollouts.steps import FAILED, ROLLS_OUT, Steps, identity
from tidegate.delivery.triggers.decision import Candidate, Hold
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.workload import Source, Workload, WorkloadKey
from tidegate.images.streams.stream import ROLLBACK, Actor, Stream
from tidegate.images.tags.changing import told
from tidegate.images.tags.going_back import Target, roll_back
from tidegate.images.tags.names import TagName
from tidegate.kinds.rollout import ROLLOUTS, RolloutStatus
from tidegate.metastore.database import Database, Transaction
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.timestamp import rfc3339

USER = "system:tidegate:rollouts"

TICK = 1.0
"""Seconds between two looks at a rollout that is under way."""


class Following(Protocol):
    """What acts on triggers (`controllers.triggers.Triggers`)."""

    def followers(self, source: Source) -> Sequence[Workload]: ...

    def reasons(self, workload: WorkloadKey) -> Sequence[str]: ...

    def look_at_all(self, namespace: str) -> None: ...


class Driving:
    """The rollouts that there are, in one event loop; a gate of triggers."""

    def __init__(
        self,
        store: ObjectStore,
        database: Database,
        tags: Tags,
        audit: Audit,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._database = database
        self._tags = tags
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
        now = self._clock()
        governing = self._known.governing(steps.source)
        if governing is not None and governing != key:
            lookout.forget(key)
            why = f"rollout {governing.name} is of {steps.rollout.spec.tag} already"
            await self._keep(steps, refused(steps.rollout, why, now), following)
            return None
        facts = await self._facts(key, steps, following, lookout)
        status = advance(steps.rollout, facts, self._clock())
        if not await self._keep(steps, status, following):
            return self._clock() + TICK
        active = status.phase in ACTIVE and not steps.rollout.spec.suspend
        return self._clock() + TICK if active else None

    async def _facts(self, key: Key, steps: Steps, following: Following, lookout: Lookout) -> Facts:
        rollout, source, status = steps.rollout, steps.source, steps.rollout.status
        image = await self._named(source)
        if not image or image != status.target or rollout.spec.suspend:
            lookout.forget(key)
            return Facts(image)
        if status.phase == ROLLING_BACK:
            lookout.forget(key)
            return await self._back(steps, image)
        workloads = following.followers(source)
        pending = steps.pending(workloads, image)
        if pending:
            lookout.forget(key)
            held = (set(following.reasons(each.key)) for each in pending)
            blocked = any(each - {ROLLS_OUT, FAILED} for each in held)
            return Facts(image, [each.name for each in pending], blocked, since=self._since)
        now = [each for each in workloads if steps.step_of(each) == status.step]
        due = due_gates(rollout, self._clock())
        return Facts(image, looks=lookout.seen(key, rollout, due, now), since=self._since)

    async def _named(self, source: Source) -> str:
        """What a tag names, "" for nothing."""
        candidate = (await self._tags.named(source.stream, [source.tag])).get(source)
        return "" if candidate is None else identity(candidate)

    async def _back(self, steps: Steps, image: str) -> Facts:
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
            return Facts(image, refused=str(error))
        if gone:
            self._record(steps, 200, f"{source} goes back from {image} to {stable}", stable)
        named = await self._named(source)
        why = "" if gone or named != image else f"nothing tells {image} from others"
        return Facts(named, refused=why)

    async def _keep(self, steps: Steps, status: RolloutStatus, following: Following) -> bool:
        """Write the status, say what changed, and have triggers act on it.

        False where the rollout has changed since: what was decided was decided on something else.
        """
        rollout = steps.rollout
        if status == rollout.status:
            return True
        key = Key(ROLLOUTS.key, rollout.metadata.namespace, rollout.metadata.name)

        def unit(tx: DocumentTransaction) -> Document | None:
            document = tx.get(key)
            if document is None or document.uid != rollout.metadata.uid:
                return None
            changed = read(ROLLOUTS, document)
            if changed.metadata.resource_version != rollout.metadata.resource_version:
                return None
            changed.status = status
            return put(tx, ROLLOUTS, changed)

        written = await self._store.write(unit)
        if written is None:
            return False
        if steps.brake != self._known.put(written).brake:
            self._record(steps, 200, f"{status.phase}: {status.message}", status.target)
            following.look_at_all(key.namespace)
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


def _roll_back(tx: Transaction, name: TagName, image: str, stable: str, actor: Actor) -> bool:
    """Let a tag that still names `image` name `stable` again; whether it did."""
    stream = Stream.open(tx, name.stream)
    current = None if stream is None else stream.current(name.tag)
    if current is None or image not in (current.image, current.reference):
        return False
    roll_back(tx, name, Target(image=stable), actor)
    return True
