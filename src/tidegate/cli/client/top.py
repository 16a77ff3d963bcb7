"""`tidegate top`: what images and image streams take, with the columns of `oc adm top`.

The numbers are added up from lists of the API. Pods are not among what a registry knows, so that
USAGE is empty unless the server has pods too.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tidegate.cli.client.api import IMAGES, Api, connect, namespaced
from tidegate.cli.client.shapes import entries, mapping, name_of, number, text
from tidegate.cli.client.tables import binary_size, printable, show

top = typer.Typer(help="What images and image streams take of the storage.", no_args_is_help=True)

Everywhere = Annotated[
    str | None, typer.Option("--namespace", "-n", help="the project [all of them]")
]

_EMPTY_LAYERS = frozenset(
    {
        "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4",  # gzip, 32 bytes
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",  # 1024 zeros
    }
)
"""Layers without content, which the clients that build in the old way put in."""

_SHORT = 20  # characters of a parent's name


@dataclass(frozen=True, slots=True)
class Image:
    """What a line is made of; the layers with their sizes, in order."""

    name: str
    layers: tuple[tuple[str, int], ...]
    config: tuple[str, int] | None
    has_manifest: bool

    def blobs(self) -> dict[str, int]:
        """Each blob once."""
        return {**dict(self.layers), **dict([self.config] if self.config else [])}

    def chain(self) -> tuple[str, ...]:
        """The layers that have content."""
        return tuple(name for name, _ in self.layers if name not in _EMPTY_LAYERS)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream's name, the images of its whole history, and the tags that point to each now."""

    name: str
    images: frozenset[str]
    current: dict[str, tuple[str, ...]]


@top.command("images")
def images(namespace: Everywhere = None) -> None:
    """Print every image: the tags that point to it, its parents, and its bytes."""
    with connect() as api:
        found, streams = _images(api), _streams(api, namespace)
    columns = ("NAME", "IMAGESTREAMTAG", "PARENTS", "USAGE", "METADATA", "STORAGE")
    show(columns, image_rows(found, streams))


@top.command("imagestreams")
def imagestreams(namespace: Everywhere = None) -> None:
    """Print every stream: its bytes, each layer counted once, its images and layers."""
    with connect() as api:
        found, streams = _images(api), _streams(api, namespace)
    show(("NAME", "STORAGE", "IMAGES", "LAYERS"), stream_rows(found, streams))


def read_image(found: dict[str, Any]) -> Image:
    """An image of the API."""
    layers = entries(found, "dockerImageLayers")
    config, identity = text(found, "dockerImageConfig"), text(found, "dockerImageMetadata", "Id")
    return Image(
        printable(name_of(found)),
        tuple((text(each, "name"), number(each, "size")) for each in layers),
        (identity, len(config.encode())) if config and identity else None,
        bool(text(found, "dockerImageManifest")),
    )


def read_stream(found: dict[str, Any]) -> Stream:
    """A stream of the API."""
    current: dict[str, list[str]] = {}
    every: set[str] = set()
    for tag in entries(found, "status", "tags"):
        named = [text(item, "image") for item in entries(tag, "items")]
        every.update(filter(None, named))
        if named and named[0]:
            current.setdefault(named[0], []).append(printable(text(tag, "tag")))
    space = text(mapping(found, "metadata"), "namespace")
    return Stream(
        printable(f"{space}/{name_of(found)}"),
        frozenset(every),
        {name: tuple(tags) for name, tags in current.items()},
    )


def image_rows(found: list[Image], streams: list[Stream]) -> list[list[str]]:
    """A line for each image; first those of many streams, then the large ones."""
    holders: dict[str, list[str]] = {}
    for stream in streams:
        for name in stream.images:
            tags = ",".join(stream.current.get(name, ()))
            holders.setdefault(name, []).append(f"{stream.name} ({tags})")
    parents = _parents(found)
    lines = [(image, holders.get(image.name, []), sum(image.blobs().values())) for image in found]
    lines.sort(key=lambda line: (-len(line[1]), -line[2], line[0].name))
    return [
        [
            image.name,
            ", ".join(held) or "<none>",
            ", ".join(map(_shortened, parents[image.name])) or "<none>",
            "<none>",
            "yes" if image.has_manifest and image.layers else "no",
            binary_size(size),
        ]
        for image, held, size in lines
    ]


def stream_rows(found: list[Image], streams: list[Stream]) -> list[list[str]]:
    """A line for each stream, the largest first."""
    known = {image.name: image for image in found}
    lines = []
    for stream in streams:
        held = [known[name] for name in stream.images if name in known]
        blobs: dict[str, int] = {}
        for image in held:
            blobs |= image.blobs()
        layers = sum(len(image.layers) for image in held)
        lines.append((stream.name, sum(blobs.values()), len(held), layers))
    lines.sort(key=lambda line: (-line[1], -line[2], line[0]))
    return [
        [name, binary_size(size), str(images), str(layers)] for name, size, images, layers in lines
    ]


def _parents(found: list[Image]) -> dict[str, list[str]]:
    """For each image all images whose layers its own begin with, the nearest first."""
    by_chain: dict[tuple[str, ...], list[str]] = {}
    for image in found:
        by_chain.setdefault(image.chain(), []).append(image.name)
    parents: dict[str, list[str]] = {}
    for image in found:
        chain = image.chain()
        shorter = (chain[:length] for length in range(len(chain) - 1, 0, -1))
        parents[image.name] = [name for each in shorter for name in by_chain.get(each, ())]
    return parents


def _shortened(name: str) -> str:
    return name if len(name) <= _SHORT else name[: _SHORT - 3] + "..."


def _images(api: Api) -> list[Image]:
    return [read_image(each) for each in api.items(f"{IMAGES}/images")]


def _streams(api: Api, namespace: str | None) -> list[Stream]:
    path = namespaced(namespace, "imagestreams") if namespace else f"{IMAGES}/imagestreams"
    return [read_stream(each) for each in api.items(path)]
