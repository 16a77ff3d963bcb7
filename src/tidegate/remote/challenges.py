"""`WWW-Authenticate` as other servers write it (RFC 9110 section 11.6.1): read, whatever it is.

Several challenges come in one header or in several, with quoted strings, odd spaces and schemes
that nobody here speaks. What cannot be read is left out; nothing of it costs more than its length.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

LENGTH_LIMIT = 8192
"""Characters of one header; what is longer is not read at all."""
CHALLENGES = 16
"""Challenges of one answer, after which the rest is not read."""

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME = re.compile(_WORD)
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_SEPARATOR = re.compile(r"[ \t,]*")
_ESCAPED = re.compile(r"\\(.)")


class Challenge(NamedTuple):
    """A way in: the scheme in lower case, and its parameters, names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """All challenges that can be read, in their order."""
    found: list[Challenge] = []
    for value in values:
        if len(value) <= LENGTH_LIMIT:
            found += _challenges(value)
    return found[:CHALLENGES]


def _challenges(text: str) -> Iterator[Challenge]:
    scheme, parameters = "", dict[str, str]()
    place = _after(text, 0)
    while place < len(text):
        if scheme and (read := _PARAMETER.match(text, place)):
            quoted = read[2]
            value = read[3] if quoted is None else _ESCAPED.sub(r"\1", quoted)
            parameters.setdefault(read[1].lower(), value)
        elif read := _NAME.match(text, place):
            if scheme:
                yield Challenge(scheme, parameters)
            scheme, parameters = read[0].lower(), {}
            read = _TOKEN68.match(text, read.end()) or read
        else:
            break  # what is neither can be anything up to the end
        place = _after(text, read.end())
    if scheme:
        yield Challenge(scheme, parameters)


def _after(text: str, place: int) -> int:
    separator = _SEPARATOR.match(text, place)
    return separator.end() if separator else place
