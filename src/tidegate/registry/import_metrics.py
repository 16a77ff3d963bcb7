"""Imports in Prometheus' text format, under the names that OpenShift's controller has for them.

    openshift_imagestreamcontroller_success_count{scheduled="true",registry="quay.io"}
    openshift_imagestreamcontroller_error_count{scheduled="true",registry="quay.io",reason="NotFound"}

Counted in the database, as any process may have imported; those that clients ask for are not in it.
"""

from collections.abc import Iterable

from tidegate.metastore import import_counts
from tidegate.metastore.database import Database
from tidegate.metastore.import_counts import ImportCount
from tidegate.registry.exposition import Sample, Type, family

SUCCESSES = "openshift_imagestreamcontroller_success_count"
ERRORS = "openshift_imagestreamcontroller_error_count"

FAMILIES = (
    (SUCCESSES, "Imports of tags that went well, by nobody's request."),
    (ERRORS, "Imports of tags that failed, by nobody's request."),
)


async def lines(database: Database) -> list[str]:
    """The lines of both counters."""
    return shown(await import_counts.every(database))


def shown(counts: Iterable[ImportCount]) -> list[str]:
    """The lines for these counts."""
    found: dict[str, list[Sample]] = {SUCCESSES: [], ERRORS: []}
    for each in counts:
        labels = {"scheduled": str(each.scheduled).lower(), "registry": each.registry}
        if each.reason:
            labels["reason"] = each.reason
        found[ERRORS if each.reason else SUCCESSES].append((labels, each.number))
    return [
        line
        for name, meaning in FAMILIES
        for line in family(name, Type.COUNTER, meaning, found[name])
    ]
