"""Bytes inside JSON: base64 as Go reads it, which clients rely on.

Line breaks inside are skipped, since people paste what `base64` printed. What is wrong is said by
its position alone: the text may be a secret.
"""

import base64
import binascii
import re

from tidegate.apimachinery.errors import BadRequest

_FOREIGN = re.compile(r"[^A-Za-z0-9+/\r\n]")


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def decoded(text: str, kind: str) -> bytes:
    """The bytes of a base64 text in a `kind`, or the `BadRequest` that a decoder answers."""
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        foreign = _FOREIGN.search(text)
        position = foreign.start() if foreign else len(text)
    raise BadRequest(
        f'{kind} in version "v1" cannot be handled as a {kind}: '
        f"illegal base64 data at input byte {position}"
    )
