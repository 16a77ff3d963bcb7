"""Streams have no size: many pushes at once, and a stream of 100,000 tags and 1,000,000 events.

Everything is done twice, by two processes on SQLite and by two on PostgreSQL, where the stream has
a fifth of that. The large stream is written as rows (`large_stream`) and then worked with as any
other, by kubectl too, whose decoder refuses events of over 16 MiB.
"""

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.conformance import postgresql
from tests.e2e.image_pruner import Pruner
from tests.e2e.large_stream import BUSY, Large, fill, manifest_of
from tests.e2e.two_processes import Serving
from tests.images import artifact, image, index, layer
from tests.kube_client import PROJECTS, KubeClient, log_in, project
from tests.registry_client import RegistryClient
from tests.server import Server, serving
from tests.tools import Program, require

IMAGES = "/apis/image.openshift.io/v1"
OMITTED = "tidegate.io/tags-omitted"
HISTORY_OMITTED = "tidegate.io/history-omitted"
SHOWN_BYTES = 8 << 20  # image-api: what a client is sent of one stream
EVENT_BYTES = 16 << 20  # what kubectl reads of one event
NAMESPACE, NAME = "scale", "large"
STREAM = f"{IMAGES}/namespaces/{NAMESPACE}/imagestreams/{NAME}"

PUSHES, AT_ONCE = 500, 64
SIZES = {
    "sqlite": Large(images=2_000),
    # what more would cost is no longer ours but PostgreSQL's; its plans are the same by then
    "postgresql": Large(tags=20_000, events=200_000, images=1_000),
}


@dataclass(frozen=True)
class Place:
    """Two processes on one database, the large stream in it."""

    one: Serving
    other: Serving
    large: Large
    blobs: Any
    kubectl: Program

    @property
    def token(self) -> str:
        return log_in(self.one.url)


@contextmanager
def processes(kind: str, directory: Path) -> Iterator[tuple[Serving, Serving, str]]:
    """The two, with TLS, and the URL of their database."""
    with ExitStack() as stack:
        if kind == "sqlite":
            server = stack.enter_context(serving(Server(directory / "data", workers=2, tls=True)))
            first, second = server.worker_ids()
            url = f"sqlite:///{server.data / 'metadata.db'}"
            yield Serving(server, first), Serving(server, second), url
            return
        url = stack.enter_context(stack.enter_context(postgresql.server()).database())
        servers = [
            Server(directory / each, 1, {"database": url}, tls=True) for each in ("one", "other")
        ]
        started = [Serving(stack.enter_context(serving(each))) for each in servers]
        yield started[0], started[1], url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp(request.param)
    with processes(request.param, directory) as (one, other, url):
        with one.log_in() as admin, one.registry() as registry:
            admin.make(f"{PROJECTS}/projectrequests", project(NAMESPACE))
            blobs = image(layer({"large": b"stream"})).blobs
            for each in blobs:
                assert registry.put_blob(f"{NAMESPACE}/{NAME}", each).status_code == 201
            fill(url, f"{NAMESPACE}/{NAME}", blobs, SIZES[request.param])
            kubectl = configured(directory, one.server, admin.token or "")
        yield Place(one, other, SIZES[request.param], blobs, kubectl)
        one.close()
        other.close()
    for end in (one, other):
        assert "Traceback" not in end.server.log, end.server.log


def configured(home: Path, server: Server, token: str) -> Program:
    """kubectl, logged in to the server."""
    authority = base64.b64encode(server.authority.read_bytes()).decode()
    cluster = {"server": f"https://{server.tls_address}", "certificate-authority-data": authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [
            {
                "name": "test",
                "context": {"cluster": "test", "user": "admin", "namespace": NAMESPACE},
            }
        ],
    }
    path = home / "kubeconfig"
    path.write_text(json.dumps(document))
    return Program(require("kubectl"), {"HOME": str(home), "KUBECONFIG": str(path)})


def shown(stream: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The events of each tag in an ImageStream."""
    return {each["tag"]: each["items"] for each in stream["status"].get("tags", [])}


def version(found: dict[str, Any]) -> int:
    return int(found["metadata"]["resourceVersion"])


class Pushers:
    """Clients that push manifests at the same time, every other one at each process."""

    def __init__(self, place: Place, count: int, repository: str) -> None:
        self._repository = repository
        with place.one.registry() as registry:
            token = registry.token(f"repository:{repository}:pull,push")
        ends = (place.one, place.other)
        self._clients = [
            RegistryClient(ends[number % 2].url, bearer=token) for number in range(count)
        ]

    def __enter__(self) -> "Pushers":
        return self

    def __exit__(self, *ignored: object) -> None:
        for each in self._clients:
            each.http.close()

    def push(self, contents: dict[str, Any]) -> list[httpx.Response]:
        """What each push of a manifest under its tag was answered."""
        count = len(self._clients)
        parts = [list(contents.items())[start::count] for start in range(count)]

        def work(client: RegistryClient, part: list[tuple[str, Any]]) -> list[httpx.Response]:
            return [client.put_manifest(self._repository, tag, each) for tag, each in part]

        with ThreadPoolExecutor(count) as pool:
            return [each for answers in pool.map(work, self._clients, parts) for each in answers]


def test_five_hundred_pushes_at_once_all_become_events_in_order(place: Place) -> None:
    name = "parallel"
    path = f"{IMAGES}/namespaces/{NAMESPACE}/imagestreams"
    tags = [f"v{number}" for number in range(PUSHES)]
    with place.one.registry() as registry:
        for blob in place.blobs:
            assert registry.put_blob(f"{NAMESPACE}/{name}", blob).status_code == 201
    contents = {tag: manifest_of(place.blobs, 10**6 + n) for n, tag in enumerate(tags)}
    with (
        place.one.log_in() as admin,
        place.other.log_in() as watcher,
        Pushers(place, AT_ONCE, f"{NAMESPACE}/{name}") as pushers,
    ):
        seen: list[dict[str, Any]] = []
        revision = admin.read(path, limit=1)["metadata"]["resourceVersion"]
        watching = Thread(target=watch, args=(watcher, path, revision, seen, name))
        watching.start()
        answers = pushers.push(contents)
        assert {each.status_code for each in answers} == {201}, [
            each.text for each in answers if each.status_code != 201
        ][:3]
        stream = end(admin, f"{path}/{name}", watching)
        events = told(seen)
        revisions = [version(each["object"]) for each in events]
        assert revisions == sorted(set(revisions))
        assert revisions[-1] == version(stream)
        assert [each["type"] for each in events] == ["ADDED", *["MODIFIED"] * (len(events) - 1)]
        for before, after in pairwise(events):
            assert shown(before["object"]).items() <= shown(after["object"]).items()
        assert {tag: [item["image"] for item in items] for tag, items in shown(stream).items()} == {
            tag: [each.digest] for tag, each in contents.items()
        }
    with place.other.registry() as registry:
        assert registry.tags(f"{NAMESPACE}/{name}") == sorted(tags)


def watch(
    client: KubeClient, path: str, revision: str, seen: list[dict[str, Any]], name: str
) -> None:
    """Collect the events of a stream up to the one that `end` makes."""
    params = {
        "watch": "true",
        "resourceVersion": revision,
        "timeoutSeconds": "120",
        "fieldSelector": f"metadata.name={name}",
    }
    with client.http.stream("GET", path, params=params) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            assert len(line) < EVENT_BYTES
            seen.append(json.loads(line))
            if "last" in (seen[-1]["object"]["metadata"].get("labels") or {}):
                return


def end(client: KubeClient, path: str, watching: Thread) -> dict[str, Any]:
    """Make a last change of a stream, and what it is after that, once a watch was told of it."""
    answer = client.patch(path, {"metadata": {"labels": {"last": "yes"}}})
    assert answer.status_code == 200, answer.text
    watching.join(120)
    assert not watching.is_alive()
    return client.read(path)


def told(seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that tell of a change."""
    return [each for each in seen if each["type"] != "BOOKMARK"]


def test_the_large_stream_is_shown_in_part_and_says_how_much_is_left_out(place: Place) -> None:
    with place.one.log_in() as admin:
        answer = admin.get(STREAM)
        stream = answer.json()
        assert len(answer.content) <= SHOWN_BYTES
        assert len(answer.content) > SHOWN_BYTES * 0.95
        tags, omitted = shown(stream), int(stream["metadata"]["annotations"][OMITTED])
        assert len(tags) + omitted >= place.large.tags
        # those that changed last, and the newest part of a long history
        assert place.large.tag(place.large.numbered - 1) in tags
        assert place.large.tag(0) not in tags
        assert len(tags[BUSY]) == 100
        listed = admin.read(f"{IMAGES}/namespaces/{NAMESPACE}/imagestreams")["items"]
        assert stream in listed


def all_tags(client: KubeClient) -> set[str]:
    """The tags of the large stream in the list of ImageTags, page by page."""
    found: list[str] = []
    token = ""
    while True:
        page = client.read(
            f"{IMAGES}/namespaces/{NAMESPACE}/imagetags", **{"limit": 4000, "continue": token}
        )
        names = [each["metadata"]["name"].partition(":") for each in page["items"]]
        found += [tag for stream, _, tag in names if stream == NAME]
        token = page["metadata"].get("continue", "")
        if not token:
            assert len(found) == len(set(found))
            return set(found)


def test_the_paged_list_of_imagetags_holds_every_tag(place: Place) -> None:
    with place.other.log_in() as admin:
        found = all_tags(admin)
    expected = {place.large.tag(number) for number in range(place.large.numbered)} | {BUSY}
    assert found >= expected


def test_kubectl_gets_describes_and_watches_the_large_stream(place: Place) -> None:
    kubectl = place.kubectl
    assert NAME in kubectl("get", "imagestreams").split()
    assert len(json.loads(kubectl("get", "is", NAME, "-o", "json"))["status"]["tags"]) > 1000
    assert OMITTED in kubectl("describe", "is", NAME)
    assert f"{NAME}:{BUSY}" in kubectl("get", "imagetag", f"{NAME}:{BUSY}")
    line = '{.metadata.resourceVersion}{"\\n"}'
    process = subprocess.Popen(
        [kubectl.path, "get", "is", NAME, "-w", "-o", f"jsonpath={line}"],
        env={**os.environ, **kubectl.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = int(process.stdout.readline())
        with place.other.registry() as registry:
            content = manifest_of(place.blobs, 2 * 10**6)
            repository = f"{NAMESPACE}/{NAME}"
            assert registry.put_manifest(repository, "watched", content).status_code == 201
        assert int(process.stdout.readline()) > first
    finally:
        process.terminate()
        said = process.communicate(timeout=60)[1]
    assert said == ""


def test_a_watch_during_many_pushes_gets_few_large_events_up_to_the_newest(place: Place) -> None:
    tags = [f"pushed-{number}" for number in range(200)]
    contents = {tag: manifest_of(place.blobs, 3 * 10**6 + n) for n, tag in enumerate(tags)}
    seen: list[dict[str, Any]] = []
    with (
        place.one.log_in() as admin,
        place.other.log_in() as watcher,
        Pushers(place, 16, f"{NAMESPACE}/{NAME}") as pushers,
    ):
        revision = admin.read(STREAM)["metadata"]["resourceVersion"]
        path = f"{IMAGES}/namespaces/{NAMESPACE}/imagestreams"
        watching = Thread(target=watch, args=(watcher, path, revision, seen, NAME))
        watching.start()
        answers = pushers.push(contents)
        assert {each.status_code for each in answers} == {201}
        stream = end(admin, STREAM, watching)
    events = told(seen)
    assert {each["type"] for each in events} == {"MODIFIED"}
    assert len(events) < len(tags)
    revisions = [version(each["object"]) for each in events]
    assert revisions == sorted(set(revisions))
    assert revisions[-1] == version(stream)
    assert set(tags) <= shown(events[-1]["object"]).keys()


def test_tags_of_the_large_stream_are_pushed_pulled_labelled_and_deleted(place: Place) -> None:
    repository, tag = f"{NAMESPACE}/{NAME}", "by-hand"
    content = manifest_of(place.blobs, 4 * 10**6)
    istag = f"{IMAGES}/namespaces/{NAMESPACE}/imagestreamtags/{NAME}:{tag}"
    old = place.large.tag(0)
    with (
        place.one.log_in() as admin,
        place.one.registry() as pushing,
        place.other.registry() as pulling,
    ):
        assert pushing.put_manifest(repository, tag, content).status_code == 201
        assert pulling.manifest(repository, tag).content == content.data
        assert pulling.manifest(repository, old).status_code == 200
        assert admin.read(istag)["image"]["metadata"]["name"] == content.digest
        assert shown(admin.read(STREAM))[tag][0]["image"] == content.digest
        answer = admin.patch(STREAM, {"metadata": {"labels": {"team": "web"}}})
        assert answer.status_code == 200, answer.text
        assert admin.read(istag)["metadata"]["labels"]["team"] == "web"
        for each in (tag, old):
            path = f"{IMAGES}/namespaces/{NAMESPACE}/imagestreamtags/{NAME}:{each}"
            assert admin.delete(path).status_code == 200
            assert admin.get(path).status_code == 404
            assert pulling.manifest(repository, each).status_code == 404
        assert tag not in shown(admin.read(STREAM))
        # gone for the other tests, too
        assert pushing.put_manifest(repository, old, manifest_of(place.blobs, 0)).status_code == 201


def listed(registry: RegistryClient) -> set[str]:
    """The tags of the large stream as the registry lists them."""
    found: list[str] = []
    path = f"/v2/{NAMESPACE}/{NAME}/tags/list?n=10000"
    while path:
        answer = registry.http.get(path)
        assert answer.status_code == 200, answer.text
        found += answer.json()["tags"]
        path = answer.links.get("next", {}).get("url", "")
    return set(found)


def test_writing_back_what_was_shown_removes_nothing_that_was_left_out(place: Place) -> None:
    omitted = place.large.tag(7)
    pruned = place.large.tag(place.large.numbered - 10)
    removed = place.large.tag(place.large.numbered - 11)
    history = f"{IMAGES}/namespaces/{NAMESPACE}/imagetags/{NAME}:"
    with place.one.log_in() as admin, place.other.log_in() as other, place.one.registry() as reg:
        before = listed(reg)
        past = admin.read(f"{history}{omitted}")["status"]["items"]
        stream = admin.read(STREAM)
        stream["metadata"].setdefault("labels", {})["written"] = "back"
        written = {key: value for key, value in stream.items() if key != "status"}
        answer = other.put(STREAM, written)
        assert answer.status_code == 200, answer.text
        assert admin.put(STREAM, written).status_code == 409
        assert listed(reg) == before
        stream = admin.read(STREAM)
        for each in stream["status"]["tags"]:
            if each["tag"] == pruned:
                each["items"] = each["items"][:2]
        stream["status"]["tags"] = [e for e in stream["status"]["tags"] if e["tag"] != removed]
        answer = admin.put(f"{STREAM}/status", stream)
        assert answer.status_code == 200, answer.text
        assert listed(reg) == before - {removed}
        assert admin.read(f"{history}{omitted}")["status"]["items"] == past
        assert len(other.read(f"{history}{pruned}")["status"]["items"]) == 2
        after = admin.read(STREAM)["metadata"]["annotations"]
        assert after[HISTORY_OMITTED] == stream["metadata"]["annotations"][HISTORY_OMITTED]


def test_twenty_clients_that_read_the_large_stream_at_once_cost_bounded_memory(
    place: Place,
) -> None:
    servers = {place.one.server.port: place.one.server, place.other.server.port: place.other.server}
    token = place.token
    with place.one.registry() as registry:
        content = manifest_of(place.blobs, 5 * 10**6)
        assert registry.put_manifest(f"{NAMESPACE}/{NAME}", "fresh", content).status_code == 201
    ends = (place.one, place.other)
    clients = [KubeClient(ends[n % 2].url, token) for n in range(20)]
    before = sum(each.memory() for each in servers.values())

    def read(client: KubeClient) -> int:
        while True:  # as client-go does: who reads much at once is asked to wait
            answer = client.get(STREAM)
            if answer.status_code != 429:
                return len(answer.content) if answer.status_code == 200 else 0
            time.sleep(float(answer.headers["retry-after"]))

    with ThreadPoolExecutor(20) as pool:
        sizes = list(pool.map(read, clients))
    assert min(sizes) > SHOWN_BYTES * 0.95
    after = sum(each.memory() for each in servers.values())
    assert after - before < 300 << 20
    for client in clients:
        client.http.close()


def test_pruning_what_is_shown_deletes_nothing_that_is_held_by_what_is_not(place: Place) -> None:
    """As `oc adm prune images --keep-tag-revisions=3 --keep-younger-than=0` would."""
    repository = f"{NAMESPACE}/{NAME}"
    small = f"{NAMESPACE}/pruned"
    signed, child = image(layer({"held": b"by a tag"})), image(layer({"held": b"by an index"}))
    whole = index(child)
    signature = artifact("application/vnd.example.signature", b"signature", subject=signed)
    old = [image(layer({"old": bytes([number])})) for number in range(5)]
    with place.one.log_in() as admin, place.other.registry() as registry:
        for each in (*old, signed):
            registry.push(small, each, "app")
        registry.push(small, signature)
        registry.push(small, whole, "multi")
        before = listed(registry)
        pruner = Pruner(admin)
        pruner.look()
        # while it thinks: a tag that it has not seen
        registry.push(small, old[0], "again")
        pruner.prune(repository, small)
        assert listed(registry) == before
        for tag in (place.large.tag(0), place.large.tag(place.large.numbered // 2), BUSY):
            answer = registry.manifest(repository, tag)
            assert answer.status_code == 200, f"{tag}: {answer.text}"
            name = answer.headers["docker-content-digest"]
            assert admin.get(f"{IMAGES}/images/{name}").status_code == 200
            for blob in place.blobs:
                assert registry.has_blob(repository, blob.digest)
        registry.pull(small, signed, "app")
        registry.pull(small, signature)
        registry.pull(small, whole, "multi")
        registry.pull(small, old[0], "again")
        kept = shown(admin.read(f"{IMAGES}/namespaces/{NAMESPACE}/imagestreams/pruned"))
        assert [each["image"] for each in kept["app"]] == [
            each.digest for each in (signed, old[4], old[3])
        ]
        # what is held nowhere went
        for gone in (old[1], old[2]):
            assert admin.get(f"{IMAGES}/images/{gone.digest}").status_code == 404
            assert registry.manifest(small, gone.digest).status_code == 404
        for answer in pruner.refused:
            assert answer.status_code in (405, 409), answer.text
        # every tag of the large stream can still be pulled
        assert unpullable(registry, repository, before) == []


def unpullable(registry: RegistryClient, repository: str, tags: set[str]) -> list[str]:
    """Some of many tags that cannot be pulled."""
    part = sorted(tags)[:: max(1, len(tags) // 500)]
    return [tag for tag in part if registry.manifest(repository, tag).status_code != 200]
