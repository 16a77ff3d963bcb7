"""The tricky behaviours of image streams in OpenShift, one by one, where no other test has them.

Each number is a statement; what it says is in the test that it leads to.

    1   test_image_streams: test_1_…; test_imports: test_a_tag_that_is_wanted_is_imported_soon_…
    2   test_image_streams: test_2_…; test_imports: test_another_import_mode_imports_anew_…
    3   here; test_image_streams: test_3_…
    4   test_imports: test_a_failed_import_is_not_tried_again_…; of scheduled tags:
        tests/unit/images/imports/test_importing; test_scheduled_imports
    5   test_imports: test_an_import_that_finds_nothing_new_…
    6   here; test_image_streams: test_6_…; tests/clients/test_oc_image_exchanges: oc tag
    7   here; test_image_streams: test_7_and_8_…
    8   here; test_image_streams: test_7_and_8_…
    9   here; test_image_streams: test_9_…
    10  here; test_imports: test_a_tag_with_the_policy_local_…; without an internal host:
        tests/unit/images/tags/test_rendering
    11  here; test_imports: test_a_tag_by_reference_…; what a trigger makes of it: with triggers
    12  here
    13  test_image_stream_tags: test_writes_without_a_version_…, test_a_stale_version_…
    14  tests/unit/images/imports/test_tag_order; test_imports: test_a_whole_repository_…
    15  here, what PreserveOriginal leads to; which child an import takes: test_imports:
        test_of_an_index_…; tests/unit/images/imports: test_platforms, test_importing
    16  test_imports: test_each_image_is_answered_for_…
    17  here
    18  here
    19  test_image_streams: test_19_…; tests/clients/test_image_kubectl: two lines of kubectl
    20  test_image_streams: test_20_…
    21  with triggers
    22  tests/unit/images/admission/test_local_lookup; test_admission
    23  here; test_image_streams: test_23_…
    24  here
    25  here
"""

import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.images import Pushable, index, small_image
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient
from tests.server import Server, wait_until

GROUP = "/apis/image.openshift.io/v1"
IMAGES = f"{GROUP}/images"
MANAGED = "openshift.io/image.managed"

Json = dict[str, Any]


class Place(NamedTuple):
    """A project of the test's own with the stream `web`."""

    project: str
    admin: KubeClient
    registry: RegistryClient

    def path(self, resource: str, name: str = "", subresource: str = "") -> str:
        parts = [GROUP, "namespaces", self.project, resource, name, subresource]
        return "/".join(part for part in parts if part)

    @property
    def stream(self) -> str:
        return self.path("imagestreams", "web")

    @property
    def repository(self) -> str:
        return f"{self.project}/web"

    def tag(self, tag: str, stream: str = "web") -> str:
        return self.path("imagestreamtags", f"{stream}:{tag}")

    def push(self, mark: str, tag: str) -> str:
        """Push an image of its own; its digest."""
        image = small_image(f"{self.project} {mark}")
        self.registry.push(self.repository, image, tag)
        return image.digest

    def set(self, tag: str, origin: Json, **more: Any) -> httpx.Response:
        """A tag as `oc tag` sets it, without a version."""
        wanted = {"name": tag, "from": origin, **more}
        return self.admin.put(self.tag(tag), {"metadata": {"name": f"web:{tag}"}, "tag": wanted})

    def history(self, tag: str) -> list[Json]:
        """Events of a tag, the newest first."""
        for each in self.admin.read(self.stream)["status"].get("tags", ()):
            if each["tag"] == tag:
                return list(each["items"])
        return []

    def images(self, tag: str) -> list[str]:
        return [each["image"] for each in self.history(tag)]

    def version(self) -> str:
        return str(self.admin.read(self.stream)["metadata"]["resourceVersion"])

    def map(self, image: Pushable, tag: str, stream: str = "web", **more: Any) -> httpx.Response:
        """What OpenShift's own registry says after a push."""
        body = {
            "metadata": {"name": stream},
            "tag": tag,
            "image": {
                "metadata": {"name": image.digest, "annotations": {MANAGED: "true"}},
                "dockerImageManifest": image.manifest.data.decode(),
                **more,
            },
        }
        return self.admin.post(self.path("imagestreammappings"), body)

    def imported(self, tag: str, reference: str) -> str:
        """Write what an import from another registry leaves behind: an Image and an event of it."""
        digest = reference.partition("@")[2]
        image = {"metadata": {"name": digest}, "dockerImageReference": reference}
        self.admin.make(IMAGES, image)
        found = self.admin.read(self.stream)
        event = {
            "created": "2026-01-02T03:04:05Z",
            "dockerImageReference": reference,
            "image": digest,
            "generation": 0,
        }
        found["status"]["tags"] = [
            *found["status"].get("tags", ()),
            {"tag": tag, "items": [event]},
        ]
        answer = self.admin.put(f"{self.stream}/status", found)
        assert answer.status_code == 200, answer.text
        return digest


def of_tag(name: str, namespace: str = "") -> Json:
    origin = {"kind": "ImageStreamTag", "name": name}
    return {**origin, "namespace": namespace} if namespace else origin


def of_docker(name: str) -> Json:
    return {"kind": "DockerImage", "name": name}


def external(mark: str) -> str:
    """The pull spec of an image elsewhere that nobody else's test has."""
    return f"docker.io/library/x@{small_image(mark).digest}"


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


@pytest.fixture
def place(api: RegistryClient, admin: KubeClient) -> Place:
    made = Place(f"p{uuid.uuid4().hex[:12]}", admin, api)
    admin.make(f"{PROJECTS}/projectrequests", project(made.project))
    admin.make(made.path("imagestreams"), {"metadata": {"name": "web"}})
    return made


@pytest.fixture
def prod(place: Place) -> Place:
    """Another project of the test's, with a stream of the same name."""
    other = place._replace(project=f"{place.project}-prod")
    place.admin.make(f"{PROJECTS}/projectrequests", project(other.project))
    place.admin.make(other.path("imagestreams"), {"metadata": {"name": "web"}})
    return other


class Watched:
    """Events of one stream from now on, collected by a thread until the watch is left."""

    def __init__(self, place: Place) -> None:
        self.events: list[Json] = []
        self._place, self._since = place, place.version()
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        params = {"watch": "true", "resourceVersion": self._since, "timeoutSeconds": "30"}
        path = self._place.path("imagestreams")
        with self._place.admin.http.stream("GET", path, params=params) as lines:
            for line in lines.iter_lines():
                self.events.append(json.loads(line))
                if self.events[-1]["type"] == "DELETED":
                    return

    def _versions(self) -> set[str]:
        return {each["object"]["metadata"]["resourceVersion"] for each in self.events}

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        """The deletion of the stream ends the watch, once all that was before it is told.

        Without waiting the last change could be told with the end alone: a watch tells states.
        """
        last = self._place.version()
        wait_until(lambda: last == self._since or last in self._versions(), what="the last change")
        self._place.admin.delete(self._place.stream)
        self._thread.join()

    def images(self, tag: str) -> list[list[str]]:
        """What the tag's history was in each event of a change."""
        found = []
        for each in self.events:
            tags = {one["tag"]: one["items"] for one in each["object"]["status"].get("tags", ())}
            if each["type"] == "MODIFIED":
                found.append([item["image"] for item in tags.get(tag, ())])
        return found


def test_3_a_tag_that_is_no_longer_wanted_stays_until_it_is_deleted(place: Place) -> None:
    digest = place.push("a", "src")
    assert place.set("t", of_tag("web:src")).status_code == 201
    place.admin.patch(place.stream, {"spec": {"tags": []}})
    found = place.admin.read(place.tag("t"))
    assert "tag" not in found  # null
    assert found["image"]["metadata"]["name"] == digest
    assert place.images("t") == [digest]

    assert place.admin.delete(place.tag("t")).json()["status"] == "Success"
    assert place.admin.get(place.tag("t")).status_code == 404
    stream = place.admin.read(place.stream)
    assert "tags" not in stream["spec"]
    assert [each["tag"] for each in stream["status"]["tags"]] == ["src"]
    assert place.admin.read(f"{IMAGES}/{digest}")["metadata"]["name"] == digest


def test_3_deleting_the_last_tag_of_an_image_leaves_the_image(place: Place) -> None:
    digest = place.push("a", "t")
    assert place.admin.delete(place.tag("t")).status_code == 200
    assert place.admin.get(f"{IMAGES}/{digest}").status_code == 200


def test_6_an_alias_moves_in_the_write_that_moves_its_source(place: Place) -> None:
    first = place.push("a", "1.0")
    place.set("latest", of_tag("web:1.0"))
    place.set("fixed", {"kind": "ImageStreamImage", "name": f"web@{first}"})
    with Watched(place) as watched:
        second = place.push("b", "1.0")
    assert watched.images("1.0")[0] == watched.images("latest")[0] == [second, first]
    assert watched.images("fixed")[-1] == [first]


def test_7_a_copy_from_another_stream_moves_when_its_tag_is_touched(
    place: Place, prod: Place
) -> None:
    first = place.push("a", "x")
    source = of_tag("web:x", place.project)
    assert prod.set("t", source).status_code == 201
    second = place.push("b", "x")
    assert prod.images("t") == [first]
    same = prod.set("t", source)
    assert same.status_code == 200
    assert prod.images("t") == [first]  # the same wish again is no touch
    assert prod.set("t", source, importPolicy={"importMode": "PreserveOriginal"}).status_code == 200
    assert prod.images("t") == [second, first]


@pytest.mark.parametrize("reference", [False, True])
def test_8_a_reference_to_another_registry_is_never_rewritten(
    place: Place, prod: Place, reference: bool
) -> None:
    outside = external(place.project)
    digest = place.imported("x", outside)
    prod.set("t", of_tag("web:x", place.project), reference=reference)
    (event,) = prod.history("t")
    assert (event["dockerImageReference"], event["image"]) == (outside, digest)


def test_9_who_only_reads_streams_takes_no_image_of_them(
    server: Server, place: Place, prod: Place
) -> None:
    user = place.project
    add_user(server, user)
    place.push("a", "x")
    rules = [{"apiGroups": ["image.openshift.io"], "resources": ["imagestreams"], "verbs": ["get"]}]
    roles = f"{RBAC}/namespaces/{place.project}"
    place.admin.make(f"{roles}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    place.admin.make(f"{roles}/rolebindings", role_binding("reader", "reader", user, kind="Role"))
    bindings = f"{RBAC}/namespaces/{prod.project}/rolebindings"
    place.admin.make(bindings, role_binding("edit", "edit", user))
    with kube_client(server, user) as reader:
        assert reader.get(place.stream).status_code == 200
        for stream in ("web", "new"):
            wanted = {"name": "t", "from": of_tag("web:x", place.project)}
            body = {"metadata": {"name": f"{stream}:t"}, "tag": wanted}
            refused = reader.put(prod.tag("t", stream), body)
            assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
            assert "spec.tags[t].from: Forbidden" in refused.json()["message"]
        assert "tags" not in prod.admin.read(prod.stream)["spec"]
        assert prod.history("t") == []
        assert prod.admin.get(prod.path("imagestreams", "new")).status_code == 404
        # what somebody else may have put there can be saved again
        assert prod.set("t", of_tag("web:x", place.project)).status_code == 201
        assert reader.put(prod.stream, prod.admin.read(prod.stream)).status_code == 200


def test_10_local_policy_is_for_readers_and_leaves_the_history(place: Place) -> None:
    outside = external("ten")
    spec = [{"name": "t", "from": of_docker("docker.io/library/x:1")}]
    place.admin.patch(place.stream, {"spec": {"tags": spec}})
    digest = place.imported("t", outside)
    assert place.admin.read(place.tag("t"))["image"]["dockerImageReference"] == outside

    spec[0]["referencePolicy"] = {"type": "Local"}
    patched = place.admin.patch(place.stream, {"spec": {"tags": spec}}).json()
    repository = patched["status"]["dockerImageRepository"]
    shown = place.admin.read(place.tag("t"))["image"]["dockerImageReference"]
    assert shown == f"{repository}@{digest}"
    (event,) = place.history("t")
    assert event["dockerImageReference"] == outside


def test_11_a_reference_has_a_pull_spec_and_no_image(place: Place) -> None:
    place.push("a", "pushed")
    assert place.set("t", of_docker("docker.io/x:1"), reference=True).status_code == 201
    (event,) = place.history("t")
    assert (event["image"], event["dockerImageReference"]) == ("", "docker.io/x:1")
    refused = place.admin.get(place.tag("t"))
    assert refused.status_code == 404
    details = {"name": "web:t", "group": "image.openshift.io", "kind": "imagestreamtags"}
    assert refused.json()["details"] == details
    found = place.admin.read(place.path("imagetags", "web:t"))
    assert found["spec"]["reference"] is True
    assert found["status"]["items"] == [event]
    listed = place.admin.read(place.path("imagestreamtags"))["items"]
    assert [each["metadata"]["name"] for each in listed] == ["web:pushed"]


def test_12_a_tag_is_put_without_a_version_and_made_once(place: Place) -> None:
    path = place.tag("t", "new")
    wanted = {"name": "t", "from": of_docker("docker.io/x:1")}
    body: Json = {"metadata": {"name": "new:t"}, "tag": wanted}
    versioned = {**body, "metadata": {"name": "new:t", "resourceVersion": place.version()}}
    assert place.admin.put(path, versioned).status_code == 404
    assert place.admin.get(place.path("imagestreams", "new")).status_code == 404
    assert place.admin.put(path, body).status_code == 201
    assert place.admin.read(place.path("imagestreams", "new"))["metadata"]["generation"] == 1
    assert place.admin.put(path, body).status_code == 200

    again = place.admin.post(place.path("imagestreamtags"), body)
    assert (again.status_code, again.json()["reason"]) == (409, "AlreadyExists")
    place.push("a", "t")
    over = {**body, "metadata": {"name": "web:t"}}
    assert place.admin.post(place.path("imagestreamtags"), over).status_code == 201
    assert place.admin.post(place.path("imagestreamtags"), over).status_code == 409


def test_15_an_index_is_the_image_and_its_children_are_found_in_the_stream(place: Place) -> None:
    children = [small_image(f"fifteen {each}", architecture=each) for each in ("amd64", "arm64")]
    both = index(*children)
    place.registry.push(place.repository, both, "t")
    found = place.admin.read(place.tag("t"))["image"]
    assert found["metadata"]["name"] == both.digest
    assert {each["digest"]: each["architecture"] for each in found["dockerImageManifests"]} == {
        children[0].digest: "amd64",
        children[1].digest: "arm64",
    }
    assert "dockerImageLayers" not in found or found["dockerImageLayers"] == []
    assert place.images("t") == [both.digest]
    for child in children:
        assert place.admin.read(f"{IMAGES}/{child.digest}")["dockerImageLayers"]
        isimage = place.admin.read(place.path("imagestreamimages", f"web@{child.digest}"))
        assert isimage["image"]["metadata"]["name"] == child.digest
        short = place.path("imagestreamimages", f"web@{child.digest.removeprefix('sha256:')[:12]}")
        assert place.admin.read(short)["image"]["metadata"]["name"] == child.digest


def test_17_a_push_of_what_is_newest_already_is_told_to_nobody(place: Place) -> None:
    image, other = small_image("seventeen"), small_image("seventeen, another")
    for each in (other, image):
        place.registry.push(place.repository, each)
    assert place.map(image, "t").status_code == 201
    with Watched(place) as watched:
        before = place.version()
        answer = place.map(image, "t")
        assert (answer.status_code, answer.json()["status"]) == (201, "Success")
        assert place.registry.put_manifest(place.repository, "t", image.manifest).is_success
        assert place.version() == before

        place.set("else", of_docker("docker.io/x:1"))  # the stream's generation grows
        (event,) = place.history("t")
        assert place.map(image, "t").status_code == 201
        (again,) = place.history("t")
        assert again == {**event, "generation": event["generation"] + 1}

        for each in (other, image):
            place.map(each, "t")
        expected = [image.digest, other.digest, image.digest]
        assert place.images("t") == expected
    # the other tag, the generation, and two that moved the tag; what follows at once may be told
    # together with the one before
    assert 1 <= len(watched.images("t")) <= 4
    assert watched.images("t")[-1] == expected
    assert all(each["object"]["metadata"]["resourceVersion"] > before for each in watched.events)


def test_18_what_a_mapping_does_not_find_is_told_apart(place: Place) -> None:
    image = small_image("eighteen")
    missing = place.map(image, "t", stream="none")
    assert missing.status_code == 404
    details = missing.json()["details"]
    assert (details["kind"], details["name"]) == ("imagestreammappings", "none")
    nowhere = place._replace(project="not-there").map(image, "t")
    assert nowhere.status_code == 404
    details = nowhere.json()["details"]
    assert (details["kind"], details["name"]) == ("namespaces", "not-there")


def test_23_a_limit_refuses_the_image_and_leaves_its_blobs(place: Place) -> None:
    for number in range(3):
        place.push(str(number), f"t{number}")
    limits = {"type": "openshift.io/ImageStream", "max": {"openshift.io/images": "2"}}
    limit_range = {"metadata": {"name": "few"}, "spec": {"limits": [limits]}}
    place.admin.make(f"{CORE}/namespaces/{place.project}/limitranges", limit_range)
    labelled = place.admin.patch(place.stream, {"metadata": {"labels": {"a": "b"}}})
    assert labelled.status_code == 200, labelled.text

    fourth = small_image("twenty-three")
    for blob in fourth.blobs:
        place.registry.put_blob(place.repository, blob)
    pushed = place.registry.put_manifest(place.repository, "t4", fourth.manifest)
    assert pushed.status_code == 403
    assert pushed.json()["errors"][0]["code"] == "DENIED"
    mapped = place.map(fourth, "t4")
    assert mapped.status_code in (403, 422)
    assert "exceeds the maximum limit per openshift.io/ImageStream" in mapped.json()["message"]
    assert place.history("t4") == []
    for blob in fourth.blobs:
        assert place.registry.has_blob(place.repository, blob.digest)
    # what the stream has already may be tagged once more
    assert place.set("again", of_tag("web:t0")).status_code == 201


def test_24_what_was_derived_of_an_image_stays_whatever_is_put(place: Place) -> None:
    digest = place.push("a", "t")
    before = place.admin.read(f"{IMAGES}/{digest}")
    changed = json.loads(json.dumps(before))
    changed["dockerImageLayers"][0]["size"] = 1
    changed["dockerImageMetadata"]["Architecture"] = "s390x"
    changed["dockerImageManifest"] = '{"schemaVersion": 2}'  # of another digest
    changed["metadata"]["annotations"]["a"] = "b"
    answer = place.admin.put(f"{IMAGES}/{digest}", changed)
    assert answer.status_code == 200, answer.text
    after = place.admin.read(f"{IMAGES}/{digest}")
    assert after["metadata"]["annotations"] == {**before["metadata"]["annotations"], "a": "b"}
    for each in (before, after):
        del each["metadata"]
    assert after == before


@pytest.mark.parametrize("pinned", [False, True], ids=["alone", "with a tag of it"])
def test_25_what_a_pruner_drops_goes_unless_a_tag_has_it_in_its_history(
    place: Place, pinned: bool
) -> None:
    """`oc adm prune images` decides; here is what it writes once A, B and the used D are kept.

    It looks at pods and at `--keep-tag-revisions` itself (image-api 15.4).
    """
    d, c, b, a = (place.push(f"{each} {pinned}", "t") for each in "dcba")
    assert place.images("t") == [a, b, c, d]
    if pinned:
        place.set("pinned", {"kind": "ImageStreamImage", "name": f"web@{c}"})
    found = place.admin.read(place.stream)
    (history,) = [each for each in found["status"]["tags"] if each["tag"] == "t"]
    history["items"] = [each for each in history["items"] if each["image"] != c]
    assert place.admin.put(f"{place.stream}/status", found).status_code == 200

    assert place.images("t") == [a, b, d]
    assert place.images("pinned") == ([c] if pinned else [])
    deleted = place.admin.delete(f"{IMAGES}/{c}")
    assert (deleted.status_code < 300) is not pinned, deleted.text
    pulls = {each: place.registry.manifest(place.repository, each).status_code for each in
             (a, b, c, d, "t")}  # fmt: skip
    assert pulls == {a: 200, b: 200, c: 200 if pinned else 404, d: 200, "t": 200}
