"""The audit log: one JSON line per event, written off the path of the request it tells about.

It is apart from the program log, so that no log level can hide it. Invariants: `record` neither
waits nor raises; memory is bounded; an event that had to be given up is counted, and the count
appears in the log. Events of the last moments (`GATHERING_TIME`) die with a killed process.
"""

import logging
import os
import threading
import time
from collections import deque
from typing import Protocol

import msgspec

from tidegate.observability.timestamp import rfc3339

QUEUE_LIMIT = 10_000
"""Events waiting to be written: some 10 MB when each is at its longest."""

TEXT_LIMIT = 512
"""Characters kept of each text: a client picks its user agent, and what it asks for, at will."""

GATHERING_TIME = 0.05
"""Seconds between the first event of a batch and its write: a write per event cost 65 µs each."""

RETRY_INTERVAL = 1.0
"""Seconds between attempts while the target refuses (a full disk)."""

CLOSING_TIME = 5.0
"""Seconds that `close` waits for the last batch."""


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did what to which content, from where, and how it ended; what is unknown is left out.

    `action` is pull, push, delete, mount, list, login or another verb that clients say; `status` is
    the HTTP status; `bytes` counts the content that was sent or received; `source` is the client's
    address; `detail` says why, where the status alone does not.
    """

    time: str
    action: str
    user: str = ""
    source: str = ""
    repository: str = ""
    reference: str = ""
    digest: str = ""
    status: int = 0
    bytes: int = 0
    duration_ms: float = 0.0
    request_id: str = ""
    user_agent: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        for name in ("user", "repository", "reference", "user_agent", "detail"):
            text = getattr(self, name)
            if len(text) > TEXT_LIMIT:
                msgspec.structs.force_setattr(self, name, text[:TEXT_LIMIT] + "…")


class Audit(Protocol):
    """Where events go."""

    def record(self, event: AuditEvent) -> None:
        """Take `event`; at once, and whatever happens."""
        ...

    def close(self) -> None:
        """Write what was taken."""
        ...


class AuditOff:
    """The audit of an operator who wants none."""

    def record(self, event: AuditEvent) -> None:
        del event

    def close(self) -> None:
        pass


class Target(Protocol):
    """What lines are written to."""

    def write(self, batch: bytes) -> int:
        """Write some of `batch`, at least a byte, and say how many; or raise OSError."""
        ...

    def close(self) -> None: ...


class StandardOutput:
    """A target for programs whose output is collected by what runs them."""

    def write(self, batch: bytes) -> int:
        return os.write(1, batch)

    def close(self) -> None:
        pass


class AuditLog:
    """Writes events to `target` from a thread of its own; make it after the last fork."""

    def __init__(self, target: Target, queue_limit: int = QUEUE_LIMIT) -> None:
        self._target = target
        self._queue: deque[AuditEvent] = deque()
        self._queue_limit = queue_limit
        self._unwritten = b""
        self._lost = 0
        self._lost_lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def record(self, event: AuditEvent) -> None:
        if len(self._queue) >= self._queue_limit or self._closing.is_set():
            with self._lost_lock:
                self._lost += 1
            return
        self._queue.append(event)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        self._thread.join(CLOSING_TIME)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closing.wait(GATHERING_TIME)
            self._write_queued()
            while self._unwritten and not self._closing.wait(RETRY_INTERVAL):
                self._flush(after_failure=True)
        self._write_queued()
        if self._unwritten:
            _LOG.error("audit lines lost at shutdown: %d", self._unwritten.count(b"\n"))
        self._target.close()

    def _write_queued(self) -> None:
        lines = [self._unwritten] if self._unwritten else []
        lines += [_line(self._queue.popleft()) for _ in range(len(self._queue))]
        with self._lost_lock:
            lost, self._lost = self._lost, 0
        if lost:
            lines.append(_line(_loss(lost)))
        self._unwritten = b"".join(lines)
        self._flush()

    def _flush(self, *, after_failure: bool = False) -> None:
        while self._unwritten:
            try:
                written = self._target.write(self._unwritten)
            except OSError as error:
                if not after_failure:
                    _LOG.error("audit log cannot be written, will try again: %s", error)
                return
            self._unwritten = _rest(self._unwritten, written)


_LOG = logging.getLogger(__name__)
_ENCODER = msgspec.json.Encoder(enc_hook=str)  # names and digests are subclasses of str


def _line(event: AuditEvent) -> bytes:
    try:
        return _ENCODER.encode(event) + b"\n"
    except UnicodeEncodeError:  # a path with bytes that are no UTF-8 arrives as lone surrogates
        texts = {
            name: text.encode("utf-8", "backslashreplace").decode("utf-8")
            for name in event.__struct_fields__
            if isinstance(text := getattr(event, name), str)
        }
        return _ENCODER.encode(msgspec.structs.replace(event, **texts)) + b"\n"


def _loss(count: int) -> AuditEvent:
    return AuditEvent(
        time=rfc3339(time.time()),
        action="audit-loss",
        detail=f"{count} events before this one were not written",
    )


def _rest(batch: bytes, written: int) -> bytes:
    """What to write after a short write.

    Another process may append before we do, so a line that was cut is ended where it is and
    written once more as a whole.
    """
    if written >= len(batch):
        return b""
    start = batch.rfind(b"\n", 0, written) + 1
    return batch[start:] if start == written else b"\n" + batch[start:]
