"""What a project allows its streams: limits, quotas and tag policies, read once for a unit of work.

Read inside the unit that they judge, so that they are those of now; a project without any costs one
look at an index. The decisions are pure (`policies`, `limits`, `quotas`); here they meet the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from tidegate.apimachinery.store import Key
from tidegate.images import limits, policies, quotas
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.policies import Asked, Policy
from tidegate.images.streams.errors import TagImmutable, TagRefused
from tidegate.kinds.limit_range import LIMIT_RANGES
from tidegate.kinds.resource_quota import RESOURCE_QUOTAS
from tidegate.kinds.tag_policy import TAG_POLICIES
from tidegate.metastore import document_rows, manifests
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

_KINDS = (LIMIT_RANGES.key, RESOURCE_QUOTAS.key, TAG_POLICIES.key)


_CHILDREN = 100
"""Images of an index that are looked at."""


class _Annotated(msgspec.Struct):
    annotations: dict[str, str] | None = None


MATCHING = 20_000_000
"""Characters of tags, each times the places of the patterns that it is matched with, in one unit:
under a second, while all other writes wait. Ordinary rules reach it with thousands of tags."""


@dataclass(slots=True)
class _Judged:
    """What a unit has found out about images, and how much matching tags has cost it."""

    images: dict[tuple[str, str], tuple[Asked, list[list[str]]]] = field(default_factory=dict)
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one project as of a unit of work.

    `held` are the bytes that the project held then, if any quota limits them.
    """

    project: str
    limit_ranges: Sequence[bytes] = ()
    quotas: Sequence[bytes] = ()
    policies: Sequence[Policy] = ()
    held: int = 0
    _judged: _Judged = field(default_factory=_Judged, compare=False)

    @classmethod
    def load(cls, tx: Transaction, project: str) -> "Rules":
        """Read the rules, before the unit adds anything; they hold until it ends."""
        bodies = document_rows.of_namespace(tx, project, _KINDS)
        own = bodies.get(RESOURCE_QUOTAS.key, ())
        return cls(
            project,
            bodies.get(LIMIT_RANGES.key, ()),
            own,
            [policies.policy_of(body) for body in bodies.get(TAG_POLICIES.key, ())],
            quotas.held(tx, project, own),
        )

    def limits_of_streams(self, resource: str) -> bool:
        """Whether there is a limit on how much of that a stream may have."""
        if not self.limit_ranges:
            return False
        return limits.smallest(self.limit_ranges, limits.IMAGE_STREAM, resource) is not None

    def judge_stream(self, tx: Transaction, name: RepositoryName) -> list[str]:
        """Whether there may be one more stream, of that name; what to warn of.

        Raises `TagRefused` and `QuotaExceeded`.
        """
        if self.quotas:
            quotas.check_new_stream(tx, self.project, self.quotas)
        return self._told(Asked(name.stream)) if self.policies else []

    def judge_tag(self, tx: Transaction, name: RepositoryName, tag: str, image: str) -> list[str]:
        """Whether a tag of that name may name that image ("" when it is not known yet).

        Gives what to warn of; raises `TagRefused`.
        """
        if not self.policies or policies.is_attached(tag):
            return []
        self._spend(name.stream, tag)
        known = self._judged.images.get((name.stream, image))
        if known is None:
            asked = _asked(tx, name, image)
            known = asked, policies.lacking(self.policies, asked)
            self._judged.images[name.stream, image] = known
        asked, lacks = known
        return self._told(replace(asked, tag=tag), lacks)

    def _spend(self, stream: str, tag: str) -> None:
        """Raise `TagRefused` for one tag more than rules of this size may be asked about."""
        places = sum(each.places for each in self.policies)
        self._judged.cost += places * (len(stream) + len(tag))
        if self._judged.cost > MATCHING:
            raise TagRefused(
                f"the TagPolicies of project {self.project} are too large for so many tags at once:"
                " push or set fewer of them, or make the rules simpler"
            )

    def keep(
        self, header: ImageStream, name: RepositoryName, tag: str, *, deleting: bool = False
    ) -> list[str]:
        """Raise `TagImmutable` when the tag is to keep the image that it names.

        Gives what to warn of, where rules are tried out.
        """
        rule = policies.immutable_rule(self.policies, header.metadata.annotations, name.stream, tag)
        if rule is not None:
            advice = "it may not be deleted" if deleting else "use another tag"
            raise TagImmutable(f"tag {tag} of {name} is immutable ({rule}): {advice}")
        return list(policies.immutable_warnings(self.policies, name.stream, tag))

    def check_images(self, tx: Transaction, repository_id: int) -> None:
        """Raise `LimitExceeded` when the stream shows more images than it may."""
        if self.limit_ranges:
            limits.check_images(tx, repository_id, self.limit_ranges)

    def check_tags(self, tx: Transaction, repository_id: int, name: RepositoryName) -> None:
        """Raise `LimitExceeded` when the stream's tags name more sources than they may."""
        if self.limit_ranges:
            limits.check_tags(tx, repository_id, name, self.limit_ranges)

    def check_image(self, size: int) -> None:
        """Raise `LimitExceeded` for an image of more bytes than the project allows."""
        if self.limit_ranges:
            limits.check_image(size, self.limit_ranges)

    def check_storage(self, tx: Transaction) -> None:
        """Raise `QuotaExceeded` when the unit has added more bytes than the project may hold."""
        if self.quotas:
            quotas.check_storage(tx, self.project, self.quotas, self.held)

    def check_return(self, tx: Transaction, size: int) -> None:
        """Raise `QuotaExceeded` when a stream of so many bytes may not come back.

        They are `usage.would_add`, read before the unit.
        """
        if self.quotas:
            quotas.check_return(tx, self.project, self.quotas, size)

    def _told(self, asked: Asked, lacks: list[list[str]] | None = None) -> list[str]:
        verdict = policies.faults(self.policies, asked, lacks)
        if verdict.refusals:
            raise TagRefused("; ".join(verdict.refusals))
        return list(verdict.warnings)


def _asked(tx: Transaction, name: RepositoryName, image: str) -> Asked:
    """What the policies are asked about: as much as is known here of the image.

    An index may name images that only other projects have; what those say is not told.
    """
    content = manifests.content(tx, image) if image else None
    if content is None:
        return Asked(name.stream)
    annotations = msgspec.json.decode(content, type=_Annotated).annotations or {}
    found = _image(tx, image)
    if found is None:
        return Asked(name.stream, annotations=annotations)
    named = [Digest(each.digest) for each in found.docker_image_manifests[:_CHILDREN]]
    held = manifests.known(tx, name, named)
    listed = [_image(tx, each) for each in named if each in held]
    children = [labels for each in listed if each and (labels := _labels(each)) is not None]
    return Asked(name.stream, "", _labels(found), annotations, children)


def _image(tx: Transaction, digest: str) -> Image | None:
    document = DocumentUnit(tx).get(Key(IMAGES.key, "", digest))
    return None if document is None else msgspec.json.decode(document.body, type=Image)


def _labels(image: Image) -> Mapping[str, str] | None:
    """The labels of an image's config; None for what is no image and has no such config."""
    config = image.docker_image_metadata.get("Config")
    if not isinstance(config, dict):
        return None
    labels = config.get("Labels")
    return labels if isinstance(labels, dict) else {}
