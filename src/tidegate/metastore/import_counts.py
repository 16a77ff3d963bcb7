"""How many imports went well and failed, of each registry: counters for metrics.

Of the whole registry, whichever process imported: a scrape meets one of many. Bookkeeping, written
in units that are not durable.
"""

from typing import NamedTuple

from tidegate.metastore.database import Database, Transaction

REGISTRIES = 500
"""Registries that are counted apart; tenants name them, so that there is an end to it."""

OTHERS = "others"


class ImportCount(NamedTuple):
    """So many imports; `reason` is empty for those that went well."""

    scheduled: bool
    registry: str
    reason: str
    number: int


EVERY = (
    "SELECT scheduled, registry, reason, count FROM import_counts"
    " ORDER BY scheduled, registry, reason"
)
_ADD = (
    "INSERT INTO import_counts (scheduled, registry, reason, count) VALUES (?, ?, ?, 1)"
    " ON CONFLICT (scheduled, registry, reason) DO UPDATE SET count = import_counts.count + 1"
)


def add(tx: Transaction, registry: str, reason: str, *, scheduled: bool) -> None:
    """Count an import."""
    key = (int(scheduled), registry, reason)
    known = tx.fetch(
        "SELECT 1 FROM import_counts WHERE scheduled = ? AND registry = ? AND reason = ?", key
    )
    if not known:
        ((count,),) = tx.fetch("SELECT count(*) FROM import_counts")
        key = key if count < REGISTRIES else (int(scheduled), OTHERS, reason)
    tx.execute(_ADD, key)


async def every(db: Database) -> list[ImportCount]:
    """All of them, in the order of their labels."""
    rows = await db.scan(EVERY)
    return [
        ImportCount(bool(scheduled), registry, reason, int(count))
        for scheduled, registry, reason, count in rows
    ]
