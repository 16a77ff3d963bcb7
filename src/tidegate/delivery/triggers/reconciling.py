"""Brings one workload to what its tags name, as far as its policies let it.

`Reconciler` is what a process that acts on triggers has: it is told of changes, says which
workloads are to be looked at, and looks at one. Whoever runs it does that again after a failure.
Everything is compared as it is now, never with what was done before.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from tidegate.apimachinery.store import Key, ObjectStore
from tidegate.delivery.triggers.decision import Candidate, Hold, Presence
from tidegate.delivery.triggers.index import Index
from tidegate.delivery.triggers.planning import Chosen, Facts, Plan, plan, selections
from tidegate.delivery.triggers.policies import Policy, Selection
from tidegate.delivery.triggers.rights import MayPull
from tidegate.delivery.triggers.rules import Rules
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.targets import TargetRefused, Targets
from tidegate.delivery.triggers.telling import Telling
from tidegate.delivery.triggers.workload import Source, Workload, WorkloadKey
from tidegate.oci.name import RepositoryName

SELECTIONS = 100
"""Of one stream whose tags are kept up to date without anybody's asking."""


class Gate(Protocol):
    """Who else has a say in when a workload gets an image, beside policies."""

    def holds(
        self, workload: Workload, source: Source, candidate: Candidate, now: float
    ) -> Sequence[Hold]:
        """What holds it back, from what is known in memory; asked whenever it is looked at."""
        ...


class Reconciler:
    """See the module; for one event loop."""

    def __init__(
        self,
        tags: Tags,
        targets: Targets,
        may_pull: MayPull,
        telling: Telling,
        clock: Callable[[], float],
        gates: Sequence[Gate] = (),
    ) -> None:
        self.index = Index()
        self.rules = Rules()
        self._tags = tags
        self._targets = targets
        self._may_pull = may_pull
        self._telling = telling
        self._clock = clock
        self._gates = gates
        self._named: dict[RepositoryName, dict[Source, Candidate]] = {}
        self._asked: dict[RepositoryName, set[str]] = {}
        self._newest: dict[RepositoryName, dict[Selection, str]] = {}
        self._turns: dict[RepositoryName, asyncio.Lock] = {}
        self._refused: set[WorkloadKey] = set()
        self._built: dict[tuple[WorkloadKey, Source], str] = {}

    async def load(self, store: ObjectStore) -> None:
        """Read what policies say, and what was told before."""
        await self.rules.load(store)
        await self._telling.load()

    def seen(self, key: WorkloadKey, workload: Workload | None) -> bool:
        """Be told of a workload as it is now; whether it is to be looked at."""
        before = self.index.workloads.get(key)
        if before is not None and workload == replace(before, version=_version(workload)):
            self.index.workloads[key] = workload  # only what triggers do not look at has changed
            return False
        self.index.put(key, workload)
        if workload is None:
            self._refused.discard(key)
        return before is not None or workload is not None

    def missing(self, keys: Collection[WorkloadKey]) -> list[WorkloadKey]:
        """The workloads that are known and not among these."""
        kept = set(keys)
        return [each for each in self.index.workloads if each not in kept]

    def ruled(self, key: Key, body: bytes | None) -> list[WorkloadKey]:
        """Be told of a policy or an approval; the workloads to be looked at."""
        self.rules.put(key, body)
        return list(self.index.of_namespace(key.namespace))

    def regranted(self) -> list[WorkloadKey]:
        """Rights have changed; the workloads to be looked at."""
        return list(self._refused)

    def knows(self, stream: RepositoryName) -> bool:
        """Whether a change of the stream matters: somebody follows it, or did."""
        return self.index.follows(stream) or stream in self._named

    async def moved(self, stream: RepositoryName) -> set[WorkloadKey]:
        """A stream has changed; the workloads to be looked at."""
        if not self.index.follows(stream):
            self._forget(stream)
            return set()
        async with self._turn(stream):
            before = self._named.get(stream, {})
            tags = self._wanted(stream)
            after = await self._tags.named(stream, tags)
            self._named[stream], self._asked[stream] = after, tags
        different = {
            source.tag
            for source in before.keys() | after.keys()
            if before.get(source) != after.get(source)
        }
        return self.index.followers(stream, different)

    def _forget(self, stream: RepositoryName) -> None:
        for known in (self._named, self._asked, self._newest, self._turns):
            known.pop(stream, None)
        self._tags.forget(stream)

    def _wanted(self, stream: RepositoryName) -> set[str]:
        """The tags of a stream that triggers name, and those that policies chose last."""
        return {*self.index.tags(stream), *self._newest.get(stream, {}).values()}

    def _turn(self, stream: RepositoryName) -> asyncio.Lock:
        """Held while the tags of a stream are read, so that no read overtakes a later one."""
        return self._turns.setdefault(stream, asyncio.Lock())

    async def reconcile(self, key: WorkloadKey) -> float | None:
        """Look at one workload, and do what is to be done; when to look again by itself.

        Raises what `Targets` do, and ReportFailed.
        """
        known = self.index.workloads.get(key)
        if known is None:
            await self._telling.gone(key)
            return None
        workload = self._built_already(known)
        policies = self.rules.policies(workload)
        facts = await self._facts(workload, policies)
        decided = plan(workload, facts, self._clock())
        if decided.edits or decided.build:
            await self._do(workload, decided)
        hook = next((each.webhook for each in policies if each.reports and each.webhook), None)
        await self._telling.settle(self._targets, workload, decided, hook)
        return decided.again_at

    async def _do(self, workload: Workload, decided: Plan) -> None:
        try:
            if decided.edits:
                self.index.put(workload.key, await self._targets.write(workload, decided.edits))
            if decided.build:
                await self._targets.build(workload, decided.build)
                for each in decided.build:
                    self._built[workload.key, each.source] = each.last
        except TargetRefused as error:
            self._telling.refused(workload, decided.made, 403, str(error))
            raise
        self._telling.made(self._targets, workload, decided.made)

    def _built_already(self, workload: Workload) -> Workload:
        """With what builds were asked for, which the status of a BuildConfig says a bit later."""
        if not workload.builds:
            return workload
        builds = tuple(
            each._replace(last=self._built.get((workload.key, each.source), each.last))
            for each in workload.builds
        )
        return replace(workload, builds=builds)

    async def _facts(self, workload: Workload, policies: Sequence[Policy]) -> Facts:
        """What is to be known of a workload's tags; of those that name what it runs, nothing."""
        chosen: dict[tuple[Source, Selection | None], Chosen] = {}
        sought = list(selections(workload, policies))
        for stream in {source.stream for source, _ in sought}:
            selects = any(one.stream == stream and selection for one, selection in sought)
            self.index.select(workload.key, stream, selects=selects)
        for source, selection in sought:
            found = await self._chosen(source, selection)
            if found is not None:
                chosen[source, selection] = found
        facts = Facts(policies, chosen, approvals=self.rules.approvals(workload))
        if not _differs(plan(workload, facts, 0.0)):
            self._refused.discard(workload.key)
            return facts
        now = self._clock()
        return replace(
            facts,
            refused=await self._refusals(workload, {source for source, _ in chosen}),
            presence=await self._presence(workload, policies, chosen),
            gates={
                source: [
                    hold
                    for gate in self._gates
                    for hold in gate.holds(workload, found.source, found.candidate, now)
                ]
                for (source, _), found in chosen.items()
            },
        )

    async def _chosen(self, source: Source, selection: Selection | None) -> Chosen | None:
        if selection is None:
            candidate = await self._candidate(source)
            return None if candidate is None else Chosen(source, candidate)
        for _ in range(2):
            tag = await self._tags.newest(source.stream, selection)
            if tag is None:
                return None
            newest = self._newest.setdefault(source.stream, {})
            if len(newest) > SELECTIONS:
                newest.clear()
            newest[selection] = tag
            candidate = await self._candidate(Source(source.stream, tag))
            if candidate is not None:
                return Chosen(Source(source.stream, tag), candidate)
            self._tags.forget(source.stream)  # it is a stream of the same name, made anew
        return None

    async def _candidate(self, source: Source) -> Candidate | None:
        """What a tag names, as it was when its stream last changed."""
        stream = source.stream
        if source.tag not in self._asked.get(stream, ()):
            async with self._turn(stream):
                tags = {*self._wanted(stream), source.tag}
                if source.tag not in self._asked.get(stream, ()):
                    self._named[stream] = await self._tags.named(stream, tags)
                    self._asked[stream] = tags
        return self._named.get(stream, {}).get(source)

    async def _refusals(self, workload: Workload, sources: set[Source]) -> frozenset[Source]:
        refused = {each for each in sources if not await self._may_pull(workload, each.stream)}
        if refused:
            self._refused.add(workload.key)
        else:
            self._refused.discard(workload.key)
        return frozenset(refused)

    async def _presence(
        self,
        workload: Workload,
        policies: Sequence[Policy],
        chosen: Mapping[tuple[Source, Selection | None], Chosen],
    ) -> dict[tuple[Source, str], Presence]:
        wanted: dict[Source, set[str]] = {}
        for policy in policies:
            if policy.soak:
                for found in chosen.values():
                    tag = policy.soaks_in(found.source)
                    wanted.setdefault(tag, set()).add(found.candidate.digest)
        presence: dict[tuple[Source, str], Presence] = {}
        for tag, images in wanted.items():
            if not await self._may_pull(workload, tag.stream):
                continue  # nor is she told what was in there
            for image, known in (await self._tags.presence(tag, images)).items():
                presence[tag, image] = known
        return presence


def _differs(decided: Plan) -> bool:
    return bool(decided.made or decided.waiting)


def _version(workload: Workload | None) -> str:
    return "" if workload is None else workload.version
