"""In which form a client wants its answer: the Accept header.

Clauses are tried by their quality, then in order, as Kubernetes does: the first that can be served
wins. Forms are values, so that an event encoded in one form is shared by all who want that form.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.apimachinery.decoding.decoder import JSON, YAML
from tidegate.apimachinery.errors import BadRequest, NotAcceptable

META_VERSIONS = ("v1", "v1beta1")
OBJECT, TABLE, PARTIAL, PARTIAL_LIST = (
    "",
    "Table",
    "PartialObjectMetadata",
    ("PartialObjectMetadataList"),
)
CONVERSIONS = (TABLE, PARTIAL, PARTIAL_LIST)
INCLUSIONS = ("None", "Metadata", "Object")

_CLAUSES = re.compile(r'(?:[^,"]|"[^"]*")+')


@dataclass(frozen=True, slots=True)
class Form:
    """`media` is JSON or YAML; `kind` the conversion, in `version` of meta.k8s.io.

    `include` says what a table's rows carry: None, Metadata or Object.
    """

    media: str = JSON
    kind: str = OBJECT
    version: str = "v1"
    include: str = "Metadata"

    @property
    def content_type(self) -> str:
        return self.media


PLAIN = Form()


class Clause(NamedTuple):
    """One media range of an Accept header."""

    media: str
    parameters: dict[str, str]
    quality: float


def negotiate(accept: str, include: str = "", *, stream: bool = False) -> Form:
    """The form to answer in; `NotAcceptable` when the client takes none that there is."""
    for clause in clauses(accept) if accept.strip() else [Clause("*/*", {}, 1.0)]:
        form = _form(clause)
        if form is not None and not (stream and form.media == YAML):
            return _including(form, include)
    suffix = ";stream=watch" if stream else ""
    raise NotAcceptable(
        f"only the following media types are accepted: {JSON}{suffix}"
        + ("" if stream else f", {YAML}")
    )


def clauses(accept: str) -> list[Clause]:
    """The media ranges of an Accept header, the most wanted first."""
    found = [_clause(text) for text in _CLAUSES.findall(accept)]
    return sorted((each for each in found if each.quality > 0), key=lambda each: -each.quality)


def _clause(text: str) -> Clause:
    media, *rest = (part.strip() for part in text.split(";"))
    parameters: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 1.0
    return Clause(media.lower(), parameters, quality)


def _form(clause: Clause) -> Form | None:
    media = {"*/*": JSON, "application/*": JSON, JSON: JSON, YAML: YAML}.get(clause.media)
    parameters = clause.parameters
    if media is None or parameters.get("stream", "watch") not in ("", "watch"):
        return None
    if not any(parameters.get(each) for each in ("as", "g", "v")):
        return Form(media)
    kind, version = parameters.get("as", ""), parameters.get("v", "")
    if parameters.get("g") != "meta.k8s.io" or version not in META_VERSIONS:
        return None
    return Form(media, kind, version) if kind in CONVERSIONS else None


def _including(form: Form, include: str) -> Form:
    """The same form with a table's includeObject parameter; it means nothing to other forms."""
    if form.kind != TABLE or not include:
        return form
    if include not in INCLUSIONS:
        raise BadRequest(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": '
            "must be 'Metadata', 'Object', 'None', or empty"
        )
    return Form(form.media, form.kind, form.version, include)
