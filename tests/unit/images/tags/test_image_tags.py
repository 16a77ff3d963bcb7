"""ImageTags: a tag's spec and history side by side (image-api 5.2, 13)."""

from typing import Any

from tests.unit.images.tags.tag_api import APP, HOST, TagApi, digest, docker, istag, wanted

LIST = "/namespaces/shop/imagetags"


def itag(tag: str) -> str:
    return f"{LIST}/web:{tag}"


def spec(tag: str, name: str = "docker.io/x:1", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": f"web:{tag}"},
        "spec": {"name": tag, "from": docker(name), **more},
    }


def test_a_pushed_tag_has_a_status_and_the_metadata_of_the_stream(api: TagApi) -> None:
    api.stream(APP, labels={"a": "b"}, annotations={"of": "stream"})
    for letter in "de":
        api.push(letter, "v1", APP)
    found = api.ok("GET", "/namespaces/prod/imagetags/app:v1")
    metadata = found["metadata"]
    assert metadata.pop("resourceVersion")
    assert metadata == {
        "name": "app:v1",
        "namespace": "prod",
        "uid": "uid-prod/app",
        "generation": 1,
        "labels": {"a": "b"},
        "annotations": {"of": "stream"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    assert "spec" not in found
    assert found["status"] == {
        "tag": "v1",
        "items": [
            {
                "created": "2026-01-02T03:04:05Z",
                "dockerImageReference": f"{HOST}/prod/app@{digest(letter)}",
                "image": digest(letter),
                "generation": 1,
            }
            for letter in "ed"
        ],
    }
    assert found["image"]["metadata"]["name"] == digest("e")


def test_a_list_leaves_the_images_out(api: TagApi) -> None:
    api.push("d", "v1")
    (item,) = api.ok("GET", LIST)["items"]
    assert "image" not in item
    assert item["status"]["items"][0]["image"] == digest("d")


def test_what_is_missing_is_named(api: TagApi) -> None:
    for path, name in ((itag("v1"), "web:v1"), (f"{LIST}/none:v1", "none")):
        details = api.refused(404, "GET", path)["details"]
        assert details == {"name": name, "group": "image.openshift.io", "kind": "imagetags"}
    message = "ImageTags must be retrieved with <name>:<tag>"
    assert api.refused(400, "GET", f"{LIST}/web")["message"] == message


def test_a_tag_is_made_from_its_spec(api: TagApi) -> None:
    made = api("POST", LIST, spec("v1"))
    assert made.status_code == 201
    assert made.json()["spec"]["generation"] == 2
    assert "status" not in made.json()
    assert api.refused(409, "POST", LIST, spec("v1"))["reason"] == "AlreadyExists"
    status = api.refused(422, "POST", LIST, {"metadata": {"name": "web:v2"}})
    assert "spec is a required field during creation" in status["message"]
    other = {**spec("v1"), "metadata": {"name": "web:v2"}}
    assert "must match image tag name" in api.refused(422, "POST", LIST, other)["message"]


def test_a_put_makes_stream_and_tag(api: TagApi) -> None:
    path, body = f"{LIST}/new:v1", {**spec("v1"), "metadata": {"name": "new:v1"}}
    assert api("PUT", path, body).status_code == 201
    assert api("PUT", path, body).status_code == 200
    assert api("PUT", itag("v1"), spec("v1")).status_code == 201


def test_a_put_without_a_spec_takes_it_away_and_leaves_the_status(api: TagApi) -> None:
    api.push("d", "v1")
    api.ok("PUT", itag("v1"), spec("v1"))
    answer = api("PUT", itag("v1"), {"metadata": {"name": "web:v1"}})
    assert answer.status_code == 200
    assert "spec" not in answer.json()
    assert answer.json()["metadata"]["generation"] == 3
    assert answer.json()["status"]["items"][0]["image"] == digest("d")
    assert api.ok("GET", istag("v1"))["image"]["metadata"]["name"] == digest("d")


def test_only_the_spec_can_be_changed(api: TagApi) -> None:
    api.push("d", "v1")
    api.ok("PUT", itag("v1"), spec("v1"))
    found = api.ok("GET", itag("v1"))
    found["spec"]["from"]["name"] = "docker.io/x:2"
    found = api.ok("PUT", itag("v1"), found)
    assert found["spec"]["from"]["name"] == "docker.io/x:2"
    for change in (
        {"status": {"tag": "v1", "items": []}},
        {"metadata": {**found["metadata"], "labels": {"a": "b"}}},
        {"metadata": {**found["metadata"], "annotations": {"a": "b"}}},
    ):
        status = api.refused(422, "PUT", itag("v1"), {**found, **change})
        assert "may not update fields other than spec" in status["message"]
    uid = {"metadata": {"name": "web:v1", "uid": "another"}, "spec": found["spec"]}
    api.refused(409, "PUT", itag("v1"), uid)


def test_a_patch_changes_the_spec(api: TagApi) -> None:
    api.push("d", "v1")
    patch = {"spec": {"name": "v1", "from": docker("docker.io/y")}}
    form = {"content_type": "application/merge-patch+json"}
    assert api.ok("PATCH", itag("v1"), patch, **form)["spec"]["from"]["name"] == "docker.io/y"
    annotate = {"spec": {"annotations": {"a": "b"}}}
    made = api.ok("PATCH", itag("v1"), annotate, **form)
    assert made["spec"]["annotations"] == {"a": "b"}
    assert api.ok("GET", istag("v1"))["metadata"]["annotations"] == {"a": "b"}


def test_a_deleted_tag_is_gone(api: TagApi) -> None:
    api.ok("PUT", istag("v1"), wanted("v1", docker("docker.io/x")))
    api.ok("DELETE", itag("v1"))
    assert api.refused(404, "DELETE", itag("v1"))["details"]["kind"] == "imagetags"


def test_a_table_says_what_sort_of_tag_it_is(api: TagApi) -> None:
    api.push("d", "pushed")
    api.ok("PUT", istag("r"), wanted("r", docker("docker.io/x:1"), reference=True))
    api.ok("PUT", istag("t"), wanted("t", {"kind": "ImageStreamTag", "name": "pushed"}))
    policy = {"scheduled": True, "importMode": "Legacy"}
    api.ok("PUT", istag("s"), wanted("s", docker("docker.io/x:1"), importPolicy=policy))
    table = api.ok("GET", LIST, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    columns = [each["name"] for each in table["columnDefinitions"]]
    assert columns == ["Name", "Spec", "Status", "History", "Updated"]
    cells = {row["cells"][0]: row["cells"][1:4] for row in table["rows"]}
    image = f"image/{digest('d')}"
    assert cells == {
        "web:pushed": ["Push", image, 1],
        "web:r": ["Ref", "docker.io/x:1", 1],
        "web:s": ["Scheduled", "docker.io/x:1", None],
        "web:t": ["Track", image, 1],
    }
