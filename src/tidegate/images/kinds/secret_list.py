"""SecretList: the pull secrets that an import into a stream may use, as another kind shows them."""

from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.meta import Object, doc


class SecretList(Object, omit_defaults=False):
    """SecretList holds the Secrets with which other registries are read."""

    items: Annotated[list[dict[str, Any]], doc("The Secrets of core/v1.")] = field(
        default_factory=list
    )
