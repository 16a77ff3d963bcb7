"""A registry as one caller reaches it: where it answers, whose certificates count, as whom."""

import re
from typing import NamedTuple

from tidegate.oci.errors import OciError
from tidegate.oci.name import parse_reference
from tidegate.remote.credentials import Credential
from tidegate.remote.errors import RemoteError
from tidegate.remote.http.redirects import Origin
from tidegate.remote.http.trust import Trust
from tidegate.remote.location import Location
from tidegate.remote.rules import RegistryRules

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?", re.ASCII)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*", re.ASCII)

REPOSITORY_LIMIT = 255
"""Characters of a repository's name, with its registry's in most clients."""


class Peer(NamedTuple):
    """A registry as one caller reaches it.

    `host` is what people call it, by which budgets are kept; `insecure` allows certificates that
    nobody vouches for, and no TLS.
    """

    host: str
    origin: Origin
    rules: RegistryRules
    insecure: bool
    credential: Credential | None

    def trust(self, origin: Origin) -> Trust:
        """Who vouches for a server that this registry leads to, or for itself."""
        return Trust(self.rules.authority_of(origin.host, origin.port), not self.insecure)

    @property
    def account(self) -> str:
        """Whose requests the registry counts; empty for nobody's."""
        return self.credential.account if self.credential is not None else ""


def check_location(location: Location) -> None:
    """Refuse what is no repository of a registry: it goes into addresses as it stands."""
    components = location.repository.split("/")
    if (
        len(location.repository) > REPOSITORY_LIMIT
        or _HOST.fullmatch(location.host) is None
        or not all(map(_REPOSITORY.fullmatch, components))
    ):
        raise RemoteError(f"{str(location)[:300]!r} is no repository of a registry")


def check_reference(reference: str) -> None:
    """Refuse what is neither a tag nor a digest."""
    try:
        parse_reference(reference)
    except OciError as error:
        raise RemoteError(str(error)) from error


def origin_at(location: Location, *, scheme: str) -> Origin:
    """The server that a location's registry is, spoken to by this scheme."""
    host, _, port = location.authority.partition(":")
    return Origin(scheme, host, int(port) if port else {"https": 443, "http": 80}[scheme])
