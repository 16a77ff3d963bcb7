"""The program log on standard error, for people or as JSON.

It is the standard library's logging with two formatters of our own: the handlers, levels and
`getLogger(__name__)` that every Python engineer knows already do the rest, and libraries (uvicorn,
psycopg) log through it anyway. Invariant: whatever text a client managed to get into a record, it
starts one line; only a traceback goes on below, indented, and in JSON not even that.
"""

import logging
import sys
from typing import Any, TextIO

import msgspec

from tidegate.observability.request_id import REQUEST_ID
from tidegate.observability.timestamp import rfc3339

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
"""Characters that would start a new line, or steer the terminal of whoever reads the log."""


class PlainFormatter(logging.Formatter):
    """`2026-01-02T03:04:05.678Z WARNING tidegate.wire [request id] message`."""

    def format(self, record: logging.LogRecord) -> str:
        request_id = REQUEST_ID.get()
        line = (
            f"{rfc3339(record.created)} {record.levelname} {record.name} "
            f"{f'[{request_id}] ' if request_id else ''}{record.getMessage().translate(_CONTROL)}"
        )
        trace = _trace(self, record)
        return "\n    ".join([line, *(each.translate(_CONTROL) for each in trace.splitlines())])


class JsonFormatter(logging.Formatter):
    """An object per line: time, level, logger, message, request_id and trace where there are."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _encodable(record.getMessage()),
        }
        if request_id := REQUEST_ID.get():
            entry["request_id"] = request_id
        if trace := _trace(self, record):
            entry["trace"] = _encodable(trace)
        return msgspec.json.encode(entry).decode("utf-8")


def configure_logs(style: str = "plain", level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every logger's records at `level` and above to `stream` (standard error by default).

    `style` is `plain` or `json`. Called again, it replaces what was configured.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if style == "json" else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for each request
    logging.captureWarnings(True)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
