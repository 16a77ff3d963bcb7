"""A start that cannot succeed says why in one line, ends with a status, and touches nothing."""

import contextlib
import re
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.images import small_image
from tests.registry_client import client_of
from tests.server import PASSWORD, Server, free_port, tidegate
from tests.tools import run, unavailable


def refusal(server: Server) -> str:
    """The one line with which a start is refused."""
    finished = subprocess.run(
        server.command(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=server.environment(),
        timeout=60,
        check=False,
    )
    assert finished.returncode != 0, finished
    lines = [line for line in (finished.stdout + finished.stderr).splitlines() if line.strip()]
    assert len(lines) == 1, "\n".join(lines)
    return lines[0]


def test_a_taken_port_is_named_with_another_that_is_free(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    with socket.create_server(("127.0.0.1", server.port)):
        line = refusal(server)
        assert str(server.port) in line
        other = [int(port) for port in re.findall(r":(\d+)", line) if int(port) != server.port]
        assert other, line
        with socket.create_server(("127.0.0.1", other[0])):
            pass


def test_a_port_taken_by_another_tidegate_is_noticed_too(start: Start, tmp_path: Path) -> None:
    running = start(workers=1)
    line = refusal(Server(tmp_path / "other", port=running.port))
    assert str(running.port) in line
    assert running.ready()


def test_a_taken_tls_port_is_named_as_well(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", tls=True)
    with socket.create_server(("127.0.0.1", server.tls_port)):
        assert str(server.tls_port) in refusal(server)


def test_a_data_directory_in_use_by_another_server_is_refused(start: Start) -> None:
    running = start(workers=1)
    with client_of(running) as client:
        client.push("in/use", small_image("in use"), "1")
        assert running.process is not None
        line = refusal(Server(running.data))
        assert str(running.data) in line
        assert "in use" in line
        client.pull("in/use", small_image("in use"), "1")


def schema(data: Path, version: str | None = None) -> tuple[str, str]:
    """The schema's version and the oldest one that can work on it; set both if one is given."""
    with contextlib.closing(sqlite3.connect(data / "metadata.db", isolation_level=None)) as file:
        if version is not None:
            file.execute("UPDATE alembic_version SET version_num = ?", (version,))
            file.execute("UPDATE schema_floor SET version = ?", (version,))
        found = file.execute("SELECT version_num, version FROM alembic_version, schema_floor")
        (current, floor) = found.fetchone()
        return str(current), str(floor)


def test_a_data_directory_of_a_newer_version_is_refused_and_left_as_it_is(start: Start) -> None:
    server = start(workers=1)
    with client_of(server) as client:
        client.push("newer/version", small_image("newer"), "1")
    assert server.stop() == 0
    current, _ = schema(server.data)
    schema(server.data, "9999")
    assert "newer" in refusal(server)
    assert schema(server.data) == ("9999", "9999")
    schema(server.data, current)
    server.start()
    with client_of(server) as client:
        client.pull("newer/version", small_image("newer"), "1")


def test_a_data_directory_on_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    mounted = tmp_path / "read-only"
    mounted.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", mounted).code != 0:
        unavailable("cannot mount a read-only file system")
    try:
        for data in (mounted, mounted / "data"):
            assert str(data) in refusal(Server(data))
    finally:
        run("umount", "--lazy", mounted)


def test_a_data_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file" in refusal(Server(tmp_path / "file" / "data"))


def test_a_database_that_is_none_is_refused_and_left_as_it_is(start: Start) -> None:
    server = start(workers=1)
    assert server.stop() == 0
    (server.data / "metadata.db").write_bytes(b"this is no database" * 1000)
    for companion in server.data.glob("metadata.db-*"):
        companion.unlink()
    assert "metadata.db" in refusal(server)
    assert (server.data / "metadata.db").read_bytes().startswith(b"this is no database")


@pytest.mark.parametrize(
    "arguments",  # one of each sort: tests/unit/test_config.py has them all
    [
        ("--workers", "many"),
        ("--public-url", "registry.test"),
        ("--listen", "192.0.2.1:5000"),
        ("--tls-cert", "missing.crt", "--tls-key", "missing.key"),
        ("--config", "missing.toml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    finished = subprocess.run(
        [tidegate(), "serve", "--data", str(tmp_path / "data"),
         "--listen", f"127.0.0.1:{free_port()}", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=Server(tmp_path).environment(),
        timeout=60,
        check=False,
    )  # fmt: skip
    said = finished.stdout + finished.stderr
    assert finished.returncode != 0, said
    assert "Traceback" not in said, said
    assert any(word.strip("-").replace("-", "_") in said.replace("-", "_") for word in arguments), (
        said
    )
    assert not (tmp_path / "data" / "metadata.db").exists()


def test_the_first_password_is_printed_once_and_stored_nowhere(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", workers=1)
    environment = server.environment()
    del environment["TIDEGATE_ADMIN_PASSWORD"]
    server.environment = lambda: environment  # type: ignore[method-assign]
    server.start()
    server.stop()
    first = server.log
    found = re.search(r"password[^:\n]*:?\s+(\S{12,})", first, flags=re.IGNORECASE)
    assert found, first
    password = found.group(1)
    server.start()
    try:
        assert server.log.count(password) == 1
        with client_of(server, credentials=("admin", password)) as client:
            assert client.http.get("/v2/").status_code == 200
    finally:
        server.stop()
    for path in server.files():
        assert password.encode() not in path.read_bytes(), path


def test_a_given_password_is_neither_printed_nor_stored(start: Start) -> None:
    server = start(workers=1)
    with client_of(server) as client:
        assert client.http.get("/v2/").status_code == 200
    server.stop()
    assert PASSWORD not in server.log
    for path in server.files():
        assert PASSWORD.encode() not in path.read_bytes(), path
