"""A DevOps engineer pushes with docker, loses the local copy, and pulls it back."""

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.engines import docker_engine
from tests.images import index, small_image
from tests.registry_client import RegistryClient
from tests.tools import Program


@pytest.fixture(scope="module")
def engine() -> Iterator[Program]:
    """docker with a daemon of this file's own, logged in nowhere."""
    with docker_engine({}) as program:
        yield program


@pytest.fixture
def docker(engine: Program, home: Home) -> Program:
    """docker with the credentials of the test's home."""
    return Program(engine.path, {**engine.environment, **home.environment})


@pytest.fixture
def root_file_system(tmp_path: Path, repository: str) -> Path:
    """A tar archive with a file of the test's own and a link to it."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "motd").write_text(f"slack water in {repository}\n")
    (tmp_path / "root" / "link").symlink_to("motd")
    archive = tmp_path / "root.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "root", arcname=".")
    return archive


def test_an_image_pushed_removed_and_pulled_again_has_the_same_files(
    registry: Registry, docker: Program, root_file_system: Path, repository: str, tmp_path: Path
) -> None:
    there = f"{registry.address}/{repository}:1"
    docker("import", root_file_system, there)
    docker("push", there)
    docker("rmi", there)
    docker("pull", there)
    container = docker("create", there, "/nothing").strip()
    docker("export", "--output", tmp_path / "export.tar", container)
    docker("rm", container)
    with tarfile.open(tmp_path / "export.tar") as tar:
        motd = tar.extractfile("motd")
        assert motd is not None
        assert motd.read().decode() == f"slack water in {repository}\n"
        assert tar.getmember("link").linkname == "motd"


def test_login_and_logout_decide_whether_a_push_succeeds(
    registry: Registry, engine: Program, logged_out: Home, root_file_system: Path, repository: str
) -> None:
    docker = Program(engine.path, {**engine.environment, **logged_out.environment})
    there = f"{registry.address}/{repository}:1"
    docker("import", root_file_system, there)
    refused = docker.attempt("push", there)
    assert refused.code != 0
    assert "unauthorized" in refused.stderr
    wrong = ("login", "--username", registry.username, "--password-stdin", registry.address)
    assert docker.attempt(*wrong, stdin="guess").code != 0
    docker(*wrong, stdin=registry.password)
    docker("push", there)
    docker("logout", registry.address)
    assert docker.attempt("push", there).code != 0


def test_the_digest_that_docker_reports_is_the_one_the_registry_serves(
    registry: Registry,
    docker: Program,
    api: RegistryClient,
    root_file_system: Path,
    repository: str,
) -> None:
    there = f"{registry.address}/{repository}"
    docker("import", root_file_system, f"{there}:1")
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", docker("push", f"{there}:1"))
    assert found is not None
    assert api.manifest(repository, "1").headers["docker-content-digest"] == found[1]
    docker("rmi", f"{there}:1")
    docker("pull", f"{there}@{found[1]}")
    shown = json.loads(docker("image", "inspect", f"{there}@{found[1]}"))
    assert shown[0]["RepoDigests"] == [f"{there}@{found[1]}"]


def test_layers_pushed_to_another_repository_are_mounted(
    registry: Registry, docker: Program, root_file_system: Path, repository: str
) -> None:
    there, other = (f"{registry.address}/{repository}{end}" for end in (":1", "-copy:1"))
    docker("import", root_file_system, there)
    docker("push", there)
    docker("tag", there, other)
    assert f"Mounted from {repository}" in docker("push", other)


def test_pull_of_an_index_takes_the_image_of_the_asked_platform(
    registry: Registry, docker: Program, api: RegistryClient, repository: str
) -> None:
    api.push(repository, index(small_image("one"), small_image("two", "arm64")), "multi")
    there = f"{registry.address}/{repository}:multi"
    for architecture in ("arm64", "amd64"):
        docker("pull", "--platform", f"linux/{architecture}", there)
        assert json.loads(docker("image", "inspect", there))[0]["Architecture"] == architecture


def test_a_missing_tag_and_a_missing_login_are_refused_in_words(
    registry: Registry, docker: Program, repository: str
) -> None:
    missing = f"{registry.address}/{repository}:none"
    refused = docker.attempt("pull", missing)
    assert refused.code != 0
    assert f"manifest for {missing} not found" in refused.stderr
    docker("logout", registry.address)
    refused = docker.attempt("pull", missing)
    assert refused.code != 0
    assert "unauthorized: log in to get a token" in refused.stderr
