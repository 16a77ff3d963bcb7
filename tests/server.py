"""A real `tidegate serve`, started as an operator would: its own processes, ports and directory.

Nothing in here looks inside the server. What a test learns, it learns over HTTP, from the log,
from the exit status, or from the files in the data directory.
"""

import contextlib
import http.client
import itertools
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

USERNAME = "admin"
PASSWORD = "correct horse battery staple"
START_SECONDS = 30.0  # generous: two cores may be busy with others
STOP_SECONDS = 60.0

TRUST = ssl.create_default_context()
"""For clients that are told nothing else: making one costs more than all else about a client."""


def wait_until(
    condition: Callable[[], object], *, seconds: float = 30.0, what: str = "condition"
) -> None:
    """Return as soon as `condition()` is true; fail with `what` when it stays false."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.02)


def _own_ports() -> Iterator[int]:
    """Ports in turn, from a random one on; processes that share a test run have none in common."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = range(15000 + process, 30000, processes)
    return itertools.islice(itertools.cycle(ports), random.randrange(len(ports)), None)


_PORTS = _own_ports()


def free_port() -> int:
    """A port that nobody listens on, below those the kernel gives to outgoing connections.

    A server that is killed and started again needs its port back; from the ephemeral range, a
    client's connection could have taken it meanwhile.
    """
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("ports never end")


def tidegate() -> str:
    """The `tidegate` command of the environment that runs the tests."""
    scripts = Path(sysconfig.get_path("scripts"))
    path = shutil.which("tidegate", path=str(scripts))
    assert path is not None, f"tidegate is not installed in {scripts}: run `make venv`"
    return path


@dataclass
class Server:
    """One data directory and pair of ports on which `tidegate serve` can be started and ended."""

    data: Path
    workers: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)  # name -> value, as environment
    arguments: tuple[str, ...] = ()
    tls: bool = False
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def program(self) -> str:
        return tidegate()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def tls_address(self) -> str:
        return f"127.0.0.1:{self.tls_port}"

    @property
    def authority(self) -> Path:
        """The certificate of the authority that the server made at its first start."""
        return self.data / "tls" / "ca.crt"

    @property
    def log_file(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    @property
    def log(self) -> str:
        """What the server printed since it was first started on this directory."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def command(self) -> list[str]:
        words = [tidegate(), "serve", "--data", str(self.data), "--listen", self.address]
        words += ["--workers", str(self.workers), *self.arguments]
        if self.tls:
            words += ["--tls-listen", self.tls_address]
        return words

    def environment(self) -> dict[str, str]:
        """Ours, without TIDEGATE_ settings of the caller, and with those of this server."""
        kept = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        given = {f"TIDEGATE_{name.upper()}": value for name, value in self.settings.items()}
        return {**kept, "TIDEGATE_ADMIN_PASSWORD": PASSWORD, **given}

    def launch(self) -> None:
        """Begin the process in a session of its own and do not wait for it."""
        assert self.process is None, "the server runs already"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
            )

    def start(self) -> "Server":
        """Begin the process and return when it is ready for requests."""
        self.launch()
        wait_until(self._ready_or_dead, seconds=START_SECONDS, what=f"/readyz\n{self.log}")
        return self

    def _ready_or_dead(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended at once:\n{self.log}"
        return self.ready()

    def ready(self) -> bool:
        """Whether /readyz answers 200 now."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> int:
        """End the server as an operator does, with SIGTERM; its exit status."""
        assert self.process is not None, "the server does not run"
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """The exit status of a server that is about to end by itself."""
        assert self.process is not None, "the server does not run"
        code = self.process.wait(STOP_SECONDS)
        self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL to every process of the server at once: as near to a power cut as a test gets."""
        assert self.process is not None, "the server does not run"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        wait_until(lambda: not self.listening(), what="the port to be free after a kill")
        self.process = None

    def listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def worker_ids(self) -> list[int]:
        """Process ids of the workers that run now."""
        assert self.process is not None, "the server does not run"
        return sorted(
            int(status.parent.name)
            for status in Path("/proc").glob("[0-9]*/stat")
            if _parent(status) == self.process.pid
        )

    def open_files(self) -> list[str]:
        """Paths that the workers have open; the kernel marks those that are `(deleted)`."""
        names = []
        for process in self.worker_ids():
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed while we looked
                    names.append(os.readlink(descriptor))
        return names

    def memory(self) -> int:
        """Bytes of resident memory, the supervisor and its workers added up."""
        assert self.process is not None, "the server does not run"
        return sum(_resident(process) for process in [self.process.pid, *self.worker_ids()])

    def check(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`tidegate check` on this data directory."""
        return subprocess.run(
            [tidegate(), "check", "--data", str(self.data), *arguments],
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=300,
            check=False,
        )

    def files(self, *folder: str) -> list[Path]:
        """Files under a folder of the data directory that exist now."""
        return sorted(path for path in self.data.joinpath(*folder).rglob("*") if path.is_file())


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server started, and nothing of it left after the block, however the block ended."""
    try:
        yield server.start()
    finally:
        if server.process is not None:
            if server.process.poll() is None:
                server.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(STOP_SECONDS)
            server.process = None


def _is_setting(variable: str) -> bool:
    return variable.startswith("TIDEGATE_")


def _parent(status: Path) -> int:
    try:
        # "pid (name) state parent ...": the name may hold blanks and brackets
        return int(status.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it ended while we looked
        return 0


def _resident(process: int) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
