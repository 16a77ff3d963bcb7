"""YAML as clients send it to the API: one document of JSON values.

It is read event by event with a stack of our own, so that neither depth nor aliases cost more than
their bytes say. Scalars mean what they mean to Kubernetes: dates and sexagesimal numbers are
strings, keys are strings always. A key that is given twice is remembered (`Repeating`), not hidden.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tidegate.apimachinery.errors import BadRequest

DEPTH = 100
"""Collections inside one another, as for patches."""

ALIAS_LIMIT = 100_000
"""Values that all aliases of a document may stand for together."""

_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
"""One way alone to read each text, so that a long one which is no number costs its length."""

_DIGITS_LIMIT = 400
"""Characters of a number; what is longer is text."""
_TRUE, _FALSE = ("y", "yes", "on", "true"), ("n", "no", "off", "false")
_TAG = "tag:yaml.org,2002:"
_MERGE = object()


class Repeating(dict[str, Any]):
    """An object in which keys were given more than once; the last one counts."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated: list[str] = []
        for key, _value in pairs:
            if key in seen and key not in self.repeated:
                self.repeated.append(key)
            seen.add(key)


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs."""
    plain = dict(pairs)
    return plain if len(plain) == len(pairs) else Repeating(pairs)


def read(text: str) -> Any:
    """The one document in `text`; None for an empty one. `BadRequest` when it is no such thing."""
    try:
        return _Reader().read(text)
    except yaml.YAMLError as error:
        raise BadRequest(f"error converting YAML to JSON: yaml: {_where(error)}") from error


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return "the stream cannot be read"  # other errors may quote it


class _Open:
    """A collection that has begun: what it holds so far, and its anchor."""

    __slots__ = ("anchor", "is_mapping", "items")

    def __init__(self, anchor: str | None, *, is_mapping: bool) -> None:
        self.anchor = anchor
        self.is_mapping = is_mapping
        self.items: list[Any] = []

    def value(self) -> Any:
        if not self.is_mapping:
            return self.items
        pairs: list[tuple[str, Any]] = []
        merged: dict[str, Any] = {}
        for key, value in zip(self.items[::2], self.items[1::2], strict=True):
            if key is _MERGE:
                for each in reversed(value if isinstance(value, list) else [value]):
                    if not isinstance(each, dict):
                        raise BadRequest("error converting YAML to JSON: map merge requires map")
                    merged |= each
            else:
                pairs.append((_key(key), value))
        own = object_of(pairs)
        return {**merged, **own} if merged else own


class _Reader:
    def __init__(self) -> None:
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliased = 0
        self._documents = 0
        self._root: Any = None

    def read(self, text: str) -> Any:
        for event in _events(text):
            match event:
                case yaml.DocumentStartEvent():
                    self._documents += 1
                    if self._documents > 1:
                        raise BadRequest("error converting YAML to JSON: more than one document")
                case yaml.ScalarEvent():
                    self._add(self._scalar(event), event.anchor)
                case yaml.AliasEvent():
                    self._add(self._alias(event.anchor or ""), None)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin(event)
                case yaml.CollectionEndEvent():
                    ended = self._stack.pop()
                    self._add(ended.value(), ended.anchor)
        return self._root

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._stack) >= DEPTH:
            raise BadRequest("exceeded max depth")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self._stack.append(_Open(event.anchor, is_mapping=is_mapping))

    def _add(self, value: Any, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = value, _size(value)
        if self._stack:
            self._stack[-1].items.append(value)
        else:
            self._root = value

    def _alias(self, anchor: str) -> Any:
        known = self._anchors.get(anchor)
        if known is None:
            raise BadRequest(f"error converting YAML to JSON: unknown anchor '{anchor[:100]}'")
        value, size = known
        self._aliased += size
        if self._aliased > ALIAS_LIMIT:
            raise BadRequest("error converting YAML to JSON: document contains excessive aliasing")
        return value

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text, tag = event.value, event.tag
        if tag is None or tag == "!":
            plain, _quoted = event.implicit
            return _plain(text, is_key=self._at_key()) if plain and tag is None else text
        if tag == _TAG + "str":
            return text
        if tag.startswith(_TAG):
            return _plain(text, is_key=False)
        raise BadRequest("error converting YAML to JSON: unknown tag")

    def _at_key(self) -> bool:
        top = self._stack[-1] if self._stack else None
        return top is not None and top.is_mapping and len(top.items) % 2 == 0


def _events(text: str) -> Iterator[yaml.Event]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    yield from yaml.parse(text, Loader=loader)


def _plain(text: str, *, is_key: bool) -> Any:
    """What a scalar without quotes says."""
    lowered = text.lower()
    if text in ("", "~") or lowered == "null":
        return None
    if lowered in _TRUE[1:]:
        return True
    if lowered in _FALSE[1:]:
        return False
    if text == "<<" and is_key:
        return _MERGE
    if text[0] in "+-.0123456789":
        return _number(text)
    return text


def _number(text: str) -> Any:
    if len(text) > _DIGITS_LIMIT:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text) and any(each.isdigit() for each in text):
        value = float(text.replace("_", ""))
        return text if value in (float("inf"), float("-inf")) else value
    if text.lstrip("+-").lower() == ".inf" or text.lower() == ".nan":
        raise BadRequest("error converting YAML to JSON: json: unsupported value")
    return text


def _integer(text: str) -> Any:
    """The number that such a text is: beyond 64 bits a float."""
    digits = text.replace("_", "").lstrip("+-")
    if re.fullmatch(r"0[box]?", digits) and digits != "0":
        return text  # nothing but underscores followed the prefix
    exact = int(digits, 8 if re.fullmatch(r"0[0-7]+", digits) else 0)
    exact = -exact if text.startswith("-") else exact
    return exact if -(2**63) <= exact < 2**63 else _rounded(exact, text)


def _rounded(exact: int, text: str) -> Any:
    try:
        return float(exact)
    except OverflowError:
        return text


def _key(key: Any) -> str:
    """A key as text; what is no scalar cannot be one."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, int | float):
        return str(key)
    if key is None:
        return "null"
    raise BadRequest("error converting YAML to JSON: unsupported map key")


def _size(value: Any) -> int:
    """How many values an anchor stands for, counted until the limit."""
    count, waiting = 0, [value]
    while waiting and count <= ALIAS_LIMIT:
        each = waiting.pop()
        count += 1
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return count
