"""A real PostgreSQL for the tests: the one that TIDEGATE_TEST_POSTGRESQL names, or our own.

Our own is made in a temporary directory, listens on a Unix socket alone and ends with the test
session. PostgreSQL refuses to run as root, so root runs it as another user.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from glob import glob

import psycopg

from tests.tools import unavailable

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")


@dataclass(frozen=True)
class Server:
    """A running server; `directory` is empty for one that is not ours."""

    url: str
    programs: str = ""
    directory: str = ""

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """The URL of a database of the test's own, a copy of the one at URL `template`."""
        name = f"t{uuid.uuid4().hex[:16]}"
        source = template.partition("?")[0].rpartition("/")[2]
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())
        try:
            yield _with_database(self.url, name)
        finally:
            with closing(psycopg.connect(self.url, autocommit=True)) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def restart(self) -> None:
        """Stop and start again: every connection is lost."""
        _control(self, "restart")

    def stop(self) -> None:
        _control(self, "stop")

    def start(self) -> None:
        _control(self, "start")


@contextmanager
def server() -> Iterator[Server]:
    """A server for the test session; skips where there is none."""
    if url := os.environ.get("TIDEGATE_TEST_POSTGRESQL"):
        yield Server(url)
        return
    programs = _programs()
    if programs is None:
        unavailable("PostgreSQL is not installed, and TIDEGATE_TEST_POSTGRESQL names none")
    assert programs is not None
    # short, because a socket's path has at most 107 bytes
    directory = tempfile.mkdtemp(prefix="pg", dir="/tmp")
    own = Server(f"postgresql://tidegate@/postgres?host={directory}", programs, directory)
    try:
        _make(own)
        _control(own, "start")
        try:
            yield own
        finally:
            _control(own, "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _programs() -> str | None:
    for directory in (os.path.dirname(shutil.which("initdb") or ""), *_newest_first()):
        if directory and os.path.exists(f"{directory}/initdb"):
            return directory
    return None


def _newest_first() -> list[str]:
    return sorted((found for place in _PLACES for found in glob(place)), reverse=True)


def _make(own: Server) -> None:
    user = _unprivileged()
    if user is not None:
        os.chown(own.directory, user.pw_uid, user.pw_gid)
    _run(
        *(f"{own.programs}/initdb", "--pgdata", f"{own.directory}/data", "--username", "tidegate"),
        *("--auth", "trust", "--encoding", "UTF8", "--no-sync", "--locale", "C"),
        # a collation that does not order by bytes, so that the tests notice who relies on it
        *("--locale-provider", "icu", "--icu-locale", "en-US"),
    )


def _control(own: Server, verb: str) -> None:
    options = f"-k {own.directory} -c listen_addresses= -c fsync=on -c max_connections=60"
    _run(
        *(f"{own.programs}/pg_ctl", verb, "--pgdata", f"{own.directory}/data", "--wait"),
        *("--log", f"{own.directory}/log", "--mode", "fast", "--options", options),
    )


def _run(*command: str) -> None:
    user = _unprivileged()
    ran = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        text=True,
        check=False,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    assert ran.returncode == 0, f"{command}: {ran.stdout}"


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom root runs the server as."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _with_database(url: str, name: str) -> str:
    address, _, query = url.partition("?")
    authority = address.removeprefix("postgresql://").partition("/")[0]
    return f"postgresql://{authority}/{name}" + (f"?{query}" if query else "")
