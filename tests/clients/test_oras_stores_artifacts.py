"""A supply chain engineer keeps documents, SBOMs and signatures beside an image with oras."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.images import digest_of, small_image
from tests.registry_client import RegistryClient
from tests.tools import Program, require

SBOM = "application/vnd.example.sbom.v1+json"
NOTES = "application/vnd.example.notes.v1+text"


@pytest.fixture
def oras(home: Home) -> Program:
    return Program(require("oras"), home.environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files to push, in a directory that commands run in, since oras keeps relative names."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "sbom.json").write_text('{"components": []}')
    (tmp_path / "files" / "notes.txt").write_text("spring tide\n")
    return tmp_path / "files"


def test_login_push_and_pull_keep_names_and_bytes(
    registry: Registry, logged_out: Home, folder: Path, repository: str, tmp_path: Path
) -> None:
    oras = Program(require("oras"), logged_out.environment)
    there = f"{registry.address}/{repository}:doc"
    push = ("push", "--plain-http", "--artifact-type", NOTES, there, "notes.txt:text/plain")
    oras("login", "--plain-http", "-u", registry.username, "--password-stdin", registry.address,
         stdin=registry.password)  # fmt: skip
    oras(*push, directory=folder)
    (tmp_path / "back").mkdir()
    oras("pull", "--plain-http", there, directory=tmp_path / "back")
    assert (tmp_path / "back" / "notes.txt").read_text() == "spring tide\n"
    oras("logout", registry.address)
    assert oras.attempt("pull", "--plain-http", there).code != 0


def test_attached_artifacts_are_discovered_through_the_referrers_api_and_pulled(
    registry: Registry,
    oras: Program,
    api: RegistryClient,
    folder: Path,
    repository: str,
    tmp_path: Path,
) -> None:
    image = small_image(repository)
    api.push(repository, image, "1")
    there = f"{registry.address}/{repository}:1"
    attach = ("attach", "--plain-http", "--distribution-spec", "v1.1-referrers-api")
    for kind, name in ((SBOM, "sbom.json"), (NOTES, "notes.txt")):
        about = ("--artifact-type", kind, "--annotation", f"about={name}")
        oras(*attach, *about, there, name, directory=folder)
    discover = ("discover", "--plain-http", "--distribution-spec", "v1.1-referrers-api",
                "--format", "json")  # fmt: skip
    everything = json.loads(oras(*discover, there))["referrers"]
    assert {each["artifactType"] for each in everything} == {SBOM, NOTES}
    assert {each["annotations"]["about"] for each in everything} == {"sbom.json", "notes.txt"}
    (found,) = json.loads(oras(*discover, "--artifact-type", SBOM, there))["referrers"]
    (tmp_path / "back").mkdir()
    oras("pull", "--plain-http", f"{registry.address}/{repository}@{found['digest']}",
         directory=tmp_path / "back")  # fmt: skip
    assert (tmp_path / "back" / "sbom.json").read_text() == '{"components": []}'
    # with the API there, no client has to keep the list in a tag
    assert api.tags(repository) == ["1"]


def test_deleting_a_referrer_takes_it_off_the_list_at_once(
    registry: Registry, oras: Program, api: RegistryClient, folder: Path, repository: str
) -> None:
    image = small_image(repository)
    api.push(repository, image, "1")
    there = f"{registry.address}/{repository}"
    attach = ("attach", "--plain-http", "--artifact-type", SBOM, "--format", "json")
    attached = json.loads(oras(*attach, f"{there}:1", "sbom.json", directory=folder))
    oras("manifest", "delete", "--plain-http", "--force", f"{there}@{attached['digest']}")
    listed = json.loads(oras("discover", "--plain-http", "--format", "json", f"{there}:1"))
    assert not listed.get("referrers")


def test_copy_with_referrers_takes_the_image_and_what_is_attached(
    registry: Registry, oras: Program, api: RegistryClient, folder: Path, repository: str
) -> None:
    api.push(repository, small_image(repository), "1")
    there = f"{registry.address}/{repository}"
    oras("attach", "--plain-http", "--artifact-type", SBOM, f"{there}:1", "sbom.json",
         directory=folder)  # fmt: skip
    oras("cp", "--from-plain-http", "--to-plain-http", "--recursive", f"{there}:1",
         f"{there}-prod:1")  # fmt: skip
    listed = json.loads(oras("discover", "--plain-http", "--format", "json", f"{there}-prod:1"))
    assert [each["artifactType"] for each in listed["referrers"]] == [SBOM]


def test_tags_are_added_listed_and_resolved(
    registry: Registry, oras: Program, folder: Path, repository: str
) -> None:
    there = f"{registry.address}/{repository}"
    oras("push", "--plain-http", f"{there}:1", "notes.txt", directory=folder)
    oras("tag", "--plain-http", f"{there}:1", "latest", "stable")
    assert oras("repo", "tags", "--plain-http", there).split() == ["1", "latest", "stable"]
    digests = {oras("resolve", "--plain-http", f"{there}:{tag}") for tag in ("1", "stable")}
    assert len(digests) == 1
    assert oras("repo", "ls", "--plain-http", f"{registry.address}/{repository[:-4]}/").split() == [
        "app"
    ]


def test_single_blobs_are_pushed_fetched_and_deleted(
    registry: Registry, oras: Program, api: RegistryClient, folder: Path, repository: str
) -> None:
    digest = digest_of((folder / "notes.txt").read_bytes())
    there = f"{registry.address}/{repository}@{digest}"
    oras("blob", "push", "--plain-http", there, folder / "notes.txt")
    assert oras("blob", "fetch", "--plain-http", "--output", "-", there) == "spring tide\n"
    assert json.loads(oras("blob", "fetch", "--plain-http", "--descriptor", there))["size"] == 12
    oras("blob", "delete", "--plain-http", "--force", there)
    assert not api.has_blob(repository, digest)


def test_an_index_of_artifacts_is_made_and_fetched(
    registry: Registry, oras: Program, folder: Path, repository: str
) -> None:
    there = f"{registry.address}/{repository}"
    for tag, name in (("notes", "notes.txt"), ("sbom", "sbom.json")):
        oras("push", "--plain-http", "--artifact-type", NOTES, f"{there}:{tag}", name,
             directory=folder)  # fmt: skip
    oras("manifest", "index", "create", "--plain-http", f"{there}:all", "notes", "sbom")
    fetched = json.loads(oras("manifest", "fetch", "--plain-http", f"{there}:all"))
    assert len(fetched["manifests"]) == 2


def test_the_same_over_tls_with_the_authority_that_the_server_made(
    registry: Registry, oras: Program, folder: Path, repository: str, tmp_path: Path
) -> None:
    authority = registry.authority_for(tmp_path / "certificates") / "ca.crt"
    there = f"{registry.encrypted_address}/{repository}:tls"
    oras("push", "--ca-file", authority, there, "notes.txt", directory=folder)
    (tmp_path / "back").mkdir()
    oras("pull", "--ca-file", authority, there, directory=tmp_path / "back")
    assert (tmp_path / "back" / "notes.txt").read_text() == "spring tide\n"
