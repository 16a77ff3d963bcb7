"""Single tags and images of streams, each resource joined to what serves it."""

from collections.abc import Callable

from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.images.kinds.image_stream_image import IMAGE_STREAM_IMAGES
from tidegate.images.kinds.image_stream_mapping import IMAGE_STREAM_MAPPINGS
from tidegate.images.kinds.image_stream_tag import IMAGE_STREAM_TAGS
from tidegate.images.kinds.image_tag import IMAGE_TAGS
from tidegate.images.streams.hosts import Hosts
from tidegate.images.tags.going_back import RollbackStorage, UndeleteStorage
from tidegate.images.tags.history import HistoryStorage
from tidegate.images.tags.mappings import ImageStreamMappingStorage
from tidegate.images.tags.reading import Reads
from tidegate.images.tags.storage import ImageStreamTagStorage, ImageTagStorage, Makes
from tidegate.images.tags.stream_images import ImageStreamImageStorage
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.database import Database


def serve(
    store: ObjectStore,
    database: Database,
    authorizer: Authorizer,
    hosts: Hosts,
    config: RegistryConfig,
    undelete_window: float,
    clock: Callable[[], float],
) -> list[Served]:
    """What the API application serves of this part."""
    reads = Reads(database, store)
    makes = Makes(reads, authorizer, hosts, config, clock)
    return [
        Served(
            IMAGE_STREAM_TAGS,
            ImageStreamTagStorage(makes),
            {
                "history": HistoryStorage(reads, hosts),
                "rollback": RollbackStorage(makes),
                "undelete": UndeleteStorage(makes, undelete_window),
            },
        ),
        Served(IMAGE_TAGS, ImageTagStorage(makes)),
        Served(IMAGE_STREAM_IMAGES, ImageStreamImageStorage(reads, hosts)),
        Served(IMAGE_STREAM_MAPPINGS, ImageStreamMappingStorage(makes)),
    ]
