"""A release engineer uses crane: push, promote, pin by digest, combine into an index, delete."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.images import index, small_image, write_layout
from tests.registry_client import RegistryClient
from tests.tools import Program, require


@pytest.fixture
def crane(home: Home) -> Program:
    return Program(require("crane"), home.environment)


def test_login_push_pull_and_validate_an_image(
    registry: Registry, logged_out: Home, repository: str, tmp_path: Path
) -> None:
    crane = Program(require("crane"), logged_out.environment)
    image = small_image(repository)
    there = f"{registry.address}/{repository}:1"
    layout = write_layout(image, tmp_path / "layout")
    assert crane.attempt("push", layout, there).code != 0
    crane("auth", "login", registry.address, "--username", registry.username, "--password-stdin",
          stdin=registry.password)  # fmt: skip
    assert image.digest in crane("push", layout, there)
    assert "PASS" in crane("validate", "--remote", there)
    crane("pull", "--format", "oci", there, tmp_path / "back")
    for content in (image.manifest, *image.blobs):
        name = content.digest.removeprefix("sha256:")
        assert (tmp_path / "back" / "blobs" / "sha256" / name).read_bytes() == content.data


def test_digest_manifest_config_and_blob_answer_what_was_pushed(
    registry: Registry, crane: Program, api: RegistryClient, repository: str
) -> None:
    image = small_image(repository)
    api.push(repository, image, "1")
    there = f"{registry.address}/{repository}"
    assert crane("digest", f"{there}:1").strip() == image.digest
    assert crane("manifest", f"{there}:1").encode() == image.manifest.data
    config = image.blobs[0]
    assert crane("config", f"{there}@{image.digest}").encode() == config.data
    assert crane("blob", f"{there}@{config.digest}").encode() == config.data


def test_a_promotion_mounts_the_layers_instead_of_sending_them_again(
    registry: Registry, crane: Program, api: RegistryClient, repository: str
) -> None:
    image = small_image(repository)
    api.push(repository, image, "1")
    outcome = crane.attempt(
        "copy", f"{registry.address}/{repository}:1", f"{registry.address}/{repository}-prod:1"
    )
    assert outcome.code == 0, str(outcome)
    assert outcome.stderr.count("mounted blob") == len(image.blobs), str(outcome)
    api.pull(f"{repository}-prod", image, "1")


def test_tag_ls_and_catalog_list_in_order(
    registry: Registry, crane: Program, api: RegistryClient, repository: str
) -> None:
    api.push(repository, small_image(repository), "b")
    for tag in ("a", "C"):
        crane("tag", f"{registry.address}/{repository}:b", tag)
    assert crane("ls", f"{registry.address}/{repository}").split() == ["C", "a", "b"]
    assert repository in crane("catalog", registry.address).split()


def test_an_index_appended_to_and_filtered_keeps_its_children_readable(
    registry: Registry, crane: Program, api: RegistryClient, repository: str
) -> None:
    there = f"{registry.address}/{repository}"
    for tag, architecture in (("one", "amd64"), ("two", "arm64")):
        api.push(repository, small_image(tag, architecture), tag)
    crane("index", "append", "-m", f"{there}:one", "-m", f"{there}:two", "-t", f"{there}:multi")
    crane("index", "filter", f"{there}:multi", "--platform", "linux/arm64", "-t", f"{there}:arm")
    filtered = json.loads(crane("manifest", f"{there}:arm"))
    assert [each["platform"]["architecture"] for each in filtered["manifests"]] == ["arm64"]
    assert crane("digest", "--platform", "linux/arm64", f"{there}:multi").strip() == (
        small_image("two", "arm64").digest
    )
    assert "PASS" in crane("validate", "--remote", f"{there}:multi")


def test_a_layer_appended_to_an_image_gives_a_new_image_with_both(
    registry: Registry, crane: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    image = small_image(repository)
    api.push(repository, image, "1")
    there = f"{registry.address}/{repository}"
    more = small_image("more").blobs[1]
    (tmp_path / "layer.tar.gz").write_bytes(more.data)
    crane("append", "-b", f"{there}:1", "-f", tmp_path / "layer.tar.gz", "-t", f"{there}:2")
    layers = json.loads(crane("manifest", f"{there}:2"))["layers"]
    assert [each["digest"] for each in layers] == [image.blobs[1].digest, more.digest]


def test_a_pushed_index_is_pulled_with_every_child(
    registry: Registry, crane: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    both = index(small_image("one"), small_image("two", "arm64"))
    layout = write_layout(both, tmp_path / "layout")
    there = f"{registry.address}/{repository}:multi"
    crane("push", "--index", layout, there)
    assert "PASS" in crane("validate", "--remote", there)
    pushed = json.loads(crane("manifest", there))
    assert pushed["manifests"][0]["digest"] == both.digest
    api.pull(repository, both)


def test_delete_by_digest_removes_the_image_and_by_tag_only_the_tag(
    registry: Registry, crane: Program, api: RegistryClient, repository: str
) -> None:
    first, second = small_image("first"), small_image("second")
    for tag in ("1", "latest"):
        api.push(repository, first, tag)
    api.push(repository, second, "2")
    there = f"{registry.address}/{repository}"
    crane("delete", f"{there}:latest")
    assert api.tags(repository) == ["1", "2"]
    api.pull(repository, first)
    crane("delete", f"{there}@{first.digest}")
    assert api.tags(repository) == ["2"]
    assert api.manifest(repository, first.digest).status_code == 404


def test_the_same_over_tls_with_the_authority_that_the_server_made(
    registry: Registry, crane: Program, api: RegistryClient, repository: str, tmp_path: Path
) -> None:
    authority = registry.authority_for(tmp_path / "certificates") / "ca.crt"
    over_tls = Program(crane.path, {**crane.environment, "SSL_CERT_FILE": str(authority)})
    image = small_image(repository)
    layout = write_layout(image, tmp_path / "layout")
    there = f"{registry.encrypted_address}/{repository}:tls"
    over_tls("push", layout, there)
    assert "PASS" in over_tls("validate", "--remote", there)
    api.pull(repository, image, "tls")
