"""What a project allows its streams: limits, quotas and tag policies, read once for a unit of work.

Read inside the unit that they judge, so that they are those of now; a project without any costs one
look at an index. The decisions are pure (`policies`, `limits`, `quotas`); here they meet the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from tidegate.oci.name import RepositoryName

_KINDS = (LIMIT_RANGES.key, RESOURCE_QUOTAS.key, TAG_POLICIES.key)


class _Annotated(msgspec.Struct):
    annotations: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one project as of a unit of work."""

    project: str
    limit_ranges: Sequence[bytes] = ()
    quotas: Sequence[bytes] = ()
    policies: Sequence[Policy] = ()

    @classmethod
    def load(cls, tx: Transaction, project: str) -> "Rules":
        """Read the rules; they hold until the unit ends."""
        bodies = document_rows.of_namespace(tx, project, _KINDS)
        return cls(
            project,
            bodies.get(LIMIT_RANGES.key, ()),
            bodies.get(RESOURCE_QUOTAS.key, ()),
            [policies.policy_of(body) for body in bodies.get(TAG_POLICIES.key, ())],
        )

    @property
    def limits_size(self) -> bool:
        """Whether there may be a limit on how much a stream holds."""
        return bool(self.limit_ranges)

    def judge_stream(self, tx: Transaction, name: RepositoryName) -> list[str]:
        """Whether there may be one more stream, of that name; what to warn of.

        Raises `TagRefused` and `QuotaExceeded`.
        """
        if self.quotas:
            quotas.check_new_stream(tx, self.project, self.quotas)
        return self._told(Asked(name.stream, "", None, None))

    def judge_tag(self, tx: Transaction, name: RepositoryName, tag: str, image: str) -> list[str]:
        """Whether a tag of that name may name that image ("" when it is not known yet)."""
        if not self.policies:
            return []
        labels, annotations = _said(tx, image) if image else (None, None)
        return self._told(Asked(name.stream, tag, labels, annotations))

    def keep(self, header: ImageStream, name: RepositoryName, tag: str) -> None:
        """Raise `TagImmutable` when the tag is to keep the image that it names."""
        rule = policies.immutable_rule(self.policies, header.metadata.annotations, name.stream, tag)
        if rule is not None:
            raise TagImmutable(f"tag {tag} of {name} is immutable ({rule}): use another tag")

    def check_size(self, tx: Transaction, repository_id: int) -> None:
        """Raise `LimitExceeded` when the stream holds more images or tags than it may."""
        if self.limit_ranges:
            limits.check_stream(tx, repository_id, self.limit_ranges)

    def check_image(self, size: int) -> None:
        """Raise `LimitExceeded` for an image of more bytes than the project allows."""
        if self.limit_ranges:
            limits.check_image(size, self.limit_ranges)

    def check_storage(self, tx: Transaction) -> None:
        """Raise `QuotaExceeded` when the project holds more bytes than it may."""
        if self.quotas:
            quotas.check_storage(tx, self.project, self.quotas)

    def _told(self, asked: Asked) -> list[str]:
        if not self.policies:
            return []
        verdict = policies.faults(self.policies, asked)
        if verdict.refusals:
            raise TagRefused("; ".join(verdict.refusals))
        return list(verdict.warnings)


def _said(tx: Transaction, image: str) -> tuple[Mapping[str, str] | None, Mapping[str, str] | None]:
    """Labels and annotations of an image, None where it is not here."""
    content = manifests.content(tx, image)
    document = DocumentUnit(tx).get(Key(IMAGES.key, "", image))
    if document is None or content is None:
        return None, None
    metadata = msgspec.json.decode(document.body, type=Image).docker_image_metadata
    labels = (metadata.get("Config") or {}).get("Labels") or {}
    annotations = msgspec.json.decode(content, type=_Annotated).annotations or {}
    return labels, annotations
