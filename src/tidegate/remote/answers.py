"""What a registry's refusal means: status and body become one of our errors, with its words.

The words are somebody else's: short, on one line, and never believed for more than showing them.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from tidegate.remote.errors import (
    AccessDenied,
    ContentMissing,
    RateLimited,
    RemoteError,
    Unavailable,
)
from tidegate.remote.http.answer import Answer
from tidegate.remote.rate_limits import read_retry_after

BODY_LIMIT = 64 * 1024
"""Bytes of a refusal that are read."""
TEXT_LIMIT = 300
"""Characters of it that are shown."""

DEFAULT_WAIT = 60.0
"""Seconds to wait after a 429 that does not say how long."""


async def refusal(
    answer: Answer, about: str, *, anonymous: bool, now: Callable[[], float] = time.time
) -> RemoteError:
    """The error that an answer is, of a request about something."""
    status, text = answer.status, await words(answer)
    message = f"{about}: {text or f'status {status}'}"
    if status in (401, 403):
        return AccessDenied(message, anonymous=anonymous)
    if status == 404:
        return ContentMissing(f"{about}: {text or 'not found'}")
    if status == 429:
        wait = read_retry_after(answer.header("retry-after"), now())
        return RateLimited(message, DEFAULT_WAIT if wait is None else wait)
    if status >= 500:
        return Unavailable(f"{about}: status {status}{f': {text}' if text else ''}")
    return RemoteError(f"{about}: status {status}{f': {text}' if text else ''}")


async def words(answer: Answer) -> str:
    """What the server says is wrong, if it says so in a form that registries use."""
    try:
        body = await answer.content(BODY_LIMIT)
    except RemoteError:
        return ""
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return ""
    return one_line("; ".join(dict.fromkeys(filter(None, _texts(document)))))


def one_line(text: str) -> str:
    """Somebody else's words, fit to be shown."""
    shown = "".join(each if each.isprintable() else " " for each in text[: TEXT_LIMIT * 2])
    return shown.strip()[:TEXT_LIMIT]


def _texts(document: Mapping[str, Any]) -> Iterator[str]:
    errors = document.get("errors")
    for each in errors[:5] if isinstance(errors, list) else ():
        if isinstance(each, dict):
            # as docker prints it
            code, message = _strings(each, "code"), _strings(each, "message")
            yield ": ".join([*(text.lower() for text in code), *message])
    yield from _strings(document, "error_description", "details", "message")
    if not document.get("error_description"):
        yield from _strings(document, "error")


def _strings(document: Mapping[str, Any], *keys: str) -> list[str]:
    return [value for key in keys if isinstance(value := document.get(key), str) and value]
