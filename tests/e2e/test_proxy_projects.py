"""Projects that mirror another registry, as container engines pull through them."""

import concurrent.futures
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.e2e.pulling_through import IMAGES, World, world
from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Fault, Hang, asks, too_many
from tests.images import Pushable, artifact, index, small_image
from tests.kube_client import CORE, RBAC, add_user, role_binding
from tests.registry_client import RegistryClient, client_of, error_codes
from tests.server import PASSWORD, wait_until

FAULTS: dict[str, Fault] = {
    "silent": Hang(),
    "too many": too_many(60),
    "failing": Answer(503),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("proxies")) as found:
        yield found


@pytest.fixture
def here(both: World) -> Iterator[World]:
    """The two, with a way between them of which nothing is known yet."""
    with FaultProxy(both.upstream.url) as far:
        found = replace(both, far=far)
        found.allow_without_tls()
        yield found


def mirror(here: World, **annotations: str) -> str:
    """A project that mirrors the other registry."""
    return here.project(**{"tidegate.io/proxy": here.far.address, **annotations})


def pull(here: World, path: str, pushable: Pushable, tag: str) -> httpx.Response:
    """Pull an image whole; the answer with its manifest."""
    answer = here.registry.manifest(path, tag)
    assert answer.status_code == 200, answer.text
    here.registry.pull(path, pushable, pushable.digest)
    return answer


def test_a_name_of_any_depth_is_read_from_the_mirrored_registry_and_becomes_a_stream(
    here: World,
) -> None:
    project = mirror(here)
    for depth in ("flat", "library/nginx", "team/sub/deep/app", "odd--name/with__both"):
        pushable = index(small_image(depth), small_image(depth, "arm64"))
        here.put(pushable, depth)
        assert pull(here, f"{project}/{depth}", pushable, "v1").content == pushable.manifest.data
        stream = here.stream(project, depth)
        (tag,) = stream["status"]["tags"]
        (event,) = tag["items"]
        assert event["image"] == pushable.digest
        assert event["dockerImageReference"].endswith(f"/{depth}@{pushable.digest}")
        assert stream["metadata"]["annotations"]["tidegate.io/mirrors"].endswith(f"/{depth}")
    here.far.unplug()
    pull(here, f"{project}/{depth}", pushable, pushable.digest)


def test_a_fresh_tag_asks_nobody_and_a_due_one_only_what_it_is(here: World) -> None:
    project = mirror(here, **{"tidegate.io/proxy-freshness": "1h"})
    name = here.put(small_image("fresh"))
    for _ in range(3):
        answer = here.registry.manifest(f"{project}/{name}", "v1")
        assert answer.status_code == 200
    assert (here.far.count("manifest", "HEAD"), here.far.count("manifest", "GET")) == (1, 1)
    assert int(answer.headers["age"]) < 3600
    assert "warning" not in answer.headers
    here.annotate(project, **{"tidegate.io/proxy-freshness": "0s"})
    here.far.forget()
    assert here.registry.manifest(f"{project}/{name}", "v1").status_code == 200
    assert (here.far.count("manifest", "HEAD"), here.far.count("manifest", "GET")) == (1, 0)


def test_a_tag_that_moved_is_fetched_and_its_history_says_who_pulled(here: World) -> None:
    project = mirror(here, **{"tidegate.io/proxy-freshness": "0s"})
    old, new = small_image("old"), small_image("new")
    name = here.put(old)
    pull(here, f"{project}/{name}", old, "v1")
    here.put(new, name)
    pull(here, f"{project}/{name}", new, "v1")
    pull(here, f"{project}/{name}", old, old.digest)  # what a running pod names stays
    (tag,) = here.stream(project, name)["status"]["tags"]
    assert [each["image"] for each in tag["items"]] == [new.digest, old.digest]


@pytest.mark.parametrize("silence", ["gone", "silent", "too many", "failing"])
def test_a_stale_tag_is_served_with_its_age_while_its_registry_is_silent(
    here: World, silence: str
) -> None:
    project = mirror(here, **{"tidegate.io/proxy-freshness": "0s"})
    pushable = small_image(silence)
    name = here.put(pushable)
    pull(here, f"{project}/{name}", pushable, "v1")
    if silence == "gone":
        here.far.unplug()
    else:
        here.far.always(FAULTS[silence])
    for _ in range(3):
        answer = here.registry.manifest(f"{project}/{name}", "v1")
        assert answer.status_code == 200, answer.text
        assert answer.content == pushable.manifest.data
        assert int(answer.headers["age"]) >= 0
        assert '110 - "Response is Stale"' in answer.headers["warning"]
    here.registry.pull(f"{project}/{name}", pushable, pushable.digest)
    if silence != "silent":  # which takes as long as a registry may take to answer
        never = here.registry.manifest(f"{project}/{name}", "never-seen")
        assert never.status_code == (429 if silence == "too many" else 404), never.text


def test_what_a_registry_says_is_told_though_something_staler_is_here(here: World) -> None:
    project = mirror(here, **{"tidegate.io/proxy-freshness": "0s"})
    pushable = small_image("was there")
    name = here.put(pushable)
    pull(here, f"{project}/{name}", pushable, "v1")
    here.far.when(
        asks("manifest"), Answer(404, {"Docker-Distribution-Api-Version": "registry/2.0"})
    )
    gone = here.registry.manifest(f"{project}/{name}", "v1")
    assert (gone.status_code, error_codes(gone)) == (404, ["MANIFEST_UNKNOWN"])
    here.far.when(asks("manifest"), Answer(403))
    denied = here.registry.manifest(f"{project}/{name}", "v1")
    assert (denied.status_code, error_codes(denied)) == (404, ["OPENSHIFT_PULLTHROUGH_MANIFEST"])
    here.registry.pull(f"{project}/{name}", pushable, pushable.digest)


def test_a_tag_older_than_the_project_bears_is_not_served(here: World) -> None:
    annotations = {"tidegate.io/proxy-freshness": "0s", "tidegate.io/proxy-stale-limit": "0s"}
    project = mirror(here, **annotations)
    pushable = small_image("too old")
    name = here.put(pushable)
    pull(here, f"{project}/{name}", pushable, "v1")
    here.far.unplug()
    answer = here.registry.manifest(f"{project}/{name}", "v1")
    assert (answer.status_code, error_codes(answer)) == (404, ["OPENSHIFT_PULLTHROUGH_MANIFEST"])


def test_two_names_that_would_be_one_stream_are_told_apart(here: World) -> None:
    project = mirror(here)
    first, second = small_image("first"), small_image("second")
    here.put(first, "team/app")
    here.put(second, "team.app")
    pull(here, f"{project}/team/app", first, "v1")
    refused = here.registry.manifest(f"{project}/team.app", "v1")
    assert (refused.status_code, error_codes(refused)) == (404, ["NAME_UNKNOWN"])
    assert "mirrors" in refused.text
    assert here.registry.manifest(f"{project}/team.app", second.digest).status_code == 404
    pull(here, f"{project}/team/app", first, "v1")


def test_a_digest_that_was_never_pulled_by_tag_is_fetched(here: World) -> None:
    project = mirror(here)
    pushable = small_image("pinned")
    name = here.put(pushable)
    pull(here, f"{project}/{name}", pushable, pushable.digest)
    assert "tags" not in here.stream(project, name)["status"]
    here.far.forget()
    here.registry.pull(f"{project}/{name}", pushable, pushable.digest)
    assert here.far.count() == 0
    missing = here.registry.manifest(f"{project}/{name}", small_image("not there").digest)
    assert (missing.status_code, error_codes(missing)) == (404, ["MANIFEST_UNKNOWN"])


def test_clients_that_say_which_registry_they_mean_reach_the_project_that_mirrors_it(
    here: World,
) -> None:
    project = mirror(here)
    pushable = small_image("by its registry")
    name = here.put(pushable)

    def read(path: str, **more: str) -> httpx.Response:
        return here.registry.http.get(f"/v2/{path}", params={"ns": here.far.address, **more})

    answer = read(f"{name}/manifests/v1")
    assert answer.content == pushable.manifest.data
    assert answer.headers["oci-namespace"] == here.far.address
    assert read(f"{project}/{name}/manifests/v1").content == pushable.manifest.data
    blob = pushable.blobs[-1]
    assert read(f"{name}/blobs/{blob.digest}").content == blob.data
    assert here.stream(project, name)["status"]["tags"]
    other = here.registry.http.get(f"/v2/{name}/manifests/v1", params={"ns": "quay.io"})
    assert (other.status_code, error_codes(other)) == (404, ["MANIFEST_UNKNOWN"])
    second = mirror(here)
    ambiguous = read(f"{name}/manifests/v1")
    assert (ambiguous.status_code, error_codes(ambiguous)) == (400, ["NAME_INVALID"])
    assert second not in ambiguous.text  # whoever asks: who may pull is not decided yet
    here.annotate(second, **{"tidegate.io/proxy-default": "true"})
    assert read(f"{name}/manifests/v1").status_code == 200
    assert here.stream(second, name)["status"]["tags"]


def test_a_project_that_mirrors_a_registry_is_pushed_to_by_nobody(here: World) -> None:
    project = mirror(here)
    answers = [
        here.registry.http.post(f"/v2/{project}/app/blobs/uploads/"),
        here.registry.http.post(f"/v2/{project}/library/app/blobs/uploads/"),
        here.registry.put_manifest(f"{project}/app", "v1", small_image("mine").manifest),
    ]
    for answer in answers:
        assert (answer.status_code, error_codes(answer)) == (405, ["UNSUPPORTED"])
        assert here.far.address in answer.text
    deep = here.registry.http.post(f"/v2/{here.project()}/library/app/blobs/uploads/")
    assert (deep.status_code, error_codes(deep)) == (400, ["NAME_INVALID"])


def test_pulling_through_takes_the_right_to_pull_and_no_other(here: World) -> None:
    project = mirror(here)
    pushable = small_image("for bob")
    name = here.put(pushable, "team/for-bob")
    add_user(here.server, "bob")
    with client_of(here.server, credentials=("bob", PASSWORD)) as bob:
        assert bob.manifest(f"{project}/{name}", "v1").status_code == 403
        assert here.far.count() == 0
        binding = role_binding("bob", "system:image-puller", "bob")
        here.admin.make(f"{RBAC}/namespaces/{project}/rolebindings", binding)
        token = bob.token(f"repository:{project}/{name}:pull")
    with RegistryClient(here.server.url, bearer=token) as with_token:
        assert with_token.manifest(f"{project}/{name}", "v1").status_code == 200
        with_token.pull(f"{project}/{name}", pushable, pushable.digest)
        other = with_token.manifest(f"{project}/library/other", "v1")
        assert (other.status_code, error_codes(other)) == (401, ["UNAUTHORIZED"])
        scope = f'scope="repository:{project}/library.other:pull"'
        assert scope in other.headers["www-authenticate"]


def test_only_who_may_update_namespaces_makes_a_mirror(here: World) -> None:
    project = here.project()
    path = f"/apis/project.openshift.io/v1/projects/{project}"
    body = {"metadata": {"annotations": {"tidegate.io/proxy": "docker.io"}}}
    assert here.admin.patch(path, body).status_code == 422
    bad = {"metadata": {"annotations": {"tidegate.io/proxy": "https://docker.io/library"}}}
    refused = here.admin.patch(f"{CORE}/namespaces/{project}", bad)
    assert refused.status_code == 422
    assert "host of a registry" in refused.text


def test_limits_of_the_project_hold_for_what_is_pulled_through(here: World) -> None:
    project = mirror(here)
    limit = {
        "metadata": {"name": "few"},
        "spec": {
            "limits": [{"type": "openshift.io/ImageStream", "max": {"openshift.io/images": "1"}}]
        },
    }
    here.admin.make(f"{CORE}/namespaces/{project}/limitranges", limit)
    name = here.put(small_image("one"))
    here.put(small_image("two"), name, "v2")
    assert here.registry.manifest(f"{project}/{name}", "v1").status_code == 200
    refused = here.registry.manifest(f"{project}/{name}", "v2")
    assert (refused.status_code, error_codes(refused)) == (403, ["DENIED"])
    assert "exceeds the maximum limit" in refused.text


def test_a_tag_that_a_policy_keeps_is_served_as_it_is_kept(here: World) -> None:
    project = mirror(here, **{"tidegate.io/proxy-freshness": "0s"})
    kept, moved = small_image("kept"), small_image("moved")
    name = here.put(kept)
    pull(here, f"{project}/{name}", kept, "v1")
    path = f"{IMAGES}/namespaces/{project}/imagestreams/{name.replace('/', '.')}"
    body = {"metadata": {"annotations": {"tidegate.io/immutable-tags": "v*"}}}
    assert here.admin.patch(path, body).status_code == 200
    here.put(moved, name)
    pull(here, f"{project}/{name}", kept, "v1")
    assert len(here.stream(project, name)["status"]["tags"][0]["items"]) == 1


def test_many_who_pull_one_tag_at_a_moment_ask_once_in_each_process(here: World) -> None:
    project = mirror(here)
    name = here.put(small_image("wanted by many"))
    with concurrent.futures.ThreadPoolExecutor(20) as clients:
        path = f"/v2/{project}/{name}/manifests/v1"
        answers = list(clients.map(lambda _: here.registry.http.get(path), range(20)))
    assert {each.status_code for each in answers} == {200}
    assert here.far.count("manifest", "HEAD") <= 2
    assert len(here.stream(project, name)["status"]["tags"][0]["items"]) == 1


def test_a_blocked_registry_and_a_private_address_are_not_mirrored(
    here: World, tmp_path: Path
) -> None:
    project = mirror(here)
    name = here.put(small_image("blocked"))
    here.configure(blockedRegistries=[here.far.address])
    try:
        wait_until(lambda: blocked(here, project, name), what="the configuration to be heard of")
    finally:
        here.configure(blockedRegistries=None)
    with world(tmp_path, settings={"allow_private_upstreams": "false"}) as strict:
        strict.allow_without_tls()
        private = mirror(strict)
        answer = strict.registry.manifest(f"{private}/library/x", "v1")
        assert (answer.status_code, error_codes(answer)) == (
            404,
            ["OPENSHIFT_PULLTHROUGH_MANIFEST"],
        )
        assert "not allowed" in answer.text
        assert strict.far.count() == 0


def blocked(here: World, project: str, name: str) -> bool:
    return "blocked" in here.registry.manifest(f"{project}/{name}", "v1").text


def test_cosign_finds_its_signature_by_tag_through_a_mirror(here: World) -> None:
    project = mirror(here)
    pushable = small_image("signed")
    name = here.put(pushable)
    tag = f"{pushable.digest.replace(':', '-')}.sig"
    signature = artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"signed")
    here.put(signature, name, tag)
    pull(here, f"{project}/{name}", signature, tag)
