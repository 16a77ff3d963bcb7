"""What can go wrong in the metadata database, in words that name no engine.

A driver turns its engine's exceptions into these and chains the original as the cause.
"""


class MetastoreError(Exception):
    """The metadata database could not do what was asked."""


class MetastoreFull(MetastoreError):
    """No space is left for the database; nothing of the unit was kept, reads go on."""


class MetastoreBusy(MetastoreError):
    """Too much is waiting to be written, or a lock stayed taken; worth another try later."""


class MetastoreUnavailable(MetastoreError):
    """The database cannot be reached or read; a write may or may not have been kept."""


OUTAGES = (MetastoreFull, MetastoreBusy, MetastoreUnavailable)
"""What is no fault of ours and passes: worth a line in the log, and another try."""


class SchemaNewer(MetastoreError):
    """The database was made by a newer tidegate, which this one must not touch."""


class SchemaOlder(MetastoreError):
    """The database lacks tables of this version: migrate it first."""
