"""The ConfigMap of certificates: whom other registries' certificates are believed from.

A key is `HOST`, or `HOST..PORT`, since a key may not hold a colon; its value is PEM.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cryptography import x509

from tidegate.kinds.registries.scopes import host_fault

_PORT = ".."


class Authority(NamedTuple):
    """What one key says: for whom, and in PEM; or why it is not believed."""

    key: str
    registry: str  # host, or host:port
    pem: str
    fault: str


def authorities(values: Mapping[str, str]) -> Iterator[Authority]:
    """Read the values of the ConfigMap."""
    for key, pem in sorted(values.items()):
        host, dots, port = key.rpartition(_PORT)
        registry = f"{host}:{port}" if dots else key
        registry = registry.lower()
        yield Authority(key, registry, pem, _fault(registry, pem))


def _fault(registry: str, pem: str) -> str:
    if host_fault(registry):
        return "is no HOST or HOST..PORT"
    try:
        certificates(pem)
    except ValueError:
        return "its value is no PEM of certificates"
    return ""


def certificates(pem: str) -> list[x509.Certificate]:
    """The certificates in a PEM text, at least one; `ValueError` when it is none."""
    return x509.load_pem_x509_certificates(pem.encode())
