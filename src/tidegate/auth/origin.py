"""Where a request comes from and how its sender reaches us, behind proxies or not.

Invariants: nothing that a client can write changes what is believed, unless a proxy named in the
settings wrote it; text from a header reaches an answer only when it is a plain host and port.

A client behind a proxy that writes only one family of headers (`X-Forwarded-*` or RFC 7239's
`Forwarded`) can send the other itself. So where both are present they must agree on the client; if
they do not, neither is believed.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tidegate.auth.errors import HostInvalid

Headers = Sequence[tuple[bytes, bytes]]
"""As in an ASGI scope: names in lower case."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOP_LIMIT = 32
"""Proxies in a row that are followed, from our side."""

_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*\.?"
    r"|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?",
    re.ASCII | re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"\[([0-9a-f:.]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?|([0-9a-f:.]+)", re.ASCII | re.IGNORECASE
)
"""An address, with a port where that is no riddle; never a zone, which may be any text."""

_PAIR = re.compile(
    r'\s*([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))\s*(?:([;,])|$)', re.ASCII | re.IGNORECASE
)
"""A `forwarded-pair` and what follows it, RFC 7239 section 4."""


class Origins(NamedTuple):
    """What is believed about where requests come from and how their senders reach us."""

    public_url: str
    trusted_proxies: tuple[Network, ...]

    def client(self, scope: Mapping[str, Any]) -> str:
        """The address that the request of an ASGI scope came from."""
        return client_address(scope["headers"], _peer(scope), self.trusted_proxies)

    def origin(self, scope: Mapping[str, Any]) -> str:
        """`public_origin` of the request of an ASGI scope."""
        return public_origin(
            scope["headers"],
            _peer(scope),
            self.public_url,
            self.trusted_proxies,
            tls=scope.get("scheme") == "https",
        )


def _peer(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return client[0] if client else ""


class _Hop(NamedTuple):
    """What one proxy says of the request that it got."""

    client: str | None
    scheme: str | None
    host: str | None


_UNTOLD = _Hop(None, None, None)


def public_origin(
    headers: Headers,
    peer: str,
    public_url: str,
    trusted_proxies: tuple[Network, ...],
    *,
    tls: bool,
) -> str:
    """`scheme://host[:port]` by which the sender of this request reaches us.

    `public_url` decides where it is set; then what trusted proxies say; then the Host header and
    whether the connection is `tls`. `HostInvalid` when there is no usable host.
    """
    if public_url:
        return public_url.rstrip("/")
    scheme, host = "https" if tls else "http", None
    if _is_trusted(peer, trusted_proxies):
        hop = _first_hop(headers, trusted_proxies)
        scheme = hop.scheme or scheme
        host = hop.host
    return f"{scheme}://{host or _host(headers)}"


def client_address(headers: Headers, peer: str, trusted_proxies: tuple[Network, ...]) -> str:
    """The address that the request came from: the nearest one that is not a trusted proxy.

    `peer` is the other end of the connection, empty for a Unix socket.
    """
    if not trusted_proxies or not _is_trusted(peer, trusted_proxies):
        return peer
    return _first_hop(headers, trusted_proxies).client or peer


def _first_hop(headers: Headers, trusted: tuple[Network, ...]) -> _Hop:
    """What the outermost trusted proxy says, given that our peer is one."""
    x_forwarded = _believed(_x_forwarded(headers), trusted)
    forwarded = _believed(_forwarded(headers), trusted)
    if x_forwarded is None:
        return _UNTOLD if forwarded is None else forwarded
    if forwarded is not None and forwarded.client != x_forwarded.client:
        return _UNTOLD
    return x_forwarded


def _believed(hops: Iterable[_Hop], trusted: tuple[Network, ...]) -> _Hop | None:
    """The last hop, from our side, that a trusted proxy wrote; `hops` begin at our side."""
    believed: _Hop | None = None
    for hop in hops:
        if hop.client is None:  # "unknown", "_hidden" or no address: nothing beyond is known
            return hop._replace(client=None if believed is None else believed.client)
        believed = hop
        if not _is_trusted(hop.client, trusted):
            break
    return believed


def _x_forwarded(headers: Headers) -> Iterator[_Hop]:
    """Hops as `X-Forwarded-For`, `-Proto` and `-Host` say, nearest first.

    Proxies either append to the last two or write one value; counted from our side, the value at a
    hop's place or the farthest there is fits both.
    """
    clients = _elements(headers, b"x-forwarded-for")
    schemes = _elements(headers, b"x-forwarded-proto")
    hosts = _elements(headers, b"x-forwarded-host")
    if not clients and (schemes or hosts):
        clients = [""]
    for place, client in enumerate(clients):
        yield _Hop(
            _address(client),
            _scheme(schemes[min(place, len(schemes) - 1)]) if schemes else None,
            _checked_host(hosts[min(place, len(hosts) - 1)]) if hosts else None,
        )


def _forwarded(headers: Headers) -> Iterator[_Hop]:
    """Hops as `Forwarded` says, nearest first; nothing if any of it breaks the grammar."""
    text = ",".join(_values(headers, b"forwarded"))
    hops: list[dict[str, str]] = [{}]
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None or match[1].lower() in hops[-1]:
            return
        name, quoted, token, end = match.groups()
        hops[-1][name.lower()] = token or re.sub(r"\\(.)", r"\1", quoted)
        if end == ",":
            hops.append({})
        position = match.end()
    for hop in hops[: -HOP_LIMIT - 1 : -1]:
        if hop:
            yield _Hop(
                _address(hop.get("for", "")),
                _scheme(hop.get("proto", "")),
                _checked_host(hop.get("host", "")),
            )


def _values(headers: Headers, name: bytes) -> list[str]:
    return [text.decode("latin-1") for header, text in headers if header == name]


def _elements(headers: Headers, name: bytes) -> list[str]:
    """Elements of a comma-separated header, nearest first."""
    text = ",".join(_values(headers, name))
    nearest = text.rsplit(",", HOP_LIMIT)[-HOP_LIMIT:] if text else []
    return [element.strip() for element in reversed(nearest)]


def _address(text: str) -> str | None:
    """An IP address as `X-Forwarded-For` and `Forwarded` write it, without its port."""
    match = _ADDRESS.fullmatch(text)
    try:
        return str(ipaddress.ip_address(next(filter(None, match.groups())))) if match else None
    except ValueError:
        return None


def _scheme(text: str) -> str | None:
    return text.lower() if text.lower() in ("http", "https") else None


def _checked_host(text: str) -> str | None:
    return text if len(text) <= 255 and _HOST.fullmatch(text) else None


def _host(headers: Headers) -> str:
    hosts = _values(headers, b"host")
    if len(hosts) != 1 or _checked_host(hosts[0]) is None:
        raise HostInvalid("the Host header must be one host name and port")
    return hosts[0]


@lru_cache(maxsize=4096)
def _is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    if not trusted:
        return False
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in trusted)
