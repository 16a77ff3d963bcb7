"""What a project is told of runs of its Mirrors: one failed, is well again, or deleted tags.

Decides only; `object_events` writes, seldom enough.
"""

from tidegate.apimachinery.store import Key
from tidegate.controllers.object_events import NORMAL, WARNING, Happened
from tidegate.delivery.mirrors.mirroring import Ran
from tidegate.delivery.mirrors.shown import Reason, said, state_of
from tidegate.kinds.mirror import MIRROR, Mirror

COMPONENT = "tidegate-mirror"

FAILED, RECOVERED, DELETED = "MirrorFailed", "MirrorRecovered", "TagsDeleted"


def happenings(mirror: Mirror, ran: Ran | None, error: str, times: int) -> list[Happened]:
    """What is to be told of a run of the Mirror as it was before.

    Without `ran` nothing could begin, and `error` says why; it is the `times`th run in a row,
    where runs fail.
    """
    if ran is None or ran.failed:
        message = error if ran is None else said(ran)
        return [_happened(mirror, WARNING, FAILED, message, times)]
    found = []
    if state_of(mirror.status) == Reason.FAILED:
        found.append(_happened(mirror, NORMAL, RECOVERED, said(ran)))
    if ran.deleted:
        tags = "1 tag" if ran.deleted == 1 else f"{ran.deleted} tags"
        message = f"{tags} deleted from {mirror.spec.target.stream}: the source has them no more"
        found.append(_happened(mirror, NORMAL, DELETED, message))
    return found


def _happened(mirror: Mirror, type_: str, reason: str, message: str, times: int = 1) -> Happened:
    metadata = mirror.metadata
    return Happened(
        Key(MIRROR.key, metadata.namespace, metadata.name),
        MIRROR.kind,
        f"{MIRROR.group}/{MIRROR.version}",
        COMPONENT,
        reason,
        message,
        type_,
        times,
    )
