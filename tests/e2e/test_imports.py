"""Imports of images from real registries into real streams, and what is done with them then.

The other registry is a second tidegate, or Debian's docker-registry; a proxy in front of it fails
as a test tells it to. What each failure is told as is in `tests/unit/images/imports`.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Corrupt, Cut, asks
from tests.images import Content, Pushable, artifact, image, index, layer, small_image
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    log_in,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient, client_of, error_codes
from tests.server import PASSWORD, USERNAME, Server, serving, wait_until
from tests.upstream import Upstream, docker_registry, dockerconfigjson, second_tidegate

GROUP = "/apis/image.openshift.io/v1"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The other registry: a tidegate, for who has its password."""
    with second_tidegate(tmp_path_factory.mktemp("far")) as (upstream, _):
        yield upstream


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Docker's own registry, open to all."""
    with docker_registry(tmp_path_factory.mktemp("docker")) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may call the others, which are on this machine."""
    data = tmp_path_factory.mktemp("imports") / "data"
    settings = {"allow_private_upstreams": "true"}
    with serving(Server(data, settings=settings)) as started:
        yield started
    assert "Traceback" not in started.log, started.log


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


@pytest.fixture(scope="module")
def registry(server: Server) -> Iterator[RegistryClient]:
    with client_of(server) as client:
        yield client


class Shop(NamedTuple):
    """A project of the test's own, with a pull secret for the other registry."""

    name: str
    admin: KubeClient
    registry: RegistryClient
    far: Upstream

    def path(self, resource: str, name: str = "", subresource: str = "") -> str:
        parts = [GROUP, "namespaces", self.name, resource, name, subresource]
        return "/".join(part for part in parts if part)

    def put(self, pushable: Pushable, *tags: str, repository: str = "") -> str:
        """Push to the other registry; the pull spec without a tag."""
        place = f"{self.name}/{repository or 'app'}"
        with self.far.client() as client:
            for tag in tags or (pushable.digest,):
                client.push(place, pushable, tag)
        return f"{self.far.address}/{place}"

    def imports(self, *images: Json, stream: str = "web", **spec: Any) -> Json:
        """What an import is answered."""
        body = {
            "kind": "ImageStreamImport",
            "apiVersion": "image.openshift.io/v1",
            "metadata": {"name": stream},
            "spec": {"import": True, "images": list(images), **spec},
        }
        return self.admin.make(self.path("imagestreamimports"), body)

    def one(self, name: str, to: str, stream: str = "web", **more: Any) -> Json:
        """What became of one image."""
        answer = self.imports(image_from(name, to, **more), stream=stream)
        (found,) = answer["status"]["images"]
        return dict(found)

    def stream(self, name: str = "web") -> Json:
        return self.admin.read(self.path("imagestreams", name))

    def events(self, tag: str, stream: str = "web") -> list[Json]:
        for each in self.stream(stream)["status"].get("tags", ()):
            if each["tag"] == tag:
                return list(each.get("items") or ())
        return []

    def pulled(self, reference: str, stream: str = "web") -> httpx.Response:
        return self.registry.manifest(f"{self.name}/{stream}", reference)


def image_from(name: str, to: str, **more: Any) -> Json:
    policy = {"insecure": True, **more.pop("importPolicy", {})}
    return {
        "from": {"kind": "DockerImage", "name": name},
        "to": {"name": to},
        "importPolicy": policy,
        **more,
    }


def secret(config: str, name: str = "far") -> Json:
    """A pull secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
    }


@pytest.fixture
def shop(admin: KubeClient, registry: RegistryClient, far: Upstream, repository: str) -> Shop:
    name = repository.partition("/")[0]
    admin.make(f"{PROJECTS}/projectrequests", project(name))
    admin.make(f"{CORE}/namespaces/{name}/secrets", secret(far.dockerconfigjson))
    return Shop(name, admin, registry, far)


def test_an_imported_image_is_pulled_from_here_whatever_becomes_of_the_other_registrys_tag(
    shop: Shop,
) -> None:
    one = small_image(f"{shop.name} one")
    place = shop.put(one, "1")
    assert shop.one(f"{place}:1", "stable")["status"]["status"] == "Success"
    (event,) = shop.events("stable")
    assert event["image"] == one.digest
    assert event["dockerImageReference"] == f"{place}@{one.digest}"
    shop.put(small_image(f"{shop.name} two"), "1")
    answer = shop.pulled("stable")
    assert answer.content == one.manifest.data
    assert answer.headers["docker-content-digest"] == one.digest
    tag = shop.admin.read(shop.path("imagestreamtags", "web:stable"))
    assert tag["image"]["dockerImageMetadata"]["Architecture"] == "amd64"


def test_an_import_that_finds_nothing_new_is_no_change_of_the_stream(shop: Shop) -> None:
    """Statement 5: neither a version nor a watch event; one Image for two tags of one digest."""
    one = small_image(f"{shop.name} one")
    place = shop.put(one, "1", "2")
    both = (image_from(f"{place}:1", "1"), image_from(f"{place}:2", "2"))
    answer = shop.imports(*both)
    before = shop.stream()["metadata"]
    made = shop.admin.read(f"{GROUP}/images/{one.digest}")["metadata"]
    again = shop.imports(*both)
    assert again["status"]["import"]["metadata"] == before
    assert answer["status"]["import"]["metadata"] == before
    assert shop.admin.read(f"{GROUP}/images/{one.digest}")["metadata"] == made


def test_each_image_is_answered_for_and_conditions_say_what_failed(shop: Shop) -> None:
    """Statement 16."""
    one = small_image(f"{shop.name} one")
    place = shop.put(one, "1", "2")
    shop.imports(image_from(f"{place}:1", "1"), image_from(f"{place}:2", "2"))
    newer = small_image(f"{shop.name} newer")
    shop.put(newer, "1")
    answer = shop.imports(
        image_from(f"{place}:1", "1"),
        image_from(f"{place}:gone", "2"),
        image_from(f"{place}:2", "tls", importPolicy={"insecure": False}),
        image_from(f"{shop.far.address}/nobody/x:1", "other"),
    )
    statuses = [each["status"] for each in answer["status"]["images"]]
    assert [each.get("reason") for each in statuses] == [
        None,
        "NotFound",
        "BadRequest",
        "NotFound",
    ]
    assert [each["image"] for each in shop.events("1")] == [newer.digest, one.digest]
    assert [each["image"] for each in shop.events("2")] == [one.digest]
    tags = {each["tag"]: each for each in shop.stream()["status"]["tags"]}
    for tag, status in (("2", statuses[1]), ("tls", statuses[2])):
        (condition,) = tags[tag]["conditions"]
        assert (condition["type"], condition["status"]) == ("ImportSuccess", "False")
        assert (condition["reason"], condition["message"]) == (
            status["reason"],
            status["message"],
        )
    assert "conditions" not in tags["1"]


def test_without_the_pull_secret_there_is_no_access(shop: Shop) -> None:
    place = shop.put(small_image(f"{shop.name} one"), "1")
    path = f"{CORE}/namespaces/{shop.name}/secrets/far"
    assert shop.admin.delete(path).status_code == 200
    status = shop.one(f"{place}:1", "1")["status"]
    assert status["reason"] == "Unauthorized"
    assert "did not have credentials to the repository" in status["message"]
    wrong = dockerconfigjson(shop.far.address, USERNAME, "wrong")
    shop.admin.make(f"{CORE}/namespaces/{shop.name}/secrets", secret(wrong))
    status = shop.one(f"{place}:1", "1")["status"]
    assert status["reason"] == "Unauthorized"
    assert PASSWORD not in json.dumps(shop.stream())


def test_of_an_index_one_image_or_all_are_imported(shop: Shop) -> None:
    """Statement 15: the children are images of the stream, though in no history."""
    amd, arm = small_image(f"{shop.name}", "amd64"), small_image(f"{shop.name}", "arm64")
    multi = index(amd, arm)
    place = shop.put(multi, "1")
    mode = {"importMode": "PreserveOriginal"}
    whole = shop.one(f"{place}:1", "all", importPolicy=mode)
    assert whole["image"]["metadata"]["name"] == multi.digest
    assert [each["metadata"]["name"] for each in whole["manifests"]] == [amd.digest, arm.digest]
    child = shop.admin.read(shop.path("imagestreamimages", f"web@{arm.digest}"))
    assert child["image"]["dockerImageMetadata"]["Architecture"] == "arm64"
    assert child["image"]["dockerImageReference"] == f"{place}@{arm.digest}"
    assert shop.pulled(arm.digest).content == arm.manifest.data
    layers = shop.admin.read(shop.path("imagestreams", "web", "layers"))
    assert set(layers["images"]) == {multi.digest, amd.digest, arm.digest}
    assert layers["blobs"][arm.blobs[1].digest]["size"] == len(arm.blobs[1].data)
    source = {"kind": "DockerImage", "name": f"{place}:1"}
    prefer = {"importer.image.openshift.io/prefer-arch": "arm64"}
    tag = {
        "metadata": {"name": "one:1", "annotations": prefer},
        "tag": {"name": "1", "from": source, "reference": True},
    }
    assert shop.admin.put(shop.path("imagestreamtags", "one:1"), tag).status_code == 201
    chosen = shop.one(f"{place}:1", "1", stream="one", importPolicy={"importMode": "Legacy"})
    assert chosen["image"]["metadata"]["name"] == arm.digest


def test_a_tag_by_reference_is_a_pull_spec_and_no_image(shop: Shop) -> None:
    """Statement 11."""
    tag = {
        "metadata": {"name": "web:ref"},
        "tag": {
            "name": "ref",
            "from": {"kind": "DockerImage", "name": "docker.io/x:1"},
            "reference": True,
        },
    }
    assert shop.admin.put(shop.path("imagestreamtags", "web:ref"), tag).status_code == 201
    (event,) = shop.events("ref")
    assert (event["image"], event["dockerImageReference"]) == ("", "docker.io/x:1")
    assert shop.admin.get(shop.path("imagestreamtags", "web:ref")).status_code == 404
    assert shop.admin.get(shop.path("imagetags", "web:ref")).status_code == 200
    listed = shop.admin.read(shop.path("imagestreamtags"))["items"]
    assert listed == []


def test_a_tag_with_the_policy_local_is_pulled_from_here(server: Server, shop: Shop) -> None:
    """Statement 10."""
    one = small_image(f"{shop.name} one")
    place = shop.put(one, "1")
    shop.one(f"{place}:1", "1", referencePolicy={"type": "Local"})
    tag = shop.admin.read(shop.path("imagestreamtags", "web:1"))
    local = f"{server.address}/{shop.name}/web@{one.digest}"
    assert tag["image"]["dockerImageReference"] == local
    assert shop.events("1")[0]["dockerImageReference"] == f"{place}@{one.digest}"


def test_a_whole_repository_is_imported_in_the_order_of_versions(shop: Shop) -> None:
    """Statement 14."""
    for tag in ("v1.10", "latest", "v1.9", "dev", "1.2.3"):
        place = shop.put(small_image(f"{shop.name} {tag}"), tag, repository="many")
    repository = {
        "from": {"kind": "DockerImage", "name": place},
        "importPolicy": {"insecure": True},
    }
    answer = shop.imports(stream="many", repository=repository)
    whole = answer["status"]["repository"]
    assert whole["status"]["status"] == "Success"
    assert [each["tag"] for each in whole["images"]] == ["latest", "v1.10", "v1.9", "1.2.3", "dev"]
    assert sorted(shop.registry.tags(f"{shop.name}/many")) == sorted(
        ["latest", "v1.10", "v1.9", "1.2.3", "dev"]
    )


def test_signatures_and_what_refers_to_the_image_come_along(shop: Shop) -> None:
    signed = small_image(f"{shop.name} signed")
    place = shop.put(signed, "1")
    tag = signed.digest.replace(":", "-") + ".sig"
    signature = artifact("application/x.sig", f"{shop.name} sig".encode())
    shop.put(signature, tag)
    bill = artifact("application/spdx+json", f"{shop.name} bill".encode(), signed)
    shop.put(bill)
    with KubeClient(shop.far.url, log_in(shop.far.url)) as far:
        name = f"{signed.digest}@simple-{shop.name}"
        content = base64.b64encode(b"a simple signature").decode()
        body = {"metadata": {"name": name}, "type": "AtomicImageV1", "content": content}
        far.make(f"{GROUP}/imagesignatures", body)
    shop.one(f"{place}:1", "1")
    assert shop.pulled(tag).content == signature.manifest.data
    listed = shop.registry.http.get(f"/v2/{shop.name}/web/referrers/{signed.digest}").json()
    assert [each["digest"] for each in listed["manifests"]] == [bill.digest]
    (kept,) = shop.admin.read(f"{GROUP}/images/{signed.digest}")["signatures"]
    assert (kept["type"], kept["content"]) == ("AtomicImageV1", content)
    shown = shop.registry.http.get(
        f"/extensions/v2/{shop.name}/web/signatures/{signed.digest}"
    ).json()
    assert [each["content"] for each in shown["signatures"]] == [content]
    before = shop.stream()["metadata"]["resourceVersion"]
    shop.one(f"{place}:1", "1")
    assert shop.stream()["metadata"]["resourceVersion"] == before


def test_an_imported_image_is_promoted_rolled_back_deleted_and_brought_back(shop: Shop) -> None:
    older, newer = small_image(f"{shop.name} older"), small_image(f"{shop.name} newer")
    place = shop.put(older, "1")
    shop.one(f"{place}:1", "1")
    shop.put(newer, "1")
    shop.one(f"{place}:1", "1")
    promoted = {
        "metadata": {"name": "prod:live"},
        "tag": {
            "name": "live",
            "from": {"kind": "ImageStreamImage", "name": f"web@{newer.digest}"},
        },
    }
    answer = shop.admin.put(shop.path("imagestreamtags", "prod:live"), promoted)
    assert answer.status_code == 201, answer.text
    assert shop.events("live", "prod")[0]["dockerImageReference"] == f"{place}@{newer.digest}"
    assert shop.pulled("live", "prod").content == newer.manifest.data
    rollback = {"kind": "TagRollback", "apiVersion": "image.openshift.io/v1"}
    shop.admin.make(shop.path("imagestreamtags", "web:1", "rollback"), rollback)
    assert shop.pulled("1").content == older.manifest.data
    path = f"/v2/{shop.name}/web/manifests"
    assert shop.registry.http.delete(f"{path}/{older.digest}").status_code == 202
    assert shop.pulled("1").status_code == shop.pulled(older.digest).status_code == 404
    undelete = shop.path("imagestreamtags", "web:1", "undelete")
    assert shop.admin.post(undelete, {}).status_code == 201
    assert shop.pulled("1").content == older.manifest.data


def test_images_are_pruned_as_if_they_had_been_pushed(shop: Shop) -> None:
    """What `oc adm prune images` sends of an imported image that no tag names any more."""
    one = small_image(f"{shop.name} one")
    place = shop.put(one, "1")
    shop.one(f"{place}:1", "1")
    image_path = f"{GROUP}/images/{one.digest}"
    assert shop.admin.delete(image_path).status_code == 409
    layer_of = one.blobs[1].digest
    stream = shop.stream()
    stream["status"]["tags"] = []
    path = shop.path("imagestreams", "web", "status")
    assert shop.admin.put(path, stream).status_code == 200
    base = f"/v2/{shop.name}/web"
    assert shop.registry.http.delete(f"{base}/blobs/{layer_of}").status_code in (202, 404)
    assert shop.registry.http.delete(f"{base}/manifests/{one.digest}").status_code in (202, 404)
    assert shop.registry.http.delete(f"/admin/blobs/{layer_of}").status_code == 204
    assert shop.admin.delete(image_path).status_code == 200


def test_what_was_imported_and_is_not_here_is_no_fault_of_the_store(
    server: Server, shop: Shop
) -> None:
    place = shop.put(index(small_image(f"{shop.name} a"), small_image("b", "arm64")), "1")
    shop.one(f"{place}:1", "1", importPolicy={"importMode": "PreserveOriginal"})
    checked = server.check()
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_quota_counts_the_manifests_of_an_import_and_not_its_blobs(shop: Shop) -> None:
    one = image(layer({"large": bytes(range(256)) * 400}))
    place = shop.put(one, "1")
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "bytes"},
        "spec": {"hard": {"tidegate.io/storage": "20000"}},
    }
    shop.admin.make(f"{CORE}/namespaces/{shop.name}/resourcequotas", quota)
    assert shop.one(f"{place}:1", "1")["status"]["status"] == "Success"


def test_a_push_may_name_blobs_of_imported_images(shop: Shop) -> None:
    """Its client was told that they exist, and does not send them."""
    base = layer({"base": shop.name.encode()})
    below = image(base)
    place = shop.put(below, "1")
    shop.one(f"{place}:1", "1")
    above = image(base, layer({"app": shop.name.encode()}))
    repository = f"{shop.name}/web"
    assert shop.registry.has_blob(repository, base.digest)
    for blob in (above.blobs[0], above.blobs[2]):
        assert shop.registry.put_blob(repository, blob).status_code == 201
    assert shop.registry.put_manifest(repository, "app", above.manifest).status_code == 201
    assert shop.pulled("app").content == above.manifest.data
    assert shop.registry.blob(repository, base.digest).content == base.data
    unknown = image(layer({"nowhere": shop.name.encode()}))
    assert shop.registry.put_blob(repository, unknown.blobs[0]).status_code == 201
    refused = shop.registry.put_manifest(repository, "x", unknown.manifest)
    assert error_codes(refused) == ["MANIFEST_BLOB_UNKNOWN"]


def test_what_is_in_this_registry_is_to_be_tagged(server: Server, shop: Shop) -> None:
    """It would be imported without what makes it last: its blobs."""
    status = shop.one(f"{server.address}/{shop.name}/other:1", "1")["status"]
    assert status["reason"] == "Forbidden"
    assert f"`oc tag {shop.name}/other:TAG`" in status["message"]


def test_who_may_import_needs_no_other_right(server: Server, shop: Shop) -> None:
    place = shop.put(small_image(f"{shop.name} one"), "1")
    name = f"ida-{shop.name}"
    add_user(server, name)
    rules = [{"apiGroups": ["image.openshift.io"], "resources": ["imagestreamimports"],
              "verbs": ["create"]}]  # fmt: skip
    role = {"metadata": {"name": "importer"}, "rules": rules}
    shop.admin.make(f"{RBAC}/namespaces/{shop.name}/roles", role)
    binding = role_binding("importer", "importer", name, kind="Role")
    with kube_client(server, name) as ida:
        theirs = shop._replace(admin=ida)
        body = {"metadata": {"name": "web"}, "spec": {"import": True, "images": []}}
        assert ida.post(shop.path("imagestreamimports"), body).status_code == 403
        shop.admin.make(f"{RBAC}/namespaces/{shop.name}/rolebindings", binding)
        assert theirs.one(f"{place}:1", "1")["status"]["status"] == "Success"
        assert ida.get(shop.path("imagestreams", "web")).status_code == 403
    history = shop.path("imagestreamtags", "web:1", "history")
    (event,) = shop.admin.read(history)["items"]
    assert (event["how"], event["who"]) == ("import", name)


def test_an_import_is_in_the_audit_log(server: Server, shop: Shop) -> None:
    one = small_image(f"{shop.name} one")
    place = shop.put(one, "1")
    shop.one(f"{place}:1", "1")

    def line() -> Json | None:
        for text in (server.data / "audit.log").read_text().splitlines():
            event: Json = json.loads(text)
            if event["action"] == "import" and event["repository"] == f"{shop.name}/web":
                return event
        return None

    wait_until(line, what="the line of the import")
    event = line()
    assert event is not None
    assert (event["user"], event["digest"], event["reference"]) == (USERNAME, one.digest, "1")
    assert event["detail"] == f"from {place}@{one.digest}"
    assert event["source"] == "127.0.0.1"


# without a client that waits


def wish(shop: Shop, tag: str, source: str, **more: Any) -> httpx.Response:
    """What `oc tag --source=docker` sends."""
    policy = {"insecure": True, "importMode": "Legacy", **more}
    wanted = {
        "name": tag,
        "from": {"kind": "DockerImage", "name": source},
        "generation": 0,
        "importPolicy": policy,
        "referencePolicy": {"type": "Source"},
    }
    body = {"metadata": {"name": f"web:{tag}"}, "tag": wanted}
    return shop.admin.put(shop.path("imagestreamtags", f"web:{tag}"), body)


def spec_of(shop: Shop, tag: str) -> Json:
    found = shop.stream()["spec"]["tags"]
    return next(dict(each) for each in found if each["name"] == tag)


def settled(shop: Shop, tag: str) -> bool:
    """Whether the tag says what became of what is wanted of it now."""
    wanted = spec_of(shop, tag)["generation"]
    for each in shop.stream()["status"].get("tags", ()):
        if each["tag"] == tag:
            said = [*(each.get("items") or ())[:1], *each.get("conditions", ())]
            return bool(max(one["generation"] for one in said) >= wanted)
    return False


def test_a_tag_that_is_wanted_is_imported_soon_and_again_when_it_is_asked_for(
    shop: Shop, docker: Upstream
) -> None:
    """Statement 1: writing generation 0 imports, another number is no wish at all."""
    first, second = small_image(f"{shop.name} 1"), small_image(f"{shop.name} 2")
    place = f"{docker.address}/{shop.name}/far"
    with docker.client() as client:
        client.push(f"{shop.name}/far", first, "1")
        assert wish(shop, "1", f"{place}:1").status_code == 201
        wait_until(lambda: settled(shop, "1"), what="the import")
        assert [each["image"] for each in shop.events("1")] == [first.digest]
        assert shop.pulled("1").content == first.manifest.data
        client.push(f"{shop.name}/far", second, "1")
    stream = shop.stream()
    stream["spec"]["tags"][0]["generation"] = 7
    before = stream["metadata"]["generation"]
    path = shop.path("imagestreams", "web")
    assert shop.admin.put(path, stream).json()["metadata"]["generation"] == before
    stream = shop.stream()
    stream["spec"]["tags"][0]["generation"] = 0
    assert shop.admin.put(path, stream).json()["metadata"]["generation"] == before + 1
    wait_until(lambda: len(shop.events("1")) == 2, what="another import")
    assert shop.events("1")[0]["image"] == second.digest


def test_another_import_mode_imports_anew_and_being_scheduled_does_not(
    shop: Shop, docker: Upstream
) -> None:
    """Statement 2."""
    multi = index(small_image(shop.name), small_image(shop.name, "arm64"))
    with docker.client() as client:
        client.push(f"{shop.name}/far", multi, "1")
    with FaultProxy(docker.url) as proxy:
        assert wish(shop, "1", f"{proxy.address}/{shop.name}/far:1").status_code == 201
        wait_until(lambda: settled(shop, "1"), what="the import")
        before = spec_of(shop, "1")["generation"], proxy.count("manifest", "GET")
        path = shop.path("imagestreams", "web")

        def policy(**changed: Any) -> int:
            stream = shop.stream()
            stream["spec"]["tags"][0]["importPolicy"] |= changed
            return int(shop.admin.put(path, stream).json()["metadata"]["generation"])

        grown = policy(scheduled=True)
        assert grown == before[0] + 1
        assert spec_of(shop, "1")["generation"] == before[0]
        assert policy(importMode="PreserveOriginal") == grown + 1
        wait_until(lambda: len(shop.events("1")) == 2, what="another import")
        assert shop.events("1")[0]["image"] == multi.digest


def test_a_failed_import_is_not_tried_again_until_somebody_asks(
    shop: Shop, docker: Upstream
) -> None:
    """Statement 4: not by any other change of the stream either."""
    with FaultProxy(docker.url) as proxy:
        proxy.when(asks("manifest"), Answer(401))
        assert wish(shop, "1", f"{proxy.address}/{shop.name}/far:1").status_code == 201
        wait_until(lambda: settled(shop, "1"), what="the failure")
        asked = proxy.count("manifest")
        place = shop.put(small_image(shop.name), "1")
        assert wish(shop, "2", f"{place}:1").status_code == 201
        wait_until(lambda: settled(shop, "2"), what="the import of another tag")
        assert proxy.count("manifest") == asked
        condition = shop.stream()["status"]["tags"][0]["conditions"][0]
        assert condition["reason"] == "Unauthorized"


# a registry that fails


def test_dockers_own_registry_is_imported_from(shop: Shop, docker: Upstream) -> None:
    one = small_image(f"{shop.name} one")
    with docker.client() as client:
        client.push(f"{shop.name}/deep/er/app", one, "1")
    found = shop.one(f"{docker.address}/{shop.name}/deep/er/app:1", "1")
    assert found["status"]["status"] == "Success"
    assert shop.pulled("1").content == one.manifest.data


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Corrupt(at=5), "has another digest"),
        (Cut(after=10), "far"),
        (Answer(500, body=b"oops"), "status 500"),
        (Answer(200, {"content-type": "text/html"}, b"<html>"), "does not support v2 API"),
        (Answer(200, {"content-type": "application/vnd.oci.image.manifest.v1+json"}, b"{"), ""),
        (Answer(429, {"retry-after": "3600"}), "toomanyrequests"),
    ],
)
def test_a_registry_that_fails_fails_the_image_and_not_the_request(
    shop: Shop, docker: Upstream, fault: Any, told: str
) -> None:
    with docker.client() as client:
        client.push(f"{shop.name}/far", small_image(shop.name), "1")
    with FaultProxy(docker.url) as proxy:
        proxy.when(asks("manifest", "GET"), fault)
        status = shop.one(f"{proxy.address}/{shop.name}/far:1", "1")["status"]
    assert status["status"] == "Failure"
    assert told in status["message"]
    assert shop.events("1") == []
    assert shop.pulled("1").status_code == 404


def test_a_registry_that_gives_another_configuration_is_not_believed(
    shop: Shop, docker: Upstream
) -> None:
    with docker.client() as client:
        client.push(f"{shop.name}/far", small_image(shop.name), "1")
    with FaultProxy(docker.url) as proxy:
        proxy.when(asks("blob", "GET"), Corrupt(at=3))
        status = shop.one(f"{proxy.address}/{shop.name}/far:1", "1")["status"]
    assert status["status"] == "Failure"
    assert shop.pulled("1").status_code == 404


def bomb(children: int) -> Pushable:
    """An index of so many manifests that are nowhere."""
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 100}
    listed = [{**entry, "digest": f"sha256:{n:064x}"} for n in range(children)]
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": listed,
    }
    content = json.dumps(document).encode()
    return Pushable(Content(content, "application/vnd.oci.image.index.v1+json"))


def test_a_manifest_made_to_cost_much_costs_little(shop: Shop, docker: Upstream) -> None:
    """A huge index is read, and nothing that it names is asked for."""
    kind = "application/vnd.oci.image.index.v1+json"
    huge = bomb(9000)
    with FaultProxy() as proxy:
        place = f"{proxy.address}/{shop.name}/far"
        answer = Answer(200, {"content-type": kind}, huge.manifest.data)
        proxy.when(asks("manifest"), answer)
        mode = {"importMode": "PreserveOriginal"}
        status = shop.one(f"{place}:1", "1", importPolicy=mode)["status"]
        assert "more than 500 manifests" in status["message"]
        assert proxy.count("manifest", "GET") == 1
        endless = Answer(200, {"content-type": kind}, (b" " * 65536 for _ in range(1000)))
        proxy.when(asks("manifest"), endless)
        status = shop.one(f"{place}:2", "1", importPolicy=mode)["status"]
        assert status["status"] == "Failure"
        assert proxy.sent("manifest") < 16 * 1024 * 1024
