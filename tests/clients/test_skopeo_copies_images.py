"""A DevOps engineer moves images with skopeo: in, out, between repositories, whole indexes."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.images import IMAGE_INDEX, index, small_image, write_layout
from tests.registry_client import RegistryClient
from tests.tools import Program, require


@pytest.fixture
def skopeo(home: Home) -> Program:
    return Program(require("skopeo"), home.environment)


def copy(skopeo: Program, source: str, target: str, *more: str) -> None:
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", *more, source, target)


def test_login_with_the_right_password_lets_a_copy_through_and_logout_takes_it_away(
    registry: Registry, logged_out: Home, repository: str, tmp_path: Path
) -> None:
    skopeo = Program(require("skopeo"), logged_out.environment)
    layout = write_layout(small_image(repository), tmp_path / "layout")
    target = f"docker://{registry.address}/{repository}:1"
    refused = skopeo.attempt("copy", "--dest-tls-verify=false", f"oci:{layout}:latest", target)
    assert refused.code != 0
    skopeo("login", "--tls-verify=false", "-u", registry.username, "-p", registry.password,
           registry.address)  # fmt: skip
    copy(skopeo, f"oci:{layout}:latest", target)
    skopeo("logout", registry.address)
    assert skopeo.attempt("inspect", "--tls-verify=false", target).code != 0


def test_login_with_a_wrong_password_is_refused_and_says_so(
    registry: Registry, logged_out: Home
) -> None:
    outcome = Program(require("skopeo"), logged_out.environment).attempt(
        *("login", "--tls-verify=false", "-u", registry.username),
        *("-p", "not the password", registry.address),
    )
    assert outcome.code != 0
    assert "invalid username/password" in outcome.stderr, str(outcome)


def test_an_image_copied_in_and_out_again_is_the_same_to_the_byte(
    registry: Registry, skopeo: Program, repository: str, tmp_path: Path
) -> None:
    image = small_image(repository)
    layout = write_layout(image, tmp_path / "layout")
    there = f"docker://{registry.address}/{repository}:1"
    copy(skopeo, f"oci:{layout}:latest", there, "--preserve-digests")
    copy(skopeo, there, f"oci:{tmp_path}/back:latest", "--preserve-digests")
    copy(skopeo, there, f"dir:{tmp_path}/directory", "--preserve-digests")
    for content in (image.manifest, *image.blobs):
        name = content.digest.removeprefix("sha256:")
        assert (tmp_path / "back" / "blobs" / "sha256" / name).read_bytes() == content.data
    for blob in image.blobs:
        name = blob.digest.removeprefix("sha256:")
        assert (tmp_path / "directory" / name).read_bytes() == blob.data
    assert (tmp_path / "directory" / "manifest.json").read_bytes() == image.manifest.data


def test_inspect_and_list_tags_show_what_was_pushed(
    registry: Registry, skopeo: Program, api: RegistryClient, repository: str
) -> None:
    image = small_image(repository)
    for tag in ("b", "a", "C"):
        api.push(repository, image, tag)
    there = f"docker://{registry.address}/{repository}"
    shown = json.loads(skopeo("inspect", "--tls-verify=false", f"{there}:a"))
    assert shown["Digest"] == image.digest
    assert shown["RepoTags"] == ["C", "a", "b"]
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"{there}:a")
    assert raw.encode() == image.manifest.data
    assert json.loads(skopeo("list-tags", "--tls-verify=false", there))["Tags"] == ["C", "a", "b"]


def test_a_copy_from_one_repository_to_another_gives_the_same_image(
    registry: Registry, skopeo: Program, api: RegistryClient, repository: str
) -> None:
    image = small_image(repository)
    api.push(repository, image, "1")
    copy(
        skopeo,
        f"docker://{registry.address}/{repository}:1",
        f"docker://{registry.address}/{repository}-copy:1",
        "--preserve-digests",
    )
    api.pull(f"{repository}-copy", image, "1")


def test_a_multi_architecture_index_is_copied_whole_with_all(
    registry: Registry, skopeo: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    both = index(small_image("one"), small_image("two", "arm64"))
    layout = write_layout(both, tmp_path / "layout")
    there = f"docker://{registry.address}/{repository}:multi"
    copy(skopeo, f"oci:{layout}:latest", there, "--all", "--preserve-digests")
    api.pull(repository, both, "multi")
    raw = skopeo("inspect", "--raw", "--tls-verify=false", there)
    assert json.loads(raw)["mediaType"] == IMAGE_INDEX
    copy(skopeo, there, f"oci:{tmp_path}/back:latest", "--all", "--preserve-digests")
    stored = {path.name for path in (tmp_path / "back" / "blobs" / "sha256").iterdir()}
    for child in both.children:
        assert child.digest.removeprefix("sha256:") in stored


def test_an_image_in_docker_schema_2_comes_back_as_docker_schema_2(
    registry: Registry, skopeo: Program, repository: str, tmp_path: Path
) -> None:
    layout = write_layout(small_image(repository), tmp_path / "layout")
    there = f"docker://{registry.address}/{repository}:docker"
    copy(skopeo, f"oci:{layout}:latest", there, "--format", "v2s2")
    copy(skopeo, there, f"dir:{tmp_path}/back")
    manifest = json.loads((tmp_path / "back" / "manifest.json").read_bytes())
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_delete_removes_the_image_and_each_tag_that_pointed_at_it(
    registry: Registry, skopeo: Program, api: RegistryClient, repository: str
) -> None:
    image, other = small_image(repository), small_image("other")
    api.push(repository, image, "1")
    api.push(repository, image, "same")
    api.push(repository, other, "other")
    skopeo("delete", "--tls-verify=false", f"docker://{registry.address}/{repository}:1")
    assert api.manifest(repository, image.digest).status_code == 404
    assert api.tags(repository) == ["other"]
    api.pull(repository, other, "other")


def test_sync_mirrors_every_tag_of_a_repository_to_a_directory(
    registry: Registry, skopeo: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    for tag in ("1", "2"):
        api.push(repository, small_image(tag), tag)
    skopeo("sync", "--src-tls-verify=false", "--src", "docker", "--dest", "dir",
           f"{registry.address}/{repository}", tmp_path / "mirror")  # fmt: skip
    folders = sorted(path.name for path in (tmp_path / "mirror").iterdir())
    assert [name.rpartition(":")[2] for name in folders] == ["1", "2"]


def test_the_same_over_tls_with_the_authority_that_the_server_made(
    registry: Registry, skopeo: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    certificates = registry.authority_for(tmp_path / "certificates")
    image = small_image(repository)
    layout = write_layout(image, tmp_path / "layout")
    there = f"docker://{registry.encrypted_address}/{repository}:tls"
    skopeo("copy", "--preserve-digests", "--dest-cert-dir", certificates,
           f"oci:{layout}:latest", there)  # fmt: skip
    skopeo("copy", "--preserve-digests", "--src-cert-dir", certificates,
           there, f"oci:{tmp_path}/back:latest")  # fmt: skip
    api.pull(repository, image, "tls")
    name = image.digest.removeprefix("sha256:")
    assert (tmp_path / "back" / "blobs" / "sha256" / name).read_bytes() == image.manifest.data
