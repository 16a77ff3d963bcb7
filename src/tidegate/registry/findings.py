"""What a verification is asked for, and what it finds; see `verification`."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from tidegate.oci.digest import Digest


class Fault(StrEnum):
    """What can be wrong; `verification` says what a repair does about it."""

    CORRUPT = "corrupt"
    UNREADABLE = "unreadable"
    MISSING = "missing"
    BACK = "back"
    WRONG_SIZE = "wrong-size"
    MANIFEST_CORRUPT = "manifest-corrupt"
    INCOMPLETE = "incomplete"
    USAGE = "usage"
    DISAGREEMENT = "disagreement"
    COPY = "copy-corrupt"


class Problem(NamedTuple):
    """One thing that is wrong, and whether it has been repaired; of a project without digest."""

    fault: Fault
    digest: Digest | None
    detail: str
    repaired: bool


@dataclass(frozen=True, slots=True)
class Order:
    """What to verify: `sample` percent of the blobs are hashed, all are looked for.

    Uploads without a session that have not changed since `stale_before` (epoch seconds) are
    leftovers. `sparse` says that manifests may name blobs which are not there.
    """

    repair: bool
    sample: float
    stale_before: float
    sparse: bool = False


@dataclass(slots=True)
class Findings:
    """What there is, and what is wrong with it."""

    blobs: int = 0
    bytes: int = 0
    hashed_blobs: int = 0
    hashed_bytes: int = 0
    manifests: int = 0
    incomplete: int = 0
    unlinked_blobs: int = 0
    unlinked_bytes: int = 0
    stale_uploads: int = 0
    stale_bytes: int = 0
    copies: int = 0
    copy_bytes: int = 0
    problems: list[Problem] = field(default_factory=list)


class Progress(Protocol):
    """Who is told how far the verification has come."""

    def begin(self, step: str, total: int) -> None:
        """A step starts, in which `total` is expected."""

    def advance(self, count: int) -> None:
        """So much more is done."""
