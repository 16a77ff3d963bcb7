"""A DevOps engineer pushes with podman, loses the local copy, and pulls it back."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.images import index, small_image
from tests.registry_client import RegistryClient
from tests.tools import Program, require


def podman_in(home: Home) -> Program:
    """podman with a store of its own, by means that work as root in a container or a VM."""
    storage = ("--root", str(home.directory / "store"), "--runroot", str(home.directory / "run"))
    plain = ("--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file")
    return Program(require("podman"), home.environment, (*storage, *plain))


@pytest.fixture
def podman(home: Home) -> Program:
    return podman_in(home)


@pytest.fixture
def root_file_system(tmp_path: Path) -> Path:
    """A tar archive with a file, a directory and a symbolic link."""
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "motd").write_text("slack water\n")
    (tmp_path / "root" / "link").symlink_to("etc/motd")
    archive = tmp_path / "root.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "root", arcname=".")
    return archive


def exported(podman: Program, image: str, directory: Path) -> dict[str, str]:
    """Name and content (or link target) of each file of an image."""
    podman("create", "--name", "to-export", image, "/nothing")
    podman("export", "--output", directory / "export.tar", "to-export")
    podman("rm", "to-export")
    found = {}
    with tarfile.open(directory / "export.tar") as tar:
        for entry in tar:
            if entry.issym():
                found[entry.name] = entry.linkname
            elif content := tar.extractfile(entry):
                found[entry.name] = content.read().decode()
    return found


def test_an_image_pushed_removed_and_pulled_again_has_the_same_files(
    registry: Registry, podman: Program, root_file_system: Path, repository: str, tmp_path: Path
) -> None:
    there = f"{registry.address}/{repository}:1"
    podman("import", root_file_system, there)
    podman("push", "--tls-verify=false", there)
    podman("rmi", there)
    assert podman.attempt("image", "exists", there).code == 1
    podman("pull", "--tls-verify=false", there)
    assert exported(podman, there, tmp_path) == {
        "etc/motd": "slack water\n",
        "link": "etc/motd",
    }


def test_login_and_logout_decide_whether_a_push_succeeds(
    registry: Registry, logged_out: Home, root_file_system: Path, repository: str
) -> None:
    podman = podman_in(logged_out)
    there = f"{registry.address}/{repository}:1"
    podman("import", root_file_system, there)
    assert podman.attempt("push", "--tls-verify=false", there).code != 0
    podman("login", "--tls-verify=false", "--username", registry.username, "--password-stdin",
           registry.address, stdin=registry.password)  # fmt: skip
    podman("push", "--tls-verify=false", there)
    podman("logout", registry.address)
    assert podman.attempt("push", "--tls-verify=false", there).code != 0


def test_the_digest_that_podman_reports_is_the_one_the_registry_serves(
    registry: Registry,
    podman: Program,
    api: RegistryClient,
    root_file_system: Path,
    repository: str,
    tmp_path: Path,
) -> None:
    there = f"{registry.address}/{repository}"
    podman("import", root_file_system, f"{there}:1")
    podman("push", "--tls-verify=false", "--digestfile", tmp_path / "digest", f"{there}:1")
    digest = (tmp_path / "digest").read_text()
    assert api.manifest(repository, "1").headers["docker-content-digest"] == digest
    podman("rmi", f"{there}:1")
    podman("pull", "--tls-verify=false", f"{there}@{digest}")
    shown = json.loads(podman("image", "inspect", f"{there}@{digest}"))
    assert shown[0]["Digest"] == digest


def test_a_layer_in_zstd_is_pushed_and_pulled_like_any_other(
    registry: Registry, podman: Program, root_file_system: Path, repository: str, tmp_path: Path
) -> None:
    there = f"{registry.address}/{repository}:zstd"
    podman("import", root_file_system, there)
    podman("push", "--tls-verify=false", "--compression-format", "zstd", there)
    podman("rmi", there)
    podman("pull", "--tls-verify=false", there)
    assert exported(podman, there, tmp_path)["etc/motd"] == "slack water\n"


def test_pull_of_an_index_takes_the_image_of_the_asked_architecture(
    registry: Registry, podman: Program, api: RegistryClient, repository: str
) -> None:
    api.push(repository, index(small_image("one"), small_image("two", "arm64")), "multi")
    there = f"{registry.address}/{repository}:multi"
    podman("pull", "--tls-verify=false", "--arch", "arm64", there)
    assert json.loads(podman("image", "inspect", there))[0]["Architecture"] == "arm64"


def test_search_lists_the_tags_of_a_repository(
    registry: Registry, podman: Program, api: RegistryClient, repository: str
) -> None:
    for tag in ("1", "2"):
        api.push(repository, small_image(tag), tag)
    there = f"{registry.address}/{repository}"
    shown = podman("search", "--tls-verify=false", "--list-tags", there).splitlines()
    assert [line.split() for line in shown[1:]] == [[there, "1"], [there, "2"]]


def test_the_same_over_tls_with_the_authority_that_the_server_made(
    registry: Registry, podman: Program, root_file_system: Path, repository: str, tmp_path: Path
) -> None:
    certificates = registry.authority_for(tmp_path / "certificates")
    there = f"{registry.encrypted_address}/{repository}:tls"
    podman("import", root_file_system, there)
    podman("push", "--cert-dir", certificates, there)
    podman("rmi", there)
    podman("pull", "--cert-dir", certificates, there)
    assert exported(podman, there, tmp_path)["link"] == "etc/motd"
