"""How configuration names registries: `HOST[:PORT][/PATH]`, or `*.DOMAIN` for all hosts below it.

The grammar is that of OpenShift's `config/v1`, written without its ambiguity: a hostile text would
cost a backtracking matcher exponential time there.
"""

import re

SCOPE_LIMIT = 256
"""Characters of one, as in the original."""

ENTRIES = 1024
"""Entries of one list, as in the original."""

_LABEL = "[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?"
_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST_ONLY = re.compile(_HOST, re.ASCII)
_LOCATION = re.compile(rf"{_HOST}(?:/{_COMPONENT})*", re.ASCII)
_WILDCARD = re.compile(rf"\*(?:\.{_LABEL})+", re.ASCII)

_SCOPE_RULE = (
    "each registry must be a valid hostname[:port][/path] or wildcard *.hostname format without "
    "tags or digests"
)
"""In the words of the original."""


def scope_fault(text: str) -> str:
    """What is wrong with a registry, a part of one, or a wildcard; empty for a good one."""
    if _WILDCARD.fullmatch(text) and len(text) <= SCOPE_LIMIT:
        return ""
    return _SCOPE_RULE if location_fault(text) else ""


def location_fault(text: str) -> str:
    """The same where no wildcard may be: what mirrors are."""
    if len(text) > SCOPE_LIMIT:
        return f"may not be more than {SCOPE_LIMIT} characters"
    if _LOCATION.fullmatch(text) is None:
        return "must be a valid hostname[:port][/path] without scheme, tag or digest"
    return ""


def host_fault(text: str) -> str:
    """The same for a lone host."""
    if len(text) > SCOPE_LIMIT or _HOST_ONLY.fullmatch(text) is None:
        return "must be a valid hostname[:port]"
    return ""
