"""LimitRanges of images and streams (image-api section 11)."""

from collections.abc import Sequence

from tidegate.metastore.database import Transaction


def check_image(size: int, limit_ranges: Sequence[bytes]) -> None:
    """Raise `LimitExceeded` for an image of more bytes than the smallest limit allows."""


def check_stream(tx: Transaction, repository_id: int, limit_ranges: Sequence[bytes]) -> None:
    """Raise `LimitExceeded` for a stream with more images or tags than the smallest limit."""
