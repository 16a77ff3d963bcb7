"""Upload ids that say by themselves what a session without bytes is, so that none needs a row.

Most uploads are one POST and one request with all the bytes; a row that is written by the first and
deleted by the second cost a small push a fourth of its time. So an id is made such that any process
knows it for its own: 32 hex digits of

    random, 6 bytes | algorithm, 2 bits | seconds since 2020, 30 bits | proof, 6 bytes

The proof is a keyed hash (BLAKE2b) over the rest, the repository and its project's uid, by the keys
that sign tokens, so that nothing is left of it in a later project of the same name. Whoever guessed
one would have what a POST gives her anyway. A session gets a row with its first bytes; one that has
ended keeps a row that says so for as long as its id would be believed.
"""

import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tidegate.auth.keys import Keys
from tidegate.metastore.keys import Key
from tidegate.oci.digest import ALGORITHMS
from tidegate.oci.name import RepositoryName

BELIEVED_FOR = 3600.0
"""Seconds from the POST within which the first bytes have to come; clients send them at once."""

AHEAD = 60.0
"""Seconds by which another process's clock may be ahead of ours."""

_EPOCH = 1577836800  # 2020-01-01
_SECONDS = 30
_PURPOSE = b"tidegate upload"  # at most 16 bytes


class Opened(NamedTuple):
    """What an id says of its session: when it was opened, and the algorithm that it hashes with."""

    created: float
    algorithm: str


class UploadIds:
    """Makes and reads ids; `keys` are those that sign tokens, as of a time."""

    def __init__(self, keys: Callable[[float], Awaitable[Keys]]) -> None:
        self._keys = keys

    async def make(
        self, repository: RepositoryName, project: str, algorithm: str, now: float
    ) -> str:
        """The id of a new session; `project` is the uid of the repository's project."""
        said = ALGORITHMS.index(algorithm) << _SECONDS | int(now - _EPOCH)
        text = os.urandom(6) + said.to_bytes(4, "big")
        return (text + _proof((await self._keys(now)).signing, repository, project, text)).hex()

    async def read(
        self, repository: RepositoryName, project: str, upload_id: str, now: float
    ) -> Opened | None:
        """What an id says; None where it is none of ours, of this repository, or too old."""
        try:
            octets = bytes.fromhex(upload_id)
        except ValueError:
            return None
        if len(octets) != 16 or octets.hex() != upload_id:
            return None
        text, proof = octets[:10], octets[10:]
        said = int.from_bytes(text[6:], "big")
        created = float((said & (1 << _SECONDS) - 1) + _EPOCH)
        algorithm = said >> _SECONDS
        if not now - BELIEVED_FOR <= created <= now + AHEAD or algorithm >= len(ALGORITHMS):
            return None
        keys = (await self._keys(now)).by_kid.values()
        if not any(
            hmac.compare_digest(_proof(each, repository, project, text), proof) for each in keys
        ):
            return None
        return Opened(created, ALGORITHMS[algorithm])


def _proof(key: Key, repository: RepositoryName, project: str, text: bytes) -> bytes:
    signed = b"\0".join((repository.encode(), project.encode(), text))
    # not an HMAC of OpenSSL's: that lets go of the interpreter, and waits for it again
    made = hashlib.blake2b(signed, digest_size=6, key=key.secret, person=_PURPOSE)
    return made.digest()
