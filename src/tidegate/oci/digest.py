"""Content digests: `algorithm:encoded` (image-spec, descriptor.md, "Digests").

The two registered algorithms are accepted, sha256 and sha512, in lower-case hex only.
"""

import hashlib
import re
from typing import TYPE_CHECKING, Self

from tidegate.oci.errors import DigestInvalid

if TYPE_CHECKING:
    from hashlib import _Hash

ALGORITHMS = ("sha256", "sha512")
"""Registered algorithms, the default first."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)


class Digest(str):
    """A valid digest, as on the wire; a `str`, so it serves as a key and as an SQL parameter."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a digest; `DigestInvalid` when it is malformed or of an unregistered algorithm."""
        if _DIGEST.fullmatch(text) is None:
            raise DigestInvalid(
                f"{text[:160]!r} is no digest: write sha256:<64 hex> or sha512:<128 hex>, "
                "in lower case"
            )
        return cls(text)

    @classmethod
    def of(cls, content: bytes | memoryview, algorithm: str = "sha256") -> Self:
        """The digest of `content`."""
        return cls(f"{algorithm}:{hasher(algorithm, content).hexdigest()}")

    @property
    def algorithm(self) -> str:
        return self[:6]

    @property
    def encoded(self) -> str:
        return self[7:]

    def hasher(self) -> "_Hash":
        """A fresh hash object of this digest's algorithm."""
        return hasher(self.algorithm)

    def matches(self, content: bytes | memoryview) -> bool:
        """Whether `content` has this digest."""
        return hasher(self.algorithm, content).hexdigest() == self.encoded


def hasher(algorithm: str, content: bytes | memoryview = b"") -> "_Hash":
    """A hash object of a registered algorithm; `DigestInvalid` for any other."""
    if algorithm == "sha256":
        return hashlib.sha256(content)
    if algorithm == "sha512":
        return hashlib.sha512(content)
    raise DigestInvalid(
        f"{algorithm[:40]!r} is no registered digest algorithm: use sha256 or sha512"
    )
