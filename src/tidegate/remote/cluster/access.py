"""Where a cluster's API server is, whom it believes us to be, and what its certificate is worth."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class AccessInvalid(ValueError):
    """A kubeconfig, or the files of a pod, that lead to no cluster; the message says what is wrong
    with them and quotes no secret."""


TOKEN_AGE = 10.0
"""Seconds for which a token that was read from a file is used: kubelets renew it long before its
end, and write the new one into the same file."""


class Token:
    """A bearer token, as it is now; one in a file is read again and again."""

    def __init__(
        self,
        text: str = "",
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._text = text
        self._file = file
        self._clock = clock
        self._read_at = float("-inf")

    def now(self) -> str:
        """The token, empty without one; an unreadable file leaves the one before in use."""
        if self._file is not None and self._clock() - self._read_at >= TOKEN_AGE:
            self._text = self._contents() or self._text
            self._read_at = self._clock()
        return self._text

    def refused(self) -> None:
        """The server did not believe it: read it anew at the next use."""
        self._read_at = float("-inf")

    def _contents(self) -> str:
        assert self._file is not None  # noqa: S101  asked for by `now` alone
        try:
            return self._file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """How to reach an API server; certificates and keys are PEM.

    Without an `authority` the system's are believed. `server_name` is the name that its certificate
    has to be for, where that is not the host of `server`.
    """

    server: str
    authority: str = ""
    insecure: bool = False
    server_name: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    token: Token = field(default_factory=Token, repr=False)
    user: str = ""
    password: str = field(default="", repr=False)


ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds the token of its service account, and the authority of its cluster."""


def in_cluster(server: str, account: Path = ACCOUNT) -> ClusterAccess:
    """Access as the service account of the pod that this process runs in."""
    try:
        authority = (account / "ca.crt").read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AccessInvalid(
            f"{account / 'ca.crt'} cannot be read: in-cluster access is for pods that have a "
            "service account token"
        ) from error
    token = Token(file=account / "token")
    if not token.now():
        raise AccessInvalid(f"{account / 'token'} has no token")
    return ClusterAccess(server=server, authority=authority, token=token)
