"""Who may be imported from: `allowedRegistriesForImport` as a question about a host.

Decisions and texts are the original's, which clients print (image-api 4.1, 7.1, 12). Our own
registry is always allowed. Letters of hosts are alike in either case.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tidegate.oci.pull_spec import DOCKER_HUB, HUB_ALIASES, PullSpec, PullSpecInvalid

_SHOWN = 5
"""Entries of the list that a refusal names."""

_TRANSPORTS = ("80", "443", "*")
"""Ports of an entry for a host that was given none, when either transport will do."""

_LIMIT = 256

_ALL = "*:*"


class Allowed(NamedTuple):
    """An entry: globs of host and port, of `*` and `?`."""

    host: str
    port: str

    @classmethod
    def of(cls, domain_name: str, *, insecure: bool) -> "Allowed":
        """Read an entry; without a port it is that of https, or of http if `insecure`."""
        host, _, port = domain_name.partition(":")
        return cls(host, port or ("80" if insecure else "443"))

    def __str__(self) -> str:
        return f'"{self.host}:{self.port}"'


def allowed_fault(domain_name: str) -> str:
    """What is wrong with an entry, so that it can match nothing; empty for a good one."""
    if domain_name.count(":") > 1:
        return "too many colons"
    if "/" in domain_name or not domain_name.isprintable() or " " in domain_name:
        return "must be HOST or HOST:PORT, without scheme or path; * and ? are wildcards"
    return f"may not be more than {_LIMIT} characters" if len(domain_name) > _LIMIT else ""


@dataclass(frozen=True, slots=True)
class ImportPolicy:
    """The registries that users may import from; all of them unless `restricted`.

    `internal` is our own HOST[:PORT]. `known` are repositories that a stream refers to already.
    """

    allowed: tuple[Allowed, ...] = ()
    restricted: bool = False
    internal: str = ""
    known: frozenset[str] = frozenset()

    def knowing(self, references: Iterable[str]) -> "ImportPolicy":
        """The same, where the repositories of these pull specs are allowed, too."""
        if not self.restricted:
            return self
        found = set(self.known)
        for text in references:
            try:
                found.add(_repository(PullSpec.parse(text)))
            except PullSpecInvalid:
                continue  # users may rid a stream of what is no pull spec
        return replace(self, known=frozenset(found))

    def fault(self, host: str, port: str, insecure: bool = False) -> str:
        """Why nothing may come from a host and port; empty when it may.

        With `insecure` the port may be empty: then that of either transport will do.
        """
        registry = f"{host}:{port}" if port else host
        return self.fault_of(PullSpec(registry=registry), insecure=insecure)

    def fault_of(self, spec: PullSpec, *, insecure: bool = False) -> str:
        """Why a stream may not refer to this; empty when it may."""
        if not self.restricted or (self.known and _repository(spec) in self.known):
            return ""
        host, port = _address(spec, insecure=insecure)
        entries = self._entries()
        names = [host.lower()]
        if names[0] in HUB_ALIASES[1:]:
            names.insert(0, DOCKER_HUB)
        if any(_matches(name, port, entry) for name in names for entry in entries):
            return ""
        registry = spec.registry or (f"{host}:{port}" if port else host)
        return f'registry "{registry}" not allowed by {_listed(entries)}'

    def import_fault(self, spec: PullSpec, *, insecure: bool = False) -> str:
        """Why an import from here is refused, as the answer to a request says it."""
        host, port = spec.registry_host_port(insecure=insecure)
        why = self.fault(host, port)
        return f'importing images from registry "{host}:{port}" is forbidden: {why}' if why else ""

    def hosts(self) -> list[str]:
        """HOST:PORT that may be imported from, as globs."""
        return (
            [f"{each.host}:{each.port}" for each in self._entries()] if self.restricted else [_ALL]
        )

    def _entries(self) -> Sequence[Allowed]:
        if not self.internal:
            return self.allowed
        own = Allowed.of(self.internal, insecure=False)
        return self.allowed if own in self.allowed else (own, *self.allowed)


def _repository(spec: PullSpec) -> str:
    return spec.docker_client_defaults().repository().exact()


def _address(spec: PullSpec, *, insecure: bool) -> tuple[str, str]:
    """Host and port that a pull spec is about; no port is that of any transport."""
    if not insecure:
        return spec.registry_host_port()
    host, _, port = spec.registry.partition(":")
    return (host, port) if host else (spec.registry_host_port()[0], "")


def _matches(host: str, port: str, entry: Allowed) -> bool:
    if not matches(host, entry.host.lower()):
        return False
    return matches(port, entry.port) if port else entry.port in _TRANSPORTS


def _listed(entries: Sequence[Allowed]) -> str:
    if not entries:
        return "empty whitelist"
    if len(entries) <= _SHOWN:
        return "whitelist: " + ", ".join(map(str, entries))
    some = ", ".join(map(str, entries[: _SHOWN - 1]))
    return f"whitelist: {some}, and {len(entries) - _SHOWN + 1} more ..."


def matches(text: str, glob: str) -> bool:
    """Whether a whole text is as a glob of `*` and `?` says; steps are at most their product."""
    at, place, star, tried = 0, 0, -1, 0
    while at < len(text):
        if place < len(glob) and glob[place] == "*":
            star, tried = place, at
            place += 1
        elif place < len(glob) and glob[place] in ("?", text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:  # let the last star take one more
            tried += 1
            at, place = tried, star + 1
        else:
            return False
    return glob[place:].strip("*") == ""
