"""The rollouts that there are, as one process knows them. No I/O."""

from collections.abc import Iterable, Iterator

from tidegate.apimachinery.store import Change, Document, Key
from tidegate.auth.stored import read
from tidegate.delivery.rollouts.steps import Steps
from tidegate.delivery.triggers.workload import Source
from tidegate.kinds.rollout import ROLLOUTS


class Known:
    """By where they are, and by their streams."""

    def __init__(self) -> None:
        self._steps: dict[Key, Steps] = {}
        self._of_stream: dict[str, set[Key]] = {}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._steps)

    def get(self, key: Key) -> Steps | None:
        """One of them."""
        return self._steps.get(key)

    def reset(self, documents: Iterable[Document]) -> None:
        """These are all."""
        self._steps, self._of_stream = {}, {}
        for each in documents:
            self.put(each)

    def put(self, document: Document) -> Steps:
        """One is so now."""
        self._drop(document.key)
        steps = Steps(read(ROLLOUTS, document))
        self._steps[document.key] = steps
        self._of_stream.setdefault(steps.source.stream, set()).add(document.key)
        return steps

    def apply(self, change: Change) -> bool:
        """Be told of a change; False for one that is older than what is known."""
        known = self._steps.get(change.key)
        if known is not None and change.revision < known.revision:
            return False
        if change.after is None:
            self._drop(change.key)
        else:
            self.put(Document(change.key, "", change.revision, change.after))
        return True

    def _drop(self, key: Key) -> None:
        steps = self._steps.pop(key, None)
        if steps is not None:
            stream = self._of_stream[steps.source.stream]
            stream.discard(key)
            if not stream:
                del self._of_stream[steps.source.stream]

    def of_stream(self, stream: str) -> list[Key]:
        """Those of a stream's tags."""
        return list(self._of_stream.get(stream, ()))

    def governing(self, source: Source) -> Key | None:
        """The one of a tag: that which was made first."""
        found = [
            (self._steps[key].rollout.metadata.creation_timestamp, key)
            for key in self._of_stream.get(source.stream, ())
            if self._steps[key].source == source
        ]
        return min(found)[1] if found else None
