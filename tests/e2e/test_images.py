"""Images and their signatures through the API of a running server, after pushes of real clients.

Facts: image-api 8.1 and 8.5, registry-and-operator 2.8; skopeo reads and writes the signatures.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images import artifact, index, small_image, write_layout
from tests.kube_client import KubeClient, log_in
from tests.registry_client import RegistryClient
from tests.server import PASSWORD, USERNAME, Server
from tests.tools import must, require, run

GROUP = "/apis/image.openshift.io/v1"
IMAGES = f"{GROUP}/images"
SIGNATURES = f"{GROUP}/imagesignatures"

ACCEPT_ANYTHING = '{"default": [{"type": "insecureAcceptAnything"}]}'


@pytest.fixture
def kube(server: Server) -> Iterator[KubeClient]:
    with KubeClient(server.url, log_in(server.url)) as client:
        yield client


@pytest.fixture
def gpg(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with a key to sign with."""
    require("gpg")
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    environment = {"GNUPGHOME": str(home), "HOME": str(tmp_path)}
    must(
        *("gpg", "--batch", "--passphrase", "", "--quick-generate-key"),
        *("signer@example.com", "ed25519", "sign", "never"),
        environment=environment,
    )
    return environment


def signature(digest: str, name: str, content: str = "AA==") -> dict[str, Any]:
    return {
        "kind": "ImageSignature",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": f"{digest}@{name}"},
        "type": "AtomicImageV1",
        "content": content,
    }


def listed(kube: KubeClient) -> set[str]:
    return {each["metadata"]["name"] for each in kube.read(IMAGES)["items"]}


def test_what_is_pushed_is_an_image_that_its_tag_holds(
    api: RegistryClient, kube: KubeClient
) -> None:
    pushed = small_image("held by a tag")
    api.push("images/held", pushed, "v1")
    found = kube.read(f"{IMAGES}/{pushed.digest}")
    assert found["dockerImageMetadata"]["Architecture"] == "amd64"
    assert pushed.digest in listed(kube)
    refused = kube.delete(f"{IMAGES}/{pushed.digest}")
    assert refused.status_code == 409
    assert refused.json()["reason"] == "Conflict"
    assert refused.json()["message"].endswith(f"image {pushed.digest} is held by images/held:v1")
    assert kube.read(f"{IMAGES}/{pushed.digest}") == found


def test_an_image_that_is_let_go_can_be_deleted_and_brought_back(
    api: RegistryClient, kube: KubeClient
) -> None:
    pushed = small_image("let go")
    api.push("images/released", pushed, "v1")
    found = kube.read(f"{IMAGES}/{pushed.digest}")
    answer = api.http.delete(f"/v2/images/released/manifests/{pushed.digest}")
    assert answer.status_code == 202
    deleted = kube.delete(f"{IMAGES}/{pushed.digest}")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "Success")
    assert kube.get(f"{IMAGES}/{pushed.digest}").status_code == 404
    body = {"kind": "ImageUndelete", "apiVersion": "image.openshift.io/v1"}
    back = kube.make(f"{IMAGES}/{pushed.digest}/undelete", body)
    assert back["metadata"]["uid"] == found["metadata"]["uid"]
    assert kube.post(f"{IMAGES}/{pushed.digest}/undelete", body).status_code == 409


def test_lists_show_children_of_what_is_tagged_and_not_what_was_pushed_by_digest(
    api: RegistryClient, kube: KubeClient
) -> None:
    child, alone = small_image("child"), small_image("by digest alone")
    both = index(child)
    api.push("images/listed", both, "v1")
    api.push("images/listed", alone)
    assert {both.digest, child.digest} <= listed(kube)
    assert alone.digest not in listed(kube)
    assert kube.read(f"{IMAGES}/{alone.digest}")["metadata"]["name"] == alone.digest


def test_signatures_are_one_thing_in_both_apis(api: RegistryClient, kube: KubeClient) -> None:
    pushed = small_image("signed")
    api.push("images/signed", pushed, "v1")
    path = f"/extensions/v2/images/signed/signatures/{pushed.digest}"
    made = kube.make(SIGNATURES, signature(pushed.digest, "one"))
    assert made["metadata"]["name"] == f"{pushed.digest}@one"
    put = {"schemaVersion": 2, "type": "atomic", "name": f"{pushed.digest}@two", "content": "AAA="}
    assert api.http.put(path, json=put).status_code == 201
    assert api.http.put(path, json=put).status_code == 409
    assert kube.post(SIGNATURES, signature(pushed.digest, "two", "AAAA")).status_code == 409
    kept = kube.read(f"{IMAGES}/{pushed.digest}")["signatures"]
    assert [(each["metadata"]["name"], each["type"]) for each in kept] == [
        (f"{pushed.digest}@one", "AtomicImageV1"),
        (f"{pushed.digest}@two", "AtomicImageV1"),
    ]
    shown = api.http.get(path).json()["signatures"]
    assert [(each["schemaVersion"], each["type"], each["content"]) for each in shown] == [
        (2, "atomic", "AA=="),
        (2, "atomic", "AAA="),
    ]
    answer = kube.delete(f"{SIGNATURES}/{pushed.digest}@one")
    assert (answer.status_code, answer.json()["status"]) == (200, "Success")
    assert len(api.http.get(path).json()["signatures"]) == 1
    assert kube.get(SIGNATURES).status_code == 405


def test_the_registry_says_to_everybody_that_it_keeps_signatures(server: Server) -> None:
    with RegistryClient(server.url, credentials=None) as nobody:
        answer = nobody.http.get("/v2/")
    assert answer.status_code == 401
    assert answer.headers["x-registry-supports-signatures"] == "1"


def test_skopeo_signs_what_it_pushes_and_requires_it_of_what_it_pulls(
    server: Server, kube: KubeClient, gpg: dict[str, str], tmp_path: Path
) -> None:
    skopeo = require("skopeo")
    pushed = small_image("signed by skopeo")
    layout = write_layout(pushed, tmp_path / "layout")
    lax = tmp_path / "lax.json"
    lax.write_text(ACCEPT_ANYTHING)
    credentials = f"{USERNAME}:{PASSWORD}"
    remote = f"docker://{server.address}/images/skopeo:v1"
    must(
        *(skopeo, "--policy", lax, "copy", "--dest-tls-verify=false"),
        *("--dest-creds", credentials, "--sign-by", "signer@example.com", f"oci:{layout}:latest"),
        remote,
        environment=gpg,
    )
    (kept,) = kube.read(f"{IMAGES}/{pushed.digest}")["signatures"]
    assert kept["type"] == "AtomicImageV1"
    key = tmp_path / "key.gpg"
    key.write_text(must("gpg", "--armor", "--export", "signer@example.com", environment=gpg))
    strict = tmp_path / "strict.json"
    signed = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(key)}
    strict.write_text(json.dumps({"default": [signed]}))
    pull = (
        *(skopeo, "--policy", strict, "copy", "--src-tls-verify=false"),
        *("--src-creds", credentials, "--remove-signatures", remote),
    )
    must(*pull, f"dir:{tmp_path / 'pulled'}", environment=gpg)
    assert kube.delete(f"{SIGNATURES}/{kept['metadata']['name']}").status_code == 200
    refused = run(*pull, f"dir:{tmp_path / 'refused'}", environment=gpg)
    assert refused.code != 0
    assert "signature was required" in refused.stderr


def test_an_import_from_a_private_address_is_refused_and_the_tag_says_why(
    kube: KubeClient, api: RegistryClient
) -> None:
    api.push("images/imports", small_image("imports"), "v1")
    body = {
        "kind": "ImageStreamImport",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": "imports"},
        "spec": {
            "import": True,
            "images": [{"from": {"kind": "DockerImage", "name": "127.0.0.1:1/library/busybox:1"}}],
        },
    }
    path = f"{GROUP}/namespaces/images/imagestreamimports"
    (answered,) = kube.make(path, body)["status"]["images"]
    assert answered["status"]["reason"] == "Forbidden"
    assert "127.0.0.1 is no public address" in answered["status"]["message"]
    assert answered["tag"] == "1"
    tags = kube.read(f"{GROUP}/namespaces/images/imagestreams/imports")["status"]["tags"]
    said = {each["tag"]: each.get("conditions") for each in tags}
    assert said["1"][0]["message"] == answered["status"]["message"]
    assert said["v1"] is None
    body["spec"] = {"import": True}
    assert kube.post(path, body).status_code == 422


def test_a_signature_that_refers_to_an_image_is_no_reason_to_keep_it(
    api: RegistryClient, kube: KubeClient
) -> None:
    pushed = small_image("referred to")
    api.push("images/referred", pushed, "v1")
    api.push("images/referred", artifact("application/x.test", b"sbom", pushed))
    api.http.delete(f"/v2/images/referred/manifests/{pushed.digest}")
    assert kube.delete(f"{IMAGES}/{pushed.digest}").status_code == 200


def test_what_refers_to_an_image_is_shown_where_it_is_one_of_a_stream(
    api: RegistryClient, kube: KubeClient
) -> None:
    pushed = small_image("described by an SBOM")
    bill = artifact("application/spdx+json", b"bill of materials", pushed)
    api.push("images/referrers", pushed, "v1")
    api.push("images/referrers", bill)
    streams = f"{GROUP}/namespaces/images"
    wanted = [{"digest": bill.digest, "artifactType": "application/spdx+json"}]
    for path in ("imagestreamtags/referrers:v1", f"imagestreamimages/referrers@{pushed.digest}"):
        image = kube.read(f"{streams}/{path}")["image"]
        assert json.loads(image["metadata"]["annotations"]["tidegate.io/referrers"]) == wanted
    annotations = kube.read(f"{IMAGES}/{pushed.digest}")["metadata"]["annotations"]
    assert "tidegate.io/referrers" not in annotations


def test_a_stream_that_comes_back_has_the_images_that_were_deleted_meanwhile(
    api: RegistryClient, kube: KubeClient
) -> None:
    older, newer = small_image("back, older"), small_image("back, newer")
    for pushed in (older, newer):
        api.push("images/back", pushed, "v1")
    stream = f"{GROUP}/namespaces/images/imagestreams/back"
    assert kube.delete(stream).status_code == 200
    for pushed in (older, newer):
        assert kube.delete(f"{IMAGES}/{pushed.digest}").status_code == 200
    body = {"kind": "ImageStream", "apiVersion": "image.openshift.io/v1"}
    kube.make(f"{stream}/undelete", body | {"metadata": {"name": "back"}})
    for pushed in (older, newer):
        assert kube.get(f"{IMAGES}/{pushed.digest}").status_code == 200
    assert kube.delete(f"{IMAGES}/{older.digest}").status_code == 409
    api.pull("images/back", newer, "v1")
