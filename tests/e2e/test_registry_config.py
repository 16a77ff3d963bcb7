"""Configuration of other registries over HTTP and with kubectl: in force on every worker at once.

Two workers serve. `everywhere` waits until the answer is the wanted one from each of them; what a
write decides needs no waiting, since it looks at what is committed.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.images import small_image
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
from tests.registry_client import client_of
from tests.server import Server, serving, wait_until
from tests.tools import Program, require
from tests.unit.kinds.registries.documents import certificate
from tests.upstream import Upstream, docker_registry

CONFIG = "/apis/config.openshift.io/v1"
CLUSTER = f"{CONFIG}/images/cluster"
IMAGES = "/apis/image.openshift.io/v1"
SHOP = f"{IMAGES}/namespaces/shop"
STREAMS = f"{SHOP}/imagestreams"
MERGE = "application/merge-patch+json"

NOTHING: dict[str, Any] = {
    "allowedRegistriesForImport": None,
    "externalRegistryHostnames": None,
    "additionalTrustedCA": None,
    "registrySources": None,
    "imageStreamImportMode": None,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("server") / "data"
    settings = {"registry_hosts": "registry.internal:5000", "allow_private_upstreams": "yes"}
    with serving(Server(data, settings=settings, tls=True)) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture(scope="module")
def people(server: Server) -> Iterator[tuple[KubeClient, KubeClient]]:
    with kube_client(server) as admin:
        admin.make(f"{PROJECTS}/projectrequests", project("shop"))
        add_user(server, "ann")
        binding = role_binding("ann", "edit", "ann")
        admin.make(f"{RBAC}/namespaces/shop/rolebindings", binding)
        with kube_client(server, "ann") as ann:
            yield admin, ann


@pytest.fixture
def admin(people: tuple[KubeClient, KubeClient]) -> Iterator[KubeClient]:
    yield people[0]
    configure(people[0], **NOTHING)
    for plural in ("imagedigestmirrorsets", "imagetagmirrorsets"):
        people[0].delete(f"{CONFIG}/{plural}")


@pytest.fixture
def ann(people: tuple[KubeClient, KubeClient]) -> KubeClient:
    """She may edit in shop, and nothing else."""
    return people[1]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    called = str(request.node.name).split("[", maxsplit=1)[0].removeprefix("test_")
    return called.replace("_", "-")[:60].strip("-")


def configure(admin: KubeClient, **spec: Any) -> dict[str, Any]:
    answer = admin.patch(CLUSTER, {"spec": spec}, MERGE)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def allow(admin: KubeClient, *entries: str, insecure: bool = False) -> None:
    listed = [{"domainName": each, "insecure": insecure} for each in entries]
    configure(admin, allowedRegistriesForImport=listed)


def in_force(admin: KubeClient) -> dict[str, Any]:
    return admin.read(f"{CLUSTER}/inforce")


def everywhere(ask: Callable[[], object], wanted: object) -> None:
    """Wait until new connections, which go to either worker, are all answered so."""
    answers: list[object] = []

    def are_all() -> bool:
        answers[:] = [ask() for _ in range(12)]
        return answers == [wanted] * 12

    try:
        wait_until(are_all, seconds=20, what=str(wanted))
    except AssertionError as error:
        raise AssertionError(f"{error}, but {set(answers)}") from error


@contextlib.contextmanager
def anew(client: KubeClient) -> Iterator[KubeClient]:
    """The same client by a connection of its own."""
    with KubeClient(client.url, client.token) as other:
        yield other


def stream(name: str, *tags: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStream",
        "metadata": {"name": name},
        "spec": {"tags": list(tags), **spec},
    }


def tag(name: str, source: str, **more: Any) -> dict[str, Any]:
    """A spec tag that is only noted, so that nothing is imported behind a test's back."""
    origin = {"kind": "DockerImage", "name": source}
    return {"name": name, "from": origin, "reference": True, **more}


def istag(name: str, source: str, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStreamTag",
        "metadata": {"name": name},
        "tag": tag(name.partition(":")[2], source, **more),
    }


def itag(name: str, source: str) -> dict[str, Any]:
    return {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageTag",
        "metadata": {"name": name},
        "spec": tag(name.partition(":")[2], source),
    }


def isimport(name: str, source: str, *, insecure: bool = False) -> dict[str, Any]:
    policy = {"insecure": insecure}
    image = {"from": {"kind": "DockerImage", "name": source}, "importPolicy": policy}
    return {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStreamImport",
        "metadata": {"name": name},
        "spec": {"import": False, "images": [image]},
    }


def refused(answer: httpx.Response) -> str:
    """The message of a 422, every cause of which is that something is forbidden."""
    status = answer.json()
    assert (answer.status_code, status["reason"]) == (422, "Invalid"), answer.text
    assert {each["reason"] for each in status["details"]["causes"]} == {"FieldValueForbidden"}
    return str(status["message"])


OWN = '"registry.internal:5000"'


def kept_out(registry: str, listed: str) -> str:
    return f'Forbidden: registry "{registry}" not allowed by whitelist: {OWN}, {listed}'


def test_there_is_one_image_from_the_start_and_it_says_what_is_so(admin: KubeClient) -> None:
    (found,) = admin.read(f"{CONFIG}/images")["items"]
    assert found["metadata"]["name"] == "cluster"
    assert found["status"] == {
        "internalRegistryHostname": "registry.internal:5000",
        "imageStreamImportMode": "Legacy",
    }
    other = {"metadata": {"name": "other"}, "spec": {}}
    answer = admin.post(f"{CONFIG}/images", other)
    assert answer.status_code == 422
    assert answer.json()["message"] == (
        'Image.config.openshift.io "other" is invalid: metadata.name: Invalid value: "other": must'
        " be cluster"
    )
    answer = admin.delete(CLUSTER)
    assert answer.status_code == 403
    assert "deleting required images.config.openshift.io resource" in answer.json()["message"]


def test_only_administrators_change_it_and_cluster_readers_read(
    server: Server, admin: KubeClient, ann: KubeClient
) -> None:
    patch = {"spec": {"imageStreamImportMode": "PreserveOriginal"}}
    assert ann.get(CLUSTER).status_code == 403
    assert ann.patch(CLUSTER, patch).status_code == 403
    add_user(server, "rob")
    binding = role_binding("rob", "cluster-reader", "rob") | {"kind": "ClusterRoleBinding"}
    admin.make(f"{RBAC}/clusterrolebindings", binding)
    with kube_client(server, "rob") as rob:
        for path in (
            CLUSTER,
            f"{CLUSTER}/inforce",
            f"{CONFIG}/imagedigestmirrorsets",
            f"{CONFIG}/imagetagmirrorsets",
            "/apis/operator.openshift.io/v1alpha1/imagecontentsourcepolicies",
        ):
            assert rob.get(path).status_code == 200, path
        assert rob.patch(CLUSTER, patch).status_code == 403
        assert rob.delete(f"{CONFIG}/imagetagmirrorsets").status_code == 403


def test_what_is_wrong_is_refused_with_its_place(admin: KubeClient) -> None:
    both = {"blockedRegistries": ["a.io"], "allowedRegistries": ["b.io"]}
    answer = admin.patch(CLUSTER, {"spec": {"registrySources": both}})
    assert answer.status_code == 422
    assert answer.json()["message"].endswith(
        'spec.registrySources: Invalid value: "object": Only one of blockedRegistries or '
        "allowedRegistries may be set"
    )
    bad = {"metadata": {"name": "bad"}, "spec": {"imageTagMirrors": [{"source": "http://a"}]}}
    answer = admin.post(f"{CONFIG}/imagetagmirrorsets", bad)
    assert answer.status_code == 422
    assert answer.json()["details"]["causes"][0]["field"] == "spec.imageTagMirrors[0].source"


def test_a_stream_of_a_registry_that_is_not_listed_is_refused(
    admin: KubeClient, ann: KubeClient, name: str
) -> None:
    allow(admin, "quay.io", "*.example.com:*")
    listed = '"quay.io:443", "*.example.com:*"'
    wanted = stream(name, tag("a", "quay.io/x/y"), tag("b", "gcr.io/x/y:1"), tag("c", "nginx"))
    wanted["spec"]["dockerImageRepository"] = "ghcr.io/x/y"
    assert refused(ann.post(STREAMS, wanted)) == (
        f'ImageStream.image.openshift.io "{name}" is invalid: ['
        f"spec.dockerImageRepository: {kept_out('ghcr.io', listed)}, "
        f"spec.tags[b].from.name: {kept_out('gcr.io', listed)}, "
        f"spec.tags[c].from.name: {kept_out('registry-1.docker.io:443', listed)}]"
    )
    assert ann.get(f"{STREAMS}/{name}").status_code == 404
    good = stream(name, tag("a", "quay.io/x/y"), tag("b", "a.b.example.com:8443/x/y"))
    ann.make(STREAMS, good)
    patch = {"spec": {"tags": [tag("z", "gcr.io/x/y:1")]}}
    strategic = "application/strategic-merge-patch+json"
    assert refused(ann.patch(f"{STREAMS}/{name}", patch, strategic)) == (
        f'ImageStream.image.openshift.io "{name}" is invalid: spec.tags[z].from.name: '
        + kept_out("gcr.io", listed)
    )


def test_administrators_are_bound_by_the_list_too_but_for_imports(
    admin: KubeClient, name: str
) -> None:
    allow(admin, "quay.io")
    refused(admin.post(STREAMS, stream(name, tag("a", "gcr.io/x/y"))))
    answer = admin.post(f"{SHOP}/imagestreamimports", isimport(name, "registry.invalid/x/y:1"))
    assert answer.status_code == 201, answer.text


def test_the_internal_registry_is_always_allowed(
    admin: KubeClient, ann: KubeClient, name: str
) -> None:
    allow(admin, "quay.io")
    ann.make(STREAMS, stream(name, tag("a", "registry.internal:5000/shop/web:1")))


def test_docker_hub_is_listed_by_its_plain_name(
    admin: KubeClient, ann: KubeClient, name: str
) -> None:
    allow(admin, "docker.io")
    sources = ("nginx", "docker.io/a/b", "index.docker.io/a/b", "registry-1.docker.io/a/b")
    tags = [tag(f"t{number}", each) for number, each in enumerate(sources)]
    ann.make(STREAMS, stream(name, *tags))


def test_an_insecure_tag_may_use_either_port(admin: KubeClient, ann: KubeClient, name: str) -> None:
    allow(admin, "dev.example.com", insecure=True)
    secure = tag("a", "dev.example.com/x/y")
    message = refused(ann.post(STREAMS, stream(name, secure)))
    assert message.endswith(kept_out("dev.example.com", '"dev.example.com:80"'))
    ann.make(STREAMS, stream(name, {**secure, "importPolicy": {"insecure": True}}))
    annotated = stream(f"{name}-2", secure)
    annotated["metadata"]["annotations"] = {"openshift.io/image.insecureRepository": "true"}
    ann.make(STREAMS, annotated)


def test_what_a_stream_refers_to_already_stays_allowed(
    admin: KubeClient, ann: KubeClient, name: str
) -> None:
    ann.make(STREAMS, stream(name, tag("old", "gcr.io/x/y:1")))
    allow(admin, "quay.io")
    found = ann.read(f"{STREAMS}/{name}")
    found["metadata"]["labels"] = {"team": "a"}
    found["spec"]["tags"].append(tag("newer", "gcr.io/x/y:2"))  # of the same repository
    changed = ann.put(f"{STREAMS}/{name}", found)
    assert changed.status_code == 200, changed.text
    found = changed.json()
    found["spec"]["tags"].append(tag("other", "gcr.io/x/z:1"))
    assert "spec.tags[other].from.name" in refused(ann.put(f"{STREAMS}/{name}", found))
    found["spec"]["tags"] = []  # the history still has it
    found = ann.put(f"{STREAMS}/{name}", found).json()
    found["spec"]["tags"] = [tag("again", "gcr.io/x/y:3")]
    assert ann.put(f"{STREAMS}/{name}", found).status_code == 200


@pytest.mark.parametrize(
    ("resource", "kind", "make", "path"),
    [
        ("imagestreamtags", "ImageStreamTag", istag, "tag"),
        ("imagetags", "ImageTag", itag, "spec"),
    ],
)
def test_a_single_tag_is_held_to_the_list(
    admin: KubeClient,
    ann: KubeClient,
    name: str,
    resource: str,
    kind: str,
    make: Callable[[str, str], dict[str, Any]],
    path: str,
) -> None:
    name = f"{name}-{path}"
    tags = f"{SHOP}/{resource}"
    ann.make(tags, make(f"{name}:old", "gcr.io/x/y:1"))
    allow(admin, "quay.io")
    why = kept_out("gcr.io", '"quay.io:443"')
    message = f'{kind}.image.openshift.io "{name}:new" is invalid: {path}.from.name: {why}'
    assert refused(ann.post(tags, make(f"{name}:new", "gcr.io/x/y:1"))) == message
    assert refused(ann.put(f"{tags}/{name}:new", make(f"{name}:new", "gcr.io/x/y:1"))) == message
    assert ann.put(f"{tags}/{name}:old", make(f"{name}:old", "gcr.io/x/y:2")).status_code == 200
    refused(ann.put(f"{tags}/{name}:old", make(f"{name}:old", "gcr.io/x/z")))
    ann.make(tags, make(f"{name}:new", "quay.io/x/y:1"))


def test_an_import_of_a_registry_that_is_not_listed_is_refused_to_users(
    admin: KubeClient, ann: KubeClient, name: str
) -> None:
    allow(admin, "quay.io")
    imports = f"{SHOP}/imagestreamimports"
    why = (
        'Forbidden: importing images from registry "{0}" is forbidden: registry "{0}" not allowed '
        f'by whitelist: {OWN}, "quay.io:443"'
    )
    begin = f'ImageStreamImport.image.openshift.io "{name}" is invalid: '
    assert refused(ann.post(imports, isimport(name, "gcr.io/x/y"))) == (
        begin + "spec.images[0].from.name: " + why.format("gcr.io:443")
    )
    assert refused(ann.post(imports, isimport(name, "gcr.io/x/y", insecure=True))) == (
        begin + "spec.images[0].from.name: " + why.format("gcr.io:80")
    )
    whole = isimport(name, "quay.io/x/y")
    repository = {"from": {"kind": "DockerImage", "name": "nginx"}}
    whole["spec"] = {"import": False, "repository": repository}
    assert refused(ann.post(imports, whole)) == (
        begin + "spec.repository.from.name: " + why.format("registry-1.docker.io:443")
    )


@pytest.mark.parametrize("resource", ["images", "imagestreammapping"])
def test_who_may_create_images_or_mappings_imports_from_anywhere(
    server: Server, admin: KubeClient, name: str, resource: str
) -> None:
    allow(admin, "quay.io")
    who = f"bot-{resource}"
    add_user(server, who)
    admin.make(
        f"{RBAC}/clusterroles",
        {
            "metadata": {"name": who},
            "rules": [
                {
                    "apiGroups": ["image.openshift.io"],
                    "resources": [resource],
                    "verbs": ["create"],
                }
            ],
        },
    )
    binding = role_binding(who, who, who) | {"kind": "ClusterRoleBinding"}
    admin.make(f"{RBAC}/clusterrolebindings", binding)
    admin.make(f"{RBAC}/namespaces/shop/rolebindings", role_binding(who, "edit", who))
    with kube_client(server, who) as bot:
        imports = f"{SHOP}/imagestreamimports"
        answer = bot.post(imports, isimport(name, "registry.invalid/x/y:1"))
        assert answer.status_code == 201, answer.text


def test_a_copied_event_of_a_registry_that_is_not_listed_is_refused(
    admin: KubeClient, ann: KubeClient, name: str
) -> None:
    ann.make(STREAMS, stream(f"{name}-a", tag("x", "gcr.io/x/y:1")))
    allow(admin, "quay.io")
    copied = {"name": "x", "from": {"kind": "ImageStreamTag", "name": f"{name}-a:x"}}
    why = "status.tags[x].items[0].dockerImageReference: " + kept_out(
        "gcr.io", '"quay.io:443"'
    )  # as the original refuses the status of the new stream
    begin = f'ImageStream.image.openshift.io "{name}-b" is invalid: '
    assert refused(ann.post(STREAMS, stream(f"{name}-b", copied))) == begin + why
    body = istag(f"{name}-b:x", "x")
    body["tag"] = copied
    assert refused(ann.post(f"{SHOP}/imagestreamtags", body)) == begin + why
    allow(admin, "gcr.io")
    ann.make(f"{SHOP}/imagestreamtags", body)


def test_a_mapping_or_status_of_a_registry_that_is_not_listed_is_refused(
    server: Server, admin: KubeClient, ann: KubeClient, name: str
) -> None:
    image = small_image(name)
    with client_of(server) as client:
        client.push(f"shop/{name}", image, "1")
    allow(admin, "quay.io")
    mapping = {
        "metadata": {"name": name},
        "tag": "2",
        "image": {
            "metadata": {"name": image.digest},
            "dockerImageReference": f"gcr.io/x/y@{image.digest}",
        },
    }
    where = "dockerImageReference: " + kept_out("gcr.io", '"quay.io:443"')
    message = refused(ann.post(f"{SHOP}/imagestreammappings", mapping))
    assert message.endswith(f"status.tags[2].items[0].{where}")
    assert admin.post(f"{SHOP}/imagestreammappings", mapping).status_code == 201
    found = admin.read(f"{STREAMS}/{name}")
    event = {**found["status"]["tags"][0]["items"][0], "generation": 0}
    found["status"]["tags"][0]["items"].insert(
        0, {**event, "dockerImageReference": f"gcr.io/other@{image.digest}"}
    )
    message = refused(admin.put(f"{STREAMS}/{name}/status", found))
    assert message.endswith(f"status.tags[1].items[0].{where}")
    # known by now, as anybody's write may keep it
    event["dockerImageReference"] = f"gcr.io/x/y@{image.digest}"
    found["status"]["tags"][0]["items"][0] = event
    assert admin.put(f"{STREAMS}/{name}/status", found).status_code == 200


def test_new_tags_get_the_import_mode_and_old_ones_keep_theirs(
    admin: KubeClient, ann: KubeClient, name: str
) -> None:
    def modes(found: dict[str, Any]) -> dict[str, str]:
        return {each["name"]: each["importPolicy"]["importMode"] for each in found["spec"]["tags"]}

    ann.make(STREAMS, stream(name, tag("old", "quay.io/x/y:1")))
    changed = configure(admin, imageStreamImportMode="PreserveOriginal")
    assert changed["status"]["imageStreamImportMode"] == "PreserveOriginal"
    everywhere(lambda: mode_of_a_dry_run(ann, name), "PreserveOriginal")
    tags = [tag("old", "quay.io/x/y:1"), tag("new", "quay.io/x/y:2")]
    tags.append(tag("said", "quay.io/x/y:3", importPolicy={"importMode": "Legacy"}))
    found = ann.read(f"{STREAMS}/{name}")
    found["spec"]["tags"] = tags
    found = ann.put(f"{STREAMS}/{name}", found).json()
    assert modes(found) == {"old": "Legacy", "new": "PreserveOriginal", "said": "Legacy"}
    ann.make(f"{SHOP}/imagestreamtags", istag(f"{name}:one", "quay.io/x/y:4"))
    ann.make(f"{SHOP}/imagetags", itag(f"{name}:two", "quay.io/x/y:5"))
    configure(admin, imageStreamImportMode="Legacy")
    everywhere(lambda: mode_of_a_dry_run(ann, name), "Legacy")
    assert ann.put(f"{SHOP}/imagetags/{name}:two", itag(f"{name}:two", "quay.io/x/y:5")).json()[
        "spec"
    ]["importPolicy"] == {"importMode": "PreserveOriginal"}
    moved = ann.put(
        f"{SHOP}/imagestreamtags/{name}:one", istag(f"{name}:one", "quay.io/x/y:6")
    ).json()
    assert moved["tag"]["importPolicy"] == {"importMode": "Legacy"}
    assert modes(ann.read(f"{STREAMS}/{name}"))["new"] == "PreserveOriginal"


def mode_of_a_dry_run(client: KubeClient, name: str) -> str:
    with anew(client) as other:
        made = other.make(STREAMS, stream(f"{name}-x", tag("a", "quay.io/x/y")), dryRun="All")
    return str(made["spec"]["tags"][0]["importPolicy"]["importMode"])


def test_streams_show_the_name_for_everybody_on_all_workers_at_once(
    admin: KubeClient, ann: KubeClient, name: str
) -> None:
    def public() -> object:
        with anew(ann) as other:
            status = other.read(f"{STREAMS}/{name}")["status"]
            return status.get("publicDockerImageRepository")

    ann.make(STREAMS, stream(name))
    assert public() is None
    configure(admin, externalRegistryHostnames=["images.example.com", "second.example.com"])
    everywhere(public, f"images.example.com/shop/{name}")
    configure(admin, externalRegistryHostnames=["second.example.com:8443"])
    everywhere(public, f"second.example.com:8443/shop/{name}")
    configure(admin, externalRegistryHostnames=None)
    everywhere(public, None)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """A registry with a certificate of its own authority, and an image."""
    with docker_registry(tmp_path_factory.mktemp("upstream"), tls=True) as found:
        with found.client() as client:
            client.push("org/app", APP, "1")
        yield found


APP = small_image("of another registry")


def imported(client: KubeClient, name: str, source: str) -> str:
    """The digest that an import finds, or why it finds none."""
    with anew(client) as other:
        answer = other.make(f"{SHOP}/imagestreamimports", isimport(name, source))
    (found,) = answer["status"]["images"]
    if found["status"]["status"] != "Success":
        return str(found["status"]["message"])
    return str(found["image"]["metadata"]["name"])


def trust(admin: KubeClient, upstream: Upstream) -> None:
    assert upstream.authority is not None
    data = {upstream.address.replace(":", ".."): upstream.authority.certificate.read_text()}
    config_map = {"metadata": {"name": "upstream-ca"}, "data": data}
    admin.post(f"{CORE}/namespaces/openshift-config/configmaps", config_map)
    configure(admin, additionalTrustedCA={"name": "upstream-ca"})


def test_a_certificate_is_believed_by_all_workers_once_its_authority_is(
    admin: KubeClient, ann: KubeClient, name: str, upstream: Upstream
) -> None:
    source = f"{upstream.address}/org/app:1"
    assert "certificate" in imported(ann, name, source)
    trust(admin, upstream)
    everywhere(lambda: imported(ann, name, source), APP.digest)
    admin.delete(f"{CORE}/namespaces/openshift-config/configmaps/upstream-ca")
    everywhere(lambda: imported(ann, name, source) == APP.digest, False)


def test_an_insecure_registry_is_asked_without_a_good_certificate(
    admin: KubeClient, ann: KubeClient, name: str, upstream: Upstream
) -> None:
    source = f"{upstream.address}/org/app:1"
    configure(admin, registrySources={"insecureRegistries": [f"{upstream.address}/org"]})
    everywhere(lambda: imported(ann, name, source), APP.digest)
    configure(admin, registrySources={"insecureRegistries": [f"{upstream.address}/other"]})
    everywhere(lambda: imported(ann, name, source) == APP.digest, False)


def test_a_blocked_registry_fails_image_by_image(
    admin: KubeClient, ann: KubeClient, name: str, upstream: Upstream
) -> None:
    trust(admin, upstream)
    source = f"{upstream.address}/org/app:1"
    everywhere(lambda: imported(ann, name, source), APP.digest)
    blocked = (
        f'dockerimage.image.openshift.io "{source}" is forbidden: registry {upstream.address} '
        "blocked"
    )
    configure(admin, registrySources={"blockedRegistries": [upstream.address]})
    everywhere(lambda: imported(ann, name, source), blocked)
    only = {"blockedRegistries": None, "allowedRegistries": ["quay.io"]}
    configure(admin, registrySources=only)
    everywhere(lambda: imported(ann, name, source), blocked)
    configure(admin, registrySources={"allowedRegistries": [upstream.address]})
    everywhere(lambda: imported(ann, name, source), APP.digest)


def test_what_is_mirrored_is_imported_from_the_mirror_under_its_own_name(
    admin: KubeClient, ann: KubeClient, name: str, upstream: Upstream
) -> None:
    trust(admin, upstream)
    source = "images.airgap.invalid/org/app"
    mirrors = {
        "source": "images.airgap.invalid",
        "mirrors": ["also.airgap.invalid", upstream.address],
        "mirrorSourcePolicy": "NeverContactSource",
    }
    made = {"metadata": {"name": "gap"}, "spec": {"imageTagMirrors": [mirrors]}}
    admin.make(f"{CONFIG}/imagetagmirrorsets", made)
    everywhere(lambda: imported(ann, name, f"{source}:1"), APP.digest)
    by_digest = f"{source}@{APP.digest}"
    assert imported(ann, name, by_digest) == APP.digest  # which proves it
    admin.delete(f"{CONFIG}/imagetagmirrorsets/gap")
    made = {"metadata": {"name": "gap"}, "spec": {"imageDigestMirrors": [mirrors]}}
    admin.make(f"{CONFIG}/imagedigestmirrorsets", made)
    everywhere(lambda: imported(ann, name, by_digest), APP.digest)
    assert imported(ann, name, f"{source}:1").endswith("registry images.airgap.invalid blocked")
    made = {"metadata": {"name": "gap"}, "spec": {"imageTagMirrors": [mirrors]}}
    admin.make(f"{CONFIG}/imagetagmirrorsets", made)
    everywhere(lambda: imported(ann, name, f"{source}:1"), APP.digest)
    request = isimport(name, f"{source}:1")
    request["spec"]["import"] = True
    request["spec"]["images"][0]["to"] = {"name": "1"}
    stream_now = ann.make(f"{SHOP}/imagestreamimports", request)["status"]["import"]
    (history,) = stream_now["status"]["tags"]
    assert history["items"][0]["dockerImageReference"] == by_digest


def test_what_is_in_force_is_told_and_what_is_ignored_too(
    server: Server, admin: KubeClient
) -> None:
    pem = certificate("E2E Authority")
    config_map = {"metadata": {"name": "user-ca"}, "data": {"dev.io..5000": pem, "bad": "x"}}
    admin.make(f"{CORE}/namespaces/openshift-config/configmaps", config_map)
    configure(
        admin,
        additionalTrustedCA={"name": "user-ca"},
        registrySources={"blockedRegistries": ["evil.io:5000"], "insecureRegistries": ["*.lab"]},
    )
    mirrors = {"source": "quay.io", "mirrors": ["b.io/quay", "c.io"]}
    made = {"metadata": {"name": "b"}, "spec": {"imageDigestMirrors": [mirrors]}}
    admin.make(f"{CONFIG}/imagedigestmirrorsets", made)
    never = {"source": "quay.io", "mirrors": ["a.io", "b.io/quay"]}
    never["mirrorSourcePolicy"] = "NeverContactSource"
    made = {"metadata": {"name": "a"}, "spec": {"imageDigestMirrors": [never]}}
    admin.make(f"{CONFIG}/imagedigestmirrorsets", made)
    policies = "/apis/operator.openshift.io/v1alpha1/imagecontentsourcepolicies"
    odd = {"source": "*", "mirrors": ["x.io"]}
    admin.make(policies, {"metadata": {"name": "p"}, "spec": {"repositoryDigestMirrors": [odd]}})
    found = in_force(admin)
    assert found["insecure"] == ["*.lab"]
    assert found["blocked"][0] == "evil.io:5000"
    assert found["digestMirrors"] == [
        {"source": "quay.io", "mirrors": ["a.io", "b.io/quay", "c.io"], "contactSource": False}
    ]
    assert found["authorities"] == [
        {
            "registry": "dev.io:5000",
            "subject": "CN=E2E Authority",
            "expires": "2040-12-31T00:00:00Z",
        }
    ]
    assert [(each["object"], each["entry"]) for each in found["ignored"]] == [
        ("imagecontentsourcepolicies/p", "*"),
        ("configmaps/user-ca", "bad"),
    ]
    wait_until(lambda: "imagecontentsourcepolicies/p: '*' is ignored" in server.log, what="the log")
    admin.delete(f"{policies}/p")


@pytest.fixture
def kubectl(server: Server, people: tuple[KubeClient, KubeClient], tmp_path: Path) -> Program:
    place = ("--server", f"https://{server.tls_address}")
    trusted = ("--certificate-authority", str(server.authority))
    who = ("--token", str(people[0].token))  # which is sent over TLS alone
    environment = {"HOME": str(tmp_path), "KUBECONFIG": "/dev/null"}
    return Program(require("kubectl"), environment, (*place, *trusted, *who))


def test_kubectl_edits_explains_and_lists(
    kubectl: Program, admin: KubeClient, tmp_path: Path
) -> None:
    patch = json.dumps({"spec": {"registrySources": {"blockedRegistries": ["evil.io"]}}})
    image = "image.config.openshift.io/cluster"
    assert "patched" in kubectl("patch", image, "--type", "merge", "-p", patch)
    assert "allowedRegistriesForImport" in kubectl(
        "explain", "image.spec", "--api-version", "config.openshift.io/v1"
    )
    assert "NeverContactSource" in kubectl("explain", "idms.spec.imageDigestMirrors")
    manifest = tmp_path / "mirrors.yaml"
    manifest.write_text(
        "apiVersion: config.openshift.io/v1\nkind: ImageTagMirrorSet\nmetadata: {name: hub}\n"
        "spec: {imageTagMirrors: [{source: docker.io, mirrors: [mirror.example.com/hub]}]}\n"
        "status: {}\n"
    )
    for _ in range(2):
        kubectl("apply", "--server-side", "-f", manifest)
    assert kubectl("get", "itms").split()[-3:-1] == ["hub", "docker.io"]
    told = json.loads(
        kubectl("get", "--raw", "/apis/config.openshift.io/v1/images/cluster/inforce")
    )
    assert told["tagMirrors"][0]["mirrors"] == ["mirror.example.com/hub"]
    assert (
        kubectl("api-resources", "--api-group", "config.openshift.io").count("config.openshift")
        == 3
    )


def test_images_alone_are_still_those_of_this_registry(
    server: Server, kubectl: Program, admin: KubeClient
) -> None:
    del admin
    image = small_image("alone")
    with client_of(server) as client:
        client.push("shop/alone", image, "1")
    assert f"image.image.openshift.io/{image.digest}" in kubectl("get", "images", "-o", "name")
    assert kubectl("get", "images.config.openshift.io", "-o", "name") == (
        "image.config.openshift.io/cluster\n"
    )
