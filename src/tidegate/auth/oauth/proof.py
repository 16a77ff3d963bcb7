"""Proof keys for codes (RFC 7636): only who asked for a code can use it."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from tidegate.auth.errors import InvalidTokenRequest

METHODS = ("plain", "S256")

_TEXT = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636 sections 4.1 and 4.2: both texts."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the client that asks for a code will have to prove."""

    text: str
    method: str


def read_challenge(text: str, method: str) -> Challenge | None:
    """The challenge of an authorization request; `InvalidTokenRequest` if it is none."""
    if not text:
        if method:
            raise InvalidTokenRequest("code_challenge_method without a code_challenge")
        return None
    if (method or "plain") not in METHODS:
        raise InvalidTokenRequest("code_challenge_method is plain or S256")
    if _TEXT.fullmatch(text) is None:
        raise InvalidTokenRequest("code_challenge has 43 to 128 unreserved characters")
    return Challenge(text, method or "plain")


def proves(challenge: Challenge | None, verifier: str) -> bool:
    """Whether `verifier` meets the challenge; without a challenge there must be none.

    Taking a verifier for a code that was asked for without one would let an attacker strip the
    challenge unnoticed (RFC 9700 section 2.1.1).
    """
    if challenge is None:
        return not verifier
    if _TEXT.fullmatch(verifier) is None:
        return False
    text = verifier
    if challenge.method == "S256":
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        text = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    return hmac.compare_digest(text.encode(), challenge.text.encode())
