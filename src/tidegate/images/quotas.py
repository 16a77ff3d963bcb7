"""ResourceQuotas of streams and of bytes (image-api section 11)."""

from collections.abc import Sequence

from tidegate.metastore.database import Transaction


def check_new_stream(tx: Transaction, project: str, quotas: Sequence[bytes]) -> None:
    """Raise `QuotaExceeded` where one more stream is one too many."""


def check_storage(tx: Transaction, project: str, quotas: Sequence[bytes]) -> None:
    """Raise `QuotaExceeded` where the project holds more bytes than it may."""
