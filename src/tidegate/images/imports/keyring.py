"""With which credentials a project imports: all of its pull secrets (image-api 7.2, 8.4).

Those of service accounts too, and whether an account has them linked or not; not those that are
annotated as not for imports.
"""

from collections.abc import Iterable, Iterator

import msgspec

from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.secrets import (
    DOCKER_CONFIG_JSON,
    DOCKER_CONFIG_JSON_KEY,
    DOCKERCFG,
    DOCKERCFG_KEY,
    SECRETS,
    Secret,
    value_of,
)
from tidegate.images.streams.secrets import EXCLUDED
from tidegate.remote.credentials import Keyring

_KEYS = {DOCKERCFG: DOCKERCFG_KEY, DOCKER_CONFIG_JSON: DOCKER_CONFIG_JSON_KEY}
_SECRET = msgspec.json.Decoder(Secret)


async def keyring_of(store: ObjectStore, project: str) -> Keyring:
    """The credentials of a project for other registries, in the order of its secrets' names."""
    listing = await store.list(SECRETS.key, project)
    return Keyring.of(_configurations(each.body for each in listing.documents))


def _configurations(bodies: Iterable[bytes]) -> Iterator[bytes]:
    for body in bodies:
        secret = _SECRET.decode(body)
        key = _KEYS.get(secret.type)
        if key is None or secret.metadata.annotations.get(EXCLUDED) == "true":
            continue
        value = value_of(secret, key)
        if value is not None:
            yield value
