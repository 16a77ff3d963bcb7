"""How a tag tells that its import failed: the condition ImportSuccess (image-api 7.3, 9.1).

Its generation says as of which wish that is so. One that says the same already stays, so that a
tag which fails again and again is not written again and again.
"""

from collections.abc import Iterable

from tidegate.apimachinery.decoding.messages import Status
from tidegate.images.kinds.image_stream import IMPORT_SUCCESS, TagEventCondition, TagReference
from tidegate.observability.timestamp import rfc3339_seconds


def failed(status: Status, generation: int, now: float) -> TagEventCondition:
    """What a failure is to be told as."""
    return TagEventCondition(
        type=IMPORT_SUCCESS,
        status="False",
        last_transition_time=rfc3339_seconds(now),
        reason=status.reason,
        message=status.message or "unknown error prevented import",
        generation=generation,
    )


def is_said(
    said: Iterable[TagEventCondition], condition: TagEventCondition, spec: TagReference | None
) -> bool:
    """Whether that is told already, as of what is wanted of the tag now."""
    wanted = 0 if spec is None else spec.generation or 0
    return any(_same(each, condition) and each.generation >= wanted for each in said)


def _same(one: TagEventCondition, other: TagEventCondition) -> bool:
    first, second = ((each.type, each.status, each.reason, each.message) for each in (one, other))
    return first == second
