"""What is shown of the work that a server has to do."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.errors import BadRequest, NotFound
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, ListOptions
from tidegate.kinds.work.background_job import (
    BACKGROUND_JOBS,
    CLUSTER_BACKGROUND_JOBS,
    BackgroundJob,
    shown,
    state_of,
)
from tidegate.kinds.work.job_storage import JobStorage
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.jobs import Job
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

NOW = 1000.0


@pytest.fixture(scope="module")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def url(migrated_file: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path)}"


def with_jobs(url: str, scenario: Callable[[Database], Awaitable[None]]) -> None:
    """Run on a database with work for two projects and for the registry."""

    def fill(tx: Transaction) -> None:
        for project in ("", "lab", "shop"):
            for kind in ("import", "scheduled-import"):
                name = f"{project}/web:1.0" if project else "everything"
                jobs.enqueue(
                    tx, kind, name, due=900.0, lane="quay.io", project=project, total=4, now=800.0
                )

    async def run() -> None:
        database = await open_database(url)
        try:
            await database.write(fill)
            await scenario(database)
        finally:
            await database.close()

    asyncio.run(run())


def call(namespace: str = "") -> Call:
    return Call(user=User("ann"), verb="list", namespace=namespace)


async def listed(
    storage: JobStorage, namespace: str = "", limit: int = 0, **fields: str
) -> list[tuple[str, str]]:
    """Namespaces and names, page by page."""
    chosen = tuple((path.replace("_", "."), value, True) for path, value in fields.items())
    found: list[tuple[str, str]] = []
    token = ""
    while True:
        options = ListOptions(selection=Selection(fields=chosen), limit=limit, token=token)
        page = await storage.list(call(namespace), options)
        assert limit == 0 or len(page.bodies) <= limit
        made = [msgspec.json.decode(each, type=BackgroundJob) for each in page.bodies]
        found += [(each.metadata.namespace, each.metadata.name) for each in made]
        token = page.token
        if not token:
            return found


PROJECTS = [
    ("lab", "import:web:1.0"),
    ("lab", "scheduled-import:web:1.0"),
    ("shop", "import:web:1.0"),
    ("shop", "scheduled-import:web:1.0"),
]


def test_work_is_in_the_namespace_of_its_project_and_the_rest_is_the_clusters(url: str) -> None:
    async def scenario(database: Database) -> None:
        storage = JobStorage(BACKGROUND_JOBS, database, lambda: NOW)
        assert await listed(storage) == PROJECTS
        assert await listed(storage, "shop") == PROJECTS[2:]
        assert await listed(storage, "other") == []
        everywhere = JobStorage(CLUSTER_BACKGROUND_JOBS, database, lambda: NOW)
        names = [("", "import:everything"), ("", "scheduled-import:everything")]
        assert await listed(everywhere) == names

    with_jobs(url, scenario)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_hold_every_job_once(url: str, limit: int) -> None:
    async def scenario(database: Database) -> None:
        storage = JobStorage(BACKGROUND_JOBS, database, lambda: NOW)
        assert await listed(storage, limit=limit) == PROJECTS
        assert await listed(storage, "shop", limit) == PROJECTS[2:]

    with_jobs(url, scenario)


def test_jobs_are_selected_by_kind_state_lane_and_project(url: str) -> None:
    async def scenario(database: Database) -> None:
        storage = JobStorage(BACKGROUND_JOBS, database, lambda: NOW)
        assert await listed(storage, spec_kind="import") == [PROJECTS[0], PROJECTS[2]]
        assert await listed(storage, metadata_namespace="lab") == PROJECTS[:2]
        assert await listed(storage, metadata_name="import:web:1.0", limit=1) == PROJECTS[::2]
        assert await listed(storage, status_state="Running") == []
        assert await listed(storage, spec_lane="quay.io", status_state="Waiting") == PROJECTS

    with_jobs(url, scenario)


def test_one_job_is_read_by_the_name_that_a_list_shows(url: str) -> None:
    async def scenario(database: Database) -> None:
        storage = JobStorage(BACKGROUND_JOBS, database, lambda: NOW)
        body = msgspec.json.decode(await storage.get(call("shop"), "import:web:1.0"))
        assert body["metadata"] == {
            "name": "import:web:1.0",
            "namespace": "shop",
            "creationTimestamp": "1970-01-01T00:13:20Z",
            "resourceVersion": body["metadata"]["resourceVersion"],
        }
        assert body["spec"] == {"kind": "import", "name": "shop/web:1.0", "lane": "quay.io"}
        assert body["status"] == {
            "state": "Waiting",
            "progress": {"total": 4, "done": 0},
            "due": "1970-01-01T00:15:00Z",
        }
        for namespace, name in (
            ("shop", "import:shop/web:1.0"),
            ("lab", "import"),
            ("", "import:"),
        ):
            with pytest.raises(NotFound):
                await storage.get(call(namespace), name)
        everywhere = JobStorage(CLUSTER_BACKGROUND_JOBS, database, lambda: NOW)
        assert b"everything" in await everywhere.get(call(), "import:everything")
        with pytest.raises(NotFound):  # a project's job is read in the project alone
            await everywhere.get(call(), "import:shop|web:1.0")

    with_jobs(url, scenario)


def test_a_token_of_another_list_is_refused(url: str) -> None:
    async def scenario(database: Database) -> None:
        storage = JobStorage(BACKGROUND_JOBS, database, lambda: NOW)
        page = await storage.list(call("lab"), ListOptions(selection=Selection(), limit=1))
        options = ListOptions(selection=Selection(), token=page.token)
        with pytest.raises(BadRequest):
            await storage.list(call("shop"), options)

    with_jobs(url, scenario)


JOB = Job("import", "shop/web", "", "shop", 900.0, "", 0.0, 0, "", "", 0, 0, 800.0, None, None)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "Waiting"),
        ({"due_at": 1100.0}, "Scheduled"),
        ({"due_at": 1100.0, "attempts": 2}, "Retrying"),
        ({"due_at": None}, "Finished"),
        ({"holder": "h", "due_at": 1010.0, "lease_until": 1010.0}, "Running"),
        ({"holder": "h", "due_at": 990.0, "lease_until": 990.0}, "Waiting"),  # it was killed
    ],
)
def test_a_state_says_what_happens_next(changes: dict[str, Any], state: str) -> None:
    assert state_of(JOB._replace(**changes), NOW) == state


@pytest.mark.parametrize(
    ("changes", "cells"),
    [
        ({}, ["import", "", "Waiting", "", "100s ago", ""]),
        (
            {"due_at": 1090.0, "done": 3, "total": 9, "lane": "quay.io"},
            ["import", "quay.io", "Scheduled", "3/9", "in 90s", ""],
        ),
        (
            {"due_at": 1090.0, "done": 3, "attempts": 1, "error": "no route"},
            ["import", "", "Retrying", "3", "in 90s", "no route"],
        ),
        ({"due_at": None}, ["import", "", "Finished", "", "", ""]),
        (
            {"holder": "h", "due_at": 1030.0, "lease_until": 1030.0, "again_at": 999.0},
            ["import", "", "Running", "", "", ""],
        ),
    ],
)
def test_a_table_says_what_when_and_why(changes: dict[str, Any], cells: list[str]) -> None:
    made = shown(BACKGROUND_JOBS, JOB._replace(**changes), 7, NOW)
    assert [column.cell(made, NOW) for column in BACKGROUND_JOBS.columns] == cells
