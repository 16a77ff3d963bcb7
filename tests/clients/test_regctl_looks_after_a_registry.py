"""An SRE looks after repositories with regctl: copies, tags, artifacts, single blobs, deletes."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.images import digest_of, image, index, layer, small_image, write_layout
from tests.registry_client import RegistryClient
from tests.tools import Program, require

SBOM = "application/vnd.example.sbom.v1+json"


@pytest.fixture
def regctl(home: Home, registry: Registry) -> Program:
    program = Program(require("regctl"), home.environment)
    program("registry", "set", "--tls", "disabled", registry.address)
    return program


def test_login_lets_a_copy_through(
    registry: Registry, logged_out: Home, repository: str, tmp_path: Path
) -> None:
    regctl = Program(require("regctl"), logged_out.environment)
    regctl("registry", "set", "--skip-check", "--tls", "disabled", registry.address)
    layout = write_layout(small_image(repository), tmp_path / "layout")
    there = f"{registry.address}/{repository}:1"
    assert regctl.attempt("image", "copy", f"ocidir://{layout}:latest", there).code != 0
    regctl("registry", "login", registry.address, "-u", registry.username, "--pass-stdin",
           stdin=registry.password)  # fmt: skip
    regctl("image", "copy", f"ocidir://{layout}:latest", there)
    assert regctl("tag", "ls", f"{registry.address}/{repository}").split() == ["1"]


def test_an_index_is_copied_in_between_and_out_with_every_byte(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    both = index(small_image("one"), small_image("two", "arm64"))
    layout = write_layout(both, tmp_path / "layout")
    there = f"{registry.address}/{repository}"
    regctl("image", "copy", f"ocidir://{layout}:latest", f"{there}:1")
    regctl("image", "copy", f"{there}:1", f"{there}-prod:1")
    regctl("image", "copy", f"{there}-prod:1", f"ocidir://{tmp_path}/back:1")
    api.pull(f"{repository}-prod", both, "1")
    stored = {path.name for path in (tmp_path / "back" / "blobs" / "sha256").iterdir()}
    assert {path.name for path in (layout / "blobs" / "sha256").iterdir()} <= stored
    assert regctl("image", "digest", f"{there}:1").strip() == both.digest


def test_a_large_layer_goes_up_in_chunks_and_comes_back_whole(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    regctl("registry", "set", "--blob-chunk", "100000", "--blob-max", "200000", registry.address)
    noise = b"".join(digest_of(str(number).encode()).encode() for number in range(30_000))
    large = image(layer({"noise": noise}))
    layout = write_layout(large, tmp_path / "layout")
    regctl("image", "copy", f"ocidir://{layout}:latest", f"{registry.address}/{repository}:1")
    api.pull(repository, large, "1")


def test_a_file_of_an_image_is_read_from_the_registry(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str
) -> None:
    api.push(repository, small_image("flood"), "1")
    there = f"{registry.address}/{repository}:1"
    assert regctl("image", "get-file", there, "/mark").strip() == "flood"


def test_tag_delete_takes_one_tag_and_leaves_the_image(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str
) -> None:
    pushed = small_image(repository)
    for tag in ("1", "2"):
        api.push(repository, pushed, tag)
    regctl("tag", "delete", f"{registry.address}/{repository}:1")
    assert regctl("tag", "ls", f"{registry.address}/{repository}").split() == ["2"]
    api.pull(repository, pushed)


def test_manifest_delete_takes_the_image(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str
) -> None:
    pushed = small_image(repository)
    api.push(repository, pushed, "1")
    regctl("manifest", "delete", f"{registry.address}/{repository}@{pushed.digest}")
    assert api.manifest(repository, pushed.digest).status_code == 404
    assert api.tags(repository) == []


def test_an_artifact_with_a_subject_is_listed_filtered_and_read(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str
) -> None:
    pushed = small_image(repository)
    api.push(repository, pushed, "1")
    there = f"{registry.address}/{repository}:1"
    for kind, text in ((SBOM, "components"), ("application/vnd.example.note", "a note")):
        regctl("artifact", "put", "--artifact-type", kind, "--subject", there, stdin=text)
    everything = json.loads(regctl("artifact", "list", "--format", "body", there))
    assert len(everything["manifests"]) == 2
    listed = regctl("artifact", "list", "--filter-artifact-type", SBOM, "--format", "body", there)
    assert SBOM in listed
    assert regctl("artifact", "get", "--subject", there, "--filter-artifact-type", SBOM) == (
        "components"
    )
    assert api.tags(repository) == ["1"]  # no fallback tag where the API answers


def test_single_blobs_are_put_headed_read_and_deleted(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str
) -> None:
    there = f"{registry.address}/{repository}"
    digest = digest_of(b"neap tide")
    regctl("blob", "put", there, stdin="neap tide")
    regctl("blob", "head", there, digest)
    assert regctl("blob", "get", there, digest) == "neap tide"
    regctl("blob", "delete", there, digest)
    assert not api.has_blob(repository, digest)
    assert regctl.attempt("blob", "head", there, digest).code != 0


def test_repositories_are_listed(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str
) -> None:
    api.push(repository, small_image(repository), "1")
    assert repository in regctl("repo", "ls", registry.address).split()


def test_the_same_over_tls_with_the_authority_that_the_server_made(
    registry: Registry, regctl: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    authority = registry.authority_for(tmp_path / "certificates") / "ca.crt"
    regctl("registry", "set", "--cacert", authority.read_text(), registry.encrypted_address)
    pushed = small_image(repository)
    layout = write_layout(pushed, tmp_path / "layout")
    there = f"{registry.encrypted_address}/{repository}:tls"
    regctl("image", "copy", f"ocidir://{layout}:latest", there)
    api.pull(repository, pushed, "tls")
