"""Whose certificates are believed: the system's authorities and those configured for a server."""

import ssl
from functools import lru_cache
from typing import NamedTuple

from tidegate.remote.errors import RemoteError


class Trust(NamedTuple):
    """Who vouches for a server: the system's authorities, those in `pem`, or nobody at all."""

    pem: str = ""
    verify: bool = True


@lru_cache(maxsize=256)
def tls_context(trust: Trust) -> ssl.SSLContext:
    """What TLS is spoken with; RemoteError where `pem` holds no certificates."""
    context = ssl.create_default_context()
    # Python 3.13 asks for extensions that many a company's own authority leaves out, and that the
    # clients which pull from the same registries do not ask for
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if trust.pem:
        try:
            context.load_verify_locations(cadata=trust.pem)
        except (ssl.SSLError, ValueError) as error:
            raise RemoteError(
                f"the configured certificate authority is unreadable: {error}"
            ) from error
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
