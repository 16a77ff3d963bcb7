"""Has gates looked at beside everything else, so that a gate that hangs keeps only its own rollout.

A look belongs to the step, the image and the gate for which it began, and counts for nothing else.
A process that dies forgets what was under way, and another looks anew.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakValueDictionary

from tidegate.apimachinery.store import Key
from tidegate.delivery.rollouts.facts import Look
from tidegate.delivery.triggers.workload import Workload
from tidegate.kinds.rollout import Rollout
from tidegate.kinds.rollout_gates import RolloutGate

AT_ONCE = 128
"""Looks of one process at the same time."""
OF_PROJECT = 8
"""Of these those of one project: gates that hang delay no others' rollouts."""


class Looks(Protocol):
    """What looks once: `looking.Looking`."""

    async def look(self, gate: RolloutGate, workloads: Sequence[Workload]) -> Look: ...


@dataclass(frozen=True, slots=True)
class _Round:
    """What is under way for one step of one rollout."""

    of: tuple[object, ...]
    tasks: dict[str, tuple[RolloutGate, "asyncio.Task[Look]"]] = field(default_factory=dict)

    def cancel(self) -> None:
        for _, task in self.tasks.values():
            task.cancel()


class Lookout:
    """For one event loop; `ready` is told of a rollout whose looks are all done."""

    def __init__(self, looks: Looks, ready: Callable[[Key], None]) -> None:
        self._looks = looks
        self._ready = ready
        self._rounds: dict[Key, _Round] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._projects: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def seen(
        self, key: Key, rollout: Rollout, due: Sequence[RolloutGate], workloads: Sequence[Workload]
    ) -> dict[str, Look]:
        """What was seen of the gates that are due; has the others looked at."""
        status = rollout.status
        of = (rollout.metadata.uid, status.target, status.step, status.step_updated)
        known = self._rounds.get(key)
        if known is None or known.of != of:
            self.forget(key)
            known = self._rounds[key] = _Round(of)
        found = {}
        for gate in due:
            begun, task = known.tasks.get(gate.name, (None, None))
            if task is not None and begun == gate:
                if task.done():
                    del known.tasks[gate.name]
                    found[gate.name] = task.result()
                continue
            if task is not None:
                task.cancel()
            look = asyncio.ensure_future(self._look(key, gate, workloads))
            known.tasks[gate.name] = (gate, look)
            look.add_done_callback(lambda _: self._done(key, known))
        return found

    def forget(self, key: Key) -> None:
        """End what is under way for a rollout."""
        known = self._rounds.pop(key, None)
        if known is not None:
            known.cancel()

    def close(self) -> None:
        """End everything."""
        for key in list(self._rounds):
            self.forget(key)

    async def _look(self, key: Key, gate: RolloutGate, workloads: Sequence[Workload]) -> Look:
        project = self._projects.get(key.namespace)
        if project is None:
            project = self._projects[key.namespace] = asyncio.Semaphore(OF_PROJECT)
        async with project, self._places:
            return await self._looks.look(gate, workloads)

    def _done(self, key: Key, known: _Round) -> None:
        if self._rounds.get(key) is known and all(each.done() for _, each in known.tasks.values()):
            self._ready(key)
