"""A node's containerd pulls and pushes, driven by `ctr`."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.clients.conftest import Registry
from tests.engines import Containerd, containerd_engine
from tests.images import index, small_image
from tests.registry_client import RegistryClient


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    with containerd_engine() as engine:
        yield engine


@pytest.fixture
def access(registry: Registry) -> tuple[str, ...]:
    """Options that lead ctr to the registry with the right to push."""
    return ("--plain-http", "--user", f"{registry.username}:{registry.password}")


def test_an_index_is_pulled_whole_and_pushed_under_another_name(
    registry: Registry,
    containerd: Containerd,
    api: RegistryClient,
    access: tuple[str, ...],
    repository: str,
) -> None:
    pushed = index(small_image("one"), small_image("two", "arm64"))
    api.push(repository, pushed, "v1")
    there, copy = (f"{registry.address}/{repository}{end}" for end in (":v1", "-copy:v2"))
    containerd.ctr("images", "pull", "--all-platforms", *access, there)
    listed = containerd.ctr("images", "ls", f"name=={there}")
    assert pushed.digest in listed
    containerd.ctr("images", "tag", there, copy)
    containerd.ctr("images", "push", *access, copy)
    api.pull(f"{repository}-copy", pushed, "v2")


def test_a_pull_by_digest_keeps_every_byte_of_the_manifest(
    registry: Registry,
    containerd: Containerd,
    api: RegistryClient,
    access: tuple[str, ...],
    repository: str,
) -> None:
    image = small_image("three")
    api.push(repository, image)
    containerd.ctr("images", "pull", *access, f"{registry.address}/{repository}@{image.digest}")
    words = (containerd.ctr.path, *containerd.ctr.options, "content", "get", image.digest)
    assert subprocess.run(words, capture_output=True, check=True).stdout == image.manifest.data


def test_without_credentials_nothing_is_pulled(
    registry: Registry, containerd: Containerd, api: RegistryClient, repository: str
) -> None:
    api.push(repository, small_image("four"), "v1")
    outcome = containerd.ctr.attempt(
        "images", "pull", "--plain-http", f"{registry.address}/{repository}:v1"
    )
    assert outcome.code != 0
    assert "401 Unauthorized" in outcome.stderr
