"""What a unit of work is to write of an import, and what it leaves behind: values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.apimachinery.store import Document
from tidegate.images.imports.picturing import Images
from tidegate.images.imports.planning import Outcome
from tidegate.images.streams.stream import Stream
from tidegate.oci.name import RepositoryName


class Refusals(Exception):
    """What rules keep from some tags; `why` has the text for each outcome, by its number."""

    def __init__(self, why: Mapping[int, str]) -> None:
        super().__init__()
        self.why = why


@dataclass(frozen=True, slots=True)
class Import:
    """Outcomes that are to be written to a stream; `images` has those of each, by its number.

    `uid` is that of the stream that was meant, if any; with `only_wanted` a tag is written that
    still wants what was looked for, and no stream is made. `attached` is False where signatures
    and the like are left out.
    """

    name: RepositoryName
    outcomes: Sequence[Outcome]
    images: Mapping[int, Images]
    new_uid: str
    uid: str = ""
    only_wanted: bool = False
    attached: bool = True


class Moved(NamedTuple):
    """A tag that names another image than before."""

    tag: str
    digest: str
    reference: str


class Applied(NamedTuple):
    """What a unit left behind: the stream as it is stored, and which tags name something else.

    `changed` are those of which something else is to be said than before.
    """

    document: Document
    stream: Stream
    moved: Sequence[Moved]
    changed: Collection[str]
    warnings: Sequence[str]
