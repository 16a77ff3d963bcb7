"""Drives rollouts: sees what their tags name and their workloads run, looks at gates, and acts.

One process does, the one that acts on triggers; `controllers.rollouts` says when. What it did is in
the status of each Rollout before it goes on, so that a process that takes over goes on from there;
every act is such that doing it twice is doing it once.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from tidegate.apimachinery.errors import ApiError
from tidegate.apimachinery.store import Change, Document, DocumentTransaction, Key, ObjectStore
from tidegate.auth.stored import put, read
from tidegate.delivery.rollouts.looking import Looking
from tidegate.delivery.rollouts.machine import (
    ACTIVE,
    ROLLING_BACK,
    Facts,
    Look,
    advance,
    due_gates,
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
from tidegate.kinds.rollout import ROLLOUTS, Rollout, RolloutStatus
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
        self._known: dict[Key, Steps] = {}

    async def load(self) -> list[Key]:
        """Read every rollout; where they are."""
        listing = await self._store.list(ROLLOUTS.key)
        self._known = {each.key: _steps(each) for each in listing.documents}
        return list(self._known)

    def apply(self, change: Change) -> None:
        """Be told of a rollout that has changed."""
        if change.after is None:
            self._known.pop(change.key, None)
        else:
            document = Document(change.key, "", change.revision, change.after)
            self._known[change.key] = _steps(document)

    def of_stream(self, namespace: str, stream: str) -> list[Key]:
        """The rollouts of a stream's tags."""
        name = f"{namespace}/{stream}"
        return [key for key, each in self._known.items() if each.source.stream == name]

    def holds(
        self, workload: Workload, source: Source, candidate: Candidate, now: float
    ) -> Sequence[Hold]:
        """See `triggers.reconciling.Gate`."""
        del now
        key = self._governing(source)
        if key is None or key.namespace != workload.namespace:
            return ()
        return self._known[key].holds(workload, candidate)

    def _governing(self, source: Source) -> Key | None:
        """The rollout of a tag: the one that was made first."""
        found = [
            (each.rollout.metadata.creation_timestamp, key)
            for key, each in self._known.items()
            if each.source == source
        ]
        return min(found)[1] if found else None

    async def drive(self, key: Key, following: Following, looking: Looking) -> float | None:
        """Look at one rollout and do what is to be done; when to look again by itself."""
        steps = self._known.get(key)
        if steps is None:
            return None
        now = self._clock()
        governing = self._governing(steps.source)
        if governing is not None and governing != key:
            why = f"rollout {governing.name} is of {steps.rollout.spec.tag} already"
            await self._keep(steps, refused(steps.rollout, why, now), following)
            return None
        facts = await self._facts(steps, following, looking)
        status = advance(steps.rollout, facts, self._clock())
        await self._keep(steps, status, following)
        active = status.phase in ACTIVE and not steps.rollout.spec.suspend
        return self._clock() + TICK if active else None

    async def _facts(self, steps: Steps, following: Following, looking: Looking) -> Facts:
        source, status = steps.source, steps.rollout.status
        candidate = (await self._tags.named(source.stream, [source.tag])).get(source)
        image = "" if candidate is None else identity(candidate)
        if not image or image != status.target:
            return Facts(image)
        if status.phase == ROLLING_BACK:
            return await self._back(steps, image)
        workloads = following.followers(source)
        pending = steps.pending(workloads, image)
        blocked = any(set(following.reasons(each.key)) - {ROLLS_OUT, FAILED} for each in pending)
        looks: dict[str, Look] = {}
        if not pending:
            due = due_gates(steps.rollout, self._clock())
            now = [each for each in workloads if steps.step_of(each) == status.step]
            seen = await asyncio.gather(*(looking.look(gate, now) for gate in due))
            looks = {gate.name: look for gate, look in zip(due, seen, strict=True)}
        return Facts(image, [each.name for each in pending], blocked, looks)

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
        candidate = (await self._tags.named(source.stream, [source.tag])).get(source)
        return Facts("" if candidate is None else identity(candidate))

    async def _keep(self, steps: Steps, status: RolloutStatus, following: Following) -> None:
        """Write the status, say what changed, and have triggers act on it."""
        rollout = steps.rollout
        if status == rollout.status:
            return
        key = Key(ROLLOUTS.key, rollout.metadata.namespace, rollout.metadata.name)
        before = rollout.status

        def unit(tx: DocumentTransaction) -> Document | None:
            document = tx.get(key)
            if document is None or document.uid != rollout.metadata.uid:
                return None
            changed = read(ROLLOUTS, document)
            changed.status = status
            return put(tx, ROLLOUTS, changed)

        written = await self._store.write(unit)
        if written is None:
            return
        self._known[key] = _steps(written)
        moved = (before.phase, before.step, before.target) != (
            status.phase,
            status.step,
            status.target,
        )
        if moved:
            self._record(steps, 200, f"{status.phase}: {status.message}", status.target)
            following.look_at_all(key.namespace)

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


def _steps(document: Document) -> Steps:
    rollout: Rollout = read(ROLLOUTS, document)
    return Steps(rollout)
