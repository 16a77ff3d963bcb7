"""imagestreams/secrets: the pull secrets of a stream's namespace (image-api 8.4).

Whoever may `get imagestreams/secrets` reads them with their values, as in the original.
"""

import msgspec

from tidegate.apimachinery.meta import ListMeta
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.secrets import DOCKER_CONFIG_JSON, DOCKERCFG, SECRETS

EXCLUDED = "openshift.io/image.excludeSecret"
"""Annotation of a Secret that is not for imports."""


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] = {}


class _Secret(msgspec.Struct):
    metadata: _Metadata
    type: str = ""


class _SecretList(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    metadata: ListMeta
    items: list[msgspec.Raw]


_SECRET = msgspec.json.Decoder(_Secret)


class SecretsStorage:
    """Serves the subresource; whether there is such a stream is not asked, as in the original."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def get(self, call: Call, name: str) -> bytes:
        """See `storage.Getter`."""
        del name
        listing = await self._store.list(SECRETS.key, call.namespace)
        items = [msgspec.Raw(each.body) for each in listing.documents if _is_shown(each.body)]
        metadata = ListMeta(resource_version=str(listing.revision))
        return msgspec.json.encode(
            _SecretList("SecretList", "image.openshift.io/v1", metadata, items)
        )


def _is_shown(body: bytes) -> bool:
    secret = _SECRET.decode(body)
    if secret.type not in (DOCKERCFG, DOCKER_CONFIG_JSON):
        return False
    return secret.metadata.annotations.get(EXCLUDED) != "true"
