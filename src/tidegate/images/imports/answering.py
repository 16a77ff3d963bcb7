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
    """The status of an import as it is put together; outcomes of a repository come first."""

    def __init__(self) -> None:
        self._status = _Status()
        self._tags = 0
        self._room = TEXTS

    def repository(self, tags: int, more: Sequence[str]) -> None:
        """A repository of which so many tags are imported, and `more` were too many."""
        self._tags = tags
        self._status.repository = RepositoryImportStatus(additional_tags=list(more))

    def repository_failed(self, status: Status) -> None:
        """A repository whose tags could not be listed."""
        self._status.repository = RepositoryImportStatus(status=status)

    def encoded(
        self,
        request: ImageStreamImport,
        outcomes: Sequence[Outcome],
        images: Mapping[int, Images],
        stream: bytes | None,
    ) -> bytes:
        """The request with its status: what became of each, and the stream as it is now."""
        shown = [self._one(each, images.get(number, {})) for number, each in enumerate(outcomes)]
        status, count = self._status, self._tags
        if status.repository is not None and not status.repository.status.status:
            failures = sum(each.fetched is None for each in outcomes[:count])
            status.repository.status = (
                statuses.some_failed(failures) if failures else statuses.SUCCESS
            )
            status.repository.images = shown[:count]
        status.images = shown[count:]
        status.import_ = None if stream is None else msgspec.Raw(stream)
        return msgspec.json.encode(
            {
                "kind": request.kind,
                "apiVersion": request.api_version,
                "metadata": request.metadata,
                "spec": request.spec,
                "status": status,
            }
        )

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
