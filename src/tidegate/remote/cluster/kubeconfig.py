"""Reads a kubeconfig: its current context, in the form that kubectl writes.

Programs that it names for credentials (`exec`, `auth-provider`) are not run: a server has a token
of a service account, in a file if it is renewed.
"""

import base64
import binascii
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tidegate.remote.cluster.access import AccessInvalid, ClusterAccess, Token

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})  # what `kubectl proxy` listens on

LIMIT = 1024 * 1024
"""Bytes of a kubeconfig."""


def read_kubeconfig(path: Path) -> ClusterAccess:
    """The access that the current context of a kubeconfig gives; `AccessInvalid` says why none."""
    try:
        with path.open("rb") as file:
            text = file.read(LIMIT + 1)
    except OSError as error:
        raise AccessInvalid(f"kubeconfig {path}: {error.strerror}") from error
    if len(text) > LIMIT:
        raise AccessInvalid(f"kubeconfig {path} is larger than any")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise AccessInvalid(f"kubeconfig {path} is no YAML") from error
    return _Reader(path, _mapping(document)).access()


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class _Reader:
    """One kubeconfig; relative paths in it are from where it is."""

    def __init__(self, path: Path, document: dict[str, Any]) -> None:
        self._path = path
        self._document = document

    def access(self) -> ClusterAccess:
        context = self._named("contexts", "context", self._text(self._document, "current-context"))
        cluster = self._named("clusters", "cluster", self._text(context, "cluster"))
        name = self._text(context, "user")
        user = self._named("users", "user", name) if name else {}
        server = self._text(cluster, "server").rstrip("/")
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise self._wrong("its cluster has no server, an http or https URL")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise self._wrong("its server is not https, and not on this machine")
        for program in ("exec", "auth-provider"):
            if user.get(program):
                raise self._wrong(
                    f"its user gets credentials by {program}, which is not run here; give it a "
                    "token, a tokenFile or a client certificate"
                )
        return ClusterAccess(
            server=server,
            authority=self._pem(cluster, "certificate-authority"),
            insecure=cluster.get("insecure-skip-tls-verify") is True,
            server_name=self._text(cluster, "tls-server-name"),
            certificate=self._pem(user, "client-certificate"),
            key=self._pem(user, "client-key"),
            token=self._token(user),
            user=self._text(user, "username"),
            password=self._text(user, "password"),
        )

    def _token(self, user: dict[str, Any]) -> Token:
        """A token in the file, which has precedence as with kubectl, or in the kubeconfig."""
        file = self._text(user, "tokenFile")
        if file:
            token = Token(file=self._beside(file))
            if not token.now():
                raise self._wrong(f"its tokenFile {file} has no token")
            return token
        return Token(self._text(user, "token"))

    def _named(self, many: str, one: str, name: str) -> dict[str, Any]:
        """The entry of that name in one of the lists."""
        entries = self._document.get(many)
        for each in entries if isinstance(entries, list) else ():
            if _mapping(each).get("name") == name and name:
                return _mapping(each.get(one))
        raise self._wrong(f"it has no {one} {name!r}" if name else f"it names no {one}")

    def _text(self, values: dict[str, Any], name: str) -> str:
        value = values.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(f"{name} is no text")
        return value or ""

    def _pem(self, values: dict[str, Any], name: str) -> str:
        """What is in the file of that name, or in base64 beside it, which has precedence."""
        written = self._text(values, f"{name}-data")
        try:
            if written:
                return base64.b64decode(written, validate=True).decode("ascii")
            file = self._text(values, name)
            return self._beside(file).read_text("ascii") if file else ""
        except (binascii.Error, UnicodeDecodeError) as error:
            raise self._wrong(f"{name} is not in PEM") from error
        except OSError as error:
            raise self._wrong(f"{name}: {error.strerror}") from error

    def _beside(self, file: str) -> Path:
        return self._path.parent / file

    def _wrong(self, what: str) -> AccessInvalid:
        return AccessInvalid(f"kubeconfig {self._path}: {what}")
