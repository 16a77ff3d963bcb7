"""Where a redirect may lead, and what goes along: decided on values.

Invariant: what proves who asks, or says what was asked before, goes to the server that it was meant
for: the same scheme, host and port. Once left out it stays out, even if a later hop leads back.
"""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from tidegate.remote.errors import RemoteError

REDIRECT_LIMIT = 5
URL_LIMIT = 8192
"""Characters; addresses signed for a content delivery network have two thousand."""

_PORTS = {"https": 443, "http": 80}

_ANYWHERE = frozenset({"accept", "accept-encoding", "range", "user-agent"})
"""Headers that say nothing of who asks."""


class Origin(NamedTuple):
    """A server: what may be shared between two addresses is decided by this."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = _PORTS[self.scheme] == self.port
        return f"{self.scheme}://{host}{'' if standard else f':{self.port}'}"


def origin_of(url: str) -> Origin:
    """The server that an address names; RemoteError where it names none that is called here."""
    shown = url[:200]
    if len(url) > URL_LIMIT or not url.isascii() or not url.isprintable() or " " in url:
        raise RemoteError(f"{shown!r} is no address")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RemoteError(f"{shown!r} is no address") from error
    if not host or parts.scheme not in _PORTS or port == 0:
        raise RemoteError(f"{shown!r} is no address of a server")
    if parts.username is not None or parts.password is not None:
        raise RemoteError(f"an address of {host} holds credentials")
    return Origin(parts.scheme, host, port or _PORTS[parts.scheme])


Headers = Sequence[tuple[str, str]]
"""Names and values; a name may come again."""


class Hop(NamedTuple):
    """Where a request goes next, with which headers."""

    url: str
    headers: Headers


def next_hop(hop: Hop, location: str, *, insecure: bool) -> Hop:
    """Where a redirect leads; RemoteError where nobody should follow.

    From TLS to none only where the caller is `insecure` anyway.
    """
    target = joined(hop.url, location)
    before, after = origin_of(hop.url), origin_of(target)
    if before.scheme == "https" and after.scheme == "http" and not insecure:
        raise RemoteError(f"{before}: redirects from TLS to {after}, without")
    if before == after:
        return Hop(target, hop.headers)
    return Hop(target, [each for each in hop.headers if each[0].lower() in _ANYWHERE])


def joined(base: str, location: str) -> str:
    """The address that a reference within a document stands for (RFC 3986 section 5)."""
    try:
        return urljoin(base, location)
    except ValueError as error:
        raise RemoteError(f"{location[:200]!r} is no address") from error


def shown(url: str) -> str:
    """An address as errors show it: its query may hold what gives access."""
    return url.partition("?")[0][:300]
