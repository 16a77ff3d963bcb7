"""What is to be looked for in other registries, by a request or for the tags of a stream.

    Wanted ──key──> Sought, fetched once each ──> Outcome, one for each Wanted in order

Decisions on values. An `Outcome` is what an import came to before anything is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.decoding.messages import Status
from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.platforms import ANY, Platform
from tidegate.images.imports.tag_order import ordered
from tidegate.images.kinds.image_stream_import import ImageImportSpec, RepositoryImportSpec
from tidegate.images.kinds.tag_reference import (
    DOCKER_IMAGE,
    LEGACY,
    TagImportPolicy,
    TagReference,
    TagReferencePolicy,
)
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid, is_digest
from tidegate.remote.location import Location

BULK_LIMIT = 50
"""Tags of a repository that is imported whole; the others are only told (image-api 7.2)."""


class Sought(NamedTuple):
    """What is fetched once, however many tags want it."""

    location: Location
    reference: str
    mode: str
    prefer: Platform
    insecure: bool

    def __str__(self) -> str:
        """As people read it, and by which a later look is told to be for the same."""
        text = self.location.at(self.reference)
        if is_digest(self.reference) or self.mode != LEGACY:
            return text
        platform = "/".join(filter(None, reversed(self.prefer)))
        return f"{text} for {platform or 'one platform'}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One image, as it was asked for; `to` is the tag that is to name it, empty for none.

    `creates` says that a tag which fails is made all the same, to show how.
    """

    source: str
    to: str = ""
    import_policy: TagImportPolicy = field(default_factory=TagImportPolicy)
    reference_policy: TagReferencePolicy = field(default_factory=TagReferencePolicy)
    include_manifest: bool = False
    creates: bool = True
    prefer: Platform = ANY

    @property
    def spec(self) -> PullSpec | None:
        """The source; None for what is none, as the `*` of clients that search."""
        try:
            spec = PullSpec.parse(self.source)
        except PullSpecInvalid:
            return None
        return spec if spec.name else None

    @property
    def tag(self) -> str:
        """The tag that is looked up over there; empty for an image by its digest."""
        spec = self.spec
        return "" if spec is None or spec.id else spec.tag or "latest"

    @property
    def sought(self) -> Sought | None:
        """What is to be fetched for it; None where the source is none."""
        spec = self.spec
        if spec is None:
            return None
        policy = self.import_policy
        by_digest = bool(spec.id)
        return Sought(
            Location.of(spec),
            spec.id.lower() or self.tag,
            policy.import_mode or LEGACY,
            ANY if by_digest else self.prefer,
            policy.insecure,
        )

    def preferring(self, tag: TagReference | None) -> "Wanted":
        """The same, of the platform that a tag of the stream prefers."""
        return self if tag is None else replace(self, prefer=Platform.preferred(tag.annotations))

    def wish(self, old: TagReference | None, *, moved: bool) -> TagReference:
        """What is wanted of the tag from now on; `moved` if it is to be as of this import."""
        found = TagReference(name=self.to) if old is None else old
        changes: dict[str, object] = {"import_policy": self.import_policy}
        if moved or old is None:
            changes["from_"] = ObjectReference(kind=DOCKER_IMAGE, name=self.source)
            changes["generation"] = 0
        if old is None or not old.reference_policy.type:
            changes["reference_policy"] = self.reference_policy
        return msgspec.structs.replace(found, **changes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image: `fetched`, or a status that says why not.

    `later` is in how many seconds it may be tried, where another registry said that.
    """

    wanted: Wanted
    status: Status
    fetched: Fetched | None = None
    later: float | None = None


def of_image(image: ImageImportSpec, specs: Mapping[str, TagReference]) -> Wanted:
    """What an image of a request wants; `specs` are the tags that the stream has."""
    wanted = Wanted(
        source=image.from_.name,
        to="" if image.to is None else image.to.name,
        import_policy=image.import_policy,
        reference_policy=image.reference_policy,
        include_manifest=image.include_manifest,
    )
    return wanted.preferring(specs.get(wanted.to))


def of_tag(tag: TagReference) -> Wanted | None:
    """What a tag of a stream wants; None for one that is not imported."""
    if tag.from_ is None or tag.from_.kind != DOCKER_IMAGE or tag.reference:
        return None
    return Wanted(
        source=tag.from_.name,
        to=tag.name,
        import_policy=tag.import_policy,
        reference_policy=tag.reference_policy,
        prefer=Platform.preferred(tag.annotations),
    )


def of_repository(
    repository: RepositoryImportSpec, tags: Iterable[str]
) -> tuple[list[Wanted], list[str]]:
    """What a repository with these tags wants, and the tags that are too many."""
    spec = PullSpec.parse(repository.from_.name)
    found = ordered(tags)
    wanted = [
        Wanted(
            source=spec.with_tag(tag).exact(),
            to=tag,
            import_policy=repository.import_policy,
            reference_policy=repository.reference_policy,
            include_manifest=repository.include_manifest,
            creates=False,
        )
        for tag in found[:BULK_LIMIT]
    ]
    return wanted, found[BULK_LIMIT:]


def distinct(wanted: Sequence[Wanted]) -> list[Sought]:
    """All that is to be fetched, in order, what is of one repository together."""
    found = dict.fromkeys(each.sought for each in wanted)
    return sorted((each for each in found if each is not None), key=lambda each: each.location)
