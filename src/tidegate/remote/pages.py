"""Lists that come in pages (RFC 8288), from servers that may never end them.

Invariant: however many pages a server has, so much is read and no more, and from that server alone.
"""

import re

from tidegate.remote.errors import ContentInvalid
from tidegate.remote.http.answer import Answer
from tidegate.remote.http.redirects import Origin, joined, origin_of, shown

PAGES = 1000
"""Pages of one list."""

_LINK = re.compile(r"<([^<>]{1,8192})>((?:[^,\"<>]|\"[^\"]*\")*)")
_NEXT = re.compile(r";\s*rel\s*=\s*\"?next\"?(?:\s|;|$)", re.IGNORECASE)


def next_page(answer: Answer, peer: Origin, seen: set[str]) -> str | None:
    """The address of the page after this one; None after the last.

    ContentInvalid where it is elsewhere, was read already, or is one too many.
    """
    target = next((url for value in answer.headers("link") if (url := _next(value))), None)
    if target is None:
        return None
    url = joined(f"{peer}{_path(answer.url)}", target)
    if origin_of(url) != peer:
        raise ContentInvalid(f"{shown(answer.url)}: the list goes on at another server")
    if url in seen or len(seen) >= PAGES:
        raise ContentInvalid(f"{shown(answer.url)}: the list does not end")
    seen.add(url)
    return url


def _next(value: str) -> str | None:
    if len(value) > 8192:
        return None
    for url, parameters in _LINK.findall(value):
        if _NEXT.search(parameters):
            return str(url)
    return None


def _path(url: str) -> str:
    """Path and query of an address."""
    rest = url.partition("://")[2]
    return rest[rest.index("/") :] if "/" in rest else "/"
