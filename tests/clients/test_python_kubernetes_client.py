"""The Python client of Kubernetes: generated from Kubernetes' own OpenAPI, and its dynamic client.

The generated half holds every answer against the models of the original; the dynamic half learns
from discovery what is served, OpenShift's kinds among it.
"""

import uuid
from collections.abc import Iterator
from threading import Thread
from typing import Any

import kubernetes
import pytest

from tests.clients.conftest import Registry
from tests.images import small_image
from tests.kube_client import KubeClient, log_in
from tests.registry_client import RegistryClient
from tests.server import wait_until

# Its models say that every field may be None, which each answer here would have to deny.
client: Any = kubernetes.client
dynamic: Any = kubernetes.dynamic
watch: Any = kubernetes.watch

Refused = client.exceptions.ApiException


@pytest.fixture(scope="module")
def api(registry: Registry) -> Iterator[Any]:
    """A client that trusts the server's authority and bears a token of the administrator."""
    configuration = client.Configuration()
    configuration.host = f"https://{registry.encrypted_address}"
    configuration.ssl_ca_cert = str(registry.authority)
    token = log_in(f"http://{registry.address}")
    configuration.api_key = {"authorization": f"Bearer {token}"}
    with client.ApiClient(configuration) as opened:
        yield opened


@pytest.fixture(scope="module")
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


@pytest.fixture(scope="module")
def resources(api: Any) -> Any:
    """The dynamic client, which discovers what is served."""
    return dynamic.DynamicClient(api)


@pytest.fixture
def namespace(core: Any) -> Iterator[str]:
    name = f"py-{uuid.uuid4().hex[:8]}"
    made = core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    assert made.status.phase == "Active"
    yield name
    core.delete_namespace(name)


def config_map(name: str, **entries: str) -> Any:
    metadata = client.V1ObjectMeta(name=name, labels={"made": "here"})
    return client.V1ConfigMap(metadata=metadata, data=entries)


def test_an_object_is_made_read_replaced_and_deleted(core: Any, namespace: str) -> None:
    made = core.create_namespaced_config_map(namespace, config_map("c", a="1"))
    assert made.metadata.uid
    assert made.metadata.creation_timestamp.tzinfo is not None
    read = core.read_namespaced_config_map("c", namespace)
    read.data["a"] = "2"
    replaced = core.replace_namespaced_config_map("c", namespace, read)
    assert replaced.data == {"a": "2"}
    with pytest.raises(Refused, match="the object has been modified") as conflict:
        core.replace_namespaced_config_map("c", namespace, made)
    assert conflict.value.status == 409
    stale = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    with pytest.raises(Refused) as unlike:
        core.delete_namespaced_config_map("c", namespace, body=stale)
    assert unlike.value.status == 409
    assert core.delete_namespaced_config_map("c", namespace)["status"] == "Success"
    with pytest.raises(Refused) as gone:
        core.read_namespaced_config_map("c", namespace)
    assert (gone.value.status, gone.value.reason) == (404, "Not Found")


def test_a_list_is_read_in_pages(core: Any, namespace: str) -> None:
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"c{number}"))
    names, token, left = [], None, []
    while token != "":
        page = core.list_namespaced_config_map(namespace, limit=2, _continue=token or None)
        names += [each.metadata.name for each in page.items]
        left.append(page.metadata.remaining_item_count)
        token = page.metadata._continue or ""
    assert names == ["c0", "c1", "c2", "c3", "c4"]
    assert left == [3, 1, None]
    selected = core.list_namespaced_config_map(namespace, field_selector="metadata.name=c3")
    assert [each.metadata.name for each in selected.items] == ["c3"]
    everywhere = core.list_config_map_for_all_namespaces(label_selector="made=here")
    assert {"c0", "c4"} <= {each.metadata.name for each in everywhere.items}


def test_an_object_is_patched(core: Any, namespace: str) -> None:
    """The client picks the form by the body: a list is a JSON patch, anything else strategic."""
    core.create_namespaced_config_map(namespace, config_map("c", a="1"))
    strategic = core.patch_namespaced_config_map("c", namespace, {"data": {"b": "2"}})
    assert strategic.data == {"a": "1", "b": "2"}
    operations = [{"op": "remove", "path": "/data/a"}]
    assert core.patch_namespaced_config_map("c", namespace, operations).data == {"b": "2"}
    dry = core.patch_namespaced_config_map("c", namespace, {"data": {"c": "3"}}, dry_run="All")
    assert dry.data == {"b": "2", "c": "3"}
    assert core.read_namespaced_config_map("c", namespace).data == {"b": "2"}


def test_a_watch_yields_what_happens_after_a_list(core: Any, namespace: str) -> None:
    listed = core.list_namespaced_config_map(namespace)

    def change() -> None:
        core.create_namespaced_config_map(namespace, config_map("c", a="1"))
        core.patch_namespaced_config_map("c", namespace, {"data": {"a": "2"}})
        core.delete_namespaced_config_map("c", namespace)

    changing = Thread(target=change)
    changing.start()
    seen = []
    watching = watch.Watch()
    since = {"resource_version": listed.metadata.resource_version, "timeout_seconds": 60}
    for event in watching.stream(core.list_namespaced_config_map, namespace, **since):
        seen.append((event["type"], event["object"].data["a"]))
        if event["type"] == "DELETED":
            watching.stop()
    changing.join()
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_a_collection_is_deleted(core: Any, namespace: str) -> None:
    for name in ("one", "two"):
        core.create_namespaced_config_map(namespace, config_map(name))
    other = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="other"))
    core.create_namespaced_config_map(namespace, other)
    core.delete_collection_namespaced_config_map(namespace, label_selector="made=here")
    left = core.list_namespaced_config_map(namespace).items
    assert [each.metadata.name for each in left] == ["other"]


def test_every_kind_of_core_fits_the_generated_models(core: Any, namespace: str) -> None:
    meta = client.V1ObjectMeta
    secret = client.V1Secret(metadata=meta(name="s"), string_data={"a": "1"})
    assert core.create_namespaced_secret(namespace, secret).data == {"a": "MQ=="}
    hard = client.V1ResourceQuotaSpec(hard={"secrets": "20"})
    quota = client.V1ResourceQuota(metadata=meta(name="q"), spec=hard)
    made = core.create_namespaced_resource_quota(namespace, quota)
    made.status = client.V1ResourceQuotaStatus(hard={"secrets": "20"}, used={"secrets": "3"})
    written = core.replace_namespaced_resource_quota_status("q", namespace, made)
    assert written.status.used == {"secrets": "3"}
    assert core.read_namespaced_resource_quota_status("q", namespace).spec.hard["secrets"] == "20"
    item = client.V1LimitRangeItem(type="openshift.io/Image", max={"storage": "1Gi"})
    limits = client.V1LimitRange(
        metadata=meta(name="l"), spec=client.V1LimitRangeSpec(limits=[item])
    )
    core.create_namespaced_limit_range(namespace, limits)
    about = client.V1ObjectReference(kind="Secret", name="s", namespace=namespace)
    event = client.CoreV1Event(
        metadata=meta(name="e"), involved_object=about, reason="Made", message="made it"
    )
    core.create_namespaced_event(namespace, event)
    for listing in (
        core.list_namespaced_secret,
        core.list_namespaced_service_account,
        core.list_namespaced_resource_quota,
        core.list_namespaced_limit_range,
        core.list_namespaced_event,
    ):
        assert listing(namespace).items
    assert namespace in {each.metadata.name for each in core.list_namespace().items}


def test_roles_are_made_and_decide(api: Any, core: Any, namespace: str) -> None:
    rbac = client.RbacAuthorizationV1Api(api)
    metadata = client.V1ObjectMeta(name="reader")
    rule = client.V1PolicyRule(api_groups=[""], resources=["configmaps"], verbs=["get"])
    rbac.create_namespaced_role(namespace, client.V1Role(metadata=metadata, rules=[rule]))
    group = "rbac.authorization.k8s.io"
    binding = client.V1RoleBinding(
        metadata=metadata,
        role_ref=client.V1RoleRef(api_group=group, kind="Role", name="reader"),
        subjects=[client.RbacV1Subject(api_group=group, kind="User", name="una")],
    )
    rbac.create_namespaced_role_binding(namespace, binding)

    authorization = client.AuthorizationV1Api(api)

    def may(verb: str) -> bool:
        attributes = client.V1ResourceAttributes(
            namespace=namespace, verb=verb, resource="configmaps"
        )
        spec = client.V1SubjectAccessReviewSpec(user="una", resource_attributes=attributes)
        review = client.V1SubjectAccessReview(spec=spec)
        return bool(authorization.create_subject_access_review(review).status.allowed)

    assert may("get")
    assert not may("delete")
    names = {each.metadata.name for each in rbac.list_cluster_role().items}
    assert {"admin", "edit", "view", "system:image-puller"} <= names
    assert rbac.list_cluster_role_binding(limit=1).metadata._continue


def test_one_may_ask_what_one_may_and_who_one_is(api: Any) -> None:
    authorization = client.AuthorizationV1Api(api)
    attributes = client.V1ResourceAttributes(verb="get", resource="secrets")
    spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
    review = client.V1SelfSubjectAccessReview(spec=spec)
    assert authorization.create_self_subject_access_review(review).status.allowed
    rules = client.V1SelfSubjectRulesReview(
        spec=client.V1SelfSubjectRulesReviewSpec(namespace="default")
    )
    assert authorization.create_self_subject_rules_review(rules).status.resource_rules
    who = client.AuthenticationV1Api(api).create_self_subject_review(client.V1SelfSubjectReview())
    assert who.status.user_info.username == "admin"


def test_a_service_account_s_token_opens_what_it_is_for(
    core: Any, namespace: str, registry: Registry
) -> None:
    spec = client.V1TokenRequestSpec(audiences=["tidegate"], expiration_seconds=3600)
    answer = core.create_namespaced_service_account_token(
        "default", namespace, client.AuthenticationV1TokenRequest(spec=spec)
    )
    assert answer.status.expiration_timestamp.tzinfo is not None
    with KubeClient(f"http://{registry.address}", answer.status.token) as account:
        assert account.get("/v2/").status_code == 200
        assert account.get("/apis/user.openshift.io/v1/users/~").status_code == 401


def test_the_server_tells_what_it_is_and_serves(api: Any) -> None:
    assert client.VersionApi(api).get_code().git_version.startswith("v1.")
    groups = {each.name for each in client.ApisApi(api).get_api_versions().groups}
    assert {"project.openshift.io", "rbac.authorization.k8s.io"} <= groups
    assert client.CoreApi(api).get_api_versions().versions == ["v1"]
    names = {each.name for each in client.CoreV1Api(api).get_api_resources().resources}
    assert {"secrets", "serviceaccounts/token", "resourcequotas/status"} <= names


def test_openshift_s_kinds_are_found_by_discovery(resources: Any) -> None:
    projects = resources.resources.get(api_version="project.openshift.io/v1", kind="Project")
    name = f"py-{uuid.uuid4().hex[:8]}"
    made = projects.create(body={"metadata": {"name": name}})
    assert made.status.phase == "Active"
    note = {"metadata": {"annotations": {"openshift.io/description": "by Python"}}}
    patched = projects.patch(name=name, body=note, content_type="application/merge-patch+json")
    assert patched.metadata.annotations["openshift.io/description"] == "by Python"
    assert name in {each.metadata.name for each in projects.get().items}
    projects.delete(name=name)
    wait_until(
        lambda: name not in {each.metadata.name for each in projects.get().items},
        what="the end of the project",
    )
    users = resources.resources.get(api_version="user.openshift.io/v1", kind="User")
    assert users.get(name="~").metadata.name == "admin"
    assert resources.resources.get(api_version="v1", kind="Secret", singular_name="secret")


def test_a_kind_is_watched_dynamically(resources: Any) -> None:
    groups = resources.resources.get(api_version="user.openshift.io/v1", kind="Group")
    name = f"devs-{uuid.uuid4().hex[:8]}"
    since = groups.get().metadata.resourceVersion
    groups.create(body={"metadata": {"name": name}, "users": ["una"]})
    group = groups.get(name=name).to_dict()
    groups.replace(name=name, body={**group, "users": ["una", "ugo"]})
    groups.delete(name=name)
    seen = []
    for event in groups.watch(resource_version=since, timeout=60):
        seen.append((event["type"], len(event["object"].users)))
        if event["type"] == "DELETED":
            break
    assert seen == [("ADDED", 1), ("MODIFIED", 2), ("DELETED", 2)]


def test_an_object_is_applied_by_the_server_dynamically(resources: Any, namespace: str) -> None:
    maps = resources.resources.get(api_version="v1", kind="ConfigMap")

    def apply(manager: str, **more: Any) -> Any:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": namespace},
            "data": {"a": manager},
        }
        return resources.server_side_apply(maps, body=body, field_manager=manager, **more)

    (entry,) = apply("first").metadata.managedFields
    assert (entry.manager, entry.operation) == ("first", "Apply")
    with pytest.raises(dynamic.exceptions.ConflictError) as conflict:
        apply("second")
    assert 'conflict with "first": .data.a' in conflict.value.summary()
    forced = apply("second", force_conflicts=True)
    assert forced.data.to_dict() == {"a": "second"}
    assert [each.manager for each in forced.metadata.managedFields] == ["second"]


IMAGE = "image.openshift.io/v1"
BUSYBOX = {"kind": "DockerImage", "name": "docker.io/library/busybox:1"}


def stream(namespace: str, *tags: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": IMAGE,
        "kind": "ImageStream",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"tags": list(tags)},
    }


def test_a_stream_is_made_patched_applied_and_deleted_dynamically(
    resources: Any, namespace: str
) -> None:
    streams = resources.resources.get(api_version=IMAGE, kind="ImageStream")
    one, two = ({"name": f"v{n}", "from": BUSYBOX, "reference": True} for n in (1, 2))
    made = streams.create(body=stream(namespace, one), namespace=namespace)
    assert made.status.dockerImageRepository.endswith(f"/{namespace}/web")
    assert made.status.tags[0]["items"][0].dockerImageReference == BUSYBOX["name"]
    patched = streams.patch(
        name="web",
        namespace=namespace,
        body={"spec": {"tags": [two]}},
        content_type="application/strategic-merge-patch+json",
    )
    assert [each.name for each in patched.spec.tags] == ["v1", "v2"]
    owned = {**two, "annotations": {"a": "b"}}
    applied = resources.server_side_apply(
        streams,
        body=stream(namespace, owned),
        namespace=namespace,
        field_manager="gitops",
        force_conflicts=True,
    )
    assert [each.name for each in applied.spec.tags] == ["v1", "v2"]
    assert [each.metadata.name for each in streams.get(namespace=namespace).items] == ["web"]
    streams.delete(name="web", namespace=namespace)
    with pytest.raises(dynamic.exceptions.NotFoundError):
        streams.get(name="web", namespace=namespace)


def test_tags_and_images_are_read_dynamically(
    resources: Any, namespace: str, registry: Registry
) -> None:
    older, newer = (small_image(f"{namespace} {each}") for each in ("older", "newer"))
    with RegistryClient(f"http://{registry.address}") as pusher:
        for image in (older, newer):
            pusher.push(f"{namespace}/web", image, "v1")

    def kind(name: str) -> Any:
        return resources.resources.get(api_version=IMAGE, kind=name)

    tags = kind("ImageStreamTag")
    tag = tags.get(name="web:v1", namespace=namespace)
    assert tag.image.metadata.name == newer.digest
    assert [each.metadata.name for each in tags.get(namespace=namespace).items] == ["web:v1"]
    assert kind("Image").get(name=newer.digest).dockerImageMetadata.Architecture == "amd64"
    image = kind("ImageStreamImage").get(name=f"web@{older.digest}", namespace=namespace)
    assert image.image.dockerImageReference.endswith(f"/{namespace}/web@{older.digest}")
    history = kind("ImageTag").get(name="web:v1", namespace=namespace).status["items"]
    assert [each.image for each in history] == [newer.digest, older.digest]
    origin = {"kind": "ImageStreamImage", "name": f"web@{older.digest}"}
    stable = {"metadata": {"name": "web:stable"}, "tag": {"name": "stable", "from": origin}}
    made = tags.create(body=stable, namespace=namespace)
    assert made.image.metadata.name == older.digest
    tags.delete(name="web:stable", namespace=namespace)
    with pytest.raises(dynamic.exceptions.NotFoundError):
        tags.get(name="web:stable", namespace=namespace)
    with pytest.raises(dynamic.exceptions.MethodNotAllowedError):
        next(iter(tags.watch(namespace=namespace, timeout=5)))


def test_pushes_are_watched_dynamically(resources: Any, namespace: str, registry: Registry) -> None:
    streams = resources.resources.get(api_version=IMAGE, kind="ImageStream")
    since = streams.get(namespace=namespace).metadata.resourceVersion
    images = [small_image(f"{namespace} {each}") for each in range(3)]
    with RegistryClient(f"http://{registry.address}") as pusher:
        for image in images:
            pusher.push(f"{namespace}/web", image, "v1")
    streams.delete(name="web", namespace=namespace)
    seen = []
    for event in streams.watch(namespace=namespace, resource_version=since, timeout=60):
        seen.append(event["type"])
        if event["type"] == "DELETED":
            break
    assert (seen[0], seen[-1]) == ("ADDED", "DELETED")  # changes may be told together
