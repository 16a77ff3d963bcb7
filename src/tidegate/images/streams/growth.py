"""Of what a stream gets more in a unit of work: only that is held against the project's limits.

A stream may have more than its limit, from before there was one: writes that add nothing go on.
Asked before each change, so that the rows still tell what there was; a project without such limits
costs nothing.
"""

from dataclasses import dataclass

from tidegate.images import limits
from tidegate.images.kinds.tag_reference import TagReference
from tidegate.images.streams.rules import Rules
from tidegate.metastore import tag_events
from tidegate.metastore.database import Transaction
from tidegate.oci.name import RepositoryName


@dataclass(slots=True, eq=False)
class Growth:
    """What is new to a stream until its next `save`."""

    tx: Transaction
    repository_id: int
    name: RepositoryName
    rules: Rules
    _images: bool = False
    _sources: bool = False
    _before: set[str] | None = None

    def image(self, image: str) -> None:
        """A tag is going to show an image."""
        if not image or self._images or not self.rules.limits_of_streams(limits.IMAGES):
            return
        self._images = not tag_events.names_image(self.tx, self.repository_id, image)

    def past(self, tag: str, hidden: int) -> None:
        """A deleted tag is going to show its events after `hidden` again."""
        if not self._images and self.rules.limits_of_streams(limits.IMAGES):
            self._images = tag_events.brings_images(self.tx, self.repository_id, tag, hidden)

    def source(self, spec: TagReference | None) -> None:
        """A tag is going to name a source."""
        if spec is None or self._sources or not self.rules.limits_of_streams(limits.TAGS):
            return
        reference = limits.reference_of(self.name, spec)
        if self._before is None:
            self._before = limits.references(self.tx, self.repository_id, self.name)
        self._sources = bool(reference) and reference not in self._before

    def check(self) -> None:
        """Raise `LimitExceeded` when there is too much of what grew; once the rows are written."""
        if self._images:
            self.rules.check_images(self.tx, self.repository_id)
        if self._sources:
            self.rules.check_tags(self.tx, self.repository_id, self.name)
