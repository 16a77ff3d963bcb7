import errno
import json
import logging
import threading
from pathlib import Path

import pytest

from tidegate.observability.audit import TEXT_LIMIT, AuditEvent, AuditLog, AuditOff
from tidegate.observability.rotating_file import RotatingFile

TIME = "2026-01-02T03:04:05.678Z"


class Disk:
    """A target that writes as much as it is told there is room for."""

    def __init__(self, room: int) -> None:
        self.content = b""
        self.room = room
        self.tried = threading.Event()
        self.done = threading.Event()

    def write(self, batch: bytes) -> int:
        if not self.room:
            self.tried.set()
            raise OSError(errno.ENOSPC, "no space left on device")
        taken = batch[: self.room]
        self.room -= len(taken)
        self.content += taken
        self.done.set()
        return len(taken)

    def close(self) -> None:
        pass


class Gate(Disk):
    """A disk that hangs until it is opened."""

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self.open = threading.Event()
        self.reached = threading.Event()

    def write(self, batch: bytes) -> int:
        self.reached.set()
        self.open.wait()
        return super().write(batch)


def event(detail: str = "") -> AuditEvent:
    return AuditEvent(time=TIME, action="pull", user="ann", detail=detail)


def test_an_event_is_one_line_of_what_is_known(tmp_path: Path) -> None:
    log = AuditLog(RotatingFile(str(tmp_path / "audit.log")))
    log.record(
        AuditEvent(
            time=TIME, action="push", user="ann", source="192.0.2.1", repository="shop/web",
            reference="1.0", status=201, bytes=512, duration_ms=1.5, request_id="r1",
        )
    )  # fmt: skip
    log.close()
    [line] = (tmp_path / "audit.log").read_text().splitlines()
    assert json.loads(line) == {
        "time": TIME, "action": "push", "user": "ann", "source": "192.0.2.1",
        "repository": "shop/web", "reference": "1.0", "status": 201, "bytes": 512,
        "duration_ms": 1.5, "request_id": "r1",
    }  # fmt: skip


def test_closing_writes_every_event_in_its_order(tmp_path: Path) -> None:
    log = AuditLog(RotatingFile(str(tmp_path / "audit.log")))
    for number in range(5000):
        log.record(event(str(number)))
    log.close()
    lines = (tmp_path / "audit.log").read_text().splitlines()
    assert [int(json.loads(line)["detail"]) for line in lines] == list(range(5000))


def test_text_that_a_client_chose_cannot_start_a_line_of_its_own() -> None:
    disk = Disk(1 << 20)
    log = AuditLog(disk)
    log.record(event('x"}\n{"action":"forged"}\r\u2028'))
    log.close()
    assert disk.content.count(b"\n") == 1
    assert json.loads(disk.content)["detail"] == 'x"}\n{"action":"forged"}\r\u2028'


def test_text_that_is_no_unicode_is_written_escaped() -> None:
    disk = Disk(1 << 20)
    log = AuditLog(disk)
    log.record(event("caf\udce9"))
    log.record(event("next"))
    log.close()
    assert [json.loads(line)["detail"] for line in disk.content.splitlines()] == [
        "caf\\udce9",
        "next",
    ]


def test_names_that_are_types_of_their_own_are_written_as_text() -> None:
    class Name(str):
        __slots__ = ()

    disk = Disk(1 << 20)
    log = AuditLog(disk)
    log.record(AuditEvent(time=TIME, action="pull", repository=Name("shop/web")))
    log.close()
    assert json.loads(disk.content)["repository"] == "shop/web"


def test_a_long_user_agent_is_cut_before_it_is_kept_in_memory() -> None:
    cut = AuditEvent(time=TIME, action="pull", user_agent="x" * 60_000)
    assert cut.user_agent == "x" * TEXT_LIMIT + "…"


def test_events_beyond_the_queue_are_dropped_and_counted_in_the_log() -> None:
    gate = Gate()
    log = AuditLog(gate, queue_limit=10)
    log.record(event("first"))
    gate.reached.wait()
    for number in range(25):
        log.record(event(str(number)))
    gate.open.set()
    log.close()
    lines = [json.loads(line) for line in gate.content.splitlines()]
    assert [line["detail"] for line in lines[1:-1]] == [str(number) for number in range(10)]
    assert lines[-1]["action"] == "audit-loss"
    assert lines[-1]["detail"].startswith("15 events")


def test_recording_never_waits_for_a_disk_that_hangs() -> None:
    gate = Gate()
    log = AuditLog(gate)
    log.record(event())
    gate.reached.wait()
    log.record(event())  # returns, or this test never ends
    gate.open.set()
    log.close()


def test_a_full_disk_loses_no_event_once_it_has_room_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk(room=0)
    log = AuditLog(disk)
    with caplog.at_level(logging.ERROR):
        log.record(event("kept"))
        disk.tried.wait()
    disk.room = 1 << 20
    disk.done.wait()
    log.close()
    assert json.loads(disk.content)["detail"] == "kept"
    assert "audit log cannot be written" in caplog.text


def test_a_line_cut_by_a_full_disk_is_written_whole_again() -> None:
    disk = Disk(room=100)
    log = AuditLog(disk)
    log.record(event("one"))
    log.record(event("two"))
    disk.tried.wait()
    disk.room = 1 << 20
    disk.content += b'{"of":"another process"}'  # lands behind the cut
    log.close()
    whole = [
        line for line in disk.content.splitlines() if line.endswith(b'"}') and line[:1] == b"{"
    ]
    assert [json.loads(line).get("detail") for line in whole if b"process" not in line] == [
        "one",
        "two",
    ]


def test_a_disk_that_stays_full_is_reported_when_the_log_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = AuditLog(Disk(room=0))
    with caplog.at_level(logging.ERROR):
        log.record(event())
        log.close()
    assert "audit lines lost at shutdown: 1" in caplog.text


def test_an_event_after_the_end_is_no_error() -> None:
    disk = Disk(1 << 20)
    log = AuditLog(disk)
    log.close()
    log.record(event())
    log.close()
    assert disk.content == b""


def test_an_audit_that_is_off_takes_events_and_keeps_none() -> None:
    audit = AuditOff()
    audit.record(event())
    audit.close()
