"""Names of tags and images as resources, `STREAM:TAG` and `STREAM@IMAGE`, in requests."""

from typing import Any, NamedTuple

from tidegate.apimachinery.errors import BadRequest, Qualified
from tidegate.apimachinery.resource import Resource
from tidegate.images.kinds.image_stream_image import split_image_name
from tidegate.images.kinds.image_stream_tag import split_tag_name
from tidegate.oci.name import RepositoryName


class TagName(NamedTuple):
    """A tag of a stream; whether either is there is for others to find out."""

    stream: RepositoryName
    tag: str

    def __str__(self) -> str:
        return f"{self.stream.stream}:{self.tag}"


def tag_name(resource: Resource[Any], namespace: str, name: str) -> TagName:
    """The tag that a request names; `BadRequest` for a name without one."""
    split = split_tag_name(name)
    if split is None:
        raise BadRequest(f"{resource.kind}s must be retrieved with <name>:<tag>")
    stream, tag = split
    return TagName(RepositoryName(f"{namespace}/{stream}"), tag)


def image_name(namespace: str, name: str) -> tuple[RepositoryName, str]:
    """The stream and the image, or how it begins; `BadRequest` for a name without one."""
    split = split_image_name(name)
    if split is None:
        raise BadRequest("ImageStreamImages must be retrieved with <name>@<id>")
    stream, image = split
    return RepositoryName(f"{namespace}/{stream}"), image


NAMESPACES = Qualified("namespaces")
