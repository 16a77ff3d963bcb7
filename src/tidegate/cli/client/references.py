"""What the words of `tidegate tag` refer to, guessed as `oc tag` guesses.

Plain functions on text. A source is a tag of a stream (`web:1`, `team/web:1`), an image of a stream
(`web@sha256:…`), or an image of some registry (`quay.io/team/web:1`, or a lone word).
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from tidegate.cli.refusal import Refused
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

STREAM_TAG, STREAM_IMAGE, DOCKER = "ImageStreamTag", "ImageStreamImage", "DockerImage"

_SOURCES = {
    "imagestreamtag": STREAM_TAG,
    "istag": STREAM_TAG,
    "imagestreamimage": STREAM_IMAGE,
    "isimage": STREAM_IMAGE,
    "docker": DOCKER,
    "dockerimage": DOCKER,
}
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_COMPACT_TIME = "%Y%m%dT%H%M%SZ"  # as in the tag `1.at-20261123T101500Z`


@dataclass(frozen=True, slots=True)
class Source:
    """What a tag is set to."""

    kind: str
    spec: PullSpec

    def written(self) -> str:
        """As a person writes it."""
        project = "" if self.kind == DOCKER else self.spec.namespace
        return f"{project}/{self.named()}" if project else self.named()

    def named(self) -> str:
        """The `from.name` of a spec tag."""
        if self.kind == DOCKER:
            return self.spec.exact()
        # an id may be the beginning of a digest, which the server completes
        return f"{self.spec.name}@{self.spec.id}" if self.spec.id else _tagged(self.spec)


@dataclass(frozen=True, slots=True)
class StreamTag:
    """A tag of a stream in a project."""

    namespace: str
    stream: str
    tag: str

    @property
    def name(self) -> str:
        """The name of its ImageStreamTag."""
        return f"{self.stream}:{self.tag}" if self.tag else self.stream


def parse_source(text: str, hint: str | None) -> Source:
    """The source that a person wrote; `hint` is what --source says of it."""
    kind = _SOURCES.get((hint or "").lower())
    if hint and kind is None:
        raise Refused(f"--source={hint} is none of {', '.join(_SOURCES)}")
    before, at, image = text.partition("@")
    try:
        spec = PullSpec.parse(text if kind == DOCKER else before)
    except PullSpecInvalid as error:
        raise Refused(f"source {text!r}: {error}") from error
    if at and kind != DOCKER:
        spec = spec.with_tag("").with_id(image)
    source = Source(kind or _guess(spec), spec)
    if fault := _fault(source, text):
        raise Refused(fault)
    return source


def parse_stream_tag(text: str, namespace: str, *, tag_required: bool = True) -> StreamTag:
    """`[PROJECT/]STREAM:TAG`; without a project in it, of `namespace`."""
    project, slash, name = text.rpartition("/")
    stream, colon, tag = name.partition(":")
    if "/" in project or (slash and not project) or not stream or "@" in name or ":" in tag:
        raise Refused(f"{text!r} is not of the form [PROJECT/]STREAM:TAG")
    if tag_required and not tag:
        raise Refused(f"{text!r} must be of the form <stream_name>:<tag>")
    if colon and not tag:
        raise Refused(f"{text!r} has an empty tag")
    return StreamTag(project or namespace, stream, tag)


def check_tag(tag: str) -> None:
    """Refuse a tag that no registry has."""
    if _TAG.fullmatch(tag) is None:
        raise Refused(
            f"invalid tag {tag!r}: tags start with a letter, digit or '_', go on with those, '.' "
            "or '-', and have a maximum of 128 characters"
        )


def rollback_target(text: str) -> dict[str, Any]:
    """The event that `--to` names: a number, a moment, or the beginning of an image's digest."""
    if text.isascii() and text.isdigit() and len(text) < 12:
        return {"number": int(text)}
    try:
        return {"time": _utc(dt.datetime.strptime(text, _COMPACT_TIME).replace(tzinfo=dt.UTC))}
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return {"image": text}
    if moment.tzinfo is None:
        raise Refused(f"--to {text}: say the time zone too, such as {text}Z")
    return {"time": _utc(moment)}


def _utc(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _guess(spec: PullSpec) -> str:
    if spec.registry:
        return DOCKER
    if spec.id:
        return STREAM_IMAGE
    return STREAM_TAG if spec.tag else DOCKER


def _fault(source: Source, text: str) -> str:
    spec = source.spec
    if source.kind == DOCKER:
        return "" if spec.name else f"source {text!r} has no name of an image"
    if spec.registry:
        return "a server in the source goes with a container image only (--source=docker)"
    if source.kind == STREAM_TAG and not spec.tag:
        return f"source {text!r} is no <name>:<tag>"
    if source.kind == STREAM_IMAGE and not spec.id:
        return f"source {text!r} is no <name>@<id>"
    return ""


def _tagged(spec: PullSpec) -> str:
    return f"{spec.name}:{spec.tag}" if spec.tag else spec.name
