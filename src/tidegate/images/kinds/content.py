"""What a manifest and its configuration say of an image: layers, manifests, dockerImageMetadata.

Both are whatever somebody pushed. A manifest is an artifact's as often as an image's, and a
configuration may be anything at all; so nothing here raises, what is of the wrong type counts as
not there, and the form of what comes out (names, types, sizes of numbers) is always one that a
client of OpenShift can read: one unreadable image would fail its whole list.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from tidegate.apimachinery.meta import Wire, doc
from tidegate.oci import mediatype
from tidegate.oci.pull_spec import is_digest

CONFIG_LIMIT = 1024 * 1024
"""Bytes of a configuration that is read: more than etcd would have taken in the original."""

_LARGEST = 2**63 - 1
_HEAD = {"kind": "DockerImage", "apiVersion": "image.openshift.io/1.0"}

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)


class ImageLayer(Wire):
    """A layer of an image."""

    name: Annotated[str, doc("Digest of the layer.")]
    size: Annotated[int, doc("Bytes of the layer as it is stored.")]
    media_type: Annotated[str, doc("Media type of the layer.")]


class ImageManifest(Wire):
    """One of the manifests that an index refers to."""

    digest: Annotated[str, doc("Digest of the manifest; an Image has it as its name.")]
    media_type: Annotated[str, doc("Media type of the manifest.")]
    manifest_size: Annotated[int, doc("Bytes of the manifest.")]
    architecture: Annotated[str, doc("Processor that the image is for, such as amd64.")]
    os: Annotated[str, doc("Operating system that the image is for, such as linux.")]
    variant: Annotated[str, doc("Variant of the processor, such as v7 of arm.")] = ""


@dataclass(frozen=True, slots=True)
class Described:
    """What is to be said of an image; `id` and `size` are in `metadata` too."""

    media_type: str
    id: str
    size: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    layers: list[ImageLayer] = field(default_factory=list)
    manifests: list[ImageManifest] = field(default_factory=list)


def described(
    digest: str, media_type: str, content: bytes, config: bytes | None = None, created: str = ""
) -> Described:
    """What a manifest says, with its configuration where that is at hand.

    An index is `created` when it came: nothing in it says when it was made.
    """
    manifest = _object(content)
    media_type = media_type or _text(manifest, "mediaType")
    if media_type in mediatype.INDEXES:
        metadata = {**_HEAD, "Id": digest, "Created": created, "ContainerConfig": {}}
        if not created:
            del metadata["Created"]
        children = [_child(each) for each in _objects(manifest, "manifests")]
        return Described(media_type, digest, metadata=metadata, manifests=children)
    layers = [_layer(each) for each in _objects(manifest, "layers")]
    about = manifest.get("config")
    about = about if isinstance(about, dict) else {}
    image = _digest(about) or digest
    config_size = _size(about) if config is None else len(config)
    sizes = {image: config_size}
    for each in layers:  # of one that is named twice the larger counts: limits look at the sum
        sizes[each.name] = max(each.size, sizes.get(each.name, 0))
    size = min(sum(sizes.values()), _LARGEST)
    metadata = _metadata(image, config, size)
    return Described(media_type, image, size, metadata, layers)


def _metadata(image: str, config: bytes | None, size: int) -> dict[str, Any]:
    said = _object(config) if config is not None and len(config) <= CONFIG_LIMIT else {}
    about = said.get("container_config")
    metadata = {
        **_HEAD,
        "Id": image,
        **_taken(said, _FIRST),
        "ContainerConfig": _taken(about, _CONFIG) if isinstance(about, dict) else {},
        **_taken(said, _LAST),
    }
    if isinstance(said.get("config"), dict):
        metadata["Config"] = _taken(said["config"], _CONFIG)
    if architecture := _text(said, "architecture"):
        metadata["Architecture"] = architecture
    if size:
        metadata["Size"] = size
    return metadata


_Taker = Callable[[Any], Any]
"""The value of a field as it is shown; nothing (empty) when it is of another type."""


def _taken(said: Mapping[str, Any], fields: Mapping[str, tuple[str, _Taker]]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for theirs, (ours, take) in fields.items():
        if theirs in said and (value := take(said[theirs])):
            shown[ours] = value
    return shown


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _flag(value: Any) -> bool:
    return value is True


def _number(value: Any) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and abs(value) <= _LARGEST else 0


def _strings(value: Any) -> list[str]:
    whole = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return value if whole else []


def _names(value: Any) -> dict[str, Any]:
    """A set of names, written as an object whose values say nothing."""
    return {name: {} for name in value} if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {name: text for name, text in pairs if isinstance(text, str)}


def _time(value: Any) -> str:
    """A moment in UTC, in whole seconds; the year 1 is Go's for none."""
    parts = _TIME.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        return ""
    try:
        moment = datetime.fromisoformat(f"{parts[1]}T{parts[2]}{parts[3].upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return "" if moment.year == 1 else moment.isoformat().replace("+00:00", "Z")


_FIRST: dict[str, tuple[str, _Taker]] = {
    "parent": ("Parent", _string),
    "comment": ("Comment", _string),
    "created": ("Created", _time),
    "container": ("Container", _string),
}
_LAST: dict[str, tuple[str, _Taker]] = {
    "docker_version": ("DockerVersion", _string),
    "author": ("Author", _string),
}
_CONFIG: dict[str, tuple[str, _Taker]] = {
    name: (name, take)
    for take, names in {
        _string: ("Hostname", "Domainname", "User", "Cpuset", "Image", "VolumesFrom", "WorkingDir"),
        _number: ("Memory", "MemorySwap", "CpuShares"),
        _flag: (
            "AttachStdin",
            "AttachStdout",
            "AttachStderr",
            "Tty",
            "OpenStdin",
            "StdinOnce",
            "NetworkDisabled",
        ),
        _strings: ("PortSpecs", "Env", "Cmd", "Dns", "Entrypoint", "SecurityOpts", "OnBuild"),
        _names: ("ExposedPorts", "Volumes"),
        _texts: ("Labels",),
    }.items()
    for name in names
}
"""Fields of a configuration, by the type that OpenShift's DockerConfig gives them."""


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(content)
        # what cannot be written again, as half of a surrogate pair, cannot be shown either
        msgspec.json.encode(found)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _objects(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The descriptors in a list; what has no digest is none."""
    listed = parent.get(name)
    found = listed if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, dict) and _digest(each)]


def _text(parent: Mapping[str, Any], name: str) -> str:
    return _string(parent.get(name))


def _digest(descriptor: Mapping[str, Any]) -> str:
    digest = _text(descriptor, "digest")
    return digest if is_digest(digest) else ""


def _size(descriptor: Mapping[str, Any]) -> int:
    return max(_number(descriptor.get("size")), 0)


def _layer(descriptor: Mapping[str, Any]) -> ImageLayer:
    return ImageLayer(
        name=_digest(descriptor),
        size=_size(descriptor),
        media_type=_text(descriptor, "mediaType"),
    )


def _child(descriptor: Mapping[str, Any]) -> ImageManifest:
    platform = descriptor.get("platform")
    platform = platform if isinstance(platform, dict) else {}
    return ImageManifest(
        digest=_digest(descriptor),
        media_type=_text(descriptor, "mediaType"),
        manifest_size=_size(descriptor),
        architecture=_text(platform, "architecture"),
        os=_text(platform, "os"),
        variant=_text(platform, "variant"),
    )
