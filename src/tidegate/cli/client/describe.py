"""`tidegate describe`: all about an image stream, one of its tags, or an image, for people.

The facts are those of the objects that the API shows; nothing is worked out that the server
could have said.
"""

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from tidegate.cli.client.api import connect, project_of
from tidegate.cli.client.completion import kinds_and_names
from tidegate.cli.client.get import Project
from tidegate.cli.client.kinds import discover, find
from tidegate.cli.client.shapes import at, entries, mapping, name_of, number, text, words
from tidegate.cli.client.tables import binary_size, fields, plain, printable
from tidegate.cli.refusal import Refused
from tidegate.images.kinds.durations import ago

_SHORT = "short forms: is, istag, isimage, image"


def describe(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND/NAME... | KIND NAME...", help=_SHORT, autocompletion=kinds_and_names
        ),
    ],
    namespace: Project = None,
) -> None:
    """Print all about image streams, their tags, or images."""
    kind_word, _, first = what[0].partition("/")
    names = [first, *(_name_only(each, kind_word) for each in what[1:])] if first else what[1:]
    if not names:
        raise Refused("say which one: KIND/NAME, or KIND NAME")
    with connect() as api:
        kind = find(discover(api), kind_word)[0]
        writer = WRITERS.get((kind.group, kind.plural))
        if writer is None:
            raise Refused(
                f"describe knows images, image streams and their tags; "
                f"`tidegate get {kind.plural} NAME -o yaml` shows the rest"
            )
        project = project_of(api, namespace) if kind.namespaced else None
        now = time.time()
        for place, name in enumerate(names):
            lines = writer(api.get(kind.path(project, name)), now)
            typer.echo(("\n" if place else "") + "\n".join(lines))


def image_stream(stream: dict[str, Any], now: float) -> list[str]:
    """An image stream, its tags and what they pointed to."""
    status, spec = mapping(stream, "status"), mapping(stream, "spec")
    statuses = {text(each, "tag"): each for each in entries(status, "tags")}
    specs = {text(each, "name"): each for each in entries(spec, "tags")}
    items = [item for each in statuses.values() for item in entries(each, "items")]
    images = {text(each, "image") or text(each, "dockerImageReference") for each in items}
    lines = fields(
        (
            *_identity(stream, now),
            (
                "Image Repository",
                text(status, "publicDockerImageRepository")
                or text(status, "dockerImageRepository"),
            ),
            ("Image Lookup", f"local={str(bool(at(spec, 'lookupPolicy', 'local'))).lower()}"),
            ("Unique Images", str(len(images))),
            ("Tags", str(len({*statuses, *specs}))),
        )
    )
    for tag in [*statuses, *(each for each in specs if each not in statuses)]:
        lines += ["", printable(tag)]
        lines += [f"  {each}" for each in _tag(specs.get(tag), statuses.get(tag, {}), now)]
    return lines


def stream_tag(found: dict[str, Any], now: float) -> list[str]:
    """A tag of a stream, and the image that it points to."""
    lines = fields(_identity(found, now))
    lines += [f"  {each}" for each in _origin(mapping(found, "tag") or None)]
    lines += [f"  {each}" for each in _conditions(found)]
    return [*lines, "", *image(mapping(found, "image"), now)]


def image_tag(found: dict[str, Any], now: float) -> list[str]:
    """A tag of a stream with its history, and the image if there is one."""
    lines = fields(_identity(found, now))
    tag = _tag(mapping(found, "spec") or None, mapping(found, "status"), now)
    lines += [f"  {each}" for each in tag]
    shown = mapping(found, "image")
    return [*lines, "", *image(shown, now)] if shown else lines


def stream_image(found: dict[str, Any], now: float) -> list[str]:
    """An image, as one of a stream."""
    return [*fields(_identity(found, now)), "", *image(mapping(found, "image"), now)]


def image(found: dict[str, Any], now: float) -> list[str]:
    """What an image is made of, and how it runs."""
    about = mapping(found, "dockerImageMetadata")
    layers = entries(found, "dockerImageLayers")
    created = text(about, "Created")
    lines = fields(
        (
            ("Image Name", printable(name_of(found))),
            ("Docker Image", printable(text(found, "dockerImageReference"))),
            ("Media Type", printable(text(found, "dockerImageManifestMediaType"))),
            ("Image Id", printable(text(about, "Id"))),
            ("Pushed", _when(text(found, "metadata", "creationTimestamp"), now)),
            ("Image Created", _when(created, now)),
            ("Author", printable(text(about, "Author"))),
            ("Arch", printable(text(about, "Architecture"))),
            ("Image Size", _size(number(about, "Size"), len(layers))),
        )
    )
    lines += _columns(
        "Layers", [(binary_size(number(each, "size")), text(each, "name")) for each in layers]
    )
    lines += _columns(
        "Manifests",
        [
            (_platform(each), text(each, "digest"))
            for each in entries(found, "dockerImageManifests")
        ],
    )
    lines += _columns(
        "Signatures",
        [(name_of(each), text(each, "type")) for each in entries(found, "signatures")],
    )
    return lines + _configuration(mapping(about, "Config"))


WRITERS: dict[tuple[str, str], Callable[[dict[str, Any], float], list[str]]] = {
    ("image.openshift.io", "imagestreams"): image_stream,
    ("image.openshift.io", "imagestreamtags"): stream_tag,
    ("image.openshift.io", "imagetags"): image_tag,
    ("image.openshift.io", "imagestreamimages"): stream_image,
    ("image.openshift.io", "images"): image,
}


def _identity(found: dict[str, Any], now: float) -> list[tuple[str, str]]:
    return [
        ("Name", printable(name_of(found))),
        ("Namespace", printable(text(found, "metadata", "namespace"))),
        ("Created", _when(text(found, "metadata", "creationTimestamp"), now)),
        ("Labels", _pairs(mapping(found, "metadata", "labels"))),
        ("Annotations", _pairs(mapping(found, "metadata", "annotations"))),
    ]


def _tag(spec: dict[str, Any] | None, status: dict[str, Any], now: float) -> list[str]:
    """Where a tag comes from, what went wrong, and its events: the newest first, with a star."""
    lines = _origin(spec) + _conditions(status)
    rows = [
        (
            "*" if place == 0 else "",
            _when(text(item, "created"), now),
            printable(text(item, "dockerImageReference") or text(item, "image")),
        )
        for place, item in enumerate(entries(status, "items"))
    ]
    for row, item in zip(plain(rows) if rows else [], entries(status, "items"), strict=True):
        lines.append(row)
        if image_id := text(item, "image"):
            lines.append(" " * 6 + printable(image_id))
    return lines


def _origin(spec: dict[str, Any] | None) -> list[str]:
    if spec is None:
        return ["no spec tag: fed by pushes"]
    source = mapping(spec, "from")
    written = printable("/".join(filter(None, (text(source, "namespace"), text(source, "name")))))
    if not source:
        lines = ["tag without source image"]
    elif at(spec, "reference"):
        lines = [f"reference to {_source_kind(source)}{written}"]
    elif at(spec, "importPolicy", "scheduled"):
        lines = [f"updates automatically from {_source_kind(source)}{written}"]
    else:
        lines = [f"tagged from {written}"]
    if at(spec, "importPolicy", "insecure"):
        lines.append("  will use insecure HTTPS or HTTP connections")
    if text(spec, "referencePolicy", "type") == "Local":
        lines.append("  prefer registry pullthrough when referencing this tag")
    if pairs := _pairs(mapping(spec, "annotations")):
        lines.append(f"  annotations: {pairs}")
    return lines


def _source_kind(source: dict[str, Any]) -> str:
    return {"DockerImage": "registry ", "ImageStreamImage": "image "}.get(text(source, "kind"), "")


def _conditions(status: dict[str, Any]) -> list[str]:
    return [
        f"! error: {printable(text(each, 'message') or text(each, 'reason'))}"
        for each in entries(status, "conditions")
        if text(each, "status") == "False"
    ]


def _configuration(config: dict[str, Any]) -> list[str]:
    lines = fields(
        (
            ("Entrypoint", printable(" ".join(words(config, "Entrypoint")))),
            ("Command", printable(" ".join(words(config, "Cmd")))),
            ("Working Dir", printable(text(config, "WorkingDir"))),
            ("User", printable(text(config, "User"))),
            ("Exposes Ports", printable(", ".join(sorted(mapping(config, "ExposedPorts"))))),
            ("Volumes", printable(", ".join(sorted(mapping(config, "Volumes"))))),
        )
    )
    labels = sorted(mapping(config, "Labels").items())
    lines += _columns("Docker Labels", [(f"{name}={value}",) for name, value in labels])
    return lines + _columns("Environment", [(each,) for each in words(config, "Env")])


def _columns(title: str, rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    return [f"{title}:", *(f"  {row}" for row in plain([[*map(printable, row)] for row in rows]))]


def _when(timestamp: str, now: float) -> str:
    return ago(timestamp, now)


def _size(size: int, layers: int) -> str:
    if not size:
        return ""
    return f"{binary_size(size)} in {layers} layers" if layers else binary_size(size)


def _platform(child: dict[str, Any]) -> str:
    parts = (text(child, "os"), text(child, "architecture"), text(child, "variant"))
    return "/".join(filter(None, parts))


def _pairs(pairs: dict[str, Any]) -> str:
    return ", ".join(printable(f"{name}={value}") for name, value in sorted(pairs.items()))


def _name_only(word: str, kind: str) -> str:
    prefix, slash, name = word.partition("/")
    if slash and prefix != kind:
        raise Refused("describe takes one kind at a time")
    return name if slash else word
