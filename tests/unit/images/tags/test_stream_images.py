"""Images of streams by digest, and mappings (image-api 3, 6, 8.6 and tests 17 and 18)."""

import json
from typing import Any

from tests.unit.images.tags.tag_api import APP, HOST, WEB, TagApi, digest, docker, istag, wanted
from tidegate.apimachinery.store import Key
from tidegate.metastore import manifests
from tidegate.metastore.manifests import Manifest
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

ISIMAGE = "/namespaces/shop/imagestreamimages/web@"
MAPPINGS = "/namespaces/shop/imagestreammappings"


def mapping(letter: str, tag: str = "v1", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web"},
        "tag": tag,
        "image": {"metadata": {"name": digest(letter)}, **more},
    }


def items(api: TagApi, tag: str = "v1") -> list[str]:
    found = api.ok("GET", f"/namespaces/shop/imagetags/web:{tag}")
    return [each["image"].removeprefix("sha256:")[:1] for each in found["status"]["items"]]


def test_an_image_is_found_by_how_its_digest_begins(api: TagApi) -> None:
    api.stream(APP, annotations={"of": "stream"})
    api.push("d", "v1", APP)
    for part in ("ddd", f"sha256:{'d' * 7}", digest("d")):
        found = api.ok("GET", f"/namespaces/prod/imagestreamimages/app@{part}")
        assert found["metadata"]["name"] == f"app@{part}"
        assert found["metadata"]["annotations"] == {"of": "stream"}
        assert found["image"]["metadata"]["name"] == digest("d")


def test_an_image_from_another_stream_is_not_said_to_be_there(api: TagApi) -> None:
    api.stream(APP)
    api.push("d", "v1", APP)
    origin = {"kind": "ImageStreamImage", "namespace": "prod", "name": f"app@{digest('d')}"}
    api.ok("PUT", istag("v1"), wanted("v1", origin))
    found = api.ok("GET", f"{ISIMAGE}ddd")
    assert found["image"]["dockerImageReference"] == f"{HOST}/shop/web@{digest('d')}"


def test_what_is_not_in_the_stream_is_not_found(api: TagApi) -> None:
    api.stream(APP)
    api.push("d", "v1", APP)
    for name in (f"web@{digest('d')}", "web@ddd", "web@x'y", "none@ddd"):
        status = api.refused(404, "GET", f"/namespaces/shop/imagestreamimages/{name}")
        assert status["details"]["kind"] == "imagestreamimages"
    message = "ImageStreamImages must be retrieved with <name>@<id>"
    for name in ("web", "web@", "@d", "a@b@c"):
        status = api.refused(400, "GET", f"/namespaces/shop/imagestreamimages/{name}")
        assert status["message"] == message


def test_several_images_that_begin_so_are_a_conflict(api: TagApi) -> None:
    api.push("d", "v1")
    record = Manifest(type(digest("d"))("sha256:d" + "a" * 63), "x", b"other")
    api.write(lambda tx: manifests.put(tx, WEB, record, [], 1.0))
    assert "multiple images match" in api.refused(409, "GET", f"{ISIMAGE}d")["message"]
    api.ok("GET", f"{ISIMAGE}dd")


def test_an_image_that_was_pushed_without_a_tag_is_in_the_stream(api: TagApi) -> None:
    api.push("d", "v1")
    api.ok("DELETE", istag("v1"))
    api.ok("GET", f"{ISIMAGE}{digest('d')}")


def test_a_table_names_the_image(api: TagApi) -> None:
    api.push("d", "v1")
    table = api.ok("GET", f"{ISIMAGE}ddd", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    columns = [each["name"] for each in table["columnDefinitions"]]
    assert columns == ["Name", "Updated", "Image Reference", "Image Name"]
    assert table["rows"][0]["cells"][0] == "web@ddd"


def test_a_mapping_makes_the_image_and_points_the_tag(api: TagApi) -> None:
    answer = api("POST", MAPPINGS, mapping("d"))
    assert answer.status_code == 201
    assert (answer.json()["kind"], answer.json()["status"]) == ("Status", "Success")
    found = api.ok("GET", istag("v1"))
    assert found["image"]["dockerImageReference"] == f"{HOST}/shop/web@{digest('d')}"
    assert found["image"]["metadata"]["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert found["generation"] == 1


def test_the_same_push_again_changes_nothing(api: TagApi) -> None:
    api.ok("POST", MAPPINGS, mapping("d"))
    before = api.ok("GET", istag("v1"))["metadata"]["resourceVersion"]
    api.ok("POST", MAPPINGS, mapping("d"))
    assert api.ok("GET", istag("v1"))["metadata"]["resourceVersion"] == before
    api.ok("PUT", istag("other"), wanted("other", docker("docker.io/x")))
    api.ok("POST", MAPPINGS, mapping("d"))
    assert api.ok("GET", istag("v1"))["generation"] == 2
    for letter in "ed":
        api.ok("POST", MAPPINGS, mapping(letter))
    assert items(api) == ["d", "e", "d"]


def test_a_mapping_moves_the_tags_that_follow(api: TagApi) -> None:
    api.ok("PUT", istag("latest"), wanted("latest", {"kind": "ImageStreamTag", "name": "v1"}))
    api.ok("POST", MAPPINGS, mapping("d"))
    assert items(api, "latest") == ["d"]


def test_a_managed_image_that_is_known_is_pulled_from_this_stream(api: TagApi) -> None:
    api.stream(APP)
    api.push("d", "v1", APP)
    posted = mapping("d", dockerImageReference=f"{HOST}/prod/app@{digest('d')}")
    api.ok("POST", MAPPINGS, posted)
    found = api.ok("GET", istag("v1"))
    assert found["image"]["dockerImageReference"] == f"{HOST}/prod/app@{digest('d')}"
    posted["image"]["metadata"]["annotations"] = {"openshift.io/image.managed": "true"}
    api.ok("POST", MAPPINGS, posted)
    found = api.ok("GET", istag("v1"))
    assert found["image"]["dockerImageReference"] == f"{HOST}/shop/web@{digest('d')}"


def test_a_missing_stream_is_what_a_registry_looks_for(api: TagApi) -> None:
    body = {**mapping("d"), "metadata": {"name": "none"}}
    details = api.refused(404, "POST", MAPPINGS, body)["details"]
    assert details == {
        "name": "none",
        "group": "image.openshift.io",
        "kind": "imagestreammappings",
    }
    path = "/namespaces/none/imagestreammappings"
    details = api.refused(404, "POST", path, mapping("d"))["details"]
    assert details == {"name": "none", "kind": "namespaces"}


def test_a_bad_mapping_is_invalid(api: TagApi) -> None:
    for body in (
        mapping("d", tag=""),
        mapping("d", tag="a\0"),
        {**mapping("d"), "image": {"dockerImageReference": "x"}},
        {**mapping("d"), "image": {"metadata": {"name": ".."}}},
        mapping("d", dockerImageReference="Not/A Reference"),
        mapping("d", tag="v1.at-20260101T000000Z"),
    ):
        assert api.refused(422, "POST", MAPPINGS, body)["reason"] == "Invalid"


def test_an_image_over_the_limit_of_the_project_is_forbidden(api: TagApi) -> None:
    limits = {
        "metadata": {"name": "limits", "namespace": "shop"},
        "spec": {"limits": [{"type": "openshift.io/Image", "max": {"storage": "10"}}]},
    }
    api.document(Key("limitranges", "shop", "limits"), limits)
    body = mapping("d", dockerImageMetadata={"kind": "DockerImage", "Size": 11})
    status = api.refused(403, "POST", MAPPINGS, body)
    assert "exceeds the maximum limit per openshift.io/Image" in status["message"]


def test_a_dry_run_of_a_mapping_leaves_nothing(api: TagApi) -> None:
    api.ok("POST", f"{MAPPINGS}?dryRun=All", mapping("d"))
    assert api("GET", istag("v1")).status_code == 404


def posted_manifest(config: bytes, **more: Any) -> dict[str, Any]:
    """A mapping of an image whose manifest comes along."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": Digest.of(config), "size": len(config)},
        "layers": [{"digest": digest("a"), "size": 40, "mediaType": "x"}],
    }
    text = json.dumps(manifest)
    return {
        "metadata": {"name": "web"},
        "tag": "v1",
        "image": {
            "metadata": {
                "name": Digest.of(text.encode()),
                "annotations": {
                    "openshift.io/image.managed": "true",
                    "image.openshift.io/manifestBlobStored": "true",
                },
            },
            "dockerImageManifest": text,
            "dockerImageConfig": config.decode(),
            **more,
        },
    }


def test_of_an_image_that_comes_with_its_manifest_only_that_is_kept(api: TagApi) -> None:
    forged = {
        "dockerImageMetadata": {"Size": 1, "Config": {"Labels": {"team": "forged"}}},
        "dockerImageLayers": [{"name": digest("f"), "size": 1, "mediaType": "x"}],
    }
    body = posted_manifest(b'{"architecture":"arm64","config":{"User":"app"}}', **forged)
    api.ok("POST", MAPPINGS, body)
    found = api.ok("GET", istag("v1"))["image"]
    assert found["dockerImageMetadata"]["Config"] == {"User": "app"}
    assert [each["name"] for each in found["dockerImageLayers"]] == [digest("a")]
    assert found["dockerImageMetadata"]["Size"] == 88
    assert found["metadata"]["annotations"]["openshift.io/image.managed"] == "true"


def test_a_configuration_that_is_not_the_manifests_is_left_out(api: TagApi) -> None:
    body = posted_manifest(b"{}")
    body["image"]["dockerImageConfig"] = '{"config":{"User":"forged"}}'
    api.ok("POST", MAPPINGS, body)
    assert "Config" not in api.ok("GET", istag("v1"))["image"]["dockerImageMetadata"]


def test_an_image_without_its_manifest_is_not_called_this_registrys(api: TagApi) -> None:
    body = posted_manifest(b"{}", dockerImageManifest="{}")
    api.ok("POST", MAPPINGS, body)
    found = api.ok("GET", istag("v1"))["image"]
    assert "openshift.io/image.managed" not in found["metadata"].get("annotations", {})
    odd = mapping("d", dockerImageMetadata={"Size": "large"})
    api.ok("POST", MAPPINGS, odd)


def editor(api: TagApi) -> None:
    api.rights.granted.add(("eve", "create", "imagestreammappings", "shop"))


def test_a_mapping_shows_nobody_an_image_of_another_project(api: TagApi) -> None:
    editor(api)
    api.stream(APP)
    api.push("d", "v1", APP)
    answer = api("POST", MAPPINGS, mapping("d"), user="eve")
    assert answer.status_code == 403
    assert "it is not in the stream" in answer.json()["message"]
    api.push("d", "other", WEB)
    assert api("POST", MAPPINGS, mapping("d"), user="eve").status_code == 201


def test_who_posts_all_of_an_image_may_have_it_in_several_streams(api: TagApi) -> None:
    editor(api)
    api.stream(APP)
    body = posted_manifest(b'{"architecture":"arm64","config":{"User":"app"}}')
    api.ok("POST", "/namespaces/prod/imagestreammappings", {**body, "metadata": {"name": "app"}})
    assert api("POST", MAPPINGS, body, user="eve").status_code == 201
    del body["image"]["dockerImageConfig"]
    again = {**body, "tag": "v2"}
    assert api("POST", MAPPINGS, again, user="eve").status_code == 201  # in the stream by now
    api.stream(RepositoryName("shop/more"))
    lacking = {**body, "metadata": {"name": "more"}}
    assert api("POST", MAPPINGS, lacking, user="eve").status_code == 403


def test_of_what_is_posted_only_what_it_proves_is_said_to_everybody(api: TagApi) -> None:
    body = posted_manifest(b"{}")
    body["image"]["metadata"]["annotations"] |= {
        "images.openshift.io/deny-execution": "true",
        "tidegate.io/referrers": "[]",
    }
    api.ok("POST", MAPPINGS, body)
    annotations = api.ok("GET", istag("v1"))["image"]["metadata"]["annotations"]
    assert annotations == {
        "openshift.io/image.managed": "true",
        "image.openshift.io/dockerLayersOrder": "ascending",
    }


def test_a_posted_image_is_no_larger_than_any_object(api: TagApi) -> None:
    body = mapping("d", dockerImageConfig="x" * 1_600_000)
    assert api("POST", MAPPINGS, body).status_code == 413
