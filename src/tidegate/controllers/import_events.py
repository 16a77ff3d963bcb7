"""Says in a project's events which imports fail: one Event for a stream and a reason."""

from collections.abc import Callable
from typing import NamedTuple

from tidegate.apimachinery.store import ObjectStore
from tidegate.controllers.object_events import Happened, ObjectEvents
from tidegate.images.kinds.group import API_VERSION
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.streams.stream import key_of
from tidegate.oci.name import RepositoryName

COMPONENT = "tidegate-importer"
FAILED = "ImportFailed"


class Failure(NamedTuple):
    """An import that failed; `attempts` in a row so far."""

    stream: RepositoryName
    tag: str
    reason: str
    message: str
    attempts: int = 1


class ImportEvents:
    """The events of imports; `clock` gives epoch seconds, `new_uid` a uid."""

    def __init__(
        self, store: ObjectStore, clock: Callable[[], float], new_uid: Callable[[], str]
    ) -> None:
        self._events = ObjectEvents(store, clock, new_uid)

    async def report(self, failure: Failure) -> None:
        """Tell of a failure, unless that was done a short while ago."""
        await self._events.report(_happened(failure))


def _happened(failure: Failure) -> Happened:
    message = f"{failure.tag}: {failure.message}" if failure.tag else failure.message
    return Happened(
        key_of(failure.stream),
        IMAGE_STREAMS.kind,
        API_VERSION,
        COMPONENT,
        FAILED,
        message,
        times=failure.attempts,
        sort=failure.reason,
    )
