"""Credentials for other registries, as docker keeps them in its configuration file.

`~/.docker/config.json` (`{"auths": {...}}`, Secrets of type kubernetes.io/dockerconfigjson) and the
older `~/.dockercfg` (the object of hosts alone). Invariant: nothing secret is in a `repr` or an
error; what is malformed is no credential, and no fault of whoever wants to pull.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from tidegate.oci.pull_spec import DOCKER_HUB, HUB_ALIASES
from tidegate.remote.location import Location

_IDENTITY_TOKEN_USER = "<token>"  # noqa: S105  docker's name for "the password is such a token"

_VERSIONS = ("v1", "v2")
"""Paths of the registry protocols, which docker appends to some hosts; they are no repositories."""


class Credential(NamedTuple):
    """A user name with her password, or a token by which a registry knows her login."""

    username: str
    password: str
    identity_token: str = ""

    @property
    def account(self) -> str:
        """Who it is, in a text that gives nobody access: a token has no name of its own."""
        if self.username and self.username != _IDENTITY_TOKEN_USER:
            return "".join(filter(str.isprintable, self.username))[:100]
        return f"token {sha256(self.identity_token.encode()).hexdigest()[:12]}"

    def __repr__(self) -> str:
        """Whose it is: the rest is for nobody's log."""
        return f"Credential({self.account!r})"


class _Entry(NamedTuple):
    host: str
    path: str
    credential: Credential


class Keyring:
    """The credentials of whoever wants something, for every registry she has some for."""

    def __init__(self, entries: Iterable[_Entry] = ()) -> None:
        # the most specific first, of equal ones the first that was given
        self._entries = sorted(
            entries, key=lambda each: (-len(each.path), each.host.startswith("*"))
        )

    @classmethod
    def of(cls, configs: Iterable[bytes]) -> "Keyring":
        """Read docker configuration files; what they say wrongly is left out."""
        return cls(entry for config in configs for entry in _entries(config))

    def find(self, location: Location) -> Credential | None:
        """The credentials whose host and path match best; the first of equals, no other."""
        for host, path, credential in self._entries:
            if _is_host(host, location.host) and _is_below(path, location.repository):
                return credential
        return None

    def __bool__(self) -> bool:
        return bool(self._entries)


NO_KEYS = Keyring()
"""Whoever has no credentials at all."""


def _entries(config: bytes) -> Iterator[_Entry]:
    try:
        document = msgspec.json.decode(config, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return
    hosts = document.get("auths", document)
    if not isinstance(hosts, dict):
        return
    for key, value in hosts.items():
        credential = _credential(value) if isinstance(value, dict) else None
        if credential is not None:
            host, path = _split(key)
            yield _Entry(host, path, credential)


def _split(key: str) -> tuple[str, str]:
    """Host and path of an entry: `https://index.docker.io/v1/`, `quay.io/org`, `host:5000`."""
    _, scheme, rest = key.partition("://")
    host, _, path = (rest if scheme else key).partition("/")
    path = path.strip("/")
    first, _, below = path.partition("/")
    return _plain_host(host), below if first in _VERSIONS else path


def _plain_host(host: str) -> str:
    host = host.lower().removesuffix(":443")
    return DOCKER_HUB if host in HUB_ALIASES else host


def _is_host(pattern: str, host: str) -> bool:
    """Whether it is that host, where `*` stands for anything within a label, as in Kubernetes."""
    host = _plain_host(host)
    if "*" not in pattern:
        return pattern == host
    labels, wanted = host.split("."), pattern.split(".")
    return len(labels) == len(wanted) and all(map(_is_label, wanted, labels))


def _is_label(pattern: str, label: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == label
    fits = len(label) >= len(before) + len(after)
    return fits and label.startswith(before) and label.endswith(after)


def _is_below(path: str, repository: str) -> bool:
    return not path or f"{repository}/".startswith(f"{path}/")


def _credential(entry: Mapping[str, object]) -> Credential | None:
    username, password = _text(entry, "username"), _text(entry, "password")
    token = _text(entry, "identitytoken")
    if auth := _text(entry, "auth"):
        username, password = _decoded(auth) or (username, password)
    if username == _IDENTITY_TOKEN_USER:
        token, password = token or password, ""
    if not token and not (username and password):
        return None
    return Credential(username, password, token)


def _text(entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _decoded(auth: str) -> tuple[str, str] | None:
    """User name and password of `auth`, base64 with or without its padding."""
    try:
        text = base64.b64decode(auth.strip().rstrip("=") + "==", validate=False).decode()
    except (binascii.Error, ValueError):
        return None
    username, colon, password = text.partition(":")
    # docker pads what it stores with NUL characters
    return (username, password.rstrip("\0")) if colon else None
