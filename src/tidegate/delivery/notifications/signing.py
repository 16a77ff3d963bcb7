"""What proves that a message is ours: the headers of Standard Webhooks.

The signed text is `ID.TIMESTAMP.BODY`; the signature `v1,` and the HMAC-SHA256 in base64. A secret
that begins with `whsec_` is base64 after that, any other stands for its own bytes.
"""

import base64
import binascii
import hmac

PREFIX = b"whsec_"


class SecretInvalid(Exception):
    """A secret that cannot be used; the message does not tell it."""


def headers(secret: bytes, message: str, now: float, body: bytes) -> dict[str, str]:
    """The headers of a message that is sent at `now`."""
    stamp = str(int(now))
    signed = b".".join((message.encode(), stamp.encode(), body))
    signature = base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()
    return {
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }


def _key(secret: bytes) -> bytes:
    if not secret.startswith(PREFIX):
        return secret
    try:
        return base64.b64decode(secret[len(PREFIX) :].strip(), validate=True)
    except binascii.Error as error:
        raise SecretInvalid("the secret begins with whsec_ and is no base64 after it") from error
