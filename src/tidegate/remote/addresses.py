"""Which network addresses may be called: an upstream is named by whoever may import.

A name that a tenant wrote must not reach this machine, its network, or the metadata service of its
cloud. What is judged is every address that a name resolves to, at each connection, and the
connection goes to the address that was judged (`http.network`), so that no second answer of a name
server comes between. Invariant: what is not known to be public is refused.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from tidegate.remote.errors import AddressRefused

_ANYWHERE = tuple(
    map(ip_network, ("0.0.0.0/8", "240.0.0.0/4", "224.0.0.0/4", "ff00::/8", "::/128"))
)
"""No server's address, whatever an administrator allows: unspecified, multicast, reserved."""

_PRIVATE = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",  # carrier-grade NAT, pod networks of some clusters
            "127.0.0.0/8",
            "169.254.0.0/16",
            "::1/128",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)
"""Private, loopback and link-local addresses: refused unless private upstreams are allowed."""

_METADATA = tuple(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google, OpenStack and most others
            "169.254.169.123",
            "169.254.170.2",  # credentials of an ECS task
            "169.254.170.23",  # credentials of an EKS pod
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host, at a public address
            "192.0.0.192",  # Oracle
        ),
    )
)
"""Services that hand out a machine's credentials: to be reached, they must be named themselves."""

_SPECIAL = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "2001::/23",  # Teredo and other protocols' addresses
            "2001:db8::/32",
            "2002::/16",  # 6to4
            "3fff::/20",
        ),
    )
)
"""Not public, by IANA's registries of special-purpose addresses, and nobody's private network."""

_PUBLIC_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


class AddressPolicy:
    """What may be called: public addresses, private ones if so allowed, and `networks`."""

    def __init__(self, *, allow_private: bool = False, networks: Sequence[str] = ()) -> None:
        self._allow_private = allow_private
        self._networks = tuple(ip_network(each) for each in networks)

    def check(self, host: str, address: str) -> None:
        """Raise `AddressRefused` unless `address`, which `host` resolved to, may be called."""
        if not self.allows(address):
            shown = address if host == address else f"{host} ({address})"
            raise AddressRefused(
                f"{shown} is no public address: an administrator has to allow its network "
                "in upstream_networks"
            )

    def allows(self, address: str) -> bool:
        """Whether this address may be called; text that is no address may not."""
        try:
            found = _meant(ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if any(found in network for network in _ANYWHERE):
            return False
        if any(found in network for network in self._networks):
            return True
        if found in _METADATA:
            return False
        if any(found in network for network in _PRIVATE):
            return self._allow_private
        return _is_public(found)


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to, if it is such."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _PUBLIC_V6:
        return False
    return not any(address in network for network in _SPECIAL)
