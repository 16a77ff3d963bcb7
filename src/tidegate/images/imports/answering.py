"""What an ImageStreamImport is answered: what became of each image, and the stream as it is now."""

from collections.abc import Mapping, Sequence

import msgspec

from tidegate.apimachinery.decoding.messages import Status
from tidegate.images.imports import statuses
from tidegate.images.imports.picturing import Images, with_texts
from tidegate.images.imports.planning import Outcome
from tidegate.images.kinds.image_stream_import import (
    ImageImportStatus,
    ImageStreamImport,
    RepositoryImportStatus,
)

TEXTS = 8 * 1024 * 1024
"""Bytes of manifests and configurations in one answer; what is beyond is pulled by who wants it."""


class _Status(msgspec.Struct, omit_defaults=True):
    import_: msgspec.Raw | None = msgspec.field(name="import", default=None)
    repository: RepositoryImportStatus | None = None
    images: list[ImageImportStatus] = msgspec.field(default_factory=list)


class Answer:
    """The status of an import as it is put together."""

    def __init__(self) -> None:
        self._status = _Status()
        self._room = TEXTS

    def images(self, outcomes: Sequence[Outcome], images: Mapping[int, Images], first: int) -> None:
        """What became of single images, whose outcomes are numbered from `first` on."""
        self._status.images = self._shown(outcomes, images, first)

    def repository(
        self, outcomes: Sequence[Outcome], images: Mapping[int, Images], more: Sequence[str]
    ) -> None:
        """What became of the tags of a repository, of which `more` were too many."""
        failures = sum(each.fetched is None for each in outcomes)
        self._status.repository = RepositoryImportStatus(
            status=statuses.some_failed(failures) if failures else statuses.SUCCESS,
            images=self._shown(outcomes, images, 0),
            additional_tags=list(more),
        )

    def repository_failed(self, status: Status) -> None:
        """A repository whose tags could not be listed."""
        self._status.repository = RepositoryImportStatus(status=status)

    def stream(self, body: bytes) -> None:
        """The stream as it is now."""
        self._status.import_ = msgspec.Raw(body)

    def encoded(self, request: ImageStreamImport) -> bytes:
        """The request with its status."""
        return msgspec.json.encode(
            {
                "kind": request.kind,
                "apiVersion": request.api_version,
                "metadata": request.metadata,
                "spec": request.spec,
                "status": self._status,
            }
        )

    def _shown(
        self, outcomes: Sequence[Outcome], images: Mapping[int, Images], first: int
    ) -> list[ImageImportStatus]:
        return [
            self._one(each, images.get(number, {})) for number, each in enumerate(outcomes, first)
        ]

    def _one(self, outcome: Outcome, images: Images) -> ImageImportStatus:
        shown = ImageImportStatus(status=outcome.status, tag=outcome.wanted.tag)
        if outcome.fetched is None:
            return shown
        found = [outcome.fetched, *outcome.fetched.images()]
        made = [images[each.digest] for each in found]
        if outcome.wanted.include_manifest:
            size = sum(len(each.content) + len(each.config or b"") for each in found)
            if size <= self._room:
                self._room -= size
                made = [with_texts(images[each.digest], each) for each in found]
        shown.image, shown.manifests = made[0], made[1:]
        return shown
