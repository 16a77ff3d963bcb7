"""Mirrors in Prometheus' text format: how they go, who is late, and what their last runs moved.

By project, as storage is, and no further: `kubectl get mirrors -n PROJECT` says which one it is.
Out of the Mirrors themselves, so that a Mirror that is deleted leaves nothing behind.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from tidegate.apimachinery.durations import epoch_seconds
from tidegate.kinds.durations import seconds_of
from tidegate.kinds.mirror import MIRROR, STATES, Mirror, state
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.registry.exposition import Type, family

MIRRORS = ("tidegate_mirrors", "Mirrors by how they go.")
LATE = (
    "tidegate_mirrors_late",
    "Mirrors that have not copied everything for more than two of their periods.",
)
AGE = (
    "tidegate_mirror_success_age_seconds",
    "For how long the Mirror with a period that waits longest has not copied everything.",
)
IMAGES = ("tidegate_mirror_run_images", "Images of the Mirrors' last runs, by what came of them.")
BYTES = ("tidegate_mirror_run_bytes", "Bytes that the Mirrors' last runs sent.")

FAMILIES = (MIRRORS, LATE, AGE, IMAGES, BYTES)

RESULTS = ("copied", "unchanged", "failed", "deleted")

_PAGE = 500
_MIRROR = msgspec.json.Decoder(Mirror)


@dataclass(slots=True)
class _Project:
    """The Mirrors of one; `age` is None where none has a period."""

    late: int = 0
    age: float | None = None
    images: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    def add(self, mirror: Mirror, now: float) -> None:
        run = mirror.status.last_run
        if run is not None:
            self.images.update({each: getattr(run, each) for each in RESULTS})
            self.sent += run.sent_bytes
        if not mirror.spec.every or mirror.spec.suspend:
            return
        since = mirror.status.last_success or mirror.metadata.creation_timestamp
        age = max(now - epoch_seconds(since), 0) if since else 0
        self.age = max(self.age or 0, age)
        self.late += age > 2 * seconds_of(mirror.spec.every)


async def lines(database: Database, now: float) -> list[str]:
    """The lines of all of them; it reads all Mirrors, page by page. `now` in epoch seconds."""
    store, figures = Documents(database), Figures(now)
    after: tuple[str, str] | None = None
    while True:
        listing = await store.list(MIRROR.key, after=after, limit=_PAGE)
        figures.add(_MIRROR.decode(each.body) for each in listing.documents)
        if not listing.more:
            return figures.lines()
        after = listing.documents[-1].key[1:]


class Figures:
    """Sums over Mirrors."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._states: Counter[str] = Counter()
        self._projects: dict[str, _Project] = {}

    def add(self, mirrors: Iterable[Mirror]) -> None:
        """Count these, too."""
        for each in mirrors:
            self._states[state(each)] += 1
            project = self._projects.setdefault(each.metadata.namespace, _Project())
            project.add(each, self._now)

    def lines(self) -> list[str]:
        """The lines for what was counted; a state that none is in is 0."""
        named = [({"project": name}, each) for name, each in self._projects.items()]
        paced = [(labels, each, each.age) for labels, each in named if each.age is not None]
        samples = (
            [({"state": each}, self._states[each]) for each in STATES],
            [(labels, each.late) for labels, each, _ in paced],
            [(labels, int(age)) for labels, _, age in paced],
            [
                ({**labels, "result": result}, each.images[result])
                for labels, each in named
                for result in RESULTS
            ],
            [(labels, each.sent) for labels, each in named],
        )
        return [
            line
            for (name, meaning), found in zip(FAMILIES, samples, strict=True)
            for line in family(name, Type.GAUGE, meaning, found)
        ]
