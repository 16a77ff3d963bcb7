"""Others' programs mirror from and to tidegate, read what `tidegate mirror` writes, and it theirs.

`oc image mirror` is told by its requests, in their order, as recorded from oc of the 4.2x line; no
oc is needed to run this.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.conftest import Home, Registry
from tests.images import IMAGE_INDEX, IMAGE_MANIFEST, Pushable, artifact, index, small_image
from tests.registry_client import RegistryClient
from tests.server import tidegate
from tests.tools import Program, require
from tests.upstream import Upstream, docker_registry

BOTH = index(small_image("amd", "amd64"), small_image("arm", "arm64"))
SBOM = artifact("application/spdx+json", b"sbom", BOTH)
COSIGN = artifact("application/vnd.cosign", b"cosign")
COSIGN_TAG = BOTH.digest.replace(":", "-") + ".sig"

ACCEPTED = (
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/json, "
    "application/vnd.docker.distribution.manifest.v1+prettyjws"
)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Debian's registry, open to all."""
    with docker_registry(tmp_path_factory.mktemp("other")) as upstream:
        yield upstream


@pytest.fixture
def skopeo(home: Home) -> Program:
    return Program(require("skopeo"), home.environment)


@pytest.fixture
def mirror(home: Home) -> Program:
    return Program(tidegate(), home.environment, ("mirror",))


def push_all(client: RegistryClient, repository: str) -> None:
    client.push(repository, BOTH, "1")
    client.push(repository, SBOM)
    client.push(repository, COSIGN, COSIGN_TAG)


def referrers(client: RegistryClient, repository: str, subject: Pushable) -> list[str]:
    """By the referrers list, or where a registry has none by the tag in its place."""
    answer = client.http.get(f"/v2/{repository}/referrers/{subject.digest}")
    if answer.status_code == 404:
        answer = client.manifest(repository, subject.digest.replace(":", "-"))
    return [str(each["digest"]) for each in answer.json()["manifests"]]


class Oc:
    """Sends what `oc image mirror` sends, with a token for the scopes that it asks for."""

    def __init__(self, api: RegistryClient, *scopes: str) -> None:
        ping = httpx.get(f"{api.url}/v2/", trust_env=False)
        assert ping.status_code == 401
        self._http = httpx.Client(
            base_url=api.url,
            headers={"Authorization": f"Bearer {api.token(*scopes)}"},
            trust_env=False,
        )

    def __call__(self, method: str, path: str, status: int, **more: object) -> httpx.Response:
        answer = self._http.request(method, path, **more)  # type: ignore[arg-type]  # as they come
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def close(self) -> None:
        self._http.close()


def oc_copies_a_blob(reader: Oc, writer: Oc, source: str, target: str, digest: str) -> None:
    writer("HEAD", f"/v2/{target}/blobs/{digest}", 404)
    content = reader("GET", f"/v2/{source}/blobs/{digest}", 200).content
    location = writer("POST", f"/v2/{target}/blobs/uploads/", 202).headers["location"]
    # chunked, of no type, and no range: what came is told by the answer
    location = writer("PATCH", location, 202, content=iter([content])).headers["location"]
    writer("PUT", location, 201, params={"digest": digest})
    told = writer("HEAD", f"/v2/{target}/blobs/{digest}", 200)
    assert told.headers["content-length"] == str(len(content))


def test_oc_image_mirror_copies_a_manifest_list_to_another_project(
    api: RegistryClient, repository: str
) -> None:
    source, target = repository, f"{repository}-prod"
    api.push(source, BOTH, "1")
    reader = Oc(api, f"repository:{source}:pull")
    writer = Oc(api, f"repository:{target}:pull,push", f"repository:{source}:pull")
    head = reader("HEAD", f"/v2/{source}/manifests/1", 200, headers={"Accept": ACCEPTED})
    assert head.headers["docker-content-digest"] == BOTH.digest
    assert head.headers["content-type"] == IMAGE_INDEX
    for each in (BOTH, *BOTH.children):
        path = f"/v2/{source}/manifests/{each.digest}"
        answer = reader("GET", path, 200, headers={"Accept": ACCEPTED})
        assert answer.content == each.manifest.data
        assert answer.headers["content-type"] == each.manifest.media_type
    writer("GET", f"/v2/{target}/manifests/{BOTH.digest}", 404, headers={"Accept": ACCEPTED})
    for child in BOTH.children:
        for blob in child.blobs:
            oc_copies_a_blob(reader, writer, source, target, blob.digest)
    for child in BOTH.children:
        writer("PUT", f"/v2/{target}/manifests/{child.digest}", 201, content=child.manifest.data,
               headers={"Content-Type": IMAGE_MANIFEST})  # fmt: skip
    put = writer("PUT", f"/v2/{target}/manifests/1", 201, content=BOTH.manifest.data,
                 headers={"Content-Type": IMAGE_INDEX})  # fmt: skip
    assert put.headers["docker-content-digest"] == BOTH.digest
    # once more: it sees that the target has the list, and sends nothing
    again = writer(
        "GET", f"/v2/{target}/manifests/{BOTH.digest}", 200, headers={"Accept": ACCEPTED}
    )
    assert again.content == BOTH.manifest.data
    api.pull(target, BOTH, "1")
    reader.close()
    writer.close()


def test_oc_image_mirror_mounts_what_another_target_of_the_run_has_got(
    api: RegistryClient, repository: str
) -> None:
    source, target = repository, f"{repository}-second"
    small = small_image("x")
    api.push(source, small, "1")
    writer = Oc(api, f"repository:{target}:pull,push", f"repository:{source}:pull")
    for blob in small.blobs:
        writer("HEAD", f"/v2/{target}/blobs/{blob.digest}", 404)
        query = {"from": source, "mount": blob.digest}
        writer("POST", f"/v2/{target}/blobs/uploads/", 201, params=query)
    writer("PUT", f"/v2/{target}/manifests/x", 201, content=small.manifest.data,
           headers={"Content-Type": IMAGE_MANIFEST})  # fmt: skip
    api.pull(target, small, "x")
    writer.close()


def test_oc_image_mirror_of_all_tags_lists_them_first(api: RegistryClient, repository: str) -> None:
    """`oc image mirror REGISTRY/REPOSITORY:* …`, which takes one platform of a list."""
    api.push(repository, BOTH, "1")
    reader = Oc(api, f"repository:{repository}:pull")
    assert reader("GET", f"/v2/{repository}/tags/list", 200).json()["tags"] == ["1"]
    reader.close()


def test_skopeo_sync_mirrors_into_a_project_and_out_of_it(
    registry: Registry, skopeo: Program, api: RegistryClient, repository: str, other: Upstream
) -> None:
    project = repository.partition("/")[0]
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false", "--all")
    with other.client() as theirs:
        theirs.push(f"{project}/app", BOTH, "1")
        theirs.push(f"{project}/app", small_image("two"), "2")
        skopeo("sync", *plain, "--src", "docker", "--dest", "docker",
               f"{other.address}/{project}/app", f"{registry.address}/{project}")  # fmt: skip
        assert api.tags(repository) == ["1", "2"]
        api.pull(repository, BOTH, "1")
        skopeo("sync", *plain, "--src", "docker", "--dest", "docker",
               f"{registry.address}/{repository}", f"{other.address}/back-{project}")  # fmt: skip
        theirs.pull(f"back-{project}/app", BOTH, "1")


def test_regctl_copies_with_referrers_and_digest_tags_in_both_directions(
    registry: Registry, home: Home, api: RegistryClient, repository: str, other: Upstream
) -> None:
    regctl = Program(require("regctl"), home.environment)
    for address in (registry.address, other.address):
        regctl("registry", "set", "--tls", "disabled", address)
    with other.client() as theirs:
        theirs.push(repository, BOTH, "1")
        theirs.push(repository, COSIGN, COSIGN_TAG)
        there, here = f"{other.address}/{repository}:1", f"{registry.address}/{repository}:1"
        regctl("artifact", "put", "--subject", there, "--artifact-type", "application/x",
               stdin="about it")  # fmt: skip
        (referrer,) = referrers(theirs, repository, BOTH)
        regctl("image", "copy", "--referrers", "--digest-tags", there, here)
        assert referrers(api, repository, BOTH) == [referrer]
        api.pull(repository, COSIGN, COSIGN_TAG)
        back = f"{other.address}/back-{repository}:1"
        regctl("image", "copy", "--referrers", "--digest-tags", here, back)
        assert referrers(theirs, f"back-{repository}", BOTH) == [referrer]


def test_a_layout_of_ours_is_read_by_skopeo_regctl_and_oras(
    registry: Registry,
    home: Home,
    skopeo: Program,
    mirror: Program,
    api: RegistryClient,
    repository: str,
    tmp_path: Path,
) -> None:
    push_all(api, repository)
    layout = tmp_path / "layout"
    mirror(f"{registry.address}/{repository}:1", f"oci:{layout}")
    raw = skopeo("inspect", "--raw", f"oci:{layout}:1")
    assert raw.encode() == BOTH.manifest.data
    skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
           f"oci:{layout}:1", f"docker://{registry.address}/{repository}-skopeo:1")  # fmt: skip
    api.pull(f"{repository}-skopeo", BOTH, "1")
    regctl = Program(require("regctl"), home.environment)
    listed = regctl("artifact", "list", "--format", "raw-body", f"ocidir://{layout}:1")
    assert SBOM.digest in listed
    regctl("registry", "set", "--tls", "disabled", registry.address)
    regctl("image", "copy", "--referrers", "--digest-tags", f"ocidir://{layout}:1",
           f"{registry.address}/{repository}-regctl:1")  # fmt: skip
    assert referrers(api, f"{repository}-regctl", BOTH) == [SBOM.digest]
    api.pull(f"{repository}-regctl", COSIGN, COSIGN_TAG)
    oras = Program(require("oras"), home.environment)
    found = json.loads(oras("discover", "--oci-layout", "--format", "json", f"{layout}:1"))
    assert [each["digest"] for each in found["referrers"]] == [SBOM.digest]


def test_an_archive_of_ours_is_read_by_skopeo_podman_and_regctl(
    registry: Registry,
    home: Home,
    skopeo: Program,
    mirror: Program,
    api: RegistryClient,
    repository: str,
    tmp_path: Path,
) -> None:
    image = small_image(repository)
    api.push(repository, image, "1")
    archive = tmp_path / "image.tar"
    mirror(f"{registry.address}/{repository}:1", f"oci-archive:{archive}")
    assert json.loads(skopeo("inspect", f"oci-archive:{archive}:1"))["Digest"] == image.digest
    podman = Program(
        require("podman"),
        home.environment,
        ("--root", str(home.directory / "root"), "--runroot", str(home.directory / "runroot"),
         "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"),
    )  # fmt: skip
    loaded = podman("pull", "--quiet", f"oci-archive:{archive}:1")
    inspected = json.loads(podman("image", "inspect", loaded.strip()))
    assert inspected[0]["Digest"] == image.digest
    regctl = Program(require("regctl"), home.environment)
    regctl("image", "import", f"ocidir://{tmp_path}/imported:1", archive)
    assert regctl("image", "digest", f"ocidir://{tmp_path}/imported:1").strip() == image.digest


def test_layouts_and_archives_of_others_are_read_by_us(
    registry: Registry,
    home: Home,
    skopeo: Program,
    mirror: Program,
    api: RegistryClient,
    repository: str,
    tmp_path: Path,
) -> None:
    push_all(api, repository)
    source = f"{registry.address}/{repository}:1"
    skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false", f"docker://{source}",
           f"oci-archive:{tmp_path}/skopeo.tar:of-skopeo")  # fmt: skip
    regctl = Program(require("regctl"), home.environment)
    regctl("registry", "set", "--tls", "disabled", registry.address)
    regctl("image", "copy", "--referrers", "--digest-tags", source,
           f"ocidir://{tmp_path}/regctl:of-regctl")  # fmt: skip
    regctl("image", "export", source, tmp_path / "regctl.tar")
    oras = Program(require("oras"), home.environment)
    oras("copy", "--recursive", "--from-plain-http", "--to-oci-layout", source,
         f"{tmp_path}/oras:of-oras")  # fmt: skip
    target = f"{registry.address}/{repository}-from"
    mirror(f"oci-archive:{tmp_path}/skopeo.tar", target)
    mirror(f"oci:{tmp_path}/regctl:of-regctl", target)
    mirror(f"oci-archive:{tmp_path}/regctl.tar", f"{target}:exported")
    mirror(f"oci:{tmp_path}/oras:of-oras", target)
    for tag in ("of-skopeo", "of-regctl", "exported", "of-oras"):
        api.pull(f"{repository}-from", BOTH, tag)
    assert referrers(api, f"{repository}-from", BOTH) == [SBOM.digest]
    api.pull(f"{repository}-from", COSIGN, COSIGN_TAG)
