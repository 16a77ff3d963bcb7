"""A thousand watchers in one process: reads a `WatchJob` from standard input, says when all watch,
and, told how many events there were, prints when each of them reached each watcher.

Cheap beside the server: epoll, and of what comes only the ends of events are counted. All the bytes
of one watcher are kept and read in the end, so that a wrong event does not pass for a fast one.
Times are those of `time.perf_counter`, which on Linux all processes share.
"""

import json
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field

PATIENCE = 60.0
"""Seconds in which every watcher has its head, or after the last write its last event."""

_END = b"}\n"
_RECEIVED = 1 << 18


@dataclass(frozen=True)
class WatchJob:
    """So many watches of one path."""

    port: int
    path: str
    watchers: int
    headers: dict[str, str]
    pattern: str  # of what each event has once


@dataclass
class Watcher:
    """One connection, and when its events came."""

    connection: socket.socket
    head: bytes = b""
    watches: bool = False
    last: bytes = b""  # of what came; an end may come in two parts
    times: list[float] = field(default_factory=list)

    def read(self, now: float, content: bytes) -> None:
        if not self.watches:
            self.head += content
            self.watches = b"\r\n\r\n" in self.head
            if self.watches and not self.head.startswith(b"HTTP/1.1 200 "):
                raise ConnectionError(f"a watch was refused: {self.head[:500]!r}")
            _, _, content = self.head.partition(b"\r\n\r\n")
        ended = content.count(_END) + (self.last == b"}" and content[:1] == b"\n")
        self.last = content[-1:] or self.last
        self.times.extend([now] * ended)


class Watchers:
    """All of them, in one thread."""

    def __init__(self, job: WatchJob) -> None:
        self.kept = b""
        self._job = job
        self._poll = select.epoll()
        self._all: dict[int, Watcher] = {}

    def connect(self) -> None:
        """Open every watch and wait until it has begun."""
        fields = {"Host": f"127.0.0.1:{self._job.port}", **self._job.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"GET {self._job.path} HTTP/1.1\r\n{lines}\r\n".encode()
        until = time.perf_counter() + PATIENCE
        for _ in range(self._job.watchers):
            connection = socket.create_connection(("127.0.0.1", self._job.port))
            connection.sendall(request)
            connection.setblocking(False)
            self._all[connection.fileno()] = Watcher(connection)
            self._poll.register(connection.fileno(), select.EPOLLIN)
        while not all(each.watches for each in self._all.values()):
            self._step(until)

    def listen(self) -> None:
        """Take events until standard input says how many there were, and all have come."""
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        until, wanted = float("inf"), sys.maxsize
        while any(len(each.times) < wanted for each in self._all.values()):
            if self._step(until):
                self._poll.unregister(sys.stdin.fileno())
                wanted = int(sys.stdin.readline())
                until = time.perf_counter() + PATIENCE

    def times(self) -> list[list[float]]:
        """Of each event the times at which it came, by watcher."""
        return [
            list(event) for event in zip(*(each.times for each in self._all.values()), strict=True)
        ]

    def _step(self, until: float) -> bool:
        """Read what has come; True when something is to be read from standard input."""
        ready = self._poll.poll(1.0)
        told = False
        for descriptor, _ in ready:
            watcher = self._all.get(descriptor)
            if watcher is None:
                told = True
                continue
            content = watcher.connection.recv(_RECEIVED)
            if not content:
                raise ConnectionError("the server ended a watch")
            watcher.read(time.perf_counter(), content)
            if watcher is next(iter(self._all.values())):
                self.kept += content
        if time.perf_counter() > until:
            raise TimeoutError("not every watcher was told of everything")
        return told


def serials(content: bytes, pattern: str) -> list[str]:
    """What the events of one watcher say was written, in the order in which they came."""
    return [each.decode() for each in re.findall(pattern.encode(), content)]


def main() -> None:
    job = WatchJob(**json.loads(sys.stdin.readline()))
    watchers = Watchers(job)
    spent = time.process_time()
    watchers.connect()
    print("watching", flush=True)
    try:
        watchers.listen()
    except (OSError, TimeoutError) as error:
        sys.exit(str(error))
    result = {
        "times": watchers.times(),
        "serials": serials(watchers.kept, job.pattern),
        "client_seconds": time.process_time() - spent,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
