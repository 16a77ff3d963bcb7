"""The port to where workloads are: kept by this server, or in a cluster.

Both implementations tell of every workload that has triggers, and of each change of one, and write
to what they told of, or not at all.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from tidegate.delivery.triggers.planning import Edit
from tidegate.delivery.triggers.workload import BuildTrigger, Workload, WorkloadKey


class Overtaken(Exception):
    """The workload is another than the one that was read, or it is gone."""


class TargetRefused(Exception):
    """The workload cannot be written as it is to be; the message is for its owner."""


class TargetUnavailable(Exception):
    """Nothing can be read or written just now."""


Seen = Callable[[WorkloadKey, Workload | None], None]
"""Told of a workload, or with None that there is none with triggers under that key (any more)."""


Synced = Callable[[str, set[WorkloadKey]], None]
"""Told of all workloads with triggers that there are of a resource, whenever they were all read."""


class Note(NamedTuple):
    """An event about a workload: `warns` for what somebody has to see to."""

    reason: str
    message: str
    warns: bool = False


class Targets(Protocol):
    """Where workloads are."""

    @property
    def resources(self) -> Collection[str]:
        """Those whose workloads are told of."""
        ...

    async def follow(self, seen: Seen, synced: Synced) -> None:
        """Tell of every workload, then of each change, until cancelled.

        When changes were missed all are read anew; what is not among them then is gone.
        """
        ...

    async def write(self, workload: Workload, edits: Sequence[Edit]) -> Workload | None:
        """Make these edits; the workload as it is then.

        It may have another version than the one that was told of, but must be as it was in all that
        triggers look at. Raises Overtaken, TargetRefused, TargetUnavailable.
        """
        ...

    async def read(self, key: WorkloadKey) -> bytes | None:
        """The object as it is now, as JSON; None when it is gone. Raises TargetUnavailable."""
        ...

    async def build(self, workload: Workload, builds: Sequence[BuildTrigger]) -> None:
        """Start a build of a BuildConfig; raises as `write`."""
        ...

    async def note(self, workload: Workload, note: Note) -> None:
        """Record an event about a workload, if that can be done; raises nothing of the above."""
        ...
