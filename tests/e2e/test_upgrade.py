"""A data directory of the version before imports, triggers and notifications, taken over by us.

That version wrote `fixtures/data-0004.tar.xz`: the projects `shop`, in which ann pushed and tagged
and Deployment `web` follows a tag, and `lab`; an upload that is under way, and a tag that was
deleted. What the version before may still do on this schema: `conformance/metadata_store_before`.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images import small_image
from tests.kube_client import KubeClient, kube_client
from tests.registry_client import RegistryClient, client_of
from tests.server import PASSWORD, Server, serving, wait_until

FIXTURE = Path(__file__).parent / "fixtures" / "data-0004.tar.xz"

STREAMS = "/apis/image.openshift.io/v1/namespaces/shop"
TIDEGATE = "/apis/tidegate.io/v1/namespaces/shop"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"

FOREVER = "1000000000"
UPLOADED = b"half of it"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("upgrade")
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(directory, filter="data")
    settings = {"undelete_window": FOREVER, "upload_expiry": FOREVER}
    with serving(Server(directory / "data", settings=settings)) as running:
        yield running


@pytest.fixture(scope="module")
def ann(server: Server) -> Iterator[KubeClient]:
    with kube_client(server, "ann") as client:
        yield client


@pytest.fixture(scope="module")
def pusher(server: Server) -> Iterator[RegistryClient]:
    with client_of(server, credentials=("ann", PASSWORD)) as client:
        yield client


def tags_of(ann: KubeClient) -> dict[str, dict[str, Any]]:
    """What the stream shows of its tags."""
    status = ann.read(f"{STREAMS}/imagestreams/web")["status"]
    return {each["tag"]: each for each in status["tags"]}


def image_of_deployment(ann: KubeClient) -> str:
    spec = ann.read(DEPLOYMENT)["spec"]["template"]["spec"]
    return str(spec["containers"][0]["image"])


def test_what_was_pushed_is_pulled(pusher: RegistryClient) -> None:
    for number, tag in ((1, "1"), (2, "2"), (2, "prod"), (3, "latest")):
        pusher.pull("shop/web", small_image(f"web {number}"), tag)


def test_tags_remember_what_they_were_and_who_moved_them(ann: KubeClient) -> None:
    digests = [small_image(f"web {number}").digest for number in (3, 2, 1)]
    assert [each["image"] for each in tags_of(ann)["latest"]["items"]] == digests
    history = ann.read(f"{STREAMS}/imagestreamtags/web:latest/history")
    assert [each["who"] for each in history["items"]] == ["ann"] * 3


def test_a_deleted_tag_comes_back(ann: KubeClient, pusher: RegistryClient) -> None:
    assert "gone" not in tags_of(ann)
    assert ann.post(f"{STREAMS}/imagestreamtags/web:gone/undelete", {}).status_code == 201
    pusher.pull("shop/web", small_image("gone"), "gone")


def test_rights_are_what_they_were(server: Server, ann: KubeClient, pusher: RegistryClient) -> None:
    assert pusher.manifest("lab/tool", "1").status_code == 403
    assert ann.get(f"{STREAMS.replace('shop', 'lab')}/imagestreams").status_code == 403
    with client_of(server) as admin:
        admin.pull("lab/tool", small_image("lab"), "1")


def test_an_upload_that_was_under_way_is_finished(server: Server, pusher: RegistryClient) -> None:
    (upload,) = server.files("uploads")
    location = f"/v2/shop/web/blobs/uploads/{upload.name}"
    assert pusher.received(location) == len(UPLOADED)
    rest = b", and the other half"
    location = pusher.append(location, rest).headers["location"]
    digest = f"sha256:{hashlib.sha256(UPLOADED + rest).hexdigest()}"
    assert pusher.close_upload(location, digest).status_code == 201
    assert pusher.blob("shop/web", digest).content == UPLOADED + rest


def test_what_is_used_of_a_quota_is_known(ann: KubeClient) -> None:
    quota = ann.read("/api/v1/namespaces/shop/resourcequotas/q")
    assert quota["status"]["used"] == {"openshift.io/imagestreams": "1"}


def test_a_workload_begins_to_follow_its_tag(ann: KubeClient) -> None:
    digest = small_image("web 2").digest
    wait_until(lambda: image_of_deployment(ann).endswith(f"/shop/web@{digest}"), what="the image")


def test_a_tag_that_comes_from_elsewhere_begins_to_be_looked_at(ann: KubeClient) -> None:
    """Where it comes from is a private address, which nobody allowed."""

    def fault() -> str:
        conditions = tags_of(ann).get("upstream", {}).get("conditions") or [{}]
        return str(conditions[0].get("message", ""))

    wait_until(fault, what="the import")
    assert "127.0.0.1" in fault()
    jobs = ann.read(f"{TIDEGATE}/backgroundjobs")["items"]
    assert "scheduled-import:web:upstream" in {each["metadata"]["name"] for each in jobs}


def test_who_subscribes_now_is_told_of_what_comes_and_of_nothing_before(
    server: Server, pusher: RegistryClient
) -> None:
    subscription = f"{TIDEGATE}/eventsubscriptions"
    spec = {"url": "https://registry.example.com/hook", "suspend": True}
    with kube_client(server) as admin:
        admin.make(subscription, {"metadata": {"name": "late"}, "spec": spec})
        pusher.push("shop/web", small_image("new"), "new")

        def pending() -> int:
            return int(admin.read(f"{subscription}/late")["status"].get("pending", 0))

        wait_until(pending, what="the event")
        assert pending() == 1


def test_a_check_finds_nothing_wrong(server: Server) -> None:
    check = server.check()
    assert check.returncode == 0, check.stdout
