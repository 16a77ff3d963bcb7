"""Keeps the change log from growing without end; a watch from further back has to begin anew."""

from tidegate.controllers.turns import every
from tidegate.metastore import changes
from tidegate.metastore.database import Database

KEPT_CHANGES = 100_000
"""About 15 MB, and hours of pushes for whoever was away meanwhile."""

KEPT_BYTES = 256 * 1024 * 1024
"""Of documents before and after: a bound for whoever changes a large one again and again."""


async def compact_changes(database: Database, interval: float) -> None:
    """Every `interval` seconds drop what is beyond the bounds above; until cancelled."""
    await every(
        interval,
        "compacting the change log",
        lambda: changes.keep_newest(database, KEPT_CHANGES, KEPT_BYTES),
    )
