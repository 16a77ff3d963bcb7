"""A CI job builds with buildah, pushes what it built, and a later job goes on from there."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.registry_client import RegistryClient
from tests.tools import Program, require


@pytest.fixture
def buildah(home: Home) -> Program:
    storage = ("--root", str(home.directory / "store"), "--runroot", str(home.directory / "run"))
    return Program(require("buildah"), home.environment, (*storage, "--storage-driver", "vfs"))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """What the job wants in its image."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "application").write_text("#!/bin/true\n")
    (folder / "application").chmod(0o755)
    (folder / "Containerfile").write_text(
        'FROM scratch\nCOPY application /application\nLABEL tide="high"\nCMD ["/application"]\n'
    )
    return folder


def test_an_image_built_from_scratch_is_pushed_and_pulled(
    registry: Registry, buildah: Program, api: RegistryClient, sources: Path, repository: str
) -> None:
    there = f"{registry.address}/{repository}:1"
    container = buildah("from", "scratch").strip()
    buildah("copy", container, sources / "application", "/application")
    buildah("config", "--cmd", "/application", "--label", "tide=low", container)
    buildah("commit", container, there)
    buildah("push", "--tls-verify=false", there)
    buildah("rm", container)
    buildah("rmi", there)
    buildah("pull", "--tls-verify=false", there)
    shown = json.loads(buildah("inspect", "--type", "image", there))
    assert shown["OCIv1"]["config"]["Labels"]["tide"] == "low"
    stored = json.loads(api.manifest(repository, "1").content)
    assert shown["FromImageDigest"].startswith("sha256:")
    assert len(stored["layers"]) == 1


def test_a_containerfile_is_built_on_a_base_that_comes_from_the_registry(
    registry: Registry, buildah: Program, sources: Path, repository: str
) -> None:
    base = f"{registry.address}/{repository}-base:1"
    buildah("build", "--tag", base, sources)
    buildah("push", "--tls-verify=false", base)
    buildah("rmi", base)
    (sources / "Containerfile").write_text(f"FROM {base}\nCOPY application /second\n")
    there = f"{registry.address}/{repository}:2"
    buildah("build", "--tls-verify=false", "--tag", there, sources)
    buildah("push", "--tls-verify=false", there)
    buildah("rmi", there, base)
    container = buildah("from", "--tls-verify=false", there).strip()
    root = Path(buildah("mount", container).strip())
    for name in ("application", "second"):
        assert (root / name).read_text() == "#!/bin/true\n"
        assert (root / name).stat().st_mode & 0o777 == 0o755
    buildah("rm", container)


def test_a_manifest_list_made_by_buildah_is_pushed_with_all_its_images(
    registry: Registry, buildah: Program, api: RegistryClient, sources: Path, repository: str
) -> None:
    there = f"{registry.address}/{repository}:multi"
    buildah("manifest", "create", "everywhere")
    for architecture in ("amd64", "arm64"):
        image = f"localhost/{architecture}"
        buildah("build", "--arch", architecture, "--tag", image, sources)
        buildah("manifest", "add", "everywhere", image)
    buildah("manifest", "push", "--all", "--tls-verify=false", "everywhere", f"docker://{there}")
    stored = json.loads(api.manifest(repository, "multi").content)
    platforms = [each["platform"]["architecture"] for each in stored["manifests"]]
    assert sorted(platforms) == ["amd64", "arm64"]
    for each in stored["manifests"]:
        child = api.manifest(repository, each["digest"])
        assert len(child.content) == each["size"]
    buildah("pull", "--tls-verify=false", "--arch", "arm64", there)
    assert json.loads(buildah("inspect", "--type", "image", there))["OCIv1"]["architecture"] == (
        "arm64"
    )
