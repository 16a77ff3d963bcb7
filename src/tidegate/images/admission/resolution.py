"""What a name in an object stands for: a tag of a stream, an image by digest, or nothing of ours.

Decides from the name alone whom to ask; the answers come through `StreamLookup`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from tidegate.images.admission.workloads import Place
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

DEFAULT_TAG = "latest"

_SPEC_LIMIT = 1024
"""Characters beyond which nothing is a pull spec: 255 of a name, 128 of a tag, a digest."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stream, and what one of its tags is now."""

    local: bool
    """The stream's `spec.lookupPolicy.local`."""
    repository: str
    """Its `status.dockerImageRepository`, empty when the registry has no known host."""
    reference: str
    """The pull spec of the tag's image by digest, as its reference policy says; empty without."""
    deny_execution: bool
    """Whether that image has `images.openshift.io/deny-execution=true`."""


class StreamLookup(Protocol):
    """What streams and images hold, as of now."""

    async def lookup(self, namespace: str, stream: str, tag: str) -> Found | None:
        """A tag of a stream; None when there is no such stream, whatever the names are."""
        ...

    async def is_denied(self, image: str) -> bool:
        """Whether there is an Image of this name (a digest) that may not be executed."""
        ...


@dataclass(frozen=True, slots=True)
class TagSought:
    """A tag to look up; `rewrites` when the object is to name what it is now."""

    namespace: str
    stream: str
    tag: str
    rewrites: bool
    any_stream: bool  # also those that do not have local lookup


@dataclass(frozen=True, slots=True)
class ImageSought:
    """An image by digest, which nobody needs to resolve but policy may refuse."""

    name: str


Sought = TagSought | ImageSought


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of a name: `image` replaces it unless empty."""

    image: str = ""
    denied: bool = False
    missing: TagSought | None = None  # rewritten, though the tag has no image yet


UNTOUCHED = Resolved()


def read_pull_spec(image: str) -> PullSpec | None:
    """What a container's `image` says; None for what no container runtime takes."""
    if len(image) > _SPEC_LIMIT:
        return None
    try:
        return PullSpec.parse(image)
    except PullSpecInvalid:
        return None


def seek(
    place: Place, namespace: str, hosts: Collection[str], *, resolve_all: bool
) -> Sought | None:
    """What to ask about a name in an object of `namespace`; None when it is nothing of ours.

    `hosts` are those of the internal registry.
    """
    if place.kind in ("ImageStreamTag", "ImageStreamImage"):
        return _seek_object(place, namespace)
    spec = read_pull_spec(place.image) if place.kind == "DockerImage" else None
    if spec is None:
        return None
    if spec.id:
        return ImageSought(spec.id)
    return _seek_tag(spec, namespace, hosts, resolve_all=resolve_all)


def _seek_tag(
    spec: PullSpec, namespace: str, hosts: Collection[str], *, resolve_all: bool
) -> TagSought | None:
    tag = spec.tag or DEFAULT_TAG
    if not spec.name:
        return None
    if resolve_all or not (spec.registry or spec.namespace):
        return TagSought(namespace, spec.name, tag, rewrites=True, any_stream=resolve_all)
    if spec.registry in hosts and spec.namespace:
        return TagSought(spec.namespace, spec.name, tag, rewrites=False, any_stream=True)
    return None


def _seek_object(place: Place, namespace: str) -> Sought | None:
    """A build's reference to an object of image.openshift.io; the build resolves it itself."""
    if not f"{place.namespace}{place.image}".isprintable():
        return None  # no store has such a name, nor can each look for one
    if place.kind == "ImageStreamImage":
        digest = place.image.partition("@")[2]
        return ImageSought(digest) if digest else None
    stream, _, tag = place.image.partition(":")
    if not stream or not tag:
        return None
    return TagSought(place.namespace or namespace, stream, tag, rewrites=False, any_stream=True)


async def resolve(sought: Sought, streams: StreamLookup) -> Resolved:
    """What a name stands for; `UNTOUCHED` when nobody knows it."""
    if isinstance(sought, ImageSought):
        return Resolved(denied=await streams.is_denied(sought.name))
    found = await streams.lookup(sought.namespace, sought.stream, sought.tag)
    if found is None or not (found.local or sought.any_stream):
        return UNTOUCHED
    if not sought.rewrites:
        return Resolved(denied=bool(found.reference) and found.deny_execution)
    if found.reference:
        return Resolved(found.reference, denied=found.deny_execution)
    if found.repository:
        # The stream is where the image belongs: it fails to pull until it is there, which is
        # better than to run what some other registry has under this name.
        return Resolved(f"{found.repository}:{sought.tag}", missing=sought)
    return UNTOUCHED
