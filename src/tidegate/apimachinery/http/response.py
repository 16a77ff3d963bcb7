"""What an endpoint answers, and how it is written to an ASGI `send`."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tidegate.apimachinery.errors import ApiError
from tidegate.apimachinery.http.request import Receive, Send
from tidegate.apimachinery.http.unread import LARGE
from tidegate.observability.request_id import REQUEST_ID

JSON = "application/json"

WARNINGS_LIMIT = 4096
"""Bytes of all warnings of an answer, as in Kubernetes."""

encode_json = msgspec.json.Encoder(enc_hook=str).encode

Stream = Callable[[Receive, Send], Awaitable[None]]
"""Writes the rest of an answer itself, once its head is out."""


@dataclass(slots=True)
class Answer:
    """Status, headers, and a body: bytes at hand, or a stream."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    stream: Stream | None = None
    made: str = ""  # the name of an object that is new, for the audit log


def json_answer(status: int, document: Any) -> Answer:
    """An answer whose body is `document` as JSON."""
    return Answer(status, encode_json(document))


def failure(error: ApiError) -> Answer:
    """The Status of an error, with the header that says when to come again."""
    answer = json_answer(error.code, error.status())
    if error.retry_after or error.code in (429, 503):
        answer.headers.append((b"retry-after", str(error.retry_after or 1).encode()))
    return answer


def add_warnings(answer: Answer, warnings: Iterable[str]) -> None:
    """A `Warning` header for each text (RFC 9111 left it to Kubernetes: code 299, no agent)."""
    left = WARNINGS_LIMIT
    for text in dict.fromkeys(warnings):
        shown = "".join(each for each in text if each.isprintable())
        quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
        value = f'299 - "{quoted}"'.encode("utf-8", "replace")
        left -= len(value)
        if left < 0:
            return
        answer.headers.append((b"warning", value))


async def write(answer: Answer, method: str, receive: Receive, send: Send) -> None:
    """Send `answer`; a HEAD gets the same head and no body."""
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"cache-control", b"no-cache, private"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", REQUEST_ID.get().encode()),
        *answer.headers,
    ]
    if answer.stream is not None:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await answer.stream(receive, send)
        return
    if answer.status != 304:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if method == "HEAD" else answer.body
    if len(body) > LARGE:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        body = b""  # which is sent once the client has read what was before it
    await send({"type": "http.response.body", "body": body})
