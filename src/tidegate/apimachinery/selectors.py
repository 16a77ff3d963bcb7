"""Label and field selectors, parsed once and asked of each object.

Grammar of labels as in Kubernetes: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`,
joined by commas. Fields know `=`, `==` and `!=` only. A selector that cannot be read is a
`BadRequest` in the words that kubectl prints.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidegate.apimachinery.errors import BadRequest, invalid
from tidegate.apimachinery.names import label_value_faults, qualified_name_faults

_LABEL_TERM = re.compile(
    r"\s*+(?:(?P<absent>!)\s*+(?P<absent_key>[^\s,()=!<>]++)"
    r"|(?P<key>[^\s,()=!<>]++)\s*+(?:"
    r"(?P<operator>==|=|!=)\s*+(?P<value>[^\s,()=!<>]*+)"
    r"|(?P<comparison>[<>])\s*+(?P<number>-?[0-9]{1,18})"
    r"|(?P<set>in|notin)\s*+\((?P<values>[^()]*+)\))?)\s*+(?:,|$)"
)
"""Nothing that was matched is given back, so that a long selector costs its length."""

_FIELD_TERMS = re.compile(r"(?:\\.|[^,])+", re.DOTALL)
_FIELD_TERM = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)
_FIELD_VALUE = re.compile(r"(?:\\[,=\\]|[^,=\\\0])*")
"""Between commas; a backslash escapes a comma, an equals sign or itself, in values alone. No store
can look for a NUL."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term: `operator` is =, !=, in, notin, exists, !, > or <."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
        return value is not None and _compares(value, self.operator, self.values[0])


def _compares(value: str, operator: str, bound: str) -> bool:
    if not re.fullmatch(r"-?[0-9]+", value):
        return False
    return int(value) > int(bound) if operator == ">" else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects: by labels and by fields; the empty one selects all.

    `fields` holds (path, wanted value, whether it must be equal).
    """

    labels: tuple[Requirement, ...] = ()
    fields: tuple[tuple[str, str, bool], ...] = ()

    @property
    def is_everything(self) -> bool:
        return not self.labels and not self.fields

    @property
    def name(self) -> str | None:
        """The one name that is selected, where `metadata.name=NAME` is asked for."""
        for path, value, equal in self.fields:
            if path == "metadata.name" and equal:
                return value
        return None

    @property
    def namespace(self) -> str | None:
        for path, value, equal in self.fields:
            if path == "metadata.namespace" and equal:
                return value
        return None

    def matches(self, labels: Mapping[str, str], field: Callable[[str], str]) -> bool:
        """Whether an object with these labels is selected; `field(path)` reads its fields."""
        return all(each.holds(labels) for each in self.labels) and all(
            (field(path) == value) is equal for path, value, equal in self.fields
        )


EVERYTHING = Selection()


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Read a labelSelector parameter."""
    terms: list[Requirement] = []
    position = 0 if text.strip() else len(text)
    while position < len(text):
        match = _LABEL_TERM.match(text, position)
        if match is None or match.end() == position:
            raise BadRequest(f"unable to parse requirement: {_excerpt(text)}")
        terms.append(_requirement(match))
        position = match.end()
    if text.rstrip().endswith(","):
        raise BadRequest("found '', expected: identifier after ','")
    return tuple(terms)


def _requirement(match: re.Match[str]) -> Requirement:
    if match["absent"]:
        return Requirement(_checked_key(match["absent_key"]), "!")
    key = _checked_key(match["key"])
    if match["operator"]:
        operator = "notin" if match["operator"] == "!=" else "in"
        return Requirement(key, operator, _checked_values(key, match["value"]))
    if match["comparison"]:
        return Requirement(key, match["comparison"], (match["number"],))
    if match["set"]:
        values = (value.strip() for value in match["values"].split(","))
        return Requirement(key, match["set"], _checked_values(key, *values))
    return Requirement(key, "exists")


def _checked_key(key: str) -> str:
    faults = qualified_name_faults(key)
    if faults:
        fault = invalid("<nil>", _excerpt(key), "; ".join(faults))
        raise BadRequest(f"unable to parse requirement: {fault}")
    return key


def _checked_values(key: str, *values: str) -> tuple[str, ...]:
    for index, value in enumerate(values):
        faults = label_value_faults(value)
        if faults:
            fault = invalid(f"values[{index}][{key}]", _excerpt(value), "; ".join(faults))
            raise BadRequest(f"unable to parse requirement: {fault}")
    return values


def parse_fields(text: str, known: Sequence[str]) -> tuple[tuple[str, str, bool], ...]:
    """Read a fieldSelector parameter; a field that is not among `known` is refused."""
    terms: list[tuple[str, str, bool]] = []
    for term in _FIELD_TERMS.findall(text):
        match = _FIELD_TERM.fullmatch(term)
        if match is None:
            raise BadRequest(
                f"invalid selector: '{_excerpt(text)}'; can't understand '{_excerpt(term)}'"
            )
        path, operator, value = match.groups()
        if path not in known:
            raise BadRequest(f"field label not supported: {_excerpt(path)}")
        terms.append((path, _unescaped(value), operator != "!="))
    return tuple(terms)


def _unescaped(value: str) -> str:
    """A value without the backslashes before what would end it."""
    if _FIELD_VALUE.fullmatch(value) is None:
        raise BadRequest(f"invalid field selector: invalid escape sequence: {_excerpt(value)}")
    return re.sub(r"\\(.)", r"\1", value)


def _excerpt(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
