"""What serves imagestreamtags and imagetags; lists and writes have modules of their own."""

from collections.abc import Callable

import msgspec

from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.documents.updating import Turns
from tidegate.apimachinery.errors import missing
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import (
    Call,
    Change,
    Deleted,
    DeleteOptions,
    ListOptions,
    Page,
    Updated,
)
from tidegate.images.kinds.image_stream_tag import IMAGE_STREAM_TAGS
from tidegate.images.kinds.image_tag import IMAGE_TAGS
from tidegate.images.referrers import show_referrers
from tidegate.images.streams.hosts import Hosts
from tidegate.images.tags.forms import Form, ImageStreamTagForm, ImageTagForm
from tidegate.images.tags.listing import Listed, Lists
from tidegate.images.tags.names import tag_name
from tidegate.images.tags.reading import Reads
from tidegate.images.tags.rendering import View, image_stream_tag, image_tag
from tidegate.images.tags.writing import TagWrites
from tidegate.kinds.registries.config import RegistryConfig


class TagStorage:
    """All that the two forms of a tag have in common."""

    def __init__(self, lists: Lists, writes: TagWrites) -> None:
        self._lists = lists
        self._writes = writes

    async def list(self, call: Call, options: ListOptions) -> Page:
        return await self._lists.list(call.namespace, options)

    async def create(self, call: Call, new: Object) -> bytes:
        return await self._writes.create(call, new)

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        return await self._writes.update(call, name, change, creates=creates)

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        return await self._writes.delete(call, name, options)


class Makes:
    """What storages of tags are made of."""

    def __init__(
        self,
        reads: Reads,
        authorizer: Authorizer,
        hosts: Hosts,
        config: RegistryConfig,
        clock: Callable[[], float],
    ) -> None:
        self.reads = reads
        self.authorizer = authorizer
        self.hosts = hosts
        self.config = config
        self.clock = clock
        self.turns = Turns()

    def writes(self, form: Form) -> TagWrites:
        return TagWrites(
            form,
            self.reads,
            self.authorizer,
            self.hosts,
            self.config,
            self.turns,
            self.clock,
        )


class ImageStreamTagStorage(TagStorage):
    """Tags that name an image."""

    def __init__(self, makes: Makes) -> None:
        def shown(view: View) -> Object | None:
            return None if view.named is None else image_stream_tag(view, None, makes.hosts)

        listed = Listed(IMAGE_STREAM_TAGS, shown, histories=False)
        super().__init__(Lists(listed, makes.reads), makes.writes(ImageStreamTagForm()))
        self._reads = makes.reads
        self._hosts = makes.hosts

    async def get(self, call: Call, name: str) -> bytes:
        """`NotFound` names what is not there: the stream, an image of the tag, or the Image."""
        tag = tag_name(IMAGE_STREAM_TAGS, call.namespace, name)
        view = await self._reads.view(tag)
        if view is None:
            raise missing(IMAGE_STREAM_TAGS.qualified, tag.stream.stream)
        if view.named is None:
            raise missing(IMAGE_STREAM_TAGS.qualified, name)
        image = await self._reads.image(view.named.image)
        if image is None:
            raise missing(IMAGE_STREAM_TAGS.qualified, view.named.image)
        found = image_stream_tag(view, image, self._hosts)
        await show_referrers(self._reads.db, tag.stream, found.image)
        return msgspec.json.encode(found)


class ImageTagStorage(TagStorage):
    """Every tag, also one that names no image."""

    def __init__(self, makes: Makes) -> None:
        def shown(view: View) -> Object:
            return image_tag(view, None, makes.hosts)

        listed = Listed(IMAGE_TAGS, shown, histories=True)
        super().__init__(Lists(listed, makes.reads), makes.writes(ImageTagForm()))
        self._reads = makes.reads
        self._hosts = makes.hosts

    async def get(self, call: Call, name: str) -> bytes:
        tag = tag_name(IMAGE_TAGS, call.namespace, name)
        view = await self._reads.view(tag)
        if view is None:
            raise missing(IMAGE_TAGS.qualified, tag.stream.stream)
        if not view.row.is_live:
            raise missing(IMAGE_TAGS.qualified, name)
        image = None if view.named is None else await self._reads.image(view.named.image)
        return msgspec.json.encode(image_tag(view, image, self._hosts))
