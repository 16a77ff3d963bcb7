"""`/extensions/v2/metrics`: how much is stored, as Prometheus reads it, where OpenShift has it.

The figures are of the whole registry, out of its database, so that every process tells the same.
What is counted per request comes with the metrics of the processes.
"""

from tidegate import __version__
from tidegate.images import adoption
from tidegate.metastore import blobs, cached, usage
from tidegate.metastore.database import Database
from tidegate.registry import import_metrics
from tidegate.registry.response import Response

_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")

_METRICS = (
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

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self) -> Response:
        """GET: Prometheus' text format; it reads the table of blobs once."""
        totals = await blobs.totals(self._database)
        copies = await cached.totals(self._database)
        left = await adoption.remaining(self._database)
        lines = [
            "# HELP imageregistry_build_info The version that serves.",
            "# TYPE imageregistry_build_info gauge",
            f'imageregistry_build_info{{gitVersion="{__version__}"}} 1',
        ]
        for (name, meaning), value in zip(_METRICS, (*totals, *copies, *left), strict=True):
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {value}"]
        lines += await self._projects()
        lines += await import_metrics.lines(self._database)
        return Response(200, [_TEXT], "\n".join([*lines, ""]).encode())

    async def _projects(self) -> list[str]:
        """What each project holds; two lines for each, out of the sums that pushes keep."""
        name = "tidegate_project_storage_bytes"
        meaning = "Bytes that a project holds alone, and that it shares with other projects."
        lines = [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        after = ""
        while page := await usage.every(self._database, after, _PAGE):
            for project, held in page:
                lines += [
                    f'{name}{{project="{project}",kind="alone"}} {held.alone}',
                    f'{name}{{project="{project}",kind="shared"}} {held.shared}',
                ]
            after = page[-1][0]
        return lines
