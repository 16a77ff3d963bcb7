"""Which registries may be asked, in which order, and how they are trusted.

Pure values, made of the cluster's configuration (`image.config.openshift.io`, mirror sets); nothing
here knows those objects. An entry names a registry, one with a path under it, or `*.DOMAIN` for
every host below a domain; the grammar is that of containers-registries.conf(5).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.oci.pull_spec import DOCKER_HUB, HUB_ALIASES
from tidegate.remote.errors import RegistryBlocked
from tidegate.remote.location import Location

MIRROR_LIMIT = 32
"""Mirrors tried for one request; each may take its time to fail."""


class MirrorRule(NamedTuple):
    """What is at `source` may be had from `mirrors` too, and perhaps only there."""

    source: str
    mirrors: tuple[str, ...]
    contact_source: bool = True


class Source(NamedTuple):
    """Somewhere that has, or may have, what is wanted."""

    location: Location
    insecure: bool
    mirror: bool


@dataclass(frozen=True, slots=True)
class RegistryRules:
    """The rules for all registries; without any, each is asked itself and has to be trusted."""

    insecure: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    """If there are any, the others are blocked."""
    digest_mirrors: tuple[MirrorRule, ...] = ()
    tag_mirrors: tuple[MirrorRule, ...] = ()
    authorities: Mapping[str, str] = field(default_factory=dict)
    """Certificates, PEM, believed beside the system's: by `host:port`, or `host` for all ports."""

    def sources(self, location: Location, *, by_digest: bool) -> list[Source]:
        """Mirrors in their order, then the repository itself; `RegistryBlocked` if none is left."""
        if self.allowed and not _any_matches(self.allowed, location):
            raise RegistryBlocked(f"registry {location.host} blocked")
        matching = self._matching(self.digest_mirrors if by_digest else self.tag_mirrors, location)
        # what came by its tag from a mirror is read there by its digests, too, which prove it
        later = self._matching(self.tag_mirrors, location) if by_digest else []
        wanted = [
            Source(mirrored, self.is_insecure(mirrored), mirror=True)
            for mirrored in _distinct(_mirrored([*matching, *later], location))
            if mirrored != location
        ][:MIRROR_LIMIT]
        if all(rule.contact_source for _, rule in matching):
            wanted.append(Source(location, self.is_insecure(location), mirror=False))
        # whose mirrors may be asked is decided by what was wanted, as by the policy of a node
        found = [each for each in wanted if not _any_matches(self.blocked, each.location)]
        if not found:
            raise RegistryBlocked(f"registry {location.host} blocked")
        return found

    @staticmethod
    def _matching(rules: Iterable[MirrorRule], location: Location) -> list[tuple[int, MirrorRule]]:
        return _most_specific(
            (length, rule)
            for rule in rules
            if (length := _matched(rule.source, location)) is not None
        )

    def is_blocked(self, location: Location) -> bool:
        """Whether the configuration keeps this repository's registry out."""
        if _any_matches(self.blocked, location):
            return True
        return bool(self.allowed) and not _any_matches(self.allowed, location)

    def is_insecure(self, location: Location) -> bool:
        """Whether it is asked even without TLS, or with a certificate that nobody vouches for."""
        return _any_matches(self.insecure, location)

    def authority_of(self, host: str, port: int) -> str:
        """Certificates believed for this server beside the system's, as PEM; mostly none."""
        for name in (f"{host}:{port}", host):
            if pem := self.authorities.get(name):
                return pem
        if host in HUB_ALIASES:
            return self.authorities.get(DOCKER_HUB, "")
        return ""


def _any_matches(entries: Iterable[str], location: Location) -> bool:
    return any(_matched(entry, location) is not None for entry in entries)


def _matched(entry: str, location: Location) -> int | None:
    """How many characters of the location's text an entry covers; None where it does not match."""
    pattern, slash, path = entry.strip().rstrip("/").partition("/")
    host = location.host
    if pattern.startswith("*."):
        if not host.partition(":")[0].endswith(pattern[1:].lower()):
            return None
    elif _plain(pattern) != _plain(host):
        return None
    if slash and f"{location.repository}/".startswith(f"{path}/"):
        return len(host) + 1 + len(path)
    return None if slash else len(host)


def _plain(host: str) -> str:
    """A host as entries are compared: whoever writes the usual port means no other registry."""
    host = host.lower().removesuffix(":443")
    return DOCKER_HUB if host in HUB_ALIASES else host


def _most_specific(matching: Iterable[tuple[int, MirrorRule]]) -> list[tuple[int, MirrorRule]]:
    """Of the rules that match, those whose source covers most; a wildcard gives way to a name."""
    ranked = [
        ((length, not rule.source.startswith("*")), length, rule) for length, rule in matching
    ]
    best = max((rank for rank, _, _ in ranked), default=None)
    return [(length, rule) for rank, length, rule in ranked if rank == best]


def _mirrored(matching: Iterable[tuple[int, MirrorRule]], location: Location) -> Iterator[Location]:
    text = str(location)
    for length, rule in matching:
        for mirror in rule.mirrors:
            host, _, repository = f"{mirror.strip().rstrip('/')}{text[length:]}".partition("/")
            if host and repository:
                host = host.lower()
                yield Location(DOCKER_HUB if host in HUB_ALIASES else host, repository)


def _distinct(locations: Iterable[Location]) -> list[Location]:
    return list(dict.fromkeys(locations))
