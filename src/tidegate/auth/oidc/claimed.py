"""Whom an issuer's token was about, as the reference of the login that came of it keeps it."""

from dataclasses import dataclass

import msgspec

_FORM = tuple[str, str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A user and groups, by the word of the issuer `issuer`, which is configured as `name`."""

    name: str
    issuer: str
    user: str
    groups: tuple[str, ...]

    def reference(self, kind: str) -> str:
        text = msgspec.json.encode((self.name, self.issuer, self.user, self.groups))
        return f"{kind}:{text.decode()}"


def read_reference(reference: str, kind: str) -> Claimed | None:
    """What `Claimed.reference` wrote; None for anything else."""
    try:
        return Claimed(*msgspec.json.decode(reference.removeprefix(f"{kind}:"), type=_FORM))
    except msgspec.MsgspecError:
        return None
