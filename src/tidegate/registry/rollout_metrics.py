"""Rollouts by phase, in Prometheus' text format.

Of all projects together: an alert says that there is something to see to, `kubectl get rollouts -A`
says where.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from tidegate.kinds.rollout import PHASES, ROLLOUTS
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.registry.exposition import Type, family

PHASE = ("tidegate_rollouts", "Rollouts of image tags by how they go.")

_PAGE = 500


class _Status(msgspec.Struct):
    phase: str = ""


class _Rollout(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


async def lines(database: Database) -> list[str]:
    """The lines of the gauge; it reads all Rollouts, page by page."""
    store, counts = Documents(database), Counter[str]()
    after: tuple[str, str] | None = None
    while True:
        listing = await store.list(ROLLOUTS.key, after=after, limit=_PAGE)
        for each in listing.documents:
            counts[msgspec.json.decode(each.body, type=_Rollout).status.phase] += 1
        if not listing.more:
            return shown(counts)
        after = listing.documents[-1].key[1:]


def shown(counts: Mapping[str, int]) -> list[str]:
    """The lines for these counts; a phase that none is in is 0, so that an alert has its line."""
    name, meaning = PHASE
    samples = [({"phase": each}, counts.get(each, 0)) for each in PHASES]
    return family(name, Type.GAUGE, meaning, samples)
