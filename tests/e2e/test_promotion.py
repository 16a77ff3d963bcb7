"""A release on its way dev -> test -> prod: who may move it, what moves, who sees nothing of it.

What the people of the company try, they try with `tidegate`, skopeo, podman and plain requests, and
read what these say.
"""

import base64
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.company import (
    IMAGES,
    SECRET,
    Company,
    as_oc_sends_it,
    founded,
    promote,
    release,
    tag_path,
)
from tests.images import Pushable, artifact, small_image, write_layout
from tests.registry_client import error_codes

_streams = (f"app{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with founded(tmp_path_factory.mktemp("company") / "data") as ready:
        yield ready


@pytest.fixture
def app() -> str:
    """A stream that no other test has."""
    return next(_streams)


def test_a_release_goes_through_three_projects_without_a_byte_copied(
    company: Company, app: str
) -> None:
    dora, tess, rhea, paul = (company[name] for name in ("dora", "tess", "rhea", "paul"))
    made = release(app)
    dora.registry.push(f"dev/{app}", made.image, "1.0")
    for each in (made.sbom, made.vouched, made.child):
        dora.registry.push(f"dev/{app}", each)
    dora.registry.push(f"dev/{app}", made.cosign, made.cosign_tag)
    before = company.stored()

    body = as_oc_sends_it(app, "1.0", made.image, "dev")
    answer = tess.kube.put(tag_path("test", app, "1.0"), body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["image"]["metadata"]["name"] == made.image.digest
    tess.tidegate("tag", f"dev/{app}:{made.cosign_tag}", f"test/{app}:{made.cosign_tag}")
    rhea.tidegate("tag", f"test/{app}@{made.image.digest}", f"prod/{app}:1.0", f"prod/{app}:live")
    rhea.tidegate("tag", f"test/{app}@{made.cosign.digest}", f"prod/{app}:{made.cosign_tag}")
    assert company.stored() == before

    for each in made.everything:
        paul.registry.pull(f"prod/{app}", each)
    paul.registry.pull(f"prod/{app}", made.image, "live")
    paul.registry.pull(f"prod/{app}", made.cosign, made.cosign_tag)
    for subject, about in (
        (made.image, made.sbom),
        (made.sbom, made.vouched),
        (made.image.children[1], made.child),
    ):
        answer = paul.registry.http.get(f"/v2/prod/{app}/referrers/{subject.digest}")
        assert [each["digest"] for each in answer.json()["manifests"]] == [about.digest]
    shown = rhea.kube.read(tag_path("prod", app, "1.0"))["image"]["metadata"]["annotations"]
    attached = {each["digest"] for each in json.loads(shown["tidegate.io/referrers"])}
    assert attached == {made.sbom.digest, made.cosign.digest}
    path = f"{IMAGES}/namespaces/prod/imagestreamimages/{app}@{made.image.digest}"
    assert f"dev/{app}" not in rhea.kube.get(path).text  # she has no right there

    (event,) = json.loads(rhea.tidegate("tag", "history", f"prod/{app}:1.0", "-o", "json"))["items"]
    assert (event["how"], event["who"], event["image"]) == ("tag", "rhea", made.image.digest)
    assert event["dockerImageReference"].endswith(f"/prod/{app}@{made.image.digest}")
    checked = company.server.check()
    assert checked.returncode == 0, checked.stdout

    # what is said of the image later goes its own way
    later = artifact("example/sbom", f"{app} later".encode(), made.image)
    dora.registry.push(f"dev/{app}", later)
    assert paul.registry.manifest(f"prod/{app}", later.digest).status_code == 404
    tess.tidegate("tag", f"dev/{app}@{later.digest}", f"test/{app}:sbom")
    rhea.tidegate("tag", f"test/{app}@{later.digest}", f"prod/{app}:sbom")
    answer = paul.registry.http.get(f"/v2/prod/{app}/referrers/{made.image.digest}")
    assert later.digest in [each["digest"] for each in answer.json()["manifests"]]


def test_each_may_do_what_the_role_says_and_is_told_what_is_missing(
    company: Company, app: str
) -> None:
    dora, tess, rhea, paul = (company[name] for name in ("dora", "tess", "rhea", "paul"))
    made = small_image(app)
    dora.registry.push(f"dev/{app}", made, "1.0")
    promote(company, app, made)
    pulls = {
        "dora": ("dev", "test"),
        "tess": ("dev", "test"),
        "rhea": ("test", "prod"),
        "paul": ("prod",),
    }
    for name, places in pulls.items():
        for place in ("dev", "test", "prod"):
            status = company[name].registry.manifest(f"{place}/{app}", "1.0").status_code
            assert status == (200 if place in places else 403), (name, place)
    for somebody, source, target in (
        (dora, "dev", "test"),  # may look, and no more
        (tess, "test", "prod"),
        (rhea, "test", "test"),
        (paul, "prod", "prod"),
    ):
        path = tag_path(target, app, "2.0")
        answer = somebody.kube.put(path, as_oc_sends_it(app, "2.0", made, source))
        assert answer.status_code == 403, answer.text
    # the tester has no way to prod but the release manager, and she none past the tester
    body = as_oc_sends_it(app, "2.0", made, "dev")
    answer = rhea.kube.put(tag_path("prod", app, "2.0"), body)
    assert answer.status_code == 422
    assert "spec.tags[2.0].from: Forbidden" in answer.json()["message"]
    # whoever may pull and not look has to say the digest
    by_name = rhea.tidegate.attempt("tag", f"test/{app}:1.0", f"prod/{app}:2.0")
    assert by_name.code == 1
    assert 'cannot get resource "imagestreams"' in by_name.stderr, str(by_name)
    rhea.tidegate("tag", f"test/{app}@{made.digest[:19]}", f"prod/{app}:2.0")
    assert paul.registry.manifest(f"prod/{app}", "2.0").status_code == 200


def test_what_dev_takes_away_stays_in_prod(company: Company, app: str) -> None:
    dora, paul = company["dora"], company["paul"]
    made = release(app)
    dora.registry.push(f"dev/{app}", made.image, "1.0")
    for each in (made.sbom, made.vouched, made.child):
        dora.registry.push(f"dev/{app}", each)
    promote(company, app, made.image)

    def prod_is_whole() -> None:
        for each in made.everything:
            paul.registry.pull(f"prod/{app}", each)
        paul.registry.pull(f"prod/{app}", made.image, "1.0")

    dora.tidegate("tag", "-d", f"dev/{app}:1.0")
    prod_is_whole()
    answer = dora.registry.http.delete(f"/v2/dev/{app}/manifests/{made.image.digest}")
    assert answer.status_code == 202, answer.text
    prod_is_whole()
    for place, owner in (("dev", dora), ("test", company["tess"])):
        path = f"{IMAGES}/namespaces/{place}/imagestreams/{app}"
        assert owner.kube.delete(path).status_code == 200
    prod_is_whole()
    assert dora.registry.manifest(f"dev/{app}", made.image.digest).status_code == 404
    checked = company.server.check()
    assert checked.returncode == 0, checked.stdout


def test_prod_goes_back_and_finds_again_what_was_deleted(company: Company, app: str) -> None:
    dora, tess, rhea, paul = (company[name] for name in ("dora", "tess", "rhea", "paul"))
    old, new = release(f"{app} old"), release(f"{app} new")
    for made, tag in ((old, "1.0"), (new, "1.1")):
        dora.registry.push(f"dev/{app}", made.image, tag)
        dora.registry.push(f"dev/{app}", made.sbom)
        tess.tidegate("tag", f"dev/{app}:{tag}", f"test/{app}:{tag}")
        rhea.tidegate("tag", f"test/{app}@{made.image.digest}", f"prod/{app}:live")
        if made is old:
            moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            time.sleep(1.1)  # the form has whole seconds
    live = f"prod/{app}:live"

    def pulled() -> str:
        return str(paul.registry.manifest(f"prod/{app}", "live").headers["docker-content-digest"])

    assert pulled() == new.image.digest
    said = rhea.tidegate("tag", "rollback", live)
    assert said == f"Tag {app}:live rolled back to {old.image.digest}.\n"
    assert pulled() == old.image.digest
    rhea.tidegate("tag", "rollback", live, "--to", "2")
    assert pulled() == new.image.digest
    paul.registry.pull(f"prod/{app}", old.image, f"live.at-{moment}")

    rhea.tidegate("tag", "-d", live)
    assert paul.registry.manifest(f"prod/{app}", "live").status_code == 404
    paul.registry.pull(f"prod/{app}", old.image, f"live.at-{moment}")
    rhea.tidegate("tag", "undelete", live)
    assert pulled() == new.image.digest

    stream = f"{IMAGES}/namespaces/prod/imagestreams/{app}"
    assert rhea.kube.delete(stream).status_code == 200
    assert paul.registry.manifest(f"prod/{app}", "live").status_code == 404
    assert rhea.tidegate.attempt("tag", "history", live).code == 1
    assert rhea.tidegate("tag", "undelete", f"prod/{app}") == f"Image stream {app} is back.\n"
    for made in (old, new):
        paul.registry.pull(f"prod/{app}", made.image)
        paul.registry.pull(f"prod/{app}", made.sbom)
    events = json.loads(rhea.tidegate("tag", "history", live, "-o", "json"))["items"]
    assert [each["how"] for each in reversed(events)] == [
        *("tag", "tag", "rollback", "rollback", "delete", "undelete")
    ]
    assert {each["who"] for each in events} == {"rhea"}


def test_a_stranger_sees_neither_names_nor_blobs(company: Company, app: str) -> None:
    mallory = company["mallory"]
    made = release(app)
    for place in ("dev", "prod"):
        for each in (made.image, made.sbom):
            company[{"dev": "dora", "prod": "rhea"}[place]].registry.push(f"{place}/{app}", each)
        repository = company[{"dev": "dora", "prod": "rhea"}[place]].registry
        repository.push(f"{place}/{app}", made.image, "live")
    child, blob = made.image.children[0], made.image.children[0].blobs[-1]
    own = small_image(f"{app} of a stranger")
    mallory.registry.push("lair/own", own, "1.0")

    known = f"{app}@{made.image.digest}"
    image, there = f"/v2/prod/{app}", f"{IMAGES}/namespaces/prod"
    looks = {
        f"{image}/tags/list",
        f"{image}/manifests/live",
        f"{image}/manifests/{made.image.digest}",
        f"{image}/manifests/{child.digest}",
        f"{image}/manifests/live.at-20261123T101500Z",
        f"{image}/blobs/{blob.digest}",
        f"{image}/referrers/{made.image.digest}",
        f"/extensions/v2/prod/{app}/signatures/{made.image.digest}",
    }
    objects = {
        f"{there}/imagestreams",
        f"{there}/imagestreams?watch=true",
        f"{there}/imagestreams/{app}",
        f"{there}/imagestreams/{app}/layers",
        f"{there}/imagestreams/{app}/secrets",
        f"{there}/imagestreams/{app}/status",
        f"{there}/imagestreamtags",
        f"{there}/imagetags",
        f"{there}/imagetags/{app}:live",
        f"{there}/imagestreamimages/{known}",
        f"{there}/imagestreamimages/{known[: len(app) + 20]}",
        tag_path("prod", app, "live"),
        tag_path("prod", app, "live", "history"),
        f"{IMAGES}/imagestreams",
        f"{IMAGES}/imagestreamtags",
        f"{IMAGES}/images",
        f"{IMAGES}/images/{made.image.digest}",
        "/extensions/v2/metrics",
    }
    for path in looks | objects:
        client = mallory.kube if path in objects else mallory.registry
        answer = client.http.get(path)
        nothing = path.replace(app, "nothing")
        assert answer.status_code == 403, (path, answer.text)
        # of what is not there the same is said
        absent = client.http.get(nothing)
        assert absent.text.replace("nothing", app) == answer.text or path in looks
        assert absent.status_code == 403, (nothing, absent.text)
    catalog = mallory.registry.http.get("/v2/_catalog").json()["repositories"]
    assert [name for name in catalog if not name.startswith("lair/")] == []
    assert app not in mallory.tidegate("projects")
    assert mallory.tidegate("projects", "-q").split() == ["lair"]


def test_a_stranger_takes_nothing_by_a_digest_she_guessed(company: Company, app: str) -> None:
    mallory, dora = company["mallory"], company["dora"]
    made = release(app)
    dora.registry.push(f"dev/{app}", made.image, "live")
    child, blob = made.image.children[0], made.image.children[0].blobs[-1]
    lair = f"lair/{app}"
    mallory.registry.push(lair, small_image(f"{app} of a stranger"), "1.0")

    mount = f"/v2/{lair}/blobs/uploads/?mount={blob.digest}"
    for origin in (f"&from=dev/{app}", ""):
        answer = mallory.registry.http.post(mount + origin)
        assert answer.status_code in (202, 401, 403), answer.text  # an upload like any other
        assert not mallory.registry.has_blob(lair, blob.digest)
    answer = mallory.registry.put_manifest(lair, "taken", child.manifest)
    assert set(error_codes(answer)) == {"MANIFEST_BLOB_UNKNOWN"}
    # an index may name what is not there, and it stays so
    assert mallory.registry.put_manifest(lair, "index", made.image.manifest).status_code == 201
    assert mallory.registry.manifest(lair, child.digest).status_code == 404
    for kind, name, where in (
        ("ImageStreamImage", f"{app}@{made.image.digest}", "dev"),
        ("ImageStreamTag", f"{app}:live", "dev"),
        ("ImageStreamImage", f"{app}@{child.digest}", "lair"),
    ):
        body = as_oc_sends_it(app, "taken", made.image, "dev")
        body["tag"]["from"] = {"kind": kind, "name": name, "namespace": where}
        answer = mallory.kube.put(tag_path("lair", app, "taken"), body)
        assert answer.status_code in (404, 422), answer.text
        body["tag"]["from"]["name"] = name.replace(app, "nothing")
        absent = mallory.kube.put(tag_path("lair", app, "taken"), body)
        assert absent.status_code == answer.status_code
    assert mallory.registry.manifest(lair, "taken").status_code == 404
    assert mallory.registry.tags(lair) == ["1.0", "index"]
    for start in (child.digest, child.digest[:19]):
        path = f"{IMAGES}/namespaces/lair/imagestreamimages/{app}@{start}"
        assert mallory.kube.get(path).status_code == 404


def test_a_mapping_of_a_guessed_digest_opens_no_blob_and_names_no_project(
    company: Company, app: str
) -> None:
    mallory, dora = company["mallory"], company["dora"]
    made = small_image(app)
    dora.registry.push(f"dev/{app}", made, "live")
    lair = f"lair/{app}"
    mallory.registry.push(lair, small_image(f"{app} of a stranger"), "1.0")
    managed = {"openshift.io/image.managed": "true"}
    body = {
        "kind": "ImageStreamMapping",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": app, "namespace": "lair"},
        "tag": "taken",
        "image": {"metadata": {"name": made.digest, "annotations": managed}},
    }
    mallory.kube.post(f"{IMAGES}/namespaces/lair/imagestreammappings", body)
    for path in (
        tag_path("lair", app, "taken"),
        tag_path("lair", app, "taken", "history"),
        f"{IMAGES}/namespaces/lair/imagestreamimages/{app}@{made.digest}",
        f"{IMAGES}/namespaces/lair/imagestreams/{app}",
        f"{IMAGES}/namespaces/lair/imagestreams/{app}/layers",
    ):
        assert f"dev/{app}" not in mallory.kube.get(path).text
    for reference in ("taken", made.digest):
        assert mallory.registry.manifest(lair, reference).status_code == 404
    for blob in made.blobs:
        assert not mallory.registry.has_blob(lair, blob.digest)


def test_the_webhook_tells_only_who_knows_its_secret_and_only_of_the_pods_namespace(
    company: Company, app: str
) -> None:
    rhea = company["rhea"]
    made = small_image(app)
    rhea.registry.push(f"prod/{app}", made, "live")
    stream = f"{IMAGES}/namespaces/prod/imagestreams/{app}"
    local = {"spec": {"lookupPolicy": {"local": True}}}
    assert rhea.kube.patch(stream, local).status_code == 200

    def review(namespace: str, image: str) -> dict[str, Any]:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "p",
                "namespace": namespace,
                "annotations": {"alpha.image.policy.openshift.io/resolve-names": "*"},
            },
            "spec": {"containers": [{"name": "c", "image": image}]},
        }
        request = {
            "uid": "1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "p",
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "mallory"},
            "object": pod,
        }
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}

    guessed = "x" * len(SECRET)
    for secret in (guessed, ""):
        path = f"/admission/{secret}/workloads"
        answer = company["mallory"].kube.post(path, review("prod", f"{app}:live"))
        assert answer.status_code in (401, 403, 404), answer.text
        assert made.digest not in answer.text

    def patched(namespace: str, image: str) -> str:
        path = f"/admission/{SECRET}/workloads"
        answer = company.admin.post(path, review(namespace, image))
        assert answer.status_code == 200, answer.text
        patch = answer.json()["response"].get("patch", "")
        return base64.b64decode(patch).decode()

    assert made.digest in patched("prod", f"{app}:live")
    for image in (f"{app}:live", f"prod/{app}:live", f"{company.server.address}/prod/{app}:live"):
        assert made.digest not in patched("lair", image)


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tidegate.io/v1",
        "kind": "TagPolicy",
        "metadata": {"name": name},
        "spec": {"mode": "Enforce", **spec},
    }


@pytest.fixture
def shelf(company: Company, app: str) -> str:
    """A project of its own that rhea edits, with an image `app:1.0`."""
    name = f"shelf-{app}"
    company.project(name, "rhea")
    company["rhea"].registry.push(f"{name}/app", small_image(name), "1.0")
    return name


class Refusal(NamedTuple):
    """What podman and skopeo print when they push another image."""

    podman: str
    skopeo: str


def pushed_in_vain(
    company: Company, shelf: str, target: str, directory: Path, content: Pushable | None = None
) -> Refusal:
    rhea = company["rhea"]
    layout = write_layout(content or small_image(f"{shelf} other"), directory / "layout")
    there = f"{company.server.address}/{shelf}/{target}"
    skopeo = rhea.skopeo().attempt(
        *("copy", "--dest-tls-verify=false", f"oci:{layout}:latest", f"docker://{there}")
    )
    podman = rhea.podman()
    podman("pull", f"oci:{layout}:latest")
    (local,) = podman("images", "-q", "--no-trunc").split()
    pushed = podman.attempt("push", "--tls-verify=false", local, f"docker://{there}")
    assert skopeo.code != 0, str(skopeo)
    assert pushed.code != 0, str(pushed)
    podman("rmi", "--all", "--force")
    return Refusal(pushed.stderr, skopeo.stderr.replace(r"\"", '"'))


def test_a_tag_that_stays_is_not_overwritten_by_anybody(
    company: Company, shelf: str, tmp_path: Path
) -> None:
    rhea = company["rhea"]
    company.admin.make(
        f"/apis/tidegate.io/v1/namespaces/{shelf}/tagpolicies", policy("releases", immutable=["1*"])
    )
    why = f'tag 1.0 of {shelf}/app is immutable (TagPolicy "releases"): use another tag'
    for said in pushed_in_vain(company, shelf, "app:1.0", tmp_path):
        assert why in said, said
    rhea.registry.push(f"{shelf}/app", small_image(f"{shelf} other"), "next")
    for words in ((f"{shelf}/app:next", f"{shelf}/app:1.0"), ("-d", f"{shelf}/app:1.0")):
        outcome = rhea.tidegate.attempt("tag", *words)
        assert outcome.code == 1
        assert outcome.stderr.startswith("tidegate: ")
        assert f"tag 1.0 of {shelf}/app is immutable" in outcome.stderr, str(outcome)
    for answer in (
        rhea.registry.http.delete(f"/v2/{shelf}/app/manifests/1.0"),
        rhea.registry.http.delete(f"/v2/{shelf}/app/manifests/{small_image(shelf).digest}"),
    ):
        assert answer.status_code in (403, 405), answer.text
        assert "is immutable" in answer.text
    rhea.registry.push(f"{shelf}/app", small_image(shelf), "1.0")  # the same is no change
    rhea.registry.pull(f"{shelf}/app", small_image(shelf), "1.0")


def test_a_name_against_the_rules_is_refused_with_the_rule(
    company: Company, shelf: str, tmp_path: Path
) -> None:
    rhea = company["rhea"]
    rules = policy(
        "convention",
        naming={"tags": {"semver": True, "channels": ["latest"]}},
        required={"labels": ["version"]},
    )
    company.admin.make(f"/apis/tidegate.io/v1/namespaces/{shelf}/tagpolicies", rules)
    name = 'TagPolicy "convention": tag test is not allowed; use a version (1.2.3, v1.2.3-rc.1)'
    for said in pushed_in_vain(company, shelf, "app:test", tmp_path / "name"):
        assert name in said, said
    outcome = rhea.tidegate.attempt("tag", f"{shelf}/app:1.0", f"{shelf}/app:test")
    assert outcome.code == 1
    assert "tag test is not allowed" in outcome.stderr, str(outcome)
    label = "the image has no label version; build it with --label version="
    for said in pushed_in_vain(company, shelf, "app:2.0.0", tmp_path / "label"):
        assert label in said, said
    assert rhea.registry.tags(f"{shelf}/app") == ["1.0"]


def test_more_than_the_limits_and_the_quota_is_refused_with_the_numbers(
    company: Company, shelf: str, tmp_path: Path
) -> None:
    rhea, streams, storage = company["rhea"], "openshift.io/imagestreams", "tidegate.io/storage"
    core = f"/api/v1/namespaces/{shelf}"

    def quota(**hard: str) -> None:
        company.admin.delete(f"{core}/resourcequotas/small")
        named = {{"streams": streams, "storage": storage}[key]: hard[key] for key in hard}
        body = {"metadata": {"name": "small"}, "spec": {"hard": named}}
        company.admin.make(f"{core}/resourcequotas", body)

    quota(streams="1")
    for said in pushed_in_vain(company, shelf, "second:1.0", tmp_path / "streams"):
        assert f"exceeded quota: small, requested: {streams}=1, used: {streams}=1" in said, said
    outcome = rhea.tidegate.attempt("tag", f"{shelf}/app:1.0", f"{shelf}/second:1.0")
    assert outcome.code == 1
    assert "exceeded quota: small" in outcome.stderr, str(outcome)

    large = Pushable(small_image(f"{shelf} large").manifest, small_image(f"{shelf} large").blobs)
    used = company.admin.read(f"{core}/resourcequotas/small")["status"]["used"]
    assert used == {streams: "1"}
    quota(storage="1Ki")
    for said in pushed_in_vain(company, shelf, "app:2.0", tmp_path / "storage", large):
        assert f"exceeded quota: small, requested: {storage}=" in said, said
    company["dora"].registry.push(f"dev/{shelf}", large, "1.0")
    company.bind("rhea", "dev", "registry-viewer")
    outcome = rhea.tidegate.attempt("tag", f"dev/{shelf}:1.0", f"{shelf}/app:2.0")
    assert outcome.code == 1
    assert f"requested: {storage}=" in outcome.stderr, str(outcome)
    assert rhea.registry.manifest(f"{shelf}/app", large.digest).status_code == 404

    company.admin.delete(f"{core}/resourcequotas/small")
    limit = {
        "metadata": {"name": "images"},
        "spec": {"limits": [{"type": "openshift.io/Image", "max": {"storage": "100"}}]},
    }
    company.admin.make(f"{core}/limitranges", limit)
    for said in pushed_in_vain(company, shelf, "app:3.0", tmp_path / "size", large):
        assert "exceeds the maximum limit" in said, said
    assert rhea.registry.tags(f"{shelf}/app") == ["1.0"]
