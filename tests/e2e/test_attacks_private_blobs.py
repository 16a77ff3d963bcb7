"""What alice keeps in `vault` is read by nobody else, by whichever way registries know to a blob.

Mallory knows the digests of all of it, and may do anything in `lair`.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.attacking import LAIR, VAULT, Scene, account_token, attacked
from tests.e2e.conftest import Start
from tests.images import (
    IMAGE_INDEX,
    IMAGE_MANIFEST,
    Content,
    artifact,
    digest_of,
    encode,
    image,
    index,
    small_image,
)
from tests.kube_client import RBAC, kube_client, role_binding
from tests.registry_client import RegistryClient, client_of, error_codes
from tests.server import Server, wait_until

APP, HERS = f"{VAULT}/app", f"{LAIR}/app"

_names = (f"n{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("blobs") / "data") as ready:
        yield ready


@pytest.fixture
def mallory(scene: Scene) -> Iterator[RegistryClient]:
    with scene.registry() as client:
        yield client


@pytest.fixture
def alice(scene: Scene) -> Iterator[RegistryClient]:
    with scene.registry("alice") as client:
        yield client


@pytest.fixture
def repository() -> str:
    """One of mallory's, which is new."""
    return f"{LAIR}/{next(_names)}"


def bare(answer: httpx.Response, *differing: str) -> tuple[object, ...]:
    """The whole answer, without what was asked for and what differs each time."""

    def without(text: str) -> str:
        for each in differing:
            text = text.replace(each, "*")
        return text

    varying = ("date", "x-request-id")
    headers = tuple(
        sorted(
            (name, without(value)) for name, value in answer.headers.items() if name not in varying
        )
    )
    return answer.status_code, headers, without(answer.text)


def holds_nothing(client: RegistryClient, repository: str, scene: Scene) -> None:
    """None of alice's image is readable in the repository."""
    for blob in scene.image.blobs:
        assert client.blob(repository, blob.digest).status_code == 404
        assert not client.has_blob(repository, blob.digest)
    for reference in (scene.image.digest, "1"):
        assert client.manifest(repository, reference).status_code == 404


# Where it is


def everything_of(
    client: RegistryClient, repository: str, blob: str, manifest: str, tag: str
) -> list[tuple[str, httpx.Response]]:
    """Each way to ask for something of a repository."""
    path = f"/v2/{repository}"
    asked = [
        ("GET", f"{path}/manifests/{tag}", None),
        ("HEAD", f"{path}/manifests/{tag}", None),
        ("GET", f"{path}/manifests/{manifest}", None),
        ("HEAD", f"{path}/manifests/{manifest}", None),
        ("GET", f"{path}/blobs/{blob}", None),
        ("HEAD", f"{path}/blobs/{blob}", None),
        ("GET", f"{path}/blobs/{manifest}", None),
        ("GET", f"{path}/tags/list", None),
        ("GET", f"{path}/tags/list?n=1&last=0", None),
        ("GET", f"{path}/referrers/{manifest}", None),
        ("GET", f"{path}/referrers/{manifest}?artifactType=a/b", None),
        ("GET", f"{path}/blobs/uploads/{'0' * 32}", None),
        ("POST", f"{path}/blobs/uploads/", None),
        ("POST", f"{path}/blobs/uploads/?mount={blob}&from={HERS}", None),
        ("PUT", f"{path}/manifests/{tag}", b"{}"),
        ("PUT", f"{path}/manifests/{manifest}", b"{}"),
        ("PATCH", f"{path}/blobs/uploads/{'0' * 32}", b"x"),
        ("PUT", f"{path}/blobs/uploads/{'0' * 32}?digest={blob}", b""),
        ("DELETE", f"{path}/manifests/{tag}", None),
        ("DELETE", f"{path}/manifests/{manifest}", None),
        ("DELETE", f"{path}/blobs/{blob}", None),
        ("DELETE", f"{path}/blobs/uploads/{'0' * 32}", None),
    ]
    ranged = client.http.get(f"{path}/blobs/{blob}", headers={"Range": "bytes=0-0"})
    known = client.http.get(f"{path}/blobs/{blob}", headers={"If-None-Match": f'"{blob}"'})
    answers = [
        (f"{method} {target}", client.http.request(method, target, content=body))
        for method, target, body in asked
    ]
    return [*answers, ("GET with Range", ranged), ("GET with If-None-Match", known)]


@pytest.mark.parametrize("who", ["mallory", "an account", "nobody"])
def test_a_refusal_does_not_tell_what_is_there(scene: Scene, who: str) -> None:
    """Every answer is the same, headers too, for what exists and for what does not."""
    blob, manifest = scene.image.blobs[0].digest, scene.image.digest
    none = digest_of(b"no such thing")
    if who == "an account":
        client = client_of(scene.server, bearer=account_token(scene.mallory, LAIR, "builder"))
    elif who == "nobody":
        client = client_of(scene.server, credentials=None)
    else:
        client = scene.registry()
    cases = [
        (APP, blob, manifest, "1"),
        (APP, none, none, "none"),
        (f"{VAULT}/none", blob, manifest, "1"),
        (f"{VAULT}/none", none, none, "none"),
    ]
    if who != "mallory":  # who may make projects may push to one that is missing
        cases.append(("missing/app", blob, manifest, "1"))
    with client:
        rows = [
            [
                (bare(answer, *case[:3], case[0].replace("/", "%2F")), how)
                for how, answer in everything_of(client, *case)
            ]
            for case in cases
        ]
    for column in zip(*rows, strict=True):
        answers = {answer for answer, _ in column}
        assert len(answers) == 1, column
        status = column[0][0][0]
        assert status == (401 if who == "nobody" else 403), column


def test_a_token_asked_for_says_nothing_of_what_exists(scene: Scene) -> None:
    for credentials in (("mallory", "correct horse battery staple"), None):
        with client_of(scene.server, credentials=credentials) as client:
            answers = set()
            for name in (APP, f"{VAULT}/none"):
                scope = f"repository:{name}:pull,push,delete"
                answer = client.http.get("/openshift/token", params={"scope": scope})
                text = re.sub(r'"(token|access_token|issued_at)":"[^"]*"', "", answer.text)
                answers.add((answer.status_code, text))
        assert len(answers) == 1, answers


def test_the_catalog_shows_what_may_be_pulled(scene: Scene, alice: RegistryClient) -> None:
    for name in ("aaa", "mmm", "zzz"):
        alice.push(f"{VAULT}/{name}", small_image(name), "1")
    with scene.registry() as mallory, client_of(scene.server, credentials=None) as nobody:
        starts: list[dict[str, str]] = [{}, {"n": "1"}, {"n": "1000"}, {"last": VAULT}]
        for params in [*starts, {"n": "1", "last": f"{VAULT}/a"}]:
            page: str | None = "/v2/_catalog"
            while page:
                answer = mallory.http.get(page, params=params if page == "/v2/_catalog" else {})
                assert answer.status_code == 200
                assert VAULT not in answer.text
                link = answer.headers.get("link", "")
                if "last" not in params:
                    assert VAULT not in link
                found = re.search(r"<([^>]*)>", link)
                page = found[1] if found else None
        assert nobody.http.get("/v2/_catalog").status_code == 401
    builder = account_token(scene.mallory, LAIR, "builder")
    with client_of(scene.server, bearer=builder) as account:
        assert VAULT not in account.http.get("/v2/_catalog").text


# Mounts


@pytest.mark.parametrize(
    "source", [APP, f"{VAULT}/none", "", None, "..", f"{LAIR}/app/../../{APP}"]
)
def test_a_mount_from_somebody_elses_repository_starts_an_upload(
    scene: Scene, mallory: RegistryClient, repository: str, source: str | None
) -> None:
    """And the answer is that for a blob which nobody has."""
    answers = set()
    for digest in (*(each.digest for each in scene.image.blobs), digest_of(b"nobody's")):
        params = {"mount": digest, **({} if source is None else {"from": source})}
        answer = mallory.http.post(f"/v2/{repository}/blobs/uploads/", params=params)
        assert answer.status_code == 202, answer.text
        upload = answer.headers["docker-upload-uuid"]
        answers.add(bare(answer, upload, digest))
        mallory.http.delete(answer.headers["location"])
    assert len(answers) == 1, answers
    holds_nothing(mallory, repository, scene)


def test_a_mount_needs_a_token_that_covers_its_source(
    scene: Scene, mallory: RegistryClient, repository: str
) -> None:
    blob = scene.own.blobs[0].digest
    token = mallory.token(f"repository:{repository}:pull,push", f"repository:{APP}:pull")
    with RegistryClient(scene.server.url, bearer=token) as narrow:
        path = f"/v2/{repository}/blobs/uploads/"
        answer = narrow.http.post(path, params={"mount": blob, "from": HERS})
        assert answer.status_code == 401
        assert f"repository:{HERS}:pull" in answer.headers["www-authenticate"]
        theirs = scene.image.blobs[0].digest
        answer = narrow.http.post(path, params={"mount": theirs, "from": APP})
        assert answer.status_code == 202
    holds_nothing(mallory, repository, scene)


def test_a_mount_into_somebody_elses_repository_is_refused(
    scene: Scene, mallory: RegistryClient, alice: RegistryClient
) -> None:
    blob = scene.own.blobs[0].digest
    answer = mallory.http.post(f"/v2/{APP}/blobs/uploads/", params={"mount": blob, "from": HERS})
    assert answer.status_code == 403
    assert not alice.has_blob(APP, blob)


# Uploads


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_naming_a_digest_is_not_having_its_bytes(
    scene: Scene, mallory: RegistryClient, repository: str, algorithm: str
) -> None:
    for blob in scene.image.blobs:
        digest = digest_of(blob.data, algorithm)
        path = f"/v2/{repository}/blobs/uploads/"
        attempts = [
            mallory.http.post(path, params={"digest": digest}),
            mallory.http.post(path, params={"digest": digest}, content=b"other bytes"),
            mallory.http.post(path, params={"digest": digest, "digest-algorithm": algorithm}),
            mallory.close_upload(mallory.open_upload(repository), digest),
            mallory.close_upload(mallory.open_upload(repository), digest, b"other bytes"),
        ]
        location = mallory.open_upload(repository)
        mallory.append(location, blob.data[:-1])
        attempts.append(mallory.close_upload(location, digest))
        location = mallory.open_upload(repository)
        mallory.append(location, b"")
        attempts.append(mallory.close_upload(location, digest))
        for answer in attempts:
            assert answer.status_code == 400, answer.text
            assert error_codes(answer) == ["DIGEST_INVALID"]
        assert not mallory.has_blob(repository, digest)
    holds_nothing(mallory, repository, scene)


def test_an_upload_is_of_one_repository(
    scene: Scene, mallory: RegistryClient, alice: RegistryClient, repository: str
) -> None:
    secret = b"half of a secret"
    location = alice.open_upload(APP)
    assert alice.append(location, secret).status_code == 202
    session = location.rpartition("/")[2]
    mine = f"/v2/{repository}/blobs/uploads/{session}"
    mallory.open_upload(repository)
    digest = digest_of(secret)
    for answer in (
        mallory.status(mine),
        mallory.append(mine, b"more"),
        mallory.close_upload(mine, digest),
        mallory.http.delete(mine),
        mallory.http.get(f"/v2/{HERS}/blobs/uploads/{session}"),
    ):
        assert answer.status_code == 404, answer.text
    for answer in (
        mallory.status(location),
        mallory.append(location, b"more"),
        mallory.close_upload(location, digest),
        mallory.http.delete(location),
    ):
        assert answer.status_code == 403
    assert alice.received(location) == len(secret)
    assert alice.close_upload(location, digest).status_code == 201
    assert not mallory.has_blob(repository, digest)


# Manifests


def manifest_of(*blobs: Content, config: Content | None = None, **more: Any) -> Content:
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": (config or blobs[0]).descriptor(),
        "layers": [each.descriptor() for each in blobs],
        **more,
    }
    return Content(encode(document), IMAGE_MANIFEST)


def test_a_manifest_that_names_somebody_elses_blobs_is_refused(
    scene: Scene, mallory: RegistryClient, repository: str
) -> None:
    mallory.push(repository, scene.own, "own")
    config, layer = scene.image.blobs
    my_config, my_layer = scene.own.blobs
    unknown = Content(b"nobody's")
    docker = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": my_config.descriptor(),
        "layers": [layer.descriptor(urls=["http://evil.example/"])],
    }
    for manifest in (
        scene.image.manifest,
        manifest_of(layer, config=my_config),
        manifest_of(my_layer, config=config),
        manifest_of(my_layer, layer, config=my_config),
        Content(encode(docker), str(docker["mediaType"])),
    ):
        for reference in ("1", manifest.digest):
            answer = mallory.put_manifest(repository, reference, manifest)
            assert answer.status_code in (400, 404), answer.text
            assert error_codes(answer)[0] in ("MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID")
    # and as refused as what nobody has
    known = mallory.put_manifest(repository, "1", manifest_of(layer, config=my_config))
    missing = mallory.put_manifest(repository, "1", manifest_of(unknown, config=my_config))
    assert bare(known, layer.digest) == bare(missing, unknown.digest)
    # by a size that is wrong, or a field that is none of an image's, she learns nothing either
    for size in (1, len(layer.data), len(layer.data) + 1):
        descriptor = {**layer.descriptor(), "size": size}
        wrong = manifest_of(my_layer, config=my_config, layers=[descriptor])
        answer = mallory.put_manifest(repository, "1", wrong)
        assert error_codes(answer) == ["MANIFEST_BLOB_UNKNOWN"], answer.text
    odd = manifest_of(my_layer, config=my_config, blobs=[layer.descriptor()])
    assert mallory.put_manifest(repository, "odd", odd).status_code == 201
    holds_nothing(mallory, repository, scene)


def test_a_manifest_that_is_somebody_elses_is_not_read_through_an_index(
    scene: Scene, mallory: RegistryClient, repository: str
) -> None:
    """An index may name what is not here: that makes it no more readable."""
    unknown = Content(encode({"schemaVersion": 2}), IMAGE_MANIFEST)
    answers = []
    for child in (scene.image.manifest, unknown):
        document = {
            "schemaVersion": 2,
            "mediaType": IMAGE_INDEX,
            "manifests": [child.descriptor()],
        }
        listed = Content(encode(document), IMAGE_INDEX)
        answer = mallory.put_manifest(repository, "index", listed)
        answers.append(bare(answer, listed.digest))
        assert mallory.manifest(repository, child.digest).status_code == 404
        outer = index(index(), small_image("inner"))
        mallory.push(repository, outer, "outer")
    assert answers[0] == answers[1]
    as_config = Content(scene.image.manifest.data, IMAGE_MANIFEST)
    answer = mallory.put_manifest(repository, "1", manifest_of(as_config))
    assert error_codes(answer)[0] == "MANIFEST_BLOB_UNKNOWN"
    holds_nothing(mallory, repository, scene)


def test_referrers_are_those_of_ones_own_repository(
    scene: Scene, mallory: RegistryClient, alice: RegistryClient, repository: str
) -> None:
    signature = artifact("application/vnd.example.secret", b"alice's signature", scene.image)
    alice.push(APP, signature)
    mine = artifact("application/vnd.example.mine", b"mallory's", scene.image)
    answer_before = mallory.http.get(f"/v2/{repository}/referrers/{scene.image.digest}")
    assert answer_before.json()["manifests"] == []
    mallory.push(repository, mine)
    listed = mallory.http.get(f"/v2/{repository}/referrers/{scene.image.digest}").json()
    assert [each["digest"] for each in listed["manifests"]] == [mine.digest]
    hers = alice.http.get(f"/v2/{APP}/referrers/{scene.image.digest}").json()
    assert [each["digest"] for each in hers["manifests"]] == [signature.digest]
    assert mallory.manifest(repository, signature.digest).status_code == 404
    assert mallory.manifest(repository, scene.image.digest).status_code == 404


def test_deleting_from_ones_own_repository_takes_nothing_of_others(
    scene: Scene, mallory: RegistryClient, alice: RegistryClient, repository: str
) -> None:
    shared = small_image("shared")
    for client, where in ((alice, f"{VAULT}/shared"), (mallory, repository)):
        client.push(where, shared, "1")
    for target in (
        f"manifests/{shared.digest}",
        *(f"blobs/{each.digest}" for each in shared.blobs),
    ):
        assert mallory.http.delete(f"/v2/{repository}/{target}").status_code == 202
        assert mallory.http.delete(f"/v2/{VAULT}/shared/{target}").status_code == 403
    for blob in shared.blobs:
        assert mallory.http.delete(f"/admin/blobs/{blob.digest}").status_code == 403
    alice.pull(f"{VAULT}/shared", shared, "1")
    # gone is gone for mallory, whoever else still has it; her tombstones are hers to revive
    for blob in shared.blobs:
        assert mallory.blob(repository, blob.digest).status_code == 404


def test_a_deleted_blob_is_revived_only_where_it_was(
    scene: Scene, mallory: RegistryClient, alice: RegistryClient, repository: str
) -> None:
    private = small_image("deleted soon")
    alice.push(f"{VAULT}/deleted", private, "1")
    for target in (
        f"manifests/{private.digest}",
        *(f"blobs/{each.digest}" for each in private.blobs),
    ):
        assert alice.http.delete(f"/v2/{VAULT}/deleted/{target}").status_code == 202
    path = f"/v2/{repository}/blobs/uploads/"
    for blob in private.blobs:
        for source in ({}, {"from": f"{VAULT}/deleted"}):
            answer = mallory.http.post(path, params={"mount": blob.digest, **source})
            assert answer.status_code == 202
    answer = mallory.put_manifest(repository, "1", private.manifest)
    assert error_codes(answer)[0] == "MANIFEST_BLOB_UNKNOWN"


def test_who_may_pull_once_more_may_mount_and_loses_it_with_the_right(
    scene: Scene, mallory: RegistryClient, repository: str
) -> None:
    """The way that is meant: alice lets mallory pull, by a binding."""
    blob = scene.image.blobs[1].digest
    path = f"{RBAC}/namespaces/{VAULT}/rolebindings"
    scene.alice.make(path, role_binding("lent", "system:image-puller", "mallory"))
    params = {"mount": blob, "from": APP}
    answer = mallory.http.post(f"/v2/{repository}/blobs/uploads/", params=params)
    assert answer.status_code == 201
    scene.alice.delete(f"{path}/lent")
    with scene.registry() as later:
        path = f"/v2/{repository}-later/blobs/uploads/"
        wait_until(
            lambda: later.http.post(path, params=params).status_code == 202,
            seconds=5,
            what="mounts to be refused",
        )
    # what she mounted is in her own repository: from there it goes on
    assert mallory.blob(repository, blob).status_code == 200
    assert mallory.blob(APP, blob).status_code == 403


def test_anonymous_pull_of_one_project_opens_no_other(start: Start) -> None:
    server: Server = start()
    public, private = image(*small_image("public").blobs[1:]), small_image("private")
    with client_of(server) as admin:
        admin.push("public/app", public, "1")
        admin.push("private/app", private, "1")
    open_to_everybody(server)
    with client_of(server, credentials=None) as nobody:
        token = nobody.token("repository:public/app:pull", "repository:private/app:pull")
        with RegistryClient(server.url, bearer=token) as anyone:
            anyone.pull("public/app", public, "1")
            for answer in (
                anyone.manifest("private/app", "1"),
                anyone.blob("private/app", private.blobs[0].digest),
                anyone.blob("public/app", private.blobs[0].digest),
                anyone.http.post("/v2/public/app/blobs/uploads/"),
                anyone.http.post(
                    "/v2/public/app/blobs/uploads/",
                    params={"mount": private.blobs[0].digest, "from": "private/app"},
                ),
                anyone.http.get("/v2/private/app/tags/list"),
                anyone.http.get(f"/v2/private/app/referrers/{private.digest}"),
            ):
                assert answer.status_code in (401, 403, 404), answer.text
            assert "private" not in anyone.http.get("/v2/_catalog").text


def open_to_everybody(server: Server) -> None:
    """Let everybody pull from the project `public`."""
    with kube_client(server) as admin:
        binding = role_binding(
            "everybody", "system:image-puller", groups=("system:unauthenticated",)
        )
        admin.make(f"{RBAC}/namespaces/public/rolebindings", binding)
