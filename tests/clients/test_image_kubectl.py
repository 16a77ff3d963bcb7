"""kubectl, Debian's 1.20 and the newest, against streams, tags and images that were pushed.

What every kind does alike (get, describe, apply, patch, edit, watch, wait of streams and images)
is in `test_kubectl`; here is what only these kinds have, and what of them kubectl cannot do.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.clients.conftest import Registry
from tests.clients.test_kubectl import Running, is_newest
from tests.images import index, small_image
from tests.registry_client import RegistryClient
from tests.server import PASSWORD, USERNAME, wait_until
from tests.tools import Outcome, Program

IMAGE = "image.openshift.io"
BUSYBOX = {"kind": "DockerImage", "name": "docker.io/library/busybox:1"}


class Place(NamedTuple):
    """A namespace whose stream `web` had two images pushed to it as `v1`, the newer first."""

    kubectl: Program
    namespace: str
    registry: RegistryClient
    digests: tuple[str, ...]

    def __call__(self, *words: str | Path) -> str:
        return self.kubectl(*words, "--namespace", self.namespace)

    def attempt(self, *words: str | Path) -> Outcome:
        return self.kubectl.attempt(*words, "--namespace", self.namespace)

    def refused(self, *words: str | Path) -> str:
        """What kubectl says to something that must fail."""
        outcome = self.attempt(*words)
        assert outcome.code == 1, str(outcome)
        return outcome.stderr

    def read(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *words, "--output", "json"))
        return found

    def push(self, mark: str, tag: str) -> str:
        image = small_image(f"{self.namespace} {mark}")
        self.registry.push(f"{self.namespace}/web", image, tag)
        return image.digest


@pytest.fixture
def place(kubectl: Program, namespace: str, api: RegistryClient) -> Place:
    made = Place(kubectl, namespace, api, ())
    older, newer = (made.push(mark, "v1") for mark in ("older", "newer"))
    return made._replace(digests=(newer, older))


def manifest(directory: Path, document: dict[str, Any]) -> Path:
    path = directory / f"{document['kind'].lower()}.json"
    path.write_text(json.dumps({"apiVersion": f"{IMAGE}/v1", **document}))
    return path


def stream(*tags: dict[str, Any], name: str = "web") -> dict[str, Any]:
    return {"kind": "ImageStream", "metadata": {"name": name}, "spec": {"tags": list(tags)}}


def stream_tag(tag: str, origin: dict[str, str], **more: Any) -> dict[str, Any]:
    wanted = {"name": tag, "from": origin, **more}
    return {"kind": "ImageStreamTag", "metadata": {"name": f"web:{tag}"}, "tag": wanted}


def test_the_kinds_are_discovered_with_their_short_names_and_verbs(place: Place) -> None:
    lines = place.kubectl(
        "api-resources", "--api-group", IMAGE, "--output", "wide", "--no-headers"
    ).splitlines()  # fmt: skip
    kinds = {words[0]: words[1:] for words in (line.split() for line in lines)}
    shorts = {"imagestreams": "is", "imagestreamtags": "istag", "imagetags": "itag"}
    for resource, short in {**shorts, "imagestreamimages": "isimage"}.items():
        assert kinds[resource][0] == short
    verbs = {line.split()[0]: {*line.replace("[", " ").replace("]", " ").replace(",", " ").split()}
             for line in lines}  # fmt: skip
    for resource in ("images", "imagestreams"):
        assert {"watch", "deletecollection", "patch"} <= verbs[resource]
    for resource in ("imagestreamtags", "imagetags"):
        assert {"get", "list", "create", "update", "patch", "delete"} <= verbs[resource]
        assert "watch" not in verbs[resource]
    assert "imagestream.image.openshift.io/web" in place("get", "all", "--output", "name")


def test_tables_show_what_the_original_shows(place: Place) -> None:
    newer, older = place.digests

    def table(*words: str) -> list[str]:
        head, *rows = place("get", *words).splitlines()
        return [" ".join(head.split()), *(" ".join(row.split()) for row in rows)]

    head, row = table("is")
    assert head == "NAME IMAGE REPOSITORY TAGS UPDATED"
    name, repository, tags, *_, ago = row.split()
    assert (name, tags, ago) == ("web", "v1", "ago")
    assert repository.endswith(f"/{place.namespace}/web")
    head, row = table("istag", "--output", "wide")
    assert head == "NAME IMAGE REFERENCE UPDATED IMAGE NAME"
    assert row.startswith(f"web:v1 {repository}@{newer} ")
    assert row.endswith(f" ago {newer}")
    head, row = table("istag", "web:v1")
    assert head == "NAME IMAGE REFERENCE UPDATED"
    head, row = table("itag")
    assert head == "NAME SPEC STATUS HISTORY UPDATED"
    assert row.startswith(f"web:v1 Push image/{newer} 2 ")
    head, row = table("isimage", f"web@{older}", "--output", "wide")
    assert head == "NAME UPDATED IMAGE REFERENCE IMAGE NAME"
    assert row.endswith(f"{repository}@{older} {older}")
    head, row = table("image", newer)
    assert (head, row) == ("NAME IMAGE REFERENCE", f"{newer} {repository}@{newer}")
    everywhere = place.kubectl("get", "istag", "--all-namespaces").splitlines()
    assert any(line.split()[:2] == [place.namespace, "web:v1"] for line in everywhere)


def test_tags_and_images_are_described(place: Place) -> None:
    newer, older = place.digests
    described = place("describe", "istag", "web:v1")
    for text in ("Name:         web:v1", newer, "Docker Image Metadata:", "Architecture:  amd64"):
        assert text in described
    assert older in place("describe", "itag", "web:v1")
    assert older in place("describe", "isimage", f"web@{older.removeprefix('sha256:')[:12]}")
    assert "Docker Image Layers:" in place("describe", "image", newer)
    stream_ = place("describe", "is", "web")
    assert stream_.index(newer) < stream_.index(older)


def test_what_is_not_listed_or_watched_says_so(place: Place) -> None:
    refused = "the server does not allow this method on the requested resource"
    assert refused in place.refused("get", "isimage")
    assert refused in place.refused("get", "istag", "--watch")
    assert refused in place.refused("get", "imagestreammappings")
    assert "must be retrieved with" in place.refused("get", "istag", "web")
    assert "not found" in place.refused("get", "istag", "web:none")


def test_19_a_watch_of_a_stream_prints_it_and_then_its_change(place: Place, tmp_path: Path) -> None:
    output = tmp_path / "watch"
    words = ("get", "is", "web", "--watch", "--no-headers", "--namespace", place.namespace)
    with Running(place.kubectl, output, *words):
        wait_until(lambda: "web" in output.read_text(), what="the stream as it is")
        place.push("newest", "v2")
        wait_until(lambda: "v2" in output.read_text(), what="the change")
    first, second = output.read_text().splitlines()
    assert first.split()[2] == "v1"
    assert {*second.split()[2].split(",")} == {"v1", "v2"}


def test_a_tag_is_made_changed_and_deleted(place: Place, tmp_path: Path) -> None:
    newer, older = place.digests
    image_of = {"kind": "ImageStreamImage", "name": f"web@{older}"}
    made = manifest(tmp_path, stream_tag("stable", image_of))
    assert "imagestreamtag.image.openshift.io/web:stable created" in place("create", "-f", made)
    assert "AlreadyExists" in place.refused("create", "-f", made)
    assert place.read("istag", "web:stable")["image"]["metadata"]["name"] == older

    place("annotate", "istag", "web:stable", "note=hello")
    merge = '{"metadata":{"annotations":{"merged":"yes"}}}'
    place("patch", "istag", "web:stable", "--type", "merge", "--patch", merge)
    operations = f'[{{"op":"replace","path":"/tag/from/name","value":"web@{newer}"}}]'
    place("patch", "istag", "web:stable", "--type", "json", "--patch", operations)
    found = place.read("istag", "web:stable")
    assert found["metadata"]["annotations"] == {"note": "hello", "merged": "yes"}
    assert found["image"]["metadata"]["name"] == newer
    tags = place.read("is", "web")["spec"]["tags"]
    assert [each["annotations"] for each in tags] == [{"note": "hello", "merged": "yes"}]
    refused = place.refused("label", "istag", "web:stable", "colour=blue")
    assert "may not update fields other than metadata.annotations" in refused
    # what was only pushed has nothing that annotations could be kept with
    assert "is not a spec tag" in place.refused("annotate", "istag", "web:v1", "note=hello")

    assert "deleted" in place("delete", "istag", "web:stable")
    assert "NotFound" in place.refused("get", "itag", "web:stable")
    assert place.read("image", newer)["metadata"]["name"] == newer


def test_an_image_tag_is_made_edited_and_deleted(place: Place, tmp_path: Path) -> None:
    spec = {"name": "ref", "from": BUSYBOX, "reference": True}
    document = {"kind": "ImageTag", "metadata": {"name": "web:ref"}, "spec": spec}
    assert "created" in place("create", "-f", manifest(tmp_path, document))
    assert place("get", "itag", "web:ref", "--no-headers").split()[1] == "Ref"
    assert "NotFound" in place.refused("get", "istag", "web:ref")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nexec sed -i "s/ name: .*busybox:1/&.36/" "$1"\n')
    editor.chmod(0o755)
    kubectl = Program(place.kubectl.path, {**place.kubectl.environment, "EDITOR": str(editor)})
    place._replace(kubectl=kubectl)("edit", "itag", "web:ref")
    found = place.read("itag", "web:ref")
    assert found["spec"]["from"]["name"] == "docker.io/library/busybox:1.36"
    references = [each["dockerImageReference"] for each in found["status"]["items"]]
    assert references == ["docker.io/library/busybox:1.36", "docker.io/library/busybox:1"]
    assert "deleted" in place("delete", "itag", "web:ref")


def test_a_tag_is_applied_by_client_and_server(place: Place, tmp_path: Path) -> None:
    newer, older = ({"kind": "ImageStreamImage", "name": f"web@{each}"} for each in place.digests)
    made = manifest(tmp_path, stream_tag("applied", older))
    assert "created" in place("apply", "-f", made)
    version = place.read("istag", "web:applied")["metadata"]["resourceVersion"]
    assert "unchanged" in place("apply", "-f", made)
    assert place.read("istag", "web:applied")["metadata"]["resourceVersion"] == version
    moved = manifest(tmp_path, stream_tag("applied", newer))
    assert "configured" in place("apply", "-f", moved)
    found = place.read("istag", "web:applied")
    assert found["image"]["metadata"]["name"] == place.digests[0]
    assert "applied" in place("apply", "-f", made)

    made = manifest(tmp_path, stream_tag("by-server", older))
    assert "serverside-applied" in place("apply", "--server-side", "-f", made)
    version = place.read("istag", "web:by-server")["metadata"]["resourceVersion"]
    assert "serverside-applied" in place("apply", "--server-side", "-f", made)
    assert place.read("istag", "web:by-server")["metadata"]["resourceVersion"] == version


def test_a_reference_is_applied_by_the_server_or_within_its_stream(
    place: Place, tmp_path: Path
) -> None:
    """What a client cannot read it creates again, and an image tag keeps no annotations for it."""
    stream_ref = manifest(tmp_path, stream_tag("first", BUSYBOX, reference=True))
    assert "created" in place("apply", "-f", stream_ref)
    assert "AlreadyExists" in place.refused("apply", "-f", stream_ref)
    spec = {"name": "second", "from": BUSYBOX, "reference": True}
    document = {"kind": "ImageTag", "metadata": {"name": "web:second"}, "spec": spec}
    image_tag = manifest(tmp_path, document)
    assert "created" in place("apply", "-f", image_tag)
    assert "may not update fields other than spec" in place.refused("apply", "-f", image_tag)

    words = ("apply", "--server-side", "--force-conflicts", "-f", image_tag)
    assert "serverside-applied" in place(*words)
    manifest(tmp_path, {**document, "spec": {**spec, "from": {**BUSYBOX, "name": "other/x:1"}}})
    assert "serverside-applied" in place(*words)
    assert place.read("itag", "web:second")["spec"]["from"]["name"] == "other/x:1"


def test_tags_of_a_stream_are_applied_and_pushed_ones_stay(place: Place, tmp_path: Path) -> None:
    """kubectl 1.20 knows no merge keys of these kinds and sends whole lists; the newest, a part."""
    one, two = ({"name": f"ref{n}", "from": BUSYBOX, "reference": True} for n in (1, 2))

    def apply(*tags: dict[str, Any]) -> list[str]:
        place("apply", "-f", manifest(tmp_path, stream(*tags, name="other")))
        wanted = place.read("is", "other")["spec"].get("tags", ())
        return [each["name"] for each in wanted]

    assert apply(one, two) == ["ref1", "ref2"]
    before = place.read("is", "other")
    assert apply(one, two) == ["ref1", "ref2"]
    assert (
        place.read("is", "other")["metadata"]["resourceVersion"]
        == (before["metadata"]["resourceVersion"])
    )
    assert apply(two) == ["ref2"]
    after = place.read("is", "other")
    assert after["spec"]["tags"] == before["spec"]["tags"][1:]
    assert [each["tag"] for each in after["status"]["tags"]] == ["ref1", "ref2"]

    applied = manifest(tmp_path, stream(one))
    words = ("apply", "--server-side", "--field-manager", "gitops", "-f", applied)
    assert "serverside-applied" in place(*words)
    found = place.read("is", "web")
    assert [each["name"] for each in found["spec"]["tags"]] == ["ref1"]
    assert {each["tag"] for each in found["status"]["tags"]} == {"ref1", "v1"}
    applied = manifest(tmp_path, stream())
    place(*words)
    assert "tags" not in place.read("is", "web")["spec"]


def test_tags_of_a_stream_are_patched_in_three_ways(place: Place) -> None:
    def patch(form: str, document: Any) -> list[str]:
        place("patch", "is", "web", "--type", form, "--patch", json.dumps(document))
        return [each["name"] for each in place.read("is", "web")["spec"].get("tags", ())]

    def tag(name: str) -> dict[str, Any]:
        return {"name": name, "from": BUSYBOX, "reference": True}

    assert patch("merge", {"spec": {"tags": [tag("a")]}}) == ["a"]
    assert patch("strategic", {"spec": {"tags": [tag("b")]}}) == ["a", "b"]
    gone = {"spec": {"tags": [{"name": "a", "$patch": "delete"}]}}
    assert patch("strategic", gone) == ["b"]
    assert patch("json", [{"op": "add", "path": "/spec/tags/-", "value": tag("c")}]) == ["b", "c"]
    assert patch("merge", {"spec": {"tags": None}}) == []


def test_a_mapping_and_an_import_are_created(place: Place, tmp_path: Path) -> None:
    image = small_image(f"{place.namespace} mapped")
    place.registry.push(f"{place.namespace}/web", image)
    document = {
        "kind": "ImageStreamMapping",
        "metadata": {"name": "web"},
        "tag": "mapped",
        "image": {
            "metadata": {"name": image.digest},
            "dockerImageManifest": image.manifest.data.decode(),
        },
    }
    place("create", "-f", manifest(tmp_path, document), "--output", "yaml")
    assert place.read("istag", "web:mapped")["image"]["metadata"]["name"] == image.digest
    imported = {
        "kind": "ImageStreamImport",
        "metadata": {"name": "web"},
        "spec": {"import": False, "images": [{"from": BUSYBOX}]},
    }
    shown = place("create", "-f", manifest(tmp_path, imported), "--output", "json")
    (answered,) = json.loads(shown)["status"]["images"]
    assert answered["tag"] == "1"


def test_a_signature_is_created_and_deleted(place: Place, tmp_path: Path) -> None:
    name = f"{place.digests[0]}@by-hand"
    document = {
        "kind": "ImageSignature",
        "metadata": {"name": name},
        "type": "AtomicImageV1",
        "content": "AA==",
    }
    assert "created" in place("create", "-f", manifest(tmp_path, document))
    image = place.read("image", place.digests[0])
    assert [each["metadata"]["name"] for each in image["signatures"]] == [name]
    assert "deleted" in place("delete", "imagesignature", name, "--wait=false")
    assert "signatures" not in place.read("image", place.digests[0])


def test_children_of_an_index_are_images_of_the_stream(place: Place) -> None:
    children = [small_image(f"{place.namespace} {each}", architecture=each)
                for each in ("amd64", "arm64")]  # fmt: skip
    both = index(*children)
    place.registry.push(f"{place.namespace}/web", both, "multi")
    found = place.read("istag", "web:multi")["image"]["dockerImageManifests"]
    assert [each["digest"] for each in found] == [each.digest for each in children]
    for child in children:
        assert child.digest in place("get", "isimage", f"web@{child.digest}", "-o", "wide")


def test_a_delete_of_a_stream_waits_until_it_has_gone(place: Place, tmp_path: Path) -> None:
    """A finalizer keeps it, so that kubectl has something to wait for."""

    def keep(*finalizers: str) -> None:
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        place("patch", "is", "web", "--type", "merge", "--patch", patch)

    keep("example.com/hold")
    output = tmp_path / "deleting"
    words = ("delete", "is", "web", "--namespace", place.namespace)
    with Running(place.kubectl, output, *words) as deleting:
        wait_until(lambda: "deleted" in output.read_text(), what="the answer to the delete")
        assert place.read("is", "web")["metadata"]["deletionTimestamp"]
        assert deleting.poll() is None
        keep()
        assert deleting.wait(60) == 0, output.read_text()
    assert "NotFound" in place.refused("get", "is", "web")
    assert "No resources found" in place.attempt("get", "istag").stderr
    # the image is nobody's now, and still there
    assert place.digests[0] in place.kubectl("get", "image", place.digests[0])


def test_a_stream_is_waited_for_by_a_value(place: Place) -> None:
    words = ("wait", "--for=jsonpath={.status.tags[0].tag}=v1", "--timeout=30s", "is/web")
    if is_newest(place.kubectl):
        assert "condition met" in place(*words)
    else:
        assert "unrecognized condition" in place.refused(*words)


def test_fields_are_explained(place: Place) -> None:
    for path, text in (
        ("is.spec", "lookupPolicy"),
        ("is.spec.tags", "referencePolicy"),
        ("is.status.tags.items", "dockerImageReference"),
        ("istag.tag.importPolicy", "importMode"),
        ("itag.status", "conditions"),
        ("image.dockerImageManifests", "architecture"),
        ("imagestreamimport.spec.images", "includeManifest"),
    ):
        explained = place.kubectl("explain", path, "--api-version", f"{IMAGE}/v1")
        assert text in explained, explained


def test_rights_on_these_kinds_are_told(place: Place) -> None:
    """A part of a stream is asked for by --subresource: what follows `/` is a name to kubectl."""

    def may(*words: str) -> str:
        return place.attempt("auth", "can-i", *words, "--as", "una").stdout.strip()

    asked = (
        ("get", "imagestreams"),
        ("get", "imagestreams/web", "--subresource=layers"),
        ("create", "imagestreamtags.image.openshift.io"),
        ("update", "imagestreams", "--subresource=layers"),
        ("delete", "istag/web:v1"),
        ("get", "images"),
    )
    assert [may(*each) for each in asked] == ["no"] * 6
    place("create", "rolebinding", "una", "--clusterrole=view", "--user=una")
    assert [may(*each) for each in asked] == ["yes", "yes", "no", "no", "no", "no"]
    place("create", "rolebinding", "una-2", "--clusterrole=edit", "--user=una")
    assert [may(*each) for each in asked] == ["yes", "yes", "yes", "yes", "yes", "no"]
    told = place.attempt("auth", "can-i", "update", "imagestreams/web", "--subresource=layers")
    assert (told.stdout, told.stderr) == ("yes\n", "")
    assert "imagestreamtags.image.openshift.io" in place("auth", "can-i", "--list", "--as", "una")


def test_a_stream_that_nobody_may_see_is_refused_by_name(place: Place, registry: Registry) -> None:
    refused = place.refused("get", "istag", "web:v1", "--as", "una")
    assert (
        'imagestreamtags.image.openshift.io "web:v1" is forbidden: User "una" cannot get resource'
        f' "imagestreamtags" in API group "image.openshift.io" in the namespace "{place.namespace}"'
    ) in refused
    with RegistryClient(f"http://{registry.address}", credentials=(USERNAME, PASSWORD)) as client:
        assert client.manifest(f"{place.namespace}/web", "v1").status_code == 200


def test_an_import_is_asked_for_by_a_file_and_answered_image_by_image(
    place: Place, tmp_path: Path
) -> None:
    """`kubectl create -f`; this server may not call what is on this machine, and says so."""
    source = {"kind": "DockerImage", "name": "127.0.0.1:1/library/nginx:1.28"}
    asked = manifest(
        tmp_path,
        {
            "kind": "ImageStreamImport",
            "metadata": {"name": "nginx"},
            "spec": {"import": True, "images": [{"from": source, "to": {"name": "1.28"}}]},
        },
    )
    made = json.loads(place("create", "-f", asked, "--output", "json"))
    (found,) = made["status"]["images"]
    assert found["status"]["reason"] == "Forbidden"
    stream = place.read("is", "nginx")
    (history,) = stream["status"]["tags"]
    assert history["conditions"][0]["message"] == found["status"]["message"]
    assert "created" in place("create", "-f", asked)
