"""What an import writes to a stream (image-api 7.3), and what a request is answered."""

import base64
import hashlib
import json
from asyncio import run
from pathlib import Path
from typing import cast

import msgspec
import pytest

from tests.authorizers import Rights
from tests.images import Content, Pushable, artifact, index, layer, small_image
from tests.images import image as layered
from tests.unit.images.image_world import WEB
from tests.unit.images.imports.import_world import ImportWorld, Json, image, repository
from tidegate.apimachinery.errors import Forbidden, Invalid, NotFound, UpdateConflict
from tidegate.images import pushes
from tidegate.images.docker_image import image_of
from tidegate.images.imports.fetching import Pool
from tidegate.images.imports.looking import HUB_WARNING, Caller, Looking
from tidegate.images.imports.planning import Outcome, Wanted
from tidegate.images.imports.platforms import PREFER_ARCHITECTURE
from tidegate.images.imports.storage import IMAGES
from tidegate.images.imports.tag_imports import TagImports, TagResult
from tidegate.images.kinds.group import MANAGED, MANIFEST_BLOB_STORED, REPOSITORY_CHECK
from tidegate.images.kinds.image_stream import (
    ObjectReference,
    TagImportPolicy,
    TagReference,
    TagReferencePolicy,
)
from tidegate.images.streams.resolving import resolve
from tidegate.images.streams.stream import Actor, Stream
from tidegate.images.tags.changing import grow
from tidegate.kinds.registries.import_policy import Allowed, ImportPolicy
from tidegate.metastore import links, manifests, tag_checks
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.origins import Origin
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.remote.errors import (
    AccessDenied,
    AddressRefused,
    CertificateRefused,
    ContentMissing,
    InsecureOnly,
    LeftAlone,
    NoRegistry,
    RateLimited,
    RegistryBlocked,
    RemoteError,
    SourcesFailed,
    Unavailable,
)
from tidegate.remote.gateway import Gateway, Urgency
from tidegate.remote.location import Location

APP = "far.example/team/app"


@pytest.fixture
def world(tmp_path: Path) -> ImportWorld:
    return ImportWorld(tmp_path)


def one(world: ImportWorld, name: str, to: str = "", **more: object) -> Json:
    """Import one image; what became of it."""
    answer = world.create({"import": True, "images": [image(name, to, **more)]})
    (found,) = answer["status"]["images"]
    return dict(found)


def test_an_imported_tag_names_the_image_and_is_pulled_from_here(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    found = one(world, f"{APP}:1", "stable")
    assert found["status"] == {"metadata": {}, "status": "Success"}
    assert found["tag"] == "1"
    assert found["image"]["dockerImageReference"] == f"{APP}@{pushed.digest}"
    assert found["image"]["dockerImageMetadata"]["Architecture"] == "amd64"
    assert "dockerImageManifest" not in found["image"]
    stream = world.shown()
    assert stream["metadata"]["generation"] == 1
    assert stream["metadata"]["annotations"] == {REPOSITORY_CHECK: "2026-09-21T14:13:20Z"}
    assert stream["spec"]["tags"] == [
        {
            "name": "stable",
            "from": {"kind": "DockerImage", "name": f"{APP}:1"},
            "generation": 1,
            "importPolicy": {"importMode": "Legacy"},
            "referencePolicy": {"type": "Source"},
        }
    ]
    (event,) = world.tag_status("stable")["items"]
    assert event == {
        "created": "2026-09-21T14:13:20Z",
        "dockerImageReference": f"{APP}@{pushed.digest}",
        "image": pushed.digest,
        "generation": 1,
    }
    assert world.pulled("stable") == pushed.digest


def test_an_imported_image_says_that_its_blobs_are_elsewhere_and_where(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    one(world, f"{APP}:1", "1", importPolicy={"insecure": True})
    kept = world.kept(pushed.digest)
    assert kept is not None
    assert MANAGED not in kept.metadata.annotations
    assert kept.metadata.annotations[MANIFEST_BLOB_STORED] == "true"
    assert [each.name for each in kept.docker_image_layers] == [pushed.blobs[1].digest]
    for blob in pushed.blobs:
        assert world.origins(blob.digest) == [Origin(APP, insecure=True)]


def test_the_answer_has_the_stream_as_it_is_now(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    answer = world.create({"import": True, "images": [image(f"{APP}:1")]})
    assert answer["status"]["import"] == world.shown()
    assert answer["spec"]["images"][0]["to"] == {"name": "1"}


def test_who_only_looks_is_shown_the_image_and_nothing_is_written(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    answer = world.create({"import": False, "images": [image(f"{APP}:1", includeManifest=True)]})
    (found,) = answer["status"]["images"]
    assert found["image"]["metadata"]["name"] == pushed.digest
    assert found["image"]["dockerImageManifest"] == pushed.manifest.data.decode()
    assert found["image"]["dockerImageConfig"] == pushed.blobs[0].data.decode()
    assert "import" not in answer["status"]
    assert world.kept(pushed.digest) is None


def test_an_image_without_a_target_is_looked_at_and_written_nowhere(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    found = one(world, f"{APP}@{pushed.digest}")
    assert found["status"]["status"] == "Success"
    assert found["image"]["metadata"]["name"] == pushed.digest
    assert "tag" not in found
    assert world.kept(pushed.digest) is None
    assert world.shown()["spec"].get("tags") is None


def test_a_dry_run_shows_the_stream_as_it_would_be(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    answer = world.create({"import": True, "dryRun": True, "images": [image(f"{APP}:1")]})
    assert answer["status"]["import"]["status"]["tags"][0]["tag"] == "1"
    with pytest.raises(NotFound):
        world.shown()


def test_what_is_imported_again_unchanged_writes_nothing(world: ImportWorld) -> None:
    """Statement 5: one Image for two tags of one digest, and no write when nothing changed."""
    pushed = world.far.put(APP, small_image("a"), "1", "2")
    both = {"import": True, "images": [image(f"{APP}:1"), image(f"{APP}:2")]}
    world.create(dict(both))
    kept = world.kept(pushed.digest)
    revision = world.revision()
    world.now += 60
    world.create(dict(both))
    assert world.revision() == revision
    assert world.kept(pushed.digest) == kept
    check = world.run(lambda db: tag_checks.find(db, WEB, "1"))
    assert check is not None
    assert (check.checked_at, check.digest) == (world.now, pushed.digest)


def test_each_distinct_thing_is_fetched_once_for_all_that_want_it(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    world.create({"import": True, "images": [image(f"{APP}:1", "a"), image(f"{APP}:1", "b")]})
    assert world.far.asked[f"GET {APP}:1"] == 1
    assert {each["tag"] for each in world.shown()["status"]["tags"]} == {"a", "b"}


def test_one_image_that_fails_keeps_no_other_from_its_tag(world: ImportWorld) -> None:
    """Statement 16: the tag that failed has a condition and its old history."""
    old = world.far.put(APP, small_image("old"), "1", "2")
    both = {"import": True, "images": [image(f"{APP}:1"), image(f"{APP}:2")]}
    world.create(dict(both))
    new = world.far.put(APP, small_image("new"), "1")
    world.far.failing[f"{APP}:2"] = ContentMissing("gone")
    first, second = world.create(dict(both))["status"]["images"]
    assert first["status"]["status"] == "Success"
    assert second["status"] == {
        "metadata": {},
        "status": "Failure",
        "message": f'dockerimage.image.openshift.io "{APP}:2" not found',
        "reason": "NotFound",
        "details": {"name": f"{APP}:2", "group": "image.openshift.io", "kind": "dockerimage"},
        "code": 404,
    }
    assert "image" not in second
    assert [each["image"] for each in world.tag_status("1")["items"]] == [new.digest, old.digest]
    failed = world.tag_status("2")
    assert [each["image"] for each in failed["items"]] == [old.digest]
    (condition,) = failed["conditions"]
    assert condition == {
        "type": "ImportSuccess",
        "status": "False",
        "lastTransitionTime": "2026-09-21T14:13:20Z",
        "reason": "NotFound",
        "message": f'dockerimage.image.openshift.io "{APP}:2" not found',
        "generation": 2,
    }
    assert [world.tag_spec(tag)["generation"] for tag in "12"] == [2, 2]
    assert world.shown()["metadata"]["generation"] == 2


def test_a_tag_that_fails_is_made_to_show_how(world: ImportWorld) -> None:
    one(world, f"{APP}:none", "new")
    spec = world.tag_spec("new")
    assert spec["from"] == {"kind": "DockerImage", "name": f"{APP}:none"}
    assert spec["generation"] == 1
    status = world.tag_status("new")
    assert status["conditions"][0]["generation"] == 1
    assert not status.get("items")


def test_the_same_failure_again_writes_nothing_and_success_clears_it(world: ImportWorld) -> None:
    one(world, f"{APP}:1")
    revision = world.revision()
    world.now += 60
    one(world, f"{APP}:1")
    assert world.revision() == revision
    world.far.put(APP, small_image("a"), "1")
    one(world, f"{APP}:1")
    assert "conditions" not in world.tag_status("1")
    assert world.tag_spec("1")["generation"] == world.tag_status("1")["items"][0]["generation"]


def test_a_failure_is_said_again_once_the_tag_was_changed(world: ImportWorld) -> None:
    """Or it would be imported for ever: what is said is as of a generation."""

    def edit(stream: Stream) -> None:
        grow(stream)
        spec = stream.spec("1")
        assert spec is not None
        stream.want("1", msgspec.structs.replace(spec, generation=stream.generation))

    one(world, f"{APP}:1")
    world.change(edit)
    one(world, f"{APP}:1")
    said, wanted = world.tag_status("1")["conditions"], world.tag_spec("1")
    assert said[0]["generation"] == wanted["generation"] == 3


@pytest.mark.parametrize(
    ("error", "code", "reason", "message"),
    [
        (
            AccessDenied("x: denied", anonymous=True),
            401,
            "Unauthorized",
            (
                'you may not have access to the container image "far.example/team/app:1"'
                " and did not have credentials to the repository"
            ),
        ),
        (
            InsecureOnly("x: no TLS"),
            400,
            "BadRequest",
            (
                "the repository far.example/team/app is HTTP only and requires the insecure flag to"
                " import"
            ),
        ),
        (
            CertificateRefused("far.example: unknown authority"),
            500,
            "InternalError",
            "Internal error occurred: far.example/team/app:1: far.example: unknown authority",
        ),
        (
            NoRegistry("a web page"),
            403,
            "NotV2Registry",
            'endpoint "far.example" does not support v2 API',
        ),
        (
            RegistryBlocked("registry far.example blocked"),
            403,
            "Forbidden",
            (
                'dockerimage.image.openshift.io "far.example/team/app:1" is forbidden: registry'
                " far.example blocked"
            ),
        ),
        (
            AddressRefused("10.0.0.1 is no public address"),
            403,
            "Forbidden",
            (
                'dockerimage.image.openshift.io "far.example/team/app:1" is forbidden: 10.0.0.1'
                " is no public address"
            ),
        ),
        (
            RateLimited("far.example/team/app:1: wait", 37.0),
            500,
            "InternalError",
            (
                "Internal error occurred: far.example/team/app:1: toomanyrequests: far.example"
                " allows no more requests now"
            ),
        ),
        (
            Unavailable("far.example/team/app:1: status 503"),
            500,
            "InternalError",
            "Internal error occurred: far.example/team/app:1: status 503",
        ),
        (
            SourcesFailed([ContentMissing("mirror: no"), Unavailable("source: down")]),
            500,
            "InternalError",
            "Internal error occurred: far.example/team/app:1: mirror: no; source: down",
        ),
    ],
)
def test_each_failure_is_told_in_the_words_that_clients_know(
    world: ImportWorld, error: RemoteError, code: int, reason: str, message: str
) -> None:
    world.far.failing[f"{APP}:1"] = error
    status = one(world, f"{APP}:1")["status"]
    assert (status["code"], status["reason"], status["message"]) == (code, reason, message)
    (condition,) = world.tag_status("1")["conditions"]
    assert (condition["reason"], condition["message"]) == (reason, message)


def test_what_another_registry_says_is_cut_and_cleaned(world: ImportWorld) -> None:
    world.far.failing[f"{APP}:1"] = Unavailable("\x1b[31m" + "x" * 100_000)
    message = one(world, f"{APP}:1")["status"]["message"]
    assert message.isprintable()
    assert len(message) < 3000


@pytest.mark.parametrize("name", ["*", "quay.io"])
def test_what_names_no_image_is_not_found(world: ImportWorld, name: str) -> None:
    assert one(world, name)["status"]["reason"] == "NotFound"


def test_an_import_always_sets_its_policy_and_never_another_reference_policy(
    world: ImportWorld,
) -> None:
    world.far.put(APP, small_image("a"), "1")
    one(world, f"{APP}:1", referencePolicy={"type": "Local"})
    one(
        world,
        f"{APP}:1",
        importPolicy={"scheduled": True, "importMode": "Legacy"},
        referencePolicy={"type": "Source"},
    )
    spec = world.tag_spec("1")
    assert spec["importPolicy"] == {"scheduled": True, "importMode": "Legacy"}
    assert spec["referencePolicy"] == {"type": "Local"}
    assert spec["generation"] == 1  # nothing that makes it another tag
    assert world.shown()["metadata"]["generation"] == 2
    assert len(world.tag_status("1")["items"]) == 1


def test_a_tag_that_was_pushed_gets_what_it_comes_from(world: ImportWorld) -> None:
    world.stream()
    world.image("a")
    world.tag("1", "a")
    pushed = world.far.put(APP, small_image("a"), "1")
    one(world, f"{APP}:1")
    assert [each["image"][7:9] for each in world.tag_status("1")["items"]] == [
        pushed.digest[7:9],
        "aa",
    ]
    assert world.tag_spec("1")["generation"] == 2


def test_a_tag_that_follows_gets_the_imported_image_in_the_same_write(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    one(world, f"{APP}:1")

    def follow(stream: Stream) -> None:
        source = ObjectReference(kind="ImageStreamTag", name="1")
        stream.want("latest", TagReference(name="latest", from_=source, generation=1))

    world.change(follow)
    newer = world.far.put(APP, small_image("b"), "1")
    one(world, f"{APP}:1")
    assert [each["image"] for each in world.tag_status("latest")["items"]] == [newer.digest]
    assert world.pulled("latest") == newer.digest != pushed.digest


def test_legacy_takes_the_image_that_annotations_of_the_tag_prefer(world: ImportWorld) -> None:
    """Statement 15: also the digest of an index is imported, without asking what is preferred."""
    amd, arm = small_image("a", "amd64"), small_image("a", "arm64")
    multi = world.far.put(APP, index(amd, arm), "1")
    one(world, f"{APP}:1")
    own = world.tag_status("1")["items"][0]["image"]

    def prefer(stream: Stream) -> None:
        spec = stream.spec("1")
        assert spec is not None
        other = "amd64" if own == arm.digest else "arm64"
        annotations = {PREFER_ARCHITECTURE: other}
        stream.want("1", msgspec.structs.replace(spec, annotations=annotations))

    world.change(prefer)
    preferred = amd.digest if own == arm.digest else arm.digest
    one(world, f"{APP}:1")
    assert world.tag_status("1")["items"][0]["image"] == preferred
    assert one(world, f"{APP}@{multi.digest}", "1")["image"]["metadata"]["name"] == own
    assert world.kept(multi.digest) is None


def test_preserve_original_keeps_the_index_and_every_image_of_it(world: ImportWorld) -> None:
    """Statement 15: the children are Images of the stream, though in no history."""
    amd, arm = small_image("a", "amd64"), small_image("a", "arm64")
    multi = world.far.put(APP, index(amd, arm), "1")
    found = one(world, f"{APP}:1", importPolicy={"importMode": "PreserveOriginal"})
    assert found["image"]["metadata"]["name"] == multi.digest
    assert [each["metadata"]["name"] for each in found["manifests"]] == [amd.digest, arm.digest]
    kept = world.kept(multi.digest)
    assert kept is not None
    assert [each.digest for each in kept.docker_image_manifests] == [amd.digest, arm.digest]
    for child in (amd, arm):
        stored = world.kept(child.digest)
        assert stored is not None
        assert stored.docker_image_reference == f"{APP}@{child.digest}"
    (event,) = world.tag_status("1")["items"]
    assert event["image"] == multi.digest


def test_another_import_mode_imports_the_tag_anew(world: ImportWorld) -> None:
    """Statement 2: that makes it another tag, and being scheduled does not."""
    multi = world.far.put(APP, index(small_image("a"), small_image("a", "arm64")), "1")
    one(world, f"{APP}:1", importPolicy={"importMode": "PreserveOriginal"})
    one(world, f"{APP}:1", importPolicy={"importMode": "Legacy"})
    assert world.tag_spec("1")["generation"] == world.shown()["metadata"]["generation"] == 2
    assert [each["image"] for each in world.tag_status("1")["items"]][1] == multi.digest


def test_the_servers_import_mode_is_that_of_requests_that_say_none(world: ImportWorld) -> None:
    world.config.mode = "PreserveOriginal"
    multi = world.far.put(APP, index(small_image("a")), "1")
    assert one(world, f"{APP}:1")["image"]["metadata"]["name"] == multi.digest
    assert world.tag_spec("1")["importPolicy"] == {"importMode": "PreserveOriginal"}


# whole repositories


def test_a_whole_repository_is_imported_version_by_version(world: ImportWorld) -> None:
    """Statement 14, with the limit that there is."""
    tags = ["latest", *(f"1.{minor}" for minor in range(60))]
    pushed = small_image("a")
    for tag in reversed(tags):
        world.far.put(APP, pushed, tag)
    answer = world.create({"import": True, "repository": repository(APP)})
    whole = answer["status"]["repository"]
    assert whole["status"]["status"] == "Success"
    wanted = ["latest", *(f"1.{minor}" for minor in range(59, 10, -1))]
    assert [each["tag"] for each in whole["images"]] == wanted
    assert whole["additionalTags"] == [f"1.{minor}" for minor in range(10, -1, -1)]
    assert {each["tag"] for each in world.shown()["status"]["tags"]} == set(wanted)
    assert world.tag_spec("1.59")["from"]["name"] == f"{APP}:1.59"
    assert "images" not in answer["status"] or answer["status"]["images"] == []


def test_tags_of_a_repository_that_fail_are_counted_and_get_no_spec(world: ImportWorld) -> None:
    for tag in ("1.0", "2.0", "3.0"):
        world.far.put(APP, small_image("a"), tag)
    world.far.failing[f"{APP}:1.0"] = Unavailable("down")
    whole = world.create({"import": True, "repository": repository(APP)})["status"]["repository"]
    assert whole["status"]["reason"] == "ImportFailed"
    failed = "one of the images from this repository failed to import"
    assert whole["status"]["message"] == failed
    assert [each["name"] for each in world.shown()["spec"]["tags"]] == ["2.0", "3.0"]
    assert world.tag_status("1.0")["conditions"][0]["status"] == "False"
    world.far.failing[f"{APP}:2.0"] = Unavailable("down")
    whole = world.create({"import": True, "repository": repository(APP)})["status"]["repository"]
    assert whole["status"]["message"] == "2 of the images from this repository failed to import"


def test_a_repository_that_cannot_be_listed_says_why(world: ImportWorld) -> None:
    answer = world.create({"import": True, "repository": repository(APP)})
    status = answer["status"]["repository"]["status"]
    assert (status["reason"], status["code"]) == ("NotFound", 404)
    assert "far.example/team/app" in status["message"]


# what stands in the way


def limit(world: ImportWorld, **most: str) -> None:
    limits = [{"type": "openshift.io/ImageStream", "max": most}]
    world.document("limitranges", "shop", "limits", {"spec": {"limits": limits}})


def test_more_images_than_a_stream_may_have_are_refused_and_the_new_tags_say_so(
    world: ImportWorld,
) -> None:
    for tag in ("1", "2"):
        world.far.put(APP, small_image(tag), tag)
    one(world, f"{APP}:1")
    limit(world, **{"openshift.io/images": "1"})
    with pytest.raises(Invalid, match=r"exceeds the maximum limit per openshift\.io/ImageStream"):
        one(world, f"{APP}:2")
    stream = world.shown()
    assert [each["name"] for each in stream["spec"]["tags"]] == ["1"]
    (condition,) = world.tag_status("2")["conditions"]
    assert condition["reason"] == "Forbidden"
    assert "exceeds the maximum limit" in condition["message"]
    assert world.kept(small_image("2").digest) is None


def test_a_stream_beyond_the_quota_is_not_made(world: ImportWorld) -> None:
    hard = {"openshift.io/imagestreams": "0"}
    quota = {"metadata": {"name": "few", "namespace": "shop"}, "spec": {"hard": hard}}
    world.document("resourcequotas", "shop", "few", quota)
    world.far.put(APP, small_image("a"), "1")
    with pytest.raises(Forbidden, match="exceeded quota: few"):
        one(world, f"{APP}:1")
    assert world.kept(small_image("a").digest) is None


def test_a_project_that_ends_gets_nothing_more(world: ImportWorld) -> None:
    """What its end has removed would be there again."""
    world.far.put(APP, small_image("a"), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    ending = {"metadata": {"name": "shop", "deletionTimestamp": "2026-09-21T14:13:20Z"}}
    world.document("namespaces", "", "shop", ending)
    with pytest.raises(Forbidden, match="because it is being terminated"):
        one(world, f"{APP}:1")
    (result,) = world.again("1", urgency=Urgency.ASKED)
    assert not result.moved
    assert world.kept(small_image("a").digest) is None


def policy(world: ImportWorld, **spec: object) -> None:
    body = {"metadata": {"name": "releases", "namespace": "shop"}, "spec": spec}
    world.document("tagpolicies.tidegate.io", "shop", "releases", body)


def test_a_tag_that_is_not_named_as_the_project_wants_fails_alone(world: ImportWorld) -> None:
    """Nor is it made to say so: it may not be."""
    world.far.put(APP, small_image("a"), "1.0.0", "latest")
    policy(world, naming={"tags": {"semver": True}})
    names = ("1.0.0", "latest", "none")
    answer = world.create({"import": True, "images": [image(f"{APP}:{tag}") for tag in names]})
    statuses = [each["status"] for each in answer["status"]["images"]]
    assert [each.get("reason") for each in statuses] == [None, "Forbidden", "NotFound"]
    assert "releases" in statuses[1]["message"]
    assert [each["name"] for each in world.shown()["spec"]["tags"]] == ["1.0.0"]
    assert [each["tag"] for each in world.shown()["status"]["tags"]] == ["1.0.0"]


def test_an_image_without_what_the_project_wants_of_images_fails_alone(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    policy(world, required={"labels": ["owner"]})
    status = one(world, f"{APP}:1")["status"]
    assert status["reason"] == "Forbidden"
    assert "owner" in status["message"]
    assert world.kept(small_image("a").digest) is None


def test_many_tags_that_rules_refuse_are_told_at_once(world: ImportWorld) -> None:
    tags = [f"t{number}" for number in range(60)]
    world.far.put(APP, small_image("a"), "1.0.0", *tags)
    policy(world, naming={"tags": {"semver": True}})
    images = [image(f"{APP}:{tag}") for tag in (*tags, "1.0.0")]
    answer = world.create({"import": True, "images": images})
    reasons = [each["status"].get("reason") for each in answer["status"]["images"]]
    assert reasons == ["Forbidden"] * 60 + [None]


def test_an_immutable_tag_keeps_its_image_and_the_others_are_imported(world: ImportWorld) -> None:
    old = world.far.put(APP, small_image("old"), "1.0", "latest")
    both = {"import": True, "images": [image(f"{APP}:1.0"), image(f"{APP}:latest")]}
    world.create(dict(both))
    world.change(lambda stream: _keep_tags(stream, "1.0"))
    new = world.far.put(APP, small_image("new"), "1.0", "latest")
    first, second = world.create(dict(both))["status"]["images"]
    assert first["status"]["reason"] == "Forbidden"
    assert "tag 1.0 of shop/web is immutable" in first["status"]["message"]
    assert second["status"]["status"] == "Success"
    assert [each["image"] for each in world.tag_status("1.0")["items"]] == [old.digest]
    assert world.tag_status("1.0")["conditions"][0]["reason"] == "Forbidden"
    assert world.tag_status("latest")["items"][0]["image"] == new.digest


def _keep_tags(stream: Stream, pattern: str) -> None:
    stream.header.metadata.annotations["tidegate.io/immutable-tags"] = pattern
    stream.touch()


@pytest.mark.parametrize("name", ["x" * 129, "a\x07b", "v1.at-20260101T000000Z"])
def test_a_tag_that_cannot_be_fails_alone_and_is_not_made(world: ImportWorld, name: str) -> None:
    world.far.put(APP, small_image("a"), "1")
    images = [image(f"{APP}:1", name), image(f"{APP}:1", "good")]
    first, second = world.create({"import": True, "images": images})["status"]["images"]
    assert first["status"]["status"] == "Failure"
    assert second["status"]["status"] == "Success"
    assert [each["name"] for each in world.shown()["spec"]["tags"]] == ["good"]
    assert [each["tag"] for each in world.shown()["status"]["tags"]] == ["good"]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({}, "you must specify at least one image or a repository import"),
        ({"images": [{"from": {"kind": "X", "name": "a"}}]}, "only DockerImage is supported"),
        (
            {"images": [{**image("a"), "to": {"name": ""}}]},
            "the name of the target tag must be specified",
        ),
        ({"repository": image("a/b:c")}, "you must specify an image repository, not a tag or ID"),
        ({"images": [image("a")] * (IMAGES + 1)}, f"at most {IMAGES} images"),
    ],
)
def test_the_rules_of_a_request(world: ImportWorld, spec: Json, fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        world.create(dict(spec))
    assert not world.far.asked


def test_the_project_has_to_be_there(world: ImportWorld) -> None:
    with pytest.raises(NotFound, match=r'^namespaces "other" not found'):
        world.create({"images": [image("a")]}, namespace="other")


def test_a_version_or_uid_that_is_sent_is_that_of_the_stream(world: ImportWorld) -> None:
    spec = {"images": [image(f"{APP}:1")]}
    with pytest.raises(NotFound, match=r'^imagestreams.image.openshift.io "web" not found'):
        world.create(dict(spec), resourceVersion="1")
    with pytest.raises(NotFound, match=r'^imagestreams.image.openshift.io "web" not found'):
        world.create(dict(spec), uid="u")
    world.stream()
    current = world.revision()
    with pytest.raises(UpdateConflict) as refused:
        world.create(dict(spec), resourceVersion="1")
    assert str(refused.value) == (
        'Operation cannot be fulfilled on imagestream.image.openshift.io "web": '
        f'the image stream was updated from "1" to "{current}"'
    )
    with pytest.raises(NotFound, match="not found"):
        world.create(dict(spec), uid="another")
    world.create(dict(spec), resourceVersion=current, uid="uid-web")


def test_who_may_not_import_from_a_registry_is_refused_before_it_is_asked(
    world: ImportWorld,
) -> None:
    allowed = Allowed.of("quay.io", insecure=False)
    world.config.policy = ImportPolicy((allowed,), restricted=True)
    with pytest.raises(Invalid) as refused:
        one(world, f"{APP}:1")
    assert 'importing images from registry "far.example:443" is forbidden' in str(refused.value)
    assert "spec.images[0].from.name: Forbidden" in str(refused.value)
    with pytest.raises(Invalid, match=r"spec.repository.from.name: Forbidden"):
        world.create({"import": True, "repository": repository(APP)})
    assert not world.far.asked
    world.far.put(APP, small_image("a"), "1")
    spec = {"import": True, "images": [image(f"{APP}:1")]}
    world.create(spec, user="carl", rights=Rights(("carl", "create", "")))
    assert world.far.asked


# credentials and warnings


def secret(world: ImportWorld, password: str, **annotations: str) -> None:
    config = {"auths": {"far.example": {"username": "ann", "password": password}}}
    text = base64.b64encode(json.dumps(config).encode()).decode()
    body = {
        "metadata": {"name": "pull", "namespace": "shop", "annotations": annotations},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": text},
    }
    world.document("secrets", "shop", "pull", body)


def test_the_pull_secrets_of_the_project_are_used_and_those_kept_out_are_not(
    world: ImportWorld,
) -> None:
    world.far.put(APP, small_image("a"), "1")
    world.far.private.add("far.example")
    assert one(world, f"{APP}:1")["status"]["reason"] == "Unauthorized"
    secret(world, "open", **{"openshift.io/image.excludeSecret": "true"})
    assert one(world, f"{APP}:1")["status"]["reason"] == "Unauthorized"
    secret(world, "open")
    assert one(world, f"{APP}:1")["status"]["status"] == "Success"


def test_credentials_that_are_not_believed_are_left_away(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    world.far.put("public.example/x", small_image("a"), "1")
    world.far.private.add("far.example")
    secret(world, "wrong")
    message = one(world, f"{APP}:1")["status"]["message"]
    assert message == f'you may not have access to the container image "{APP}:1"'
    keys = [bool(keyring) for keyring, *_ in world.far.opened]
    assert keys == [True, False]


def test_what_is_in_this_registry_itself_is_tagged_and_not_imported(world: ImportWorld) -> None:
    for host in ("internal:5000", "registry.example.com"):
        found = one(world, f"{host}/shop/other:1", "1")
        assert found["status"]["reason"] == "Forbidden"
        assert "`oc tag shop/other:TAG`" in found["status"]["message"]
    answer = world.create({"repository": repository("internal:5000/shop/other")})
    assert answer["status"]["repository"]["status"]["reason"] == "Forbidden"
    assert not world.far.asked


def test_imports_of_a_process_hold_no_more_bytes_than_they_may(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    size = len(pushed.manifest.data) + len(pushed.blobs[0].data)
    pool = Pool(size)

    def look(looking: Looking) -> Outcome:
        (found,) = run(looking.all([Wanted(f"{APP}:1")]))
        return found

    caller = Caller(urgency=Urgency.ASKED)
    with Looking(cast("Gateway", world.far), caller, pool) as first:
        assert look(first).fetched is not None
        with Looking(cast("Gateway", world.far), caller, pool) as second:
            busy = look(second)
            assert busy.later is not None
            assert "other imports take all the room" in busy.status.message
    assert pool.left == size
    with Looking(cast("Gateway", world.far), caller, pool) as third:
        assert look(third).fetched is not None


def test_who_imports_from_docker_hub_without_credentials_is_warned(world: ImportWorld) -> None:
    world.far.put("docker.io/library/busybox", small_image("a"), "1")
    world.far.put(APP, small_image("a"), "1")
    found = one(world, "busybox:1")
    assert world.warnings == [HUB_WARNING]
    assert found["image"]["dockerImageReference"].startswith("busybox@sha256:")  # as written
    one(world, f"{APP}:1")
    assert world.warnings == []
    world.far.mirror = Location("mirror.example", "busybox")
    one(world, "busybox:1")
    assert world.warnings == []
    assert world.audit.events[-1].detail.endswith(" by mirror.example/busybox")


# what is about images


def test_signatures_and_referrers_come_along(world: ImportWorld) -> None:
    signed = world.far.put(APP, small_image("signed"), "1")
    tag = signed.digest.replace(":", "-") + ".sig"
    signature = world.far.put(APP, artifact("application/x.sig", b"sig"), tag)
    bill = world.far.put(APP, artifact("application/spdx+json", b"bill", signed))
    world.far.signing[signed.digest] = [b"simple"]
    one(world, f"{APP}:1")
    assert world.pulled(tag) == signature.digest
    listed = world.run(lambda db: manifests.referrers(db, WEB, Digest(signed.digest), None, "", 10))
    assert [each.digest for each in listed] == [bill.digest]
    kept = world.kept(signed.digest)
    assert kept is not None
    (simple,) = kept.signatures
    assert simple.metadata.name == f"{signed.digest}@{hashlib.sha256(b'simple').hexdigest()}"
    assert simple.type == "AtomicImageV1"
    for about in (signature, bill):
        assert world.kept(about.digest) is not None
    revision = world.revision()
    one(world, f"{APP}:1")
    assert world.revision() == revision


def test_a_signature_that_was_made_here_stays_in_force(world: ImportWorld) -> None:
    signed = world.far.put(APP, small_image("signed"), "1")
    tag = signed.digest.replace(":", "-") + ".sig"
    theirs = world.far.put(APP, artifact("application/x.sig", b"theirs"), tag)
    one(world, f"{APP}:1")
    assert world.pulled(tag) == theirs.digest
    newer = world.far.put(APP, artifact("application/x.sig", b"theirs, newer"), tag)
    one(world, f"{APP}:1")
    assert world.pulled(tag) == newer.digest
    world.manifest("a")
    world.tag(tag, "a")
    world.far.put(APP, artifact("application/x.sig", b"theirs, newest"), tag)
    one(world, f"{APP}:1")
    assert world.pulled(tag) == "sha256:" + "a" * 64


def test_simple_signatures_are_those_of_the_registry_where_the_image_was_found_first(
    world: ImportWorld,
) -> None:
    """All projects share an Image: nobody else may fill it with what is no signature."""
    signed = small_image("signed")
    world.far.put(APP, signed, "1")
    world.far.put("mallory.example/app", signed, "1")
    one(world, f"{APP}:1")
    world.far.signing[signed.digest] = [b"junk"]
    one(world, "mallory.example/app:1", "other")
    kept = world.kept(signed.digest)
    assert kept is not None
    assert kept.signatures == []
    one(world, f"{APP}:1")
    kept = world.kept(signed.digest)
    assert kept is not None
    assert len(kept.signatures) == 1


def test_what_is_about_an_image_is_left_out_where_there_is_no_room_for_it(
    world: ImportWorld,
) -> None:
    signed = world.far.put(APP, small_image("signed"), "1")
    tag = signed.digest.replace(":", "-") + ".sig"
    world.far.put(APP, artifact("application/x.sig", b"sig"), tag)
    limit(world, **{"openshift.io/images": "1"})
    assert one(world, f"{APP}:1")["status"]["status"] == "Success"
    assert world.pulled("1") == signed.digest
    assert world.pulled(tag) is None


def test_a_promoted_import_takes_along_where_its_blobs_are(world: ImportWorld) -> None:
    """The pull spec of another registry stays as it is (statement 8)."""
    multi = world.far.put(APP, index(small_image("a"), small_image("a", "arm64")), "1")
    one(world, f"{APP}:1", importPolicy={"importMode": "PreserveOriginal"})
    prod = RepositoryName("shop/prod")
    world.stream(prod)

    def promote(tx: Transaction) -> None:
        stream = Stream.open(tx, prod)
        assert stream is not None
        source = ObjectReference(kind="ImageStreamImage", name=f"web@{multi.digest}")
        spec = TagReference(name="1", from_=source, generation=1)
        resolve(stream, "1", spec, Actor("ann", "tag", world.now), ())
        stream.save()

    world.write(promote)
    (tag,) = world.shown(prod)["status"]["tags"]
    assert tag["items"][0]["dockerImageReference"] == f"{APP}@{multi.digest}"
    assert world.origins(small_image("a", "arm64").blobs[1].digest, prod) == [Origin(APP)]


def test_an_image_that_is_pushed_later_becomes_managed_and_loses_nothing(
    world: ImportWorld,
) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    world.far.signing[pushed.digest] = [b"simple"]
    one(world, f"{APP}:1")
    before = world.kept(pushed.digest)
    assert before is not None
    bare = image_of(pushed.digest, pushed.manifest.media_type, pushed.manifest.data, None, "/x/y@z")
    bare.metadata.uid = "another"
    world.write(lambda tx: pushes.keep_image(tx, Digest(pushed.digest), bare))
    after = world.kept(pushed.digest)
    assert after is not None
    assert after.metadata.annotations[MANAGED] == "true"
    assert after.metadata.uid == before.metadata.uid
    assert after.docker_image_metadata == before.docker_image_metadata
    assert after.signatures == before.signatures
    one(world, f"{APP}:1")
    again = world.kept(pushed.digest)
    assert again is not None
    assert again.metadata.annotations[MANAGED] == "true"


def test_an_upstream_that_lies_about_the_size_of_a_blob_that_is_here_fails(
    world: ImportWorld,
) -> None:
    world.stream()
    blob = layer({"a": b"b"})
    digest = Digest(blob.digest)
    world.write(lambda tx: links.link(tx, WEB, digest, len(blob.data), 1.0))
    honest = layered(blob)
    document = json.loads(honest.manifest.data)
    document["layers"][0]["size"] = wrong = len(blob.data) + 4
    text = json.dumps(document).encode()
    lying = Pushable(Content(text, honest.manifest.media_type), honest.blobs)
    world.far.put(APP, lying, "1")
    world.far.put(APP, honest, "2")
    found = one(world, f"{APP}:1")
    assert f"{wrong} bytes, it has {len(blob.data)}" in found["status"]["message"]
    assert world.kept(lying.digest) is None
    assert one(world, f"{APP}:2")["status"]["status"] == "Success"


def test_an_import_is_an_event_of_the_audit_log(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    world.create({"import": True, "images": [image(f"{APP}:1"), image(f"{APP}:none", "n")]})
    first, second = world.audit.events
    assert (first.action, first.user, first.source, first.status) == (
        "import",
        "ann",
        "192.0.2.7",
        200,
    )
    assert (first.repository, first.reference, first.digest) == ("shop/web", "1", pushed.digest)
    assert first.detail == f"from {APP}@{pushed.digest}"
    assert (second.reference, second.digest, second.status) == ("n", "", 404)


# without a client


def test_a_tag_is_imported_as_its_spec_says(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    (result,) = world.again("1", "none", urgency=Urgency.ASKED)
    assert result == TagResult("1", "far.example", moved=True, digest=pushed.digest)
    assert world.pulled("1") == pushed.digest
    assert world.far.opened[0][2] == Urgency.ASKED


def _want(stream: Stream, tag: str, source: str, **more: object) -> None:
    grow(stream)
    origin = ObjectReference(kind="DockerImage", name=source)
    policy = TagImportPolicy(import_mode="Legacy", scheduled=True)
    spec = TagReference(
        name=tag,
        from_=origin,
        generation=stream.generation,
        import_policy=policy,
        reference_policy=TagReferencePolicy(type="Source"),
    )
    stream.want(tag, msgspec.structs.replace(spec, **more))


def test_a_scheduled_look_at_what_is_unchanged_asks_for_the_digest_alone(
    world: ImportWorld,
) -> None:
    pushed = world.far.put(APP, index(small_image("a"), small_image("a", "arm64")), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    world.again("1")
    world.far.asked.clear()
    revision = world.revision()
    world.now += 900
    (result,) = world.again("1")
    assert result == TagResult("1", "far.example", digest=pushed.digest)
    assert world.far.asked == {f"HEAD {APP}:1": 1}
    assert world.revision() == revision
    check = world.run(lambda db: tag_checks.find(db, WEB, "1"))
    assert check is not None
    assert check.checked_at == world.now
    newer = world.far.put(APP, small_image("b"), "1")
    (result,) = world.again("1")
    assert result.moved
    assert world.pulled("1") == newer.digest
    assert world.audit.events[-1].digest == newer.digest
    assert len(world.audit.events) == 2


def test_a_scheduled_look_takes_note_of_another_preference(world: ImportWorld) -> None:
    amd, arm = small_image("a", "amd64"), small_image("a", "arm64")
    world.far.put(APP, index(amd, arm), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    world.again("1")
    other = "amd64" if world.pulled("1") == arm.digest else "arm64"
    annotations = {PREFER_ARCHITECTURE: other}
    world.change(lambda stream: _want(stream, "1", f"{APP}:1", annotations=annotations))
    world.again("1")
    assert world.pulled("1") == (amd if other == "amd64" else arm).digest


def test_an_image_by_its_digest_is_never_looked_at_again(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}@{pushed.digest}"))
    world.again("1")
    world.far.asked.clear()
    (result,) = world.again("1")
    assert result.digest == pushed.digest
    assert not world.far.asked


def test_a_registry_that_allows_no_more_now_fails_no_scheduled_tag(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    world.again("1")
    world.far.failing[APP] = RateLimited("not now", 37.0)
    revision = world.revision()
    (result,) = world.again("1")
    assert (result.later, result.reason) == (37.0, "InternalError")
    assert world.revision() == revision
    assert "conditions" not in world.tag_status("1")
    (result,) = world.again("1", urgency=Urgency.ASKED)
    assert result.later == 37.0
    assert "toomanyrequests" in world.tag_status("1")["conditions"][0]["message"]


def test_a_registry_that_is_left_alone_fails_no_scheduled_tag(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    world.again("1")
    alone = LeftAlone("it failed again and again", 41.0)
    world.far.failing[APP] = SourcesFailed([Unavailable("no mirror"), alone])
    revision = world.revision()
    (result,) = world.again("1")
    assert result.later == 41.0
    assert world.revision() == revision


def test_what_may_not_be_imported_any_more_is_not_looked_at(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    world.again("1")
    world.far.asked.clear()
    world.config.policy = ImportPolicy((Allowed.of("quay.io", insecure=False),), restricted=True)
    for urgency in (Urgency.BACKGROUND, Urgency.ASKED):
        (result,) = world.again("1", urgency=urgency)
        assert result.reason == "Forbidden"
        assert 'importing images from registry "far.example:443" is forbidden' in result.error
    assert not world.far.asked
    revision = world.revision()
    world.again("1")
    assert world.revision() == revision
    (condition,) = world.tag_status("1")["conditions"]
    assert condition["message"] == result.error


def test_a_scheduled_tag_that_fails_alike_is_written_and_told_once(world: ImportWorld) -> None:
    """Statement 4."""
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    (result,) = world.again("1")
    assert (result.reason, result.registry) == ("NotFound", "far.example")
    revision = world.revision()
    world.now += 900
    world.again("1")
    assert world.revision() == revision
    assert len(world.audit.events) == 1


def test_a_tag_that_was_changed_while_it_was_looked_for_is_left_alone(world: ImportWorld) -> None:
    pushed = world.far.put(APP, small_image("a"), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))

    async def work(db: Database) -> list[TagResult]:
        imports = TagImports(world.importer(db))
        with await world.importer(db).looking("shop", Urgency.ASKED) as looking:
            found = await imports._of_tags(WEB, ["1"])
            await db.write(change)
            return await imports._import(WEB, found, looking, "system:x")

    def change(tx: Transaction) -> None:
        stream = Stream.open(tx, WEB)
        assert stream is not None
        _want(stream, "1", "other.example/x:1")
        stream.save()

    (result,) = world.run(work)
    assert not result.moved
    assert world.kept(pushed.digest) is None
    assert world.tag_spec("1")["from"]["name"] == "other.example/x:1"
    assert world.shown()["status"].get("tags") is None


def test_a_limit_fails_the_tags_of_who_is_no_client(world: ImportWorld) -> None:
    world.far.put(APP, small_image("a"), "1")
    world.stream()
    world.change(lambda stream: _want(stream, "1", f"{APP}:1"))
    limit(world, **{"openshift.io/images": "0"})
    (result,) = world.again("1", urgency=Urgency.ASKED)
    assert result.reason == "Forbidden"
    condition = world.tag_status("1")["conditions"][0]
    assert "exceeds the maximum limit" in condition["message"]
    assert condition["generation"] >= world.tag_spec("1")["generation"]


def test_the_repository_of_a_stream_is_imported_without_tags_that_come_from_elsewhere(
    world: ImportWorld,
) -> None:
    for tag in ("1", "2"):
        world.far.put(APP, small_image(tag), tag)
    other = world.far.put("other.example/x", small_image("other"), "1")
    world.stream()

    def spec(stream: Stream) -> None:
        stream.header.spec.docker_image_repository = APP
        _want(stream, "1", "other.example/x:1")

    world.change(spec)
    results = world.whole("1")
    assert [(each.tag, each.registry, each.moved) for each in results] == [
        ("1", "other.example", True),
        ("2", "far.example", True),
    ]
    assert world.pulled("1") == other.digest
    assert world.tag_spec("2")["from"]["name"] == f"{APP}:2"
    assert [each.moved for each in world.whole("1")] == [False, False]


def test_a_stream_of_which_nothing_is_to_be_imported_is_marked_as_seen(world: ImportWorld) -> None:
    world.stream()
    assert world.whole() == []
    assert REPOSITORY_CHECK in world.shown()["metadata"]["annotations"]
    revision = world.revision()
    world.whole()
    assert world.revision() == revision


def test_a_repository_that_cannot_be_listed_is_told_of(world: ImportWorld) -> None:
    world.stream()

    def spec(stream: Stream) -> None:
        stream.header.spec.docker_image_repository = APP
        stream.touch()

    world.change(spec)
    (result,) = world.whole()
    assert (result.tag, result.registry, result.reason) == ("", "far.example", "NotFound")
    assert REPOSITORY_CHECK in world.shown()["metadata"]["annotations"]
