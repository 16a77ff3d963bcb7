"""ResourceQuotas of streams and of bytes: what a project may hold in all (image-api section 11).

    openshift.io/imagestreams, count/imagestreams.image.openshift.io    streams
    tidegate.io/storage             bytes of blobs and manifests (`metastore/usage.py`)

Whoever adds nothing is not refused, however much there is already: a quota may have become smaller.
Quotas with scopes are about pods. The texts are the original's, clients look for them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.streams.errors import QuotaExceeded
from tidegate.kinds.quantity import BINARY, NANO, Quantity, parse_quantity
from tidegate.metastore import document_rows, usage
from tidegate.metastore.database import Transaction

STREAMS = ("count/imagestreams.image.openshift.io", "openshift.io/imagestreams")
STORAGE = "tidegate.io/storage"

COUNTED = frozenset({*STREAMS, STORAGE})
"""All that is counted, and refused when it is too much."""


class _Metadata(msgspec.Struct):
    name: str = ""


class _Spec(msgspec.Struct, rename="camel"):
    hard: dict[str, str | int | float] | None = None
    scopes: list[str] | None = None
    scope_selector: dict[str, Any] | None = None


class _Quota(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)


_QUOTA = msgspec.json.Decoder(_Quota)


def _hard(quota: _Quota) -> dict[str, Quantity]:
    """The limits of what is counted here."""
    if quota.spec.scopes or quota.spec.scope_selector is not None:
        return {}
    hard = quota.spec.hard or {}
    return {name: parse_quantity(amount) for name, amount in hard.items() if name in COUNTED}


def hard_of(body: bytes) -> dict[str, Quantity]:
    """The limits of a quota that are enforced here."""
    return _hard(_QUOTA.decode(body))


def amount(resource: str, count: int) -> Quantity:
    """How much there is of a resource, as quotas write it."""
    return Quantity(count * NANO, BINARY) if resource == STORAGE else Quantity(count * NANO)


def check_new_stream(tx: Transaction, project: str, quotas: Sequence[bytes]) -> None:
    """Raise `QuotaExceeded` where one more stream is one too many; before there is one more."""
    if any(name in hard_of(body) for body in quotas for name in STREAMS):
        used = document_rows.count(tx, IMAGE_STREAMS.key, project)
        _check(quotas, dict.fromkeys(STREAMS, used), dict.fromkeys(STREAMS, 1))


def held(tx: Transaction, project: str, quotas: Sequence[bytes]) -> int:
    """Bytes that the project holds before a unit adds some; 0 where no quota limits them."""
    if not any(STORAGE in hard_of(body) for body in quotas):
        return 0
    return usage.of(tx, project).total


def check_storage(tx: Transaction, project: str, quotas: Sequence[bytes], before: int) -> None:
    """Raise `QuotaExceeded` where the project holds more bytes than it may, and than `before`.

    Among the last that a unit does: it counts all that the unit added.
    """
    added = held(tx, project, quotas) - before
    if added > 0:
        _check(quotas, {STORAGE: before}, {STORAGE: added})


def check_return(tx: Transaction, project: str, quotas: Sequence[bytes], size: int) -> None:
    """Raise `QuotaExceeded` where `size` bytes that come back are more than the project may hold.

    For a stream that comes back: its bytes are counted after it, a little at a time.
    """
    if size > 0:
        _check(quotas, {STORAGE: held(tx, project, quotas)}, {STORAGE: size})


def _check(quotas: Sequence[bytes], used: Mapping[str, int], requested: Mapping[str, int]) -> None:
    for body in quotas:
        quota = _QUOTA.decode(body)
        hard = _hard(quota)
        over = [
            name
            for name in sorted(requested)
            if name in hard and amount(name, used[name] + requested[name]) > hard[name]
        ]
        if over:
            raise QuotaExceeded(
                f"exceeded quota: {quota.metadata.name},"
                f" requested: {_listed({name: amount(name, requested[name]) for name in over})},"
                f" used: {_listed({name: amount(name, used[name]) for name in over})},"
                f" limited: {_listed({name: hard[name] for name in over})}"
            )


def _listed(amounts: Mapping[str, Quantity]) -> str:
    return ",".join(f"{name}={value}" for name, value in amounts.items())
