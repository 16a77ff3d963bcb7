"""ImageStreamTags: reads and writes of one tag (image-api 4.7, 5.1, 13 and tests 1, 6 to 13)."""

from typing import Any

import msgspec
import pytest

from tests.unit.images.tags.tag_api import APP, HOST, WEB, TagApi, digest, docker, istag, wanted
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.selectors import EVERYTHING
from tidegate.apimachinery.storage import ListOptions
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.kinds.image_tag import IMAGE_TAGS
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.stream import Stream
from tidegate.images.tags.listing import Bounds, Listed, Lists
from tidegate.images.tags.reading import Reads
from tidegate.images.tags.rendering import View, image_tag
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import Documents
from tidegate.oci.name import RepositoryName

LIST = "/namespaces/shop/imagestreamtags"
ITAG = "/namespaces/shop/imagetags/web:"


def names(listed: Any) -> list[str]:
    return [each["metadata"]["name"] for each in listed["items"]]


# Reads.


def test_a_pushed_tag_is_its_image_with_the_metadata_of_the_stream(api: TagApi) -> None:
    api.stream(APP, labels={"a": "b"}, annotations={"of": "stream"})
    api.push("d", "v1", APP)
    found = api.ok("GET", "/namespaces/prod/imagestreamtags/app:v1")
    metadata = found["metadata"]
    assert metadata.pop("resourceVersion")
    assert metadata == {
        "name": "app:v1",
        "namespace": "prod",
        "uid": "uid-prod/app",
        "labels": {"a": "b"},
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    assert "tag" not in found
    assert found["generation"] == 1
    assert found["lookupPolicy"] == {"local": False}
    assert found["image"]["metadata"]["name"] == digest("d")
    assert found["image"]["dockerImageReference"] == f"{HOST}/prod/app@{digest('d')}"
    assert found["image"]["dockerImageMetadata"]["kind"] == "DockerImage"


def test_what_is_missing_is_named(api: TagApi) -> None:
    api.push("d", "v1")
    api.ok("PUT", istag("r"), wanted("r", docker("docker.io/x:1"), reference=True))
    api.ok("PUT", istag("new"), wanted("new", docker("docker.io/x:1")))
    cases = [
        ("/namespaces/shop/imagestreamtags/none:v1", "none"),
        (istag("none"), "web:none"),
        (istag("new"), "web:new"),
        (istag("r"), "web:r"),
    ]
    for path, name in cases:
        details = api.refused(404, "GET", path)["details"]
        assert details == {"name": name, "group": "image.openshift.io", "kind": "imagestreamtags"}
    assert api.ok("GET", f"{ITAG}r")["status"]["items"][0]["dockerImageReference"] == (
        "docker.io/x:1"
    )
    assert api.ok("GET", f"{ITAG}new")["spec"]["name"] == "new"


def test_a_tag_whose_image_is_gone_names_the_image(api: TagApi) -> None:
    answer = api(
        "POST",
        "/namespaces/shop/imagestreammappings",
        {
            "metadata": {"name": "web"},
            "tag": "v1",
            "image": {"metadata": {"name": digest("d")}, "dockerImageReference": "x.io/y/z:1"},
        },
    )
    assert answer.status_code == 201
    api.write(lambda tx: tx.execute("DELETE FROM documents WHERE name = ?", (digest("d"),)))
    assert api.refused(404, "GET", istag("v1"))["details"]["name"] == digest("d")


@pytest.mark.parametrize("name", ["web", "web:", ":v1", "a:b:c"])
def test_a_name_without_a_tag_is_a_bad_request(api: TagApi, name: str) -> None:
    message = "ImageStreamTags must be retrieved with <name>:<tag>"
    assert api.refused(400, "GET", f"{LIST}/{name}")["message"] == message
    assert api.refused(400, "DELETE", f"{LIST}/{name}")["message"] == message


def test_a_list_has_the_tags_that_name_an_image_and_little_of_the_image(api: TagApi) -> None:
    for tag in ("b", "a"):
        api.push("d", tag)
    api.ok("PUT", istag("r"), wanted("r", docker("docker.io/x:1"), reference=True))
    listed = api.ok("GET", LIST)
    assert names(listed) == ["web:a", "web:b"]
    assert listed["items"][0]["image"] == {
        "metadata": {"name": digest("d")},
        "dockerImageReference": f"{HOST}/shop/web@{digest('d')}",
    }
    assert names(api.ok("GET", "/namespaces/shop/imagetags")) == ["web:a", "web:b", "web:r"]


def test_pages_follow_each_other_over_streams_and_namespaces(api: TagApi) -> None:
    api.stream(APP)
    for name in (WEB, APP):
        for tag in ("c", "a", "b"):
            api.push("d", tag, name)
    everything = ["app:a", "app:b", "app:c", "web:a", "web:b", "web:c"]
    for resource in ("imagestreamtags", "imagetags"):
        for limit in (1, 2, 3, 4, 6):
            found, token, pages = [], "", 0
            while pages == 0 or token:
                page = api.ok("GET", f"/{resource}?limit={limit}&continue={token}")
                assert len(page["items"]) <= limit
                found += names(page)
                token = page["metadata"].get("continue", "")
                pages += 1
            assert found == everything
            assert pages == -(-6 // limit)


def test_a_token_is_of_one_list(api: TagApi) -> None:
    for tag in ("a", "b"):
        api.push("d", tag)
    token = api.ok("GET", f"{LIST}?limit=1")["metadata"]["continue"]
    api.refused(400, "GET", f"/namespaces/prod/imagestreamtags?continue={token}")
    api.refused(400, "GET", f"/namespaces/shop/imagetags?continue={token}")
    assert names(api.ok("GET", f"{LIST}?continue={token}")) == ["web:b"]


def test_labels_that_are_selected_are_those_of_the_stream(api: TagApi) -> None:
    api.stream(APP, labels={"tier": "front"})
    api.push("d", "v1")
    api.push("d", "v1", APP)
    assert names(api.ok("GET", "/imagestreamtags?labelSelector=tier%3Dfront")) == ["app:v1"]
    assert names(api.ok("GET", "/imagestreamtags?labelSelector=tier!%3Dfront")) == ["web:v1"]


def test_a_name_selects_one_tag(api: TagApi) -> None:
    for tag in ("a", "b"):
        api.push("d", tag)
    select = "fieldSelector=metadata.name%3Dweb:b"
    for path in (LIST, "/imagestreamtags", "/namespaces/shop/imagetags"):
        assert names(api.ok("GET", f"{path}?{select}")) == ["web:b"]
        assert names(api.ok("GET", f"{path}?{select}&limit=1")) == ["web:b"]
    assert names(api.ok("GET", f"{LIST}?fieldSelector=metadata.name!%3Dweb:b")) == ["web:a"]
    assert names(api.ok("GET", f"{LIST}?fieldSelector=metadata.name%3Dweb")) == []
    api.refused(400, "GET", f"{LIST}?fieldSelector=spec.x%3Da")


def test_a_version_that_never_was_is_refused(api: TagApi) -> None:
    api.refused(504, "GET", f"{LIST}?resourceVersion=99999999")
    now = api.ok("GET", LIST)["metadata"]["resourceVersion"]
    api.push("d", "v1")
    assert names(api.ok("GET", f"{LIST}?resourceVersion={now}")) == ["web:v1"]
    exact = f"{LIST}?resourceVersion={now}&resourceVersionMatch=Exact"
    assert api.refused(410, "GET", exact)["reason"] == "Expired"


def test_a_table_says_what_a_tag_is(api: TagApi) -> None:
    api.push("d", "v1")
    api.now += 7200
    table = api.ok("GET", LIST, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    columns = [each["name"] for each in table["columnDefinitions"]]
    assert columns == ["Name", "Image Reference", "Updated", "Image Name"]
    reference = f"{HOST}/shop/web@{digest('d')}"
    assert table["rows"][0]["cells"] == ["web:v1", reference, "2 hours ago", digest("d")]


def test_tags_are_not_watched(api: TagApi) -> None:
    assert api.refused(405, "GET", f"{LIST}?watch=true")["reason"] == "MethodNotAllowed"


# Writes.


def test_a_put_makes_stream_and_tag(api: TagApi) -> None:
    path = "/namespaces/prod/imagestreamtags/new:v1"
    body = {**wanted("v1", docker("docker.io/x:1")), "metadata": {"name": "new:v1"}}
    versioned = {**body, "metadata": {"name": "new:v1", "resourceVersion": "7"}}
    assert api.refused(404, "PUT", path, versioned)["details"]["name"] == "new:v1"
    answer = api("PUT", path, body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["tag"]["generation"] == 1
    assert made["tag"]["from"] == docker("docker.io/x:1")
    assert made["image"] == {"metadata": {}}
    assert api("PUT", path, body).status_code == 200
    tag = api.ok("GET", "/namespaces/prod/imagetags/new:v1")
    assert tag["metadata"]["generation"] == 1
    assert tag["metadata"]["creationTimestamp"] == "2026-01-02T03:04:05Z"


def test_a_put_that_changes_nothing_leaves_the_version(api: TagApi) -> None:
    body = wanted("v1", docker("docker.io/x:1"))
    versions = {api.ok("PUT", istag("v1"), body)["metadata"]["resourceVersion"] for _ in "ab"}
    assert len(versions) == 1


def test_generations_count_changes_of_the_spec(api: TagApi) -> None:
    def put(**more: Any) -> tuple[int, int]:
        api.ok("PUT", istag("v1"), wanted("v1", docker("docker.io/x:1"), **more))
        tag = api.ok("GET", f"{ITAG}v1")
        return tag["metadata"]["generation"], tag["spec"]["generation"]

    assert put() == (2, 2)
    assert put(generation=7) == (2, 2)
    assert put(importPolicy={"importMode": "Legacy", "scheduled": True}) == (3, 2)
    assert put(importPolicy={"importMode": "PreserveOriginal"}) == (4, 4)
    assert put(generation=0, importPolicy={"importMode": "PreserveOriginal"}) == (5, 5)


def test_a_version_is_the_whole_streams(api: TagApi) -> None:
    made = api.ok("PUT", istag("v1"), wanted("v1", docker("docker.io/x:1")))
    api.push("d", "other")
    made["tag"]["from"]["name"] = "docker.io/x:2"
    status = api.refused(409, "PUT", istag("v1"), made)
    assert "another caller has updated the resource version to" in status["message"]
    made["metadata"]["resourceVersion"] = api.ok("GET", istag("other"))["metadata"][
        "resourceVersion"
    ]
    assert api.ok("PUT", istag("v1"), made)["tag"]["from"]["name"] == "docker.io/x:2"


def test_a_tag_is_created_once_but_over_what_was_pushed(api: TagApi) -> None:
    api.push("d", "v1")
    body = wanted("v1", docker("docker.io/x:1"))
    answer = api("POST", LIST, body)
    assert answer.status_code == 201
    assert answer.json()["image"]["metadata"]["name"] == digest("d")
    assert api.refused(409, "POST", LIST, body)["reason"] == "AlreadyExists"


def test_a_tag_may_be_created_without_a_wish(api: TagApi) -> None:
    made = api.ok("POST", "/namespaces/prod/imagestreamtags", {"metadata": {"name": "new:v1"}})
    assert "tag" not in made
    assert api("GET", "/namespaces/prod/imagetags/new:v1").status_code == 404
    status = api.refused(400, "PUT", istag("v1"), {"metadata": {"name": "web:v1"}})
    assert status["message"] == (
        "imagestreamtag v1 is not a spec tag in imagestream shop/web, cannot be updated"
    )


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (wanted("v1", docker("")), "tag.from.name: Required value"),
        (wanted("v1", {"kind": "Pod", "name": "x"}), "tag.from.kind: Required value"),
        (wanted("v1", docker("Docker.io/X")), "tag.from.name: Invalid value"),
        (
            wanted("v1", docker("x"), referencePolicy={"type": "Far"}),
            'valid values are "Source", "Local"',
        ),
        (
            wanted("v1", {"kind": "ImageStreamTag", "name": "a:b:c"}),
            "must be of the form <tag>, <repo>:<tag>, <id>, or <repo>@<id>",
        ),
        (wanted("v1", {"kind": "ImageStreamTag", "name": "none:x"}), "from.name: Not found"),
        (wanted("v1", {"kind": "ImageStreamTag", "name": "a\0"}), "is no name of a tag or image"),
        (
            wanted("v1", {"kind": "ImageStreamImage", "name": "web@abc"}),
            "error generating tag event: no image",
        ),
        (
            {**wanted("v1", docker("x")), "metadata": {"name": "web:v1", "labels": {"a": "b"}}},
            "may not update fields other than metadata.annotations",
        ),
    ],
)
def test_a_bad_tag_is_invalid_and_leaves_nothing(
    api: TagApi, body: dict[str, Any], fault: str
) -> None:
    status = api.refused(422, "PUT", istag("v1"), body)
    assert status["reason"] == "Invalid"
    assert fault in status["message"]
    assert api("GET", f"{ITAG}v1").status_code == 404


def test_names_that_no_client_could_use_are_invalid(api: TagApi) -> None:
    for name in ("Web:v1", "web:v1.at-20260101T000000Z", f"web:{'x' * 129}", "web", "web:a\0"):
        body = {**wanted("v1", docker("x")), "metadata": {"name": name}}
        api.refused(422, "POST", LIST, body)


def test_a_tag_needs_a_namespace_that_lives(api: TagApi) -> None:
    body = wanted("v1", docker("x"))
    del body["metadata"]["namespace"]
    status = api.refused(404, "POST", "/namespaces/none/imagestreamtags", body)
    assert status["details"] == {"name": "none", "kind": "namespaces"}
    api.namespace("ends", "Terminating")
    api.refused(403, "POST", "/namespaces/ends/imagestreamtags", body)


def test_a_missing_source_tag_is_accepted_and_waits(api: TagApi) -> None:
    api.ok("PUT", istag("latest"), wanted("latest", {"kind": "ImageStreamTag", "name": "1.0"}))
    assert api("GET", istag("latest")).status_code == 404
    api.push("d", "1.0")
    found = api.ok("GET", istag("latest"))
    assert found["image"]["metadata"]["name"] == digest("d")


def test_a_copy_from_another_stream_stays_and_is_pulled_from_this_one(api: TagApi) -> None:
    api.stream(APP)
    api.push("d", "v1", APP)
    origin = {"kind": "ImageStreamTag", "namespace": "prod", "name": "app:v1"}
    made = api.ok("PUT", istag("v1"), wanted("v1", origin))
    assert made["image"]["dockerImageReference"] == f"{HOST}/shop/web@{digest('d')}"
    api.push("e", "v1", APP)
    assert api.ok("GET", istag("v1"))["image"]["metadata"]["name"] == digest("d")
    again = api.ok("PUT", istag("v2"), wanted("v2", origin, reference=True))
    assert again["image"]["dockerImageReference"] == f"{HOST}/prod/app@{digest('e')}"


def test_who_may_not_pull_from_the_source_gets_no_copy(api: TagApi) -> None:
    api.stream(APP)
    api.push("d", "v1", APP)
    origin = {"kind": "ImageStreamTag", "namespace": "prod", "name": "app:v1"}
    body = wanted("v1", origin)
    api.rights.granted |= {
        ("u", "update", "imagestreamtags", "shop"),
        ("u", "create", "imagestreamtags", "shop"),
        ("u", "get", "imagestreams", "prod"),
    }
    for method, path in (("PUT", istag("v1")), ("POST", LIST)):
        status = api.refused(422, method, path, body, user="u")
        assert status["reason"] == "Invalid"
        assert "spec.tags[v1].from: Forbidden: prod/app" in status["message"]
    assert api("GET", f"{ITAG}v1").status_code == 404
    api.ok("PUT", istag("v1"), body)
    api.ok("PUT", istag("v1"), body, user="u")  # nothing new is asked for
    api.rights.granted.add(("u", "get", "imagestreams/layers", "prod"))
    api.ok("PUT", istag("v2"), wanted("v2", origin), user="u")


def test_who_may_only_update_makes_no_stream(api: TagApi) -> None:
    api.rights.granted.add(("u", "update", "imagestreamtags", "shop"))
    path = "/namespaces/shop/imagestreamtags/new:v1"
    body = {**wanted("v1", docker("x")), "metadata": {"name": "new:v1"}}
    api.refused(403, "PUT", path, body, user="u")
    api.ok("PUT", istag("v1"), wanted("v1", docker("x")), user="u")


def test_local_policy_pulls_through_this_registry(api: TagApi) -> None:
    body = {
        "metadata": {"name": "web"},
        "tag": "v1",
        "image": {
            "metadata": {"name": digest("d")},
            "dockerImageReference": f"docker.io/x@{digest('d')}",
        },
    }
    api.ok("POST", "/namespaces/shop/imagestreammappings", body)
    for policy, reference in (
        ("Source", f"docker.io/x@{digest('d')}"),
        ("Local", f"{HOST}/shop/web@{digest('d')}"),
    ):
        spec = wanted("v1", docker("docker.io/x"), referencePolicy={"type": policy})
        api.ok("PUT", istag("v1"), spec)
        assert api.ok("GET", istag("v1"))["image"]["dockerImageReference"] == reference
        item = api.ok("GET", f"{ITAG}v1")["status"]["items"][0]
        assert item["dockerImageReference"] == f"docker.io/x@{digest('d')}"


def test_annotations_are_the_tags_and_shown_on_the_image(api: TagApi) -> None:
    api.push("d", "v1")
    body = wanted("v1", docker("docker.io/x"))
    body["metadata"]["annotations"] = {"a": "1"}
    made = api.ok("PUT", istag("v1"), body)
    assert made["tag"]["annotations"] == made["metadata"]["annotations"] == {"a": "1"}
    found = api.ok("GET", istag("v1"))
    assert found["image"]["metadata"]["annotations"]["a"] == "1"
    found["metadata"]["annotations"] = {"b": "2"}
    assert api.ok("PUT", istag("v1"), found)["tag"]["annotations"] == {"b": "2"}
    del found["metadata"]["annotations"], found["metadata"]["resourceVersion"]
    assert "annotations" not in api.ok("PUT", istag("v1"), found)["tag"]
    body["tag"]["annotations"] = {"a": "2"}
    body["metadata"]["name"] = "web:v2"
    api.refused(422, "POST", LIST, body)


@pytest.mark.parametrize(
    ("form", "patch"),
    [
        ("merge-patch+json", {"tag": {"name": "v1", "from": docker("docker.io/y")}}),
        ("strategic-merge-patch+json", {"tag": {"name": "v1", "from": docker("docker.io/y")}}),
        (
            "json-patch+json",
            [{"op": "add", "path": "/tag", "value": {"name": "v1", "from": docker("docker.io/y")}}],
        ),
    ],
)
def test_patches_change_a_tag(api: TagApi, form: str, patch: Any) -> None:
    api.push("d", "v1")
    content = {"content_type": f"application/{form}"}
    assert api.ok("PATCH", istag("v1"), patch, **content)["tag"]["from"] == docker("docker.io/y")
    before = api.ok("GET", istag("v1"))
    assert api.ok("PATCH", istag("v1"), patch, **content)["metadata"] == before["metadata"]
    api.refused(404, "PATCH", "/namespaces/shop/imagestreamtags/none:v1", patch, **content)


def test_server_side_apply_makes_and_changes_a_tag(api: TagApi) -> None:
    path = "/namespaces/shop/imagestreamtags/new:v1?fieldManager=me"
    body = {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStreamTag",
        "metadata": {"name": "new:v1"},
        "tag": {"name": "v1", "from": docker("docker.io/x")},
    }
    content = {"content_type": "application/apply-patch+yaml"}
    assert api("PATCH", path, body, **content).status_code == 201
    body["tag"] = {"name": "v1", "from": docker("docker.io/y")}
    assert api.ok("PATCH", path, body, **content)["tag"]["from"]["name"] == "docker.io/y"


def test_a_dry_run_leaves_nothing(api: TagApi) -> None:
    body = wanted("v1", docker("docker.io/x"))
    assert api.ok("PUT", istag("v1") + "?dryRun=All", body)["tag"]["generation"] == 2
    assert api.ok("POST", f"{LIST}?dryRun=All", body)["tag"]["generation"] == 2
    assert api("GET", f"{ITAG}v1").status_code == 404
    api.push("d", "v1")
    api.ok("DELETE", istag("v1") + "?dryRun=All")
    assert api("GET", istag("v1")).status_code == 200


def test_a_deleted_tag_is_gone_with_its_history_and_its_wish(api: TagApi) -> None:
    api.push("d", "v1")
    api.ok("PUT", istag("v1"), wanted("v1", docker("docker.io/x")))
    answer = api.ok("DELETE", istag("v1"))
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert api("GET", istag("v1")).status_code == 404
    assert api("GET", f"{ITAG}v1").status_code == 404
    assert api.refused(404, "DELETE", istag("v1"))["details"]["name"] == "web:v1"
    path = "/namespaces/shop/imagestreamtags/none:v1"
    assert api.refused(404, "DELETE", path)["details"]["name"] == "none"


def test_a_deleted_tag_can_be_set_again(api: TagApi) -> None:
    api.push("d", "v1")
    api.push("e", "v2")
    for method, path, answer in (("PUT", istag("v1"), 201), ("POST", istag(""), 201)):
        api.ok("DELETE", istag("v1"))
        wish = wanted("v1", {"kind": "ImageStreamTag", "name": "v2"})
        answered = api(method, path.removesuffix("/web:"), wish)
        assert answered.status_code == answer, answered.text
        assert api.ok("GET", istag("v1"))["image"]["metadata"]["name"] == digest("e")


def test_a_delete_may_ask_for_the_stream_it_knows(api: TagApi) -> None:
    api.push("d", "v1")
    for precondition in ({"uid": "another"}, {"resourceVersion": "1"}):
        api.refused(409, "DELETE", istag("v1"), {"preconditions": precondition})
    version = api.ok("GET", istag("v1"))["metadata"]["resourceVersion"]
    precondition = {"uid": "uid-shop/web", "resourceVersion": version}
    api.ok("DELETE", istag("v1"), {"preconditions": precondition})


def test_an_immutable_tag_stays(api: TagApi) -> None:
    api.stream(APP, annotations={"tidegate.io/immutable-tags": "true"})
    api.push("d", "v1", APP)
    path = "/namespaces/prod/imagestreamtags/app:v1"
    origin = docker("docker.io/x:1")
    body = {**wanted("v1", origin, reference=True), "metadata": {"name": "app:v1"}}
    for method, sent in (("PUT", body), ("DELETE", None)):
        assert "immutable" in api.refused(422, method, path, sent)["message"]
    assert api.ok("GET", path)["image"]["metadata"]["name"] == digest("d")


# Others write meanwhile.


def copied(api: TagApi) -> dict[str, Any]:
    """A tag from a stream of another namespace, whose reading others can wait for."""
    api.stream(APP)
    api.push("d", "v1", APP)
    return wanted("v1", {"kind": "ImageStreamTag", "namespace": "prod", "name": "app:v1"})


def meanwhile(api: TagApi, letter: str, tag: str) -> None:
    """Have a push come between what a write reads and what it writes."""
    unit = api.pushing(letter, tag)
    api.rights.meanwhile.append(lambda: api.db.write(unit))


def test_a_write_that_was_overtaken_begins_again(api: TagApi) -> None:
    body = copied(api)
    meanwhile(api, "e", "v1")
    assert api.ok("PUT", istag("v1"), body)["image"]["metadata"]["name"] == digest("d")
    body["metadata"]["name"], body["tag"]["name"] = "web:v2", "v2"
    meanwhile(api, "e", "v2")
    assert api.ok("POST", LIST, body)["image"]["metadata"]["name"] == digest("d")
    items = api.ok("GET", f"{ITAG}v2")["status"]["items"]
    assert [each["image"] for each in items] == [digest("d"), digest("e")]


def test_a_write_of_a_version_that_was_overtaken_is_a_conflict(api: TagApi) -> None:
    body = copied(api)
    api.push("e", "v1")
    version = api.ok("GET", istag("v1"))["metadata"]["resourceVersion"]
    body["metadata"]["resourceVersion"] = version
    meanwhile(api, "e", "other")
    api.refused(409, "PUT", istag("v1"), body)
    form = {"content_type": "application/merge-patch+json"}
    meanwhile(api, "f", "other")
    assert api.ok("PATCH", istag("v1"), {"tag": body["tag"]}, **form)["tag"]["from"]


def test_a_write_that_is_always_overtaken_gives_up(api: TagApi) -> None:
    body = copied(api)
    for number in range(101):
        meanwhile(api, "ef"[number % 2], "v1")
    assert "has been modified" in api.refused(409, "PUT", istag("v1"), body)["message"]
    api.rights.meanwhile.clear()
    for number in range(101):
        meanwhile(api, "ef"[number % 2], "v2")
    body["metadata"]["name"], body["tag"]["name"] = "web:v2", "v2"
    assert "has been modified" in api.refused(409, "POST", LIST, body)["message"]


def test_a_stream_that_comes_meanwhile_is_used(api: TagApi) -> None:
    body = copied(api)
    body["metadata"] = {"name": "new:v1"}
    name = RepositoryName("shop/new")
    metadata = ObjectMeta(name="new", namespace="shop", uid="first", generation=1)

    def unit(tx: Transaction) -> None:
        Stream.make(tx, name, ImageStream(metadata=metadata)).save()

    api.rights.meanwhile.append(lambda: api.db.write(unit))
    made = api.ok("PUT", "/namespaces/shop/imagestreamtags/new:v1", body)
    assert made["metadata"]["uid"] == "first"


@pytest.mark.parametrize("histories", [False, True])
def test_a_list_reads_a_little_at_a_time(api: TagApi, histories: bool) -> None:
    """More streams and tags than are read at once, and pages that end for their size."""
    everything = []
    for number in range(5):
        name = RepositoryName(f"shop/s{number}")
        api.stream(name)
        for tag in range(number):
            api.push("d", f"t{tag}", name)
            everything.append(f"s{number}:t{tag}")
    reads = Reads(api.db, Documents(api.db))

    def shown(view: View) -> Object:
        return image_tag(view, None, Hosts())

    listed = Listed(IMAGE_TAGS, shown, histories)
    lists = Lists(listed, reads, Bounds(streams=2, tags=2, histories=2, page=1500))
    found, token, pages = [], "", 0
    while pages == 0 or token:
        options = ListOptions(selection=EVERYTHING, token=token)
        page = api.run(lists.list("", options))
        found += [msgspec.json.decode(body)["metadata"]["name"] for body in page.bodies]
        token, pages = page.token, pages + 1
    assert found == everything
    assert pages > 2
