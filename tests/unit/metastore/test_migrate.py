"""Bringing a schema up to date, and refusing one that is ahead."""

import asyncio
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.metastore.database import Transaction
from tidegate.metastore.errors import MetastoreError, SchemaNewer, SchemaOlder
from tidegate.metastore.migrate import SchemaState, check, migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.schema import HISTORY, History

STEP = '''
"""A later step, for the tests."""

from alembic import op

revision = "{version}"
down_revision = "{before}"
additive = {additive}


def upgrade() -> None:
    op.execute("CREATE TABLE later_{version} (id INTEGER PRIMARY KEY)")
    op.execute("{statement}")
'''


@pytest.fixture
def later(tmp_path: Path) -> History:
    """The history of a later program: an additive step, then one that is not."""
    directory = tmp_path / "migrations"
    shutil.copytree(HISTORY.directory, directory, ignore=shutil.ignore_patterns("__pycache__"))
    write_step(directory, "8001", HISTORY.current, additive=True)
    write_step(directory, "8002", "8001", additive=False)
    return History((*HISTORY.versions, "8001", "8002"), "8001", str(directory))


def write_step(
    directory: Path, version: str, before: str, *, additive: bool, statement: str = "SELECT 1"
) -> None:
    text = STEP.format(version=version, before=before, additive=additive, statement=statement)
    (directory / "versions" / f"v{version}.py").write_text(text)


def tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


def test_nothing_and_an_empty_file_are_empty_and_stay_so_when_asked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'metadata.db'}"
    assert check(url) == "empty"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "metadata.db").touch()
    assert check(url) is SchemaState.EMPTY


def test_a_migrated_file_is_current_private_and_has_a_log_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "metadata.db"
    migrate(f"sqlite:///{file}")
    assert check(f"sqlite:///{file}") is SchemaState.CURRENT
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_several_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'metadata.db'}"
    program = "import sys; from tidegate.metastore.migrate import migrate; migrate(sys.argv[1])"
    starters = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(3)]
    assert [starter.wait() for starter in starters] == [0, 0, 0]
    assert check(url) is SchemaState.CURRENT


def test_a_database_without_tables_or_of_an_older_program_is_not_opened(
    file: Path, url: str, tmp_path: Path
) -> None:
    with pytest.raises(SchemaOlder):
        asyncio.run(open_database(f"sqlite:///{tmp_path / 'absent.db'}"))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM alembic_version")
    with pytest.raises(SchemaOlder):
        asyncio.run(open_database(url))


def test_an_additive_step_needs_no_copy(url: str, file: Path, later: History) -> None:
    additive = replace(later, versions=later.versions[:-1], floor=HISTORY.floor)
    (Path(later.directory) / "versions" / "v8002.py").unlink()
    assert check(url, additive) is SchemaState.OLDER
    migrate(url, additive)
    assert check(url, additive) is SchemaState.CURRENT
    assert "later_8001" in tables(file)
    assert not list(file.parent.glob("*.before-*"))


def test_a_step_that_is_not_additive_leaves_a_copy_of_what_was(
    url: str, file: Path, later: History
) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO repositories (name) VALUES ('shop/app')")
    migrate(url, later)
    assert check(url, later) is SchemaState.CURRENT
    copy = file.parent / "metadata.db.before-8002"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert check(f"sqlite:///{copy}") is SchemaState.CURRENT
    assert "later_8001" not in tables(copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM repositories").fetchall() == [("shop/app",)]


def test_a_step_that_fails_leaves_the_schema_as_it_was(
    url: str, file: Path, later: History
) -> None:
    write_step(
        Path(later.directory), "8002", "8001", additive=False, statement="INSERT INTO nowhere"
    )
    before = tables(file)
    for _ in range(2):  # the copy of the first attempt is in nobody's way
        with pytest.raises(MetastoreError):
            migrate(url, later)
        assert tables(file) == before
        assert check(url, later) is SchemaState.OLDER


def test_a_newer_schema_is_refused_unless_it_says_that_this_program_fits(
    url: str, later: History
) -> None:
    migrate(url, later)  # floor 8001: this program fits no more
    assert check(url) is SchemaState.NEWER
    with pytest.raises(SchemaNewer):
        migrate(url)
    with pytest.raises(SchemaNewer):
        asyncio.run(open_database(url))
    before = replace(later, versions=later.versions[:-1])
    assert check(url, before) is SchemaState.CURRENT
    migrate(url, before)


def test_a_file_that_is_no_database_is_said_to_be_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "metadata.db"
    file.write_bytes(b"certainly not a database " * 1000)
    with pytest.raises(MetastoreError, match="not a database"):
        check(f"sqlite:///{file}")


def test_the_known_versions_are_those_of_the_migrations() -> None:
    versions = Path(HISTORY.directory) / "versions"
    texts = [path.read_text() for path in sorted(versions.glob("v*.py"))]
    found = [re.search(r'^revision = "(\w+)"$', text, re.MULTILINE) for text in texts]
    assert [match and match[1] for match in found] == list(HISTORY.versions)
    assert HISTORY.floor in HISTORY.versions


def test_a_current_database_opens_without_alembic_and_sqlite_without_psycopg(url: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from tidegate.metastore.migrate import migrate\n"
        "from tidegate.metastore.open import open_database\n"
        "async def main():\n"
        "    migrate(sys.argv[1])\n"
        "    await (await open_database(sys.argv[1])).close()\n"
        "asyncio.run(main())\n"
        "print({'alembic', 'sqlalchemy', 'psycopg'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "set()\n"


def test_a_migration_waits_for_the_writers_of_a_running_server(url: str, later: History) -> None:
    async def scenario() -> None:
        held, go_on = threading.Event(), threading.Event()

        def unit(_: Transaction) -> None:
            held.set()
            assert go_on.wait(30)

        db = await open_database(url)
        writing = asyncio.create_task(db.write(unit))
        await asyncio.to_thread(held.wait, 30)
        migrating = asyncio.create_task(asyncio.to_thread(migrate, url, later))
        assert check(url, later) is SchemaState.OLDER
        go_on.set()
        await writing
        await migrating
        assert check(url, later) is SchemaState.CURRENT
        await db.close()

    asyncio.run(scenario())
