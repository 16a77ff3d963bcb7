"""From the bytes of a request to the struct of a kind, as strictly as the client asks for.

Two steps, because patches work between them: `parse` turns bytes into JSON values (`dict`s that
remember repeated keys), `Decoder` turns values into the wire struct. What the values say beyond the
kind's schema is a list of faults; fieldValidation decides whether that is an error, a warning or
nothing. Invariant: no text of a request's body is quoted in an error, but for names of its fields.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from tidegate.apimachinery.decoding import kubernetes_protobuf, yaml_text
from tidegate.apimachinery.decoding.fields import Scan, Unreadable, go_error
from tidegate.apimachinery.decoding.yaml_text import object_of
from tidegate.apimachinery.errors import ApiError, BadRequest, UnsupportedMediaType
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.patch.json_values import VALUES, bounded, go_type
from tidegate.apimachinery.schema import Schema, schema_of

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes of a request body, as in Kubernetes."""

FAULTS_SHOWN = 100
"""Unknown and repeated fields that are told of, as in Kubernetes."""

JSON, YAML = "application/json", "application/yaml"
IGNORE, WARN, STRICT = "Ignore", "Warn", "Strict"
STRICTLY = "strict decoding error: "

K = TypeVar("K", bound=Object)


def media_type(content_type: str) -> str:
    """The bare media type of a Content-Type header, JSON when there is none."""
    return content_type.partition(";")[0].strip().lower() or JSON


def parse(body: bytes, content_type: str, limit: int = VALUES) -> Any:
    """The values, at most `limit`, in a body of a type in `READERS`; others are refused.

    `BadRequest` when it is not what its type says; nulls are kept, since patches mean something by
    them.
    """
    reader = READERS.get(media_type(content_type))
    if reader is None:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(READERS)
        )
    return reader(body, limit)


def parse_yaml(body: bytes, limit: int = VALUES) -> Any:
    """YAML, of which JSON is a part."""
    text = body.decode("utf-8", "replace")
    if text.lstrip()[:1] == "{":  # what kubectl sends as apply-patch+yaml is JSON
        try:
            return parse_json(body, limit)
        except BadRequest:
            pass
    return bounded(yaml_text.read(text), limit)


def parse_json(body: bytes, limit: int = VALUES) -> Any:
    """JSON as Go reads it: what is no UTF-8 becomes U+FFFD, numbers beyond 64 bits are floats."""
    if not body.strip():
        raise BadRequest("unexpected end of JSON input")
    try:
        text = body.decode("utf-8", "replace")
        values = json.loads(
            text,
            object_pairs_hook=object_of,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise BadRequest(f"invalid JSON at byte {error.pos}: {error.msg}") from error
    except RecursionError as error:
        raise BadRequest("exceeded max depth") from error
    bounded(values, limit)
    return _without_surrogates(values) if "\\u" in text else values


def parse_protobuf(body: bytes, limit: int = VALUES) -> Any:
    """A message of one of the kinds whose protobuf is known."""
    return bounded(kubernetes_protobuf.values(body), limit)


READERS: Mapping[str, Callable[[bytes, int], Any]] = {
    JSON: parse_json,
    YAML: parse_yaml,
    kubernetes_protobuf.CONTENT_TYPE: parse_protobuf,
}
"""How to read a body, by its media type."""


def _integer(text: str) -> int | float:
    if len(text) > 18:
        value = _float(text)
        return int(text) if len(text) < 21 and -(2**63) <= int(text) < 2**63 else value
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BadRequest("json: a number is out of range")
    return value


def _constant(text: str) -> float:
    raise BadRequest(f"invalid JSON: {text} is no value")


def _without_surrogates(value: Any) -> Any:
    """Lone surrogates are no text; Go reads them as U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return object_of(
            [(_without_surrogates(name), _without_surrogates(each)) for name, each in _pairs(value)]
        )
    return [_without_surrogates(each) for each in value] if isinstance(value, list) else value


def _pairs(value: dict[str, Any]) -> list[tuple[str, Any]]:
    repeated = value.repeated if isinstance(value, yaml_text.Repeating) else []
    return [*((name, None) for name in repeated), *value.items()]


class Clean(NamedTuple):
    """Values that fit a schema, and what did not: `unknown field "x"`, `duplicate field "y"`."""

    values: dict[str, Any]
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class Decoder(Generic[K]):
    """Reads objects of one kind."""

    kind: str
    api_version: str
    type: type[K]
    values: int = VALUES  # in one body

    @property
    def schema(self) -> Schema:
        return schema_of(self.type)

    def read(self, body: bytes, content_type: str) -> Clean:
        """The object in a body, its kind and apiVersion checked and filled in."""
        try:
            values = parse(body, content_type, self.values)
        except BadRequest as error:
            raise BadRequest(
                f"the object provided is unrecognized (must be of type {self.kind}): couldn't get "
                f"version/kind; json parse error: {error}" + ("" if body else " (<empty>)")
            ) from error
        if not isinstance(values, dict):
            raise BadRequest(
                f"the object provided is unrecognized (must be of type {self.kind}): couldn't get "
                f"version/kind; json parse error: json: cannot unmarshal {go_type(values)} into Go "
                "value of type struct"
            )
        return self.clean(values)

    def clean(self, values: dict[str, Any]) -> Clean:
        """Nulls gone, required fields there, every field known; raises what cannot be read."""
        self.check_kind(values)
        scan = Scan()
        try:
            cleaned = scan.struct(values, self.schema, "")
        except Unreadable as error:
            raise self.refusal(str(error)) from error
        cleaned["apiVersion"], cleaned["kind"] = self.api_version, self.kind
        return Clean(cleaned, scan.faults[:FAULTS_SHOWN])

    def check_kind(self, values: dict[str, Any]) -> None:
        """`BadRequest` for an object of another kind or version; empty ones are ours."""
        kind, version = values.get("kind") or self.kind, values.get("apiVersion")
        if version and version != self.api_version:
            raise BadRequest(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({self.api_version})"
            )
        if kind != self.kind:
            raise BadRequest(
                f'{kind} in version "{self.version}" cannot be handled as a {self.kind}: the data '
                f"is of another kind"
            )

    def struct(self, values: dict[str, Any]) -> K:
        """The struct of clean values."""
        try:
            return msgspec.convert(values, self.type)
        except msgspec.ValidationError as error:
            raise self.refusal(go_error(str(error), self.schema)) from error

    def settled(self, values: dict[str, Any]) -> dict[str, Any]:
        """Clean values as they are stored: without fields that mean the same as none."""
        stored: dict[str, Any] = msgspec.to_builtins(self.struct(values))
        return stored

    def judge(
        self,
        faults: Sequence[str],
        validation: str,
        warnings: list[str],
        refuse: Callable[[str], ApiError] | None = None,
    ) -> None:
        """Let fieldValidation decide about faults: raise, warn or nothing."""
        if not faults or validation == IGNORE:
            return
        if validation == WARN:
            warnings.extend(faults)
            return
        text = STRICTLY + ", ".join(faults)
        raise (refuse or self.refusal)(text)

    def refusal(self, why: str) -> ApiError:
        """Why a body cannot be read as this kind."""
        return BadRequest(
            f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: {why}'
        )

    @property
    def version(self) -> str:
        return re.sub(r".*/", "", self.api_version)
