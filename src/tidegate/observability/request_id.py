"""The id that ties a request's answer, log lines and audit event together.

The context variable is the only one of the program (`docs/architecture.md`): it exists so that a
log line written deep inside names its request.
"""

import re
from contextvars import ContextVar
from random import getrandbits

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request being served; empty outside of one."""

_WELL_FORMED = re.compile(r"[A-Za-z0-9._~:=+/@-]{1,128}", re.ASCII)
"""What an id from outside may be made of: it goes into logs and a response header as it is."""


def new_request_id() -> str:
    """32 hexadecimal digits, distinct between processes (`random` is reseeded after a fork)."""
    return f"{getrandbits(128):032x}"


def accept_request_id(header: str | None) -> str:
    """The caller's `X-Request-ID` where it is well formed, else a new id."""
    if header is not None and _WELL_FORMED.fullmatch(header):
        return header
    return new_request_id()
