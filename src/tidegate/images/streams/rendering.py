"""An ImageStream as clients see it, out of its header and the rows of its tags: values to bytes.

    header      metadata, spec.lookupPolicy, spec.dockerImageRepository
    rows        spec.tags, status.tags: both sorted by tag
    hosts       status.dockerImageRepository and its public counterpart, and in front of references

What does not fit is left out, the tags that changed longest ago first, and said in an annotation
which is never stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from tidegate.apimachinery.documents.bodies import decoded
from tidegate.images.kinds.image_stream import TagEvent
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore.stream_tags import ShownTag
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.name import RepositoryName

SHOWN_BYTES = 8 * 1024 * 1024
"""Of a rendered stream: clients refuse a watch event of over 16 MiB."""

TAGS_OMITTED = "tidegate.io/tags-omitted"
"""How many tags the object leaves out; all of them are in the list of ImageTags."""

HISTORY_OMITTED = "tidegate.io/history-omitted"
"""How many events of tags the object leaves out; all of them are in the history of each."""

OMITTED = (TAGS_OMITTED, HISTORY_OMITTED)


class Heading(NamedTuple):
    """A stream whose header was read: which it is, as of which revision, and the header."""

    name: RepositoryName
    revision: int
    body: bytes


class Piece(NamedTuple):
    """One tag in wire JSON; None where nothing is wanted of it, or nothing happened to it."""

    tag: str
    spec: bytes | None
    history: bytes | None

    @property
    def size(self) -> int:
        """Bytes that it adds to an object."""
        return len(self.spec or b"") + len(self.history or b"") + 2


@dataclass(slots=True)
class Shown:
    """The tags of a stream that are shown, and how much is not."""

    pieces: list[Piece]
    tags_omitted: int = 0
    history_omitted: int = 0


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = "0"


class _Headed(msgspec.Struct):
    metadata: _Metadata


class _History(msgspec.Struct, omit_defaults=True):
    tag: str
    items: Sequence[TagEvent]
    conditions: msgspec.Raw | None = None


class _Repositories(msgspec.Struct, rename="camel", omit_defaults=True):
    docker_image_repository: str = ""
    public_docker_image_repository: str = ""


class _WithoutHistory(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    metadata: msgspec.Raw
    spec: msgspec.Raw
    status: _Repositories


_HEADED = msgspec.json.Decoder(_Headed)
_WITHOUT_HISTORY = msgspec.json.Decoder(_WithoutHistory)


def heading(body: bytes) -> Heading:
    """Which stream a header, or a whole object, is of."""
    read = _HEADED.decode(body).metadata
    return Heading(
        RepositoryName(f"{read.namespace}/{read.name}"), int(read.resource_version), body
    )


def without_history(body: bytes) -> bytes:
    """A stream without what its tags named, which is most of a large one."""
    return msgspec.json.encode(_WITHOUT_HISTORY.decode(body))


def pieces_of(shown: Iterable[ShownTag], hosts: Hosts) -> list[Piece]:
    """Tags as they are put into an object."""
    return [_piece(each, hosts) for each in shown]


def _piece(shown: ShownTag, hosts: Hosts) -> Piece:
    row = shown.row
    history = None
    if shown.events or row.conditions:
        items = [
            TagEvent(
                created=rfc3339_seconds(event.created_at),
                docker_image_reference=hosts.shown(event.reference),
                image=event.image,
                generation=event.generation,
            )
            for event in shown.events
        ]
        conditions = msgspec.Raw(row.conditions) if row.conditions else None
        history = msgspec.json.encode(_History(row.name, items, conditions))
    return Piece(row.name, row.spec.encode() if row.spec is not None else None, history)


def fitting(pieces: Sequence[Piece], room: int) -> tuple[int, int]:
    """How many of the pieces, from the first, have room, and how much room is left then."""
    for number, piece in enumerate(pieces):
        if piece.size > room:
            return number, room
        room -= piece.size
    return len(pieces), room


def composed(header: Heading, shown: Shown, hosts: Hosts) -> bytes:
    """The wire JSON of a stream."""
    values = decoded(header.body)
    spec: dict[str, Any] = values.setdefault("spec", {})
    status: dict[str, Any] = {}
    values["status"] = status
    repository = hosts.repository(header.name) or spec.get("dockerImageRepository", "")
    status["dockerImageRepository"] = repository
    if public := hosts.public_repository(header.name):
        status["publicDockerImageRepository"] = public
    ordered = sorted(shown.pieces)
    spec["tags"] = [msgspec.Raw(each.spec) for each in ordered if each.spec is not None]
    status["tags"] = [msgspec.Raw(each.history) for each in ordered if each.history is not None]
    for part in (spec, status):
        if not part["tags"]:
            del part["tags"]
    _annotate(values["metadata"], shown)
    return msgspec.json.encode(values)


def _annotate(metadata: dict[str, Any], shown: Shown) -> None:
    said = {TAGS_OMITTED: shown.tags_omitted, HISTORY_OMITTED: shown.history_omitted}
    for key, number in said.items():
        if number:
            metadata.setdefault("annotations", {})[key] = str(number)
