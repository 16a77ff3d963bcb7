"""`/extensions/v2/metrics`: how much is stored, as Prometheus reads it, where OpenShift has it.

The figures are of the whole registry, out of its database, so that every process tells the same.
What is counted per request comes with the metrics of the processes.
"""

import time
from collections.abc import Callable

from tidegate import __version__
from tidegate.images import adoption
from tidegate.metastore import blobs, cached, usage
from tidegate.metastore.database import Database
from tidegate.registry import import_metrics, mirror_metrics, rollout_metrics, work_metrics
from tidegate.registry.exposition import Sample, Type, family
from tidegate.registry.response import Response

_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")

BUILD = ("imageregistry_build_info", Type.GAUGE, "The version that serves.")
PROJECTS = (
    "tidegate_project_storage_bytes",
    Type.GAUGE,
    "Bytes that a project holds alone, and that it shares with other projects.",
)
TOTALS = (
    ("tidegate_blobs", "Blobs whose bytes are stored, each once."),
    ("tidegate_blob_bytes", "Bytes of those blobs."),
    ("tidegate_manifests", "Manifests stored, each digest once."),
    ("tidegate_cached_blobs", "Copies of blobs of other registries."),
    ("tidegate_cached_blob_bytes", "Bytes of those copies."),
    ("tidegate_adoption_remaining_tags", "Tags of an older version that wait for their event."),
    ("tidegate_adoption_remaining_manifests", "Manifests of one that wait for their Image."),
)

_PAGE = 1000


class Metrics:
    """The metrics endpoint."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def show(self) -> Response:
        """GET: Prometheus' text format; it reads the table of blobs once."""
        totals = await blobs.totals(self._database)
        copies = await cached.totals(self._database)
        left = await adoption.remaining(self._database)
        lines = family(*BUILD, [({"gitVersion": __version__}, 1)])
        for (name, meaning), value in zip(TOTALS, (*totals, *copies, *left), strict=True):
            lines += family(name, Type.GAUGE, meaning, [({}, value)])
        lines += family(*PROJECTS, await self._projects())
        lines += await work_metrics.lines(self._database, self._clock())
        lines += await mirror_metrics.lines(self._database, self._clock())
        lines += await import_metrics.lines(self._database)
        lines += await rollout_metrics.lines(self._database)
        return Response(200, [_TEXT], "\n".join([*lines, ""]).encode())

    async def _projects(self) -> list[Sample]:
        """What each project holds; two samples for each, out of the sums that pushes keep."""
        samples: list[Sample] = []
        after = ""
        while page := await usage.every(self._database, after, _PAGE):
            for project, held in page:
                samples += [
                    ({"project": project, "kind": "alone"}, held.alone),
                    ({"project": project, "kind": "shared"}, held.shared),
                ]
            after = page[-1][0]
        return samples
