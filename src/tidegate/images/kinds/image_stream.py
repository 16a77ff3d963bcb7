"""ImageStream: a repository as the API sees it, its tags and the history of each.

    spec.tags    what each tag is to point to; written by users
    status.tags  what each tag has pointed to, newest first; written by pushes, imports and copies

Both are sorted by tag. Rules that need other streams, the caller or the cluster are not here.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.names import path_segment_faults
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.images.kinds.durations import ago
from tidegate.images.kinds.group import GROUP, VERSION
from tidegate.images.kinds.image_stream_layers import ImageStreamLayers
from tidegate.images.kinds.secret_list import SecretList
from tidegate.images.kinds.tag_reference import (
    LEGACY,
    TagImportPolicy,
    TagReference,
    TagReferencePolicy,
    default_tag,
    pull_spec_fault,
    tag_faults,
)
from tidegate.oci.name import NAME_LIMIT
from tidegate.oci.pull_spec import PullSpec

__all__ = [
    "IMAGE_STREAMS",
    "IMPORT_SUCCESS",
    "ImageLookupPolicy",
    "ImageStream",
    "ImageStreamSpec",
    "ImageStreamStatus",
    "NamedTagEventList",
    "ObjectReference",
    "TagEvent",
    "TagEventCondition",
    "TagImportPolicy",
    "TagReference",
    "TagReferencePolicy",
    "prepare_stream",
    "shown_repository",
    "shown_tags",
    "stream_faults",
    "stream_name_fault",
]

IMPORT_SUCCESS = "ImportSuccess"
"""The one condition of a tag: whether its last import went well."""

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of a whole stream: twice what is shown of one, and written back."""

VALUES_OF_STATUS = 1_000_000
"""JSON values of a stream whose status is written back: those of all that is shown."""

_RULE = "[a-z0-9]+(?:[._-][a-z0-9]+)*"
_NAME = re.compile(_RULE, re.ASCII)

_CONTROLS = "may not contain control characters"

_WIDTH = 40
"""Characters of the names of tags in a table; the last may go beyond by a quarter."""


class ImageLookupPolicy(Wire):
    """Where the stream's name means its images."""

    local: Annotated[
        bool, doc("Whether workloads of the namespace may use the stream's name as an image.")
    ] = field(default_factory=bool)


class ImageStreamSpec(Wire):
    """What the tags of a stream are to point to."""

    lookup_policy: Annotated[
        ImageLookupPolicy, doc("Where the stream's name means its images.")
    ] = field(default_factory=ImageLookupPolicy)
    docker_image_repository: Annotated[
        str, doc("A repository to import whole; deprecated, use tags.")
    ] = ""
    tags: Annotated[list[TagReference], doc("What each tag is to point to.", merge_key="name")] = (
        field(default_factory=list)
    )


class TagEvent(Wire):
    """What a tag pointed to from a moment on."""

    created: Annotated[Time, doc("When the tag was pointed to this.")] = ""
    docker_image_reference: Annotated[str, doc("The pull spec of it.")] = field(default_factory=str)
    image: Annotated[str, doc("The name of the Image; empty if it was not imported.")] = field(
        default_factory=str
    )
    generation: Annotated[int, doc("The generation of the tag that led to this.")] = field(
        default_factory=int
    )


class TagEventCondition(Wire):
    """What is to be said of a tag, as that its import failed."""

    type: Annotated[str, doc("What is said; only ImportSuccess is known.")]
    status: Annotated[str, doc("True, False or Unknown.")]
    last_transition_time: Annotated[Time, doc("Since when it is so.")] = ""
    reason: Annotated[str, doc("Why, in one word.")] = ""
    message: Annotated[str, doc("Why, for people.")] = ""
    generation: Annotated[int, doc("The generation of the tag that this is about.")] = field(
        default_factory=int
    )


class NamedTagEventList(Wire):
    """The history of a tag."""

    tag: Annotated[str, doc("Name of the tag.")]
    items: Annotated[list[TagEvent], doc("What it pointed to, the newest first.")] = field(
        default_factory=list
    )
    conditions: Annotated[list[TagEventCondition], doc("What is to be said of it.")] = field(
        default_factory=list
    )


class ImageStreamStatus(Wire):
    """Where the repository of a stream is, and what its tags pointed to."""

    docker_image_repository: Annotated[
        str, doc("The repository as workloads of the cluster pull from it.")
    ] = field(default_factory=str)
    public_docker_image_repository: Annotated[
        str, doc("The repository as everybody else pulls from it.")
    ] = ""
    tags: Annotated[list[NamedTagEventList], doc("The history of each tag.", merge_key="tag")] = (
        field(default_factory=list)
    )


class ImageStream(Object):
    """ImageStream names images by tags, keeps each tag's history, and is pushed to and pulled from.

    A tag is fed by pushes, or points to an image of another registry or stream. The stream of
    NAMESPACE/NAME is the repository NAMESPACE/NAME of the registry.
    """

    spec: Annotated[ImageStreamSpec, doc("What the tags are to point to.")] = field(
        default_factory=ImageStreamSpec
    )
    status: Annotated[ImageStreamStatus, doc("What they have pointed to; set by the server.")] = (
        field(default_factory=ImageStreamStatus)
    )


def stream_name_fault(name: str) -> str | None:
    """What is wrong with the name of a stream, in the original's words."""
    if faults := path_segment_faults(name):
        return faults[0]
    return None if _NAME.fullmatch(name) else f'must match "{_RULE}"'


def prepare_stream(new: ImageStream, old: ImageStream | None, mode: str = LEGACY) -> None:
    """Defaults, and tags in order; of two tags of one name the last counts.

    What a user may not write depends on the endpoint, and is not decided here. `mode` is the
    server's import mode.
    """
    by_name = {each.name: each for each in new.spec.tags}
    before = {} if old is None else {each.name: each for each in old.spec.tags}
    new.spec.tags = [by_name[name] for name in sorted(by_name)]
    for each in new.spec.tags:
        default_tag(each, mode, before.get(each.name))


def stream_faults(new: ImageStream) -> list[FieldError]:
    """What is wrong with a stream, as far as it alone says."""
    meta = new.metadata
    faults = []
    if len(f"{meta.namespace}/{meta.name}") > NAME_LIMIT:
        why = f"'namespace/name' cannot be longer than {NAME_LIMIT} characters"
        faults.append(invalid("metadata.name", meta.name, why))
    faults += _repository_faults(new.spec.docker_image_repository)
    for tag in new.spec.tags:
        faults += tag_faults(tag, f"spec.tags[{tag.name}]")
    for history in new.status.tags:
        if not history.tag.isprintable():
            faults.append(invalid("status.tags.tag", history.tag, _CONTROLS))
        faults += _event_faults(history)
    return faults


def _repository_faults(repository: str) -> list[FieldError]:
    path = "spec.dockerImageRepository"
    if not repository:
        return []
    if why := pull_spec_fault(repository):
        return [invalid(path, repository, why)]
    spec = PullSpec.parse(repository)
    written = {"a tag": spec.tag, "an ID": spec.id}
    return [
        invalid(path, repository, f"the repository name may not contain {what}")
        for what, value in written.items()
        if value
    ]


def _event_faults(history: NamedTagEventList) -> list[FieldError]:
    faults = []
    for number, event in enumerate(history.items):
        path = f"status.tags[{history.tag}].items[{number}].dockerImageReference"
        # of this registry; its host is put in front when the stream is shown
        reference = event.docker_image_reference.removeprefix("/")
        if not reference:
            faults.append(required(path))
        elif why := pull_spec_fault(reference):
            faults.append(invalid(path, event.docker_image_reference, why))
        if not event.image.isprintable():
            path = f"status.tags[{history.tag}].items[{number}].image"
            faults.append(invalid(path, event.image, _CONTROLS))
    return faults


def _validate(new: ImageStream, _old: ImageStream | None) -> Sequence[FieldError]:
    return stream_faults(new)


def shown_repository(stream: ImageStream) -> str:
    """The repository that a table shows: the one that most people can use."""
    status = stream.status
    return (
        status.public_docker_image_repository
        or stream.spec.docker_image_repository
        or status.docker_image_repository
    )


def shown_tags(histories: Iterable[NamedTagEventList]) -> str:
    """The names of the tags as far as they fit in a column, the newest first."""
    by_name = sorted(histories, key=lambda each: each.tag)
    newest = sorted(by_name, key=_changed, reverse=True)
    names = [each.tag for each in newest]
    shown = names[: _fitting(names)]
    hidden = len(names) - len(shown)
    return ",".join(shown) + (f" + {hidden} more..." if hidden else "")


def _fitting(names: Sequence[str]) -> int:
    """How many names are shown: at least one, and one that is cut off less ragged than left out."""
    margin = _WIDTH // 4
    left = _WIDTH
    for number, name in enumerate(names):
        left -= len(name) + 1
        if left >= 0:
            continue
        if number == 0:
            return 1
        if not (margin < left + len(name) and margin >= -left):
            return number
    return len(names)


def _changed(history: NamedTagEventList) -> str:
    """When a tag last changed; times are all written in one form, which sorts as text."""
    return history.items[0].created if history.items else ""


def _updated(stream: ImageStream, now: float) -> str:
    return ago(max((_changed(each) for each in stream.status.tags), default=""), now)


IMAGE_STREAMS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageStream",
    plural="imagestreams",
    type=ImageStream,
    namespaced=True,
    short_names=("is",),
    categories=("all",),
    age=False,
    columns=(
        Column(
            "Image Repository",
            lambda each, _now: shown_repository(each),
            "The repository that images are pulled from.",
        ),
        Column("Tags", lambda each, _now: shown_tags(each.status.tags), "The newest tags."),
        Column("Updated", _updated, "When a tag last changed."),
    ),
    fields={
        "spec.dockerImageRepository": lambda each: each.spec.docker_image_repository,
        "status.dockerImageRepository": lambda each: each.status.docker_image_repository,
    },
    strategy=Strategy(
        name_fault=stream_name_fault,
        prepare=prepare_stream,
        validate=_validate,
        size_limit=SIZE_LIMIT,
    ),
    subresources={
        "layers": Subresource(
            verbs=("get",),
            kind="ImageStreamLayers",
            type=ImageStreamLayers,
            group=GROUP,
            version=VERSION,
        ),
        "secrets": Subresource(
            verbs=("get",), kind="SecretList", type=SecretList, group=GROUP, version=VERSION
        ),
        "status": Subresource(
            verbs=("get", "patch", "update"),
            kind="ImageStream",
            type=ImageStream,
            group=GROUP,
            version=VERSION,
            values=VALUES_OF_STATUS,
        ),
        "undelete": Subresource(
            verbs=("create",), kind="ImageStream", type=ImageStream, group=GROUP, version=VERSION
        ),
    },
)
