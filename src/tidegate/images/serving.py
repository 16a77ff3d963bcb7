"""The resources of image.openshift.io, each joined to what serves it."""

from collections.abc import Callable

from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.http.endpoints import Served
from tidegate.images.image_storage import ImageStorage
from tidegate.images.image_undelete import ImageUndeletes
from tidegate.images.imports.importing import Importer
from tidegate.images.imports.storage import ImportStorage
from tidegate.images.kinds.image import IMAGES
from tidegate.images.kinds.image_signature import IMAGE_SIGNATURES
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.kinds.image_stream_import import IMAGE_STREAM_IMPORTS
from tidegate.images.signatures import SignatureStorage
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.layers import LayersStorage
from tidegate.images.streams.secrets import SecretsStorage
from tidegate.images.streams.storage import StatusStorage, Streams, StreamStorage
from tidegate.images.streams.undelete import UndeleteStorage
from tidegate.images.tags import serving as tags_serving
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents


def serve(
    store: Documents,
    database: Database,
    authorizer: Authorizer,
    hosts: Hosts,
    config: RegistryConfig,
    importer: Importer,
    undelete_window: float,
    clock: Callable[[], float],
) -> list[Served]:
    """What the API application serves of this room."""
    streams = Streams(store, database, authorizer, hosts, config, clock)
    return [
        Served(
            IMAGES,
            ImageStorage(store, database, clock),
            {"undelete": ImageUndeletes(store, database, undelete_window, clock)},
        ),
        Served(IMAGE_SIGNATURES, SignatureStorage(store, clock)),
        Served(
            IMAGE_STREAMS,
            StreamStorage(streams),
            {
                "status": StatusStorage(streams),
                "layers": LayersStorage(streams),
                "secrets": SecretsStorage(store),
                "undelete": UndeleteStorage(streams, undelete_window),
            },
        ),
        *tags_serving.serve(store, database, authorizer, hosts, config, undelete_window, clock),
        Served(
            IMAGE_STREAM_IMPORTS,
            ImportStorage(importer, streams.renderings, authorizer, config),
        ),
    ]
