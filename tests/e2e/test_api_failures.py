"""The API while processes are killed, the disk is full, the database is away.

What was acknowledged is there, nothing is there by half, watches go on from where they were, and no
right is granted from memory that is too old.
"""

import contextlib
import os
import random
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance import postgresql
from tests.e2e.api_writers import Writer
from tests.e2e.conftest import Start
from tests.e2e.informer import Informer
from tests.e2e.test_adoption import FIXTURE
from tests.e2e.test_kill import kill_a_worker, kill_everything
from tests.images import small_image
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    log_in,
    project,
    role_binding,
)
from tests.registry_client import client_of, error_codes
from tests.server import PASSWORD, Server, wait_until

WRITERS, ROUNDS, KILLS = 5, 60, 8

BINDINGS = {"admin", "system:deployers", "system:image-builders", "system:image-pullers"}
ACCOUNTS = {"builder", "default", "deployer"}


def names(listed: dict[str, Any]) -> set[str]:
    return {each["metadata"]["name"] for each in listed["items"]}


# Killed.


@pytest.mark.parametrize("kill", [kill_a_worker, kill_everything])
def test_no_acknowledged_write_is_lost_and_nothing_is_there_by_half(
    start: Start, kill: Callable[[Server, random.Random], None]
) -> None:
    survive(start(workers=2), kill)


def test_no_write_is_lost_either_when_the_objects_are_in_postgresql(start: Start) -> None:
    with postgresql.server() as own, own.database() as url:
        server = start(workers=2, settings={"database": url})
        survive(server, kill_everything)
        server.stop()


def survive(server: Server, kill: Callable[[Server, random.Random], None]) -> None:
    """Write and watch while killing, then look for what is lost, too much, or not whole."""
    choice = random.Random(7)
    token = log_in(server.url)
    with (
        KubeClient(server.url, token) as admin,
        KubeClient(server.url, token) as watching,
        Informer(watching, f"{CORE}/configmaps") as informer,
    ):
        admin.make(f"{PROJECTS}/projectrequests", project("home"))
        writers = [Writer(server, token, "home", seed, ROUNDS) for seed in range(WRITERS)]
        for each in writers:
            each.start()
        for killed in range(1, KILLS + 1):
            due = killed * WRITERS * ROUNDS // (KILLS + 4)
            wait_until(
                lambda due=due: (  # type: ignore[misc]
                    sum(each.ledger.written for each in writers) >= due
                    or not any(each.is_alive() for each in writers)
                ),
                seconds=120,
                what="writes",
            )
            kill(server, choice)
        for each in writers:
            each.join(300)
            each.verify()
            assert not each.ledger.faults, each.ledger.faults[:3]
        assert sum(each.ledger.interrupted for each in writers), "no kill met a write"
        wait_until(informer.agrees, what="the watch to have told everything")
        informer.stop()
        for each in writers:
            check_projects(admin, each)
    assert "Traceback" not in server.log, server.log


def check_projects(admin: KubeClient, writer: Writer) -> None:
    """Projects are whole, or not there; those deleted go to their end."""
    for name in writer.ledger.projects:
        assert admin.get(f"{PROJECTS}/projects/{name}").status_code == 200, name
        check_whole(admin, name)
    for name in writer.ledger.doubtful:
        read = admin.get(f"{PROJECTS}/projects/{name}")
        if read.status_code == 200 and read.json()["status"]["phase"] == "Active":
            check_whole(admin, name)
    for name in writer.ledger.deleted:
        wait_until(
            lambda name=name: admin.get(f"{PROJECTS}/projects/{name}").status_code == 404,  # type: ignore[misc]
            what=f"project {name} to go",
        )
        check_empty(admin, name)


def check_whole(admin: KubeClient, name: str) -> None:
    here = f"{CORE}/namespaces/{name}"
    assert names(admin.read(f"{RBAC}/namespaces/{name}/rolebindings")) >= BINDINGS
    assert names(admin.read(f"{here}/serviceaccounts")) == ACCOUNTS
    secrets = names(admin.read(f"{here}/secrets"))
    for account in admin.read(f"{here}/serviceaccounts")["items"]:
        assert {each["name"] for each in account["imagePullSecrets"]} <= secrets


def check_empty(admin: KubeClient, name: str) -> None:
    for path in (f"{CORE}/configmaps", f"{CORE}/secrets", f"{CORE}/serviceaccounts"):
        spaces = {each["metadata"]["namespace"] for each in admin.read(path)["items"]}
        assert name not in spaces, path
    bindings = admin.read(f"{RBAC}/rolebindings")["items"]
    assert name not in {each["metadata"]["namespace"] for each in bindings}


def test_a_deletion_goes_to_its_end_after_the_restart(start: Start) -> None:
    server = start(workers=2)
    with kube_client(server) as admin:
        for number in range(3):
            name = f"large-{number}"
            admin.make(f"{PROJECTS}/projectrequests", project(name))
            for each in range(150):
                admin.make(
                    f"{CORE}/namespaces/{name}/configmaps", {"metadata": {"name": f"m{each}"}}
                )
            with client_of(server) as registry:
                registry.push(f"{name}/web", small_image(name), "1")
            assert admin.delete(f"{PROJECTS}/projects/{name}").status_code == 200
            kill_everything(server, random.Random())
        for number in range(3):
            wait_until(
                lambda name=f"large-{number}": (  # type: ignore[misc]
                    admin.get(f"{PROJECTS}/projects/{name}").status_code == 404
                ),
                what="the projects to go",
            )
            check_empty(admin, f"large-{number}")
            with client_of(server) as registry:
                assert registry.manifest(f"large-{number}/web", "1").status_code == 404


MANY = 600


def with_many_projects(data: Path) -> None:
    """Older data whose adoption takes a while: copies of a repository in projects of their own."""
    with closing(sqlite3.connect(data / "metadata.db")) as database, database:
        for number in range(MANY):
            made = database.execute(
                "INSERT INTO repositories (name) VALUES (?)", (f"many-{number}/web",)
            )
            database.execute(
                "INSERT INTO manifests (repository_id, content_id, digest, media_type, size,"
                " pushed_at) SELECT ?, content_id, digest, media_type, size, pushed_at"
                " FROM manifests WHERE id = 1",
                (made.lastrowid,),
            )


def adopted(data: Path) -> int:
    """How many of them are projects by now."""
    with closing(sqlite3.connect(data / "metadata.db")) as database:
        try:
            ((count,),) = database.execute(
                "SELECT count(*) FROM documents WHERE resource = 'namespaces'"
                " AND name LIKE 'many-%'"
            ).fetchall()
        except sqlite3.OperationalError:  # killed before there was such a table
            return 0
    return int(count)


def test_an_adoption_that_is_killed_again_and_again_is_done_in_the_end(
    start: Start, tmp_path: Path
) -> None:
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path, filter="data")
    data = tmp_path / "data"
    with_many_projects(data)
    server = Server(data, workers=2)
    counts = []
    for patience in (0.3, 0.6, 0.9):
        server.launch()
        time.sleep(patience)  # wherever that is: at the schema, the users, the projects
        server.kill()
        counts.append(adopted(data))
    for _ in range(4):
        server.start()
        wait_until(lambda: adopted(data) > counts[-1] or adopted(data) == MANY, what="adoption")
        server.kill()
        counts.append(adopted(data))
    assert counts == sorted(counts)
    assert any(0 < each < MANY for each in counts), f"no kill met the adoption: {counts}"
    server = start(data)
    wanted = {"shop", "prod", "charts", *(f"many-{number}" for number in range(MANY))}
    with kube_client(server) as admin:
        wait_until(
            lambda: wanted <= names(admin.read(f"{CORE}/namespaces")), seconds=120, what="adoption"
        )
        given: dict[str, set[str]] = {}
        for each in admin.read(f"{RBAC}/rolebindings")["items"]:
            metadata = each["metadata"]
            given.setdefault(metadata["namespace"], set()).add(metadata["name"])
        accounts = admin.read(f"{CORE}/serviceaccounts")["items"]
        for name in wanted:
            assert given[name] == BINDINGS - {"admin"}
        assert len(accounts) >= 3 * len(wanted)


# Full.


@pytest.fixture
def ballast(small_disk: Path) -> Callable[[], None]:
    """Fills the disk to its last block."""

    def fill() -> None:
        with path.open("ab") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))

    path = small_disk.parent / "ballast"
    return fill


LARGE = {"text": "x" * 100_000}


def test_a_full_disk_refuses_writes_and_goes_on_with_reads_watches_and_rights(
    start: Start, small_disk: Path, ballast: Callable[[], None]
) -> None:
    server = start(small_disk, workers=2)
    add_user(server, "una")
    add_user(server, "ugo")
    here = f"{CORE}/namespaces/home/configmaps"
    with (
        kube_client(server) as admin,
        kube_client(server, "una") as una,
        kube_client(server, "ugo") as ugo,
    ):
        admin.make(f"{PROJECTS}/projectrequests", project("home"))
        admin.make(f"{RBAC}/namespaces/home/rolebindings", role_binding("given", "view", "una"))
        admin.make(here, {"metadata": {"name": "kept"}, "data": {"text": "kept"}})
        with (
            KubeClient(server.url, admin.token) as watching,
            Informer(watching, f"{CORE}/configmaps", 20) as informer,
        ):
            ballast()
            refused = refusals(admin, here)
            assert refused["reason"] == "InsufficientStorage"
            assert refused["kind"] == "Status"
            for _ in range(5):  # until what little is left is used up, every write is refused
                for answer in small_writes(admin, here):
                    assert answer.status_code in (200, 201, 404, 409, 507), answer.text
                    if answer.status_code == 507:
                        assert answer.json()["reason"] == "InsufficientStorage"
            ballast()
            given = admin.post(
                f"{RBAC}/namespaces/home/rolebindings", role_binding("more", "view", "ugo")
            )
            assert given.status_code in (201, 507), given.text
            for _ in range(10):
                assert una.get(f"{here}/kept").json()["data"] == {"text": "kept"}
                assert una.post(here, {"metadata": {"name": "x"}}).status_code == 403
                allowed = ugo.get(f"{here}/kept").status_code
                assert allowed == (200 if given.status_code == 201 else 403)
            login = httpx.get(f"{server.url}/v2/", auth=("una", PASSWORD))
            assert login.status_code == 200
            (small_disk.parent / "ballast").unlink()
            admin.make(here, {"metadata": {"name": "after"}, "data": {"text": "after"}})
            wait_until(informer.agrees, what="the watch to go on")
            assert ("home", "after") in informer.known
            assert not informer.broken
            informer.stop()
        check_after(server, admin)


def refusals(admin: KubeClient, here: str) -> dict[str, Any]:
    """The Status that a large object gets once the database's own room is used up."""
    for number in range(100):
        answer = admin.post(here, {"metadata": {"name": f"large-{number}"}, "data": LARGE})
        if answer.status_code != 201:
            assert answer.status_code == 507, answer.text
            status: dict[str, Any] = answer.json()
            return status
    raise AssertionError("10 MB fit onto a full disk")


def small_writes(admin: KubeClient, here: str) -> Iterator[httpx.Response]:
    name = f"s{time.monotonic_ns()}"
    yield admin.post(here, {"metadata": {"name": name}})
    yield admin.patch(f"{here}/kept", {"metadata": {"labels": {"at": name}}})
    yield admin.post(f"{PROJECTS}/projectrequests", project(name))
    yield admin.delete(f"{here}/{name}")


def check_after(server: Server, admin: KubeClient) -> None:
    """All projects are whole, everything works, and nobody saw a traceback."""
    for each in admin.read(f"{PROJECTS}/projects")["items"]:
        if "openshift.io/requester" in each["metadata"].get("annotations", {}):
            check_whole(admin, each["metadata"]["name"])
    admin.make(f"{PROJECTS}/projectrequests", project("after"))
    log_in(server.url, "una")
    assert "Traceback" not in server.log, server.log


def test_a_login_on_a_full_disk_is_told_why(
    start: Start, small_disk: Path, ballast: Callable[[], None]
) -> None:
    server = start(small_disk, workers=2)
    with kube_client(server) as admin:
        admin.make(f"{PROJECTS}/projectrequests", project("home"))
        ballast()
        refusals(admin, f"{CORE}/namespaces/home/configmaps")
        for _ in range(30):
            answer = httpx.get(
                f"{server.url}/oauth/authorize",
                params={
                    "client_id": "openshift-challenging-client",
                    "response_type": "token",
                    "redirect_uri": f"{server.url}/oauth/token/implicit",
                },
                headers={"X-CSRF-Token": "1"},
                auth=("admin", PASSWORD),
            )
            assert answer.status_code in (302, 503, 507), answer.text
        (small_disk.parent / "ballast").unlink()
        log_in(server.url)
    assert "Traceback" not in server.log, server.log


# Away.


@pytest.fixture(scope="module")
def database() -> Iterator[postgresql.Server]:
    with postgresql.server() as own:
        yield own


@contextlib.contextmanager
def away(database: postgresql.Server) -> Iterator[None]:
    database.stop()
    try:
        yield
    finally:
        database.start()


def test_without_its_database_the_server_answers_503_allows_nothing_and_recovers(
    start: Start, database: postgresql.Server
) -> None:
    with database.database() as url:
        server = start(workers=2, settings={"database": url})
        add_user(server, "una")
        here = f"{CORE}/namespaces/home/configmaps"
        with (
            kube_client(server) as admin,
            kube_client(server, "una") as una,
            client_of(server) as registry,
        ):
            admin.make(f"{PROJECTS}/projectrequests", project("home"))
            admin.make(f"{RBAC}/namespaces/home/rolebindings", role_binding("g", "view", "una"))
            registry.push("home/web", small_image("home"), "1")
            token = registry.token("repository:home/web:pull")
            with (
                KubeClient(server.url, admin.token) as watching,
                Informer(watching, f"{CORE}/configmaps", 20) as informer,
            ):
                with away(database):
                    time.sleep(1)  # longer than anything is relied on
                    bearer = {"Authorization": f"Bearer {token}"}
                    for _ in range(3):
                        check_503(una.get(here))
                        check_503(admin.post(here, {"metadata": {"name": "never"}}))
                        pulled = httpx.get(
                            f"{server.url}/v2/home/web/manifests/1", headers=bearer, timeout=60
                        )
                        assert pulled.status_code == 503, pulled.text
                        assert error_codes(pulled) == ["UNAVAILABLE"]
                    check_503(una.get(here, watch="true", timeoutSeconds=1))
                    check_logins_503(server)
                    crowd(server, una, here)
                wait_until(lambda: una.get(here).status_code == 200, what="reads to go on")
                admin.make(here, {"metadata": {"name": "after"}})
                wait_until(
                    lambda: ("home", "after") in informer.known or informer.faults,
                    what="the watch to go on",
                )
                wait_until(informer.agrees, what="the watch to have told all")
                informer.stop()
            assert una.post(here, {"metadata": {"name": "x"}}).status_code == 403
        server.stop()
    assert "exception in the application" not in server.log, server.log


def check_503(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["kind"] == "Status"
    assert answer.json()["reason"] == "ServiceUnavailable"


def check_logins_503(server: Server) -> None:
    """Who logs in is told to come again, and not that her password is wrong."""
    who = ("una", PASSWORD)
    authorize = {
        "client_id": "openshift-challenging-client",
        "response_type": "token",
        "redirect_uri": f"{server.url}/oauth/token/implicit",
    }
    csrf = {"X-CSRF-Token": "1"}
    for path, params in (("/oauth/authorize", authorize), ("/openshift/token", {}), ("/v2/", {})):
        answer = httpx.get(f"{server.url}{path}", params=params, auth=who, headers=csrf, timeout=60)
        assert answer.status_code == 503, f"{path} {answer.status_code} {answer.text}"
    for path in ("/apis/project.openshift.io/v1/projects", "/api/v1/configmaps"):
        check_503(httpx.get(f"{server.url}{path}", timeout=60))  # nobody is not allowed anything


def crowd(server: Server, una: KubeClient, here: str) -> None:
    """Many who ask at once are all told, and not one after the other."""
    began = time.monotonic()

    def ask(_: int) -> None:
        with KubeClient(server.url, una.token) as client:
            check_503(client.get(here))

    def ask_as_nobody(_: int) -> None:
        with KubeClient(server.url, None) as client:
            check_503(client.get(here))

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(ask, range(40)))
        list(pool.map(ask_as_nobody, range(40)))
    assert httpx.get(f"{server.url}/livez").status_code == 200
    assert time.monotonic() - began < 60, "one after the other"


def test_a_database_that_restarts_under_load_loses_nothing(
    start: Start, database: postgresql.Server
) -> None:
    def restart(_server: Server, _choice: random.Random) -> None:
        database.restart()

    with database.database() as url:
        server = start(workers=2, settings={"database": url})
        survive(server, restart)
        server.stop()


def test_a_right_taken_away_while_a_process_is_stopped_is_not_granted_when_it_goes_on(
    start: Start, database: postgresql.Server, tmp_path: Path
) -> None:
    """A process that slept through a change judges by it from its first answer on, or soon."""
    with database.database() as url:
        one = start(tmp_path / "one", workers=1, settings={"database": url})
        other = start(tmp_path / "other", workers=1, settings={"database": url})
        add_user(one, "una")
        here = f"{CORE}/namespaces/home/configmaps"
        with kube_client(one) as admin, kube_client(other, "una") as una:
            admin.make(f"{PROJECTS}/projectrequests", project("home"))
            bindings = f"{RBAC}/namespaces/home/rolebindings"
            admin.make(bindings, role_binding("given", "view", "una"))
            assert una.get(here).status_code == 200
            (worker,) = other.worker_ids()
            os.kill(worker, 19)  # SIGSTOP
            admin.delete(f"{bindings}/given")
            time.sleep(1)
            os.kill(worker, 18)  # SIGCONT
            assert una.get(here).status_code == 403
        one.stop()
        other.stop()
