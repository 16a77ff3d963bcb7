"""Two processes on one database are one server: what one of them was told, the other one knows.

What is given counts at once, from the first request on; what is taken away ends everywhere soon
after. Clients that race for one thing get one winner, whichever process they speak to.
"""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.two_processes import Serving, two_processes
from tests.images import Pushable, small_image
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    USERS,
    KubeClient,
    add_user,
    log_in,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient
from tests.server import PASSWORD, wait_until
from tests.tools import must

AUTHENTICATION = "/apis/authentication.k8s.io/v1"
STAYS_AWAY = 20
"""Requests that have to be refused as well once one was."""
CROWD = 50

Pair = tuple[Serving, Serving]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with two_processes(request.param, tmp_path_factory.mktemp("pair")) as both:
        yield both
        for each in both:
            assert "Traceback" not in each.server.log, each.server.log


@pytest.fixture
def pair(running: Pair) -> Iterator[Pair]:
    yield running
    for each in running:
        each.close()


NUMBERS = itertools.count(1)


@pytest.fixture
def name() -> str:
    """What no other test uses, for projects and users."""
    return f"n{next(NUMBERS)}"


def make_project(pair: Pair, name: str) -> KubeClient:
    """The administrator at the first process, with a new project of hers and an image in it."""
    admin = pair[0].log_in()
    admin.make(f"{PROJECTS}/projectrequests", project(name))
    with pair[0].registry() as registry:
        registry.push(f"{name}/web", small_image(name), "1")
    return admin


def command(serving: Serving, *words: str) -> None:
    """A `tidegate` command beside the first server."""
    must(
        serving.server.program,
        *words,
        *("--data", str(serving.server.data)),
        environment=serving.server.environment(),
    )


def ends(ask: Callable[[], httpx.Response], *refusals: int) -> None:
    """What was allowed is refused soon, and stays so."""
    wait_until(lambda: ask().status_code in refusals, what="a right to end")
    for _ in range(STAYS_AWAY):
        assert ask().status_code in refusals


def config_maps(name: str) -> str:
    return f"{CORE}/namespaces/{name}/configmaps"


def manifest(name: str) -> str:
    return f"/v2/{name}/web/manifests/1"


def test_a_grant_made_at_one_counts_at_the_others_first_request(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)
    add_user(pair[0].server, name)
    bindings = f"{RBAC}/namespaces/{name}/rolebindings"
    with pair[1].log_in(name) as una, pair[1].registry(name) as pulling:
        for number in range(5):
            ends(lambda: una.get(config_maps(name)), 403)
            ends(lambda: pulling.manifest(f"{name}/web", "1"), 403)
            admin.make(bindings, role_binding(f"given-{number}", "view", name))
            assert pulling.manifest(f"{name}/web", "1").status_code == 200
            assert una.get(config_maps(name)).status_code == 200
            admin.delete(f"{bindings}/given-{number}")
            admin.make(bindings, role_binding(f"again-{number}", "view", name))
            assert una.get(config_maps(name)).status_code == 200
            admin.delete(f"{bindings}/again-{number}")


def test_a_grant_counts_for_a_registry_token_asked_for_at_the_other(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)
    add_user(pair[0].server, name)
    with pair[1].registry(name) as una:
        assert una.manifest(f"{name}/web", "1").status_code == 403
        given = role_binding("given", "view", name)
        admin.make(f"{RBAC}/namespaces/{name}/rolebindings", given)
        token = una.token(f"repository:{name}/web:pull")
    with pair[1].bearer(token) as pulling:
        assert pulling.manifest(f"{name}/web", "1").status_code == 200
        admin.delete(f"{RBAC}/namespaces/{name}/rolebindings/given")
        ends(lambda: pulling.manifest(f"{name}/web", "1"), 401, 403)


def test_a_binding_deleted_or_changed_at_one_is_none_at_the_other(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)
    add_user(pair[0].server, name)
    binding = f"{RBAC}/namespaces/{name}/rolebindings/given"
    admin.make(f"{RBAC}/namespaces/{name}/rolebindings", role_binding("given", "view", name))
    with pair[1].log_in(name) as una, pair[1].registry(name) as pulling:
        assert una.get(config_maps(name)).status_code == 200
        admin.patch(binding, {"subjects": []})
        ends(lambda: una.get(config_maps(name)), 403)
        admin.patch(binding, {"subjects": role_binding("", "view", name)["subjects"]})
        assert una.get(config_maps(name)).status_code == 200
        assert pulling.manifest(f"{name}/web", "1").status_code == 200
        admin.delete(binding)
        ends(lambda: una.get(config_maps(name)), 403)
        ends(lambda: pulling.manifest(f"{name}/web", "1"), 403)


def test_a_role_changed_at_one_is_judged_by_at_the_other(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)
    add_user(pair[0].server, name)
    rule = {"verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"]}
    role = {"metadata": {"name": "lists"}, "rules": [rule]}
    admin.make(f"{RBAC}/namespaces/{name}/roles", role)
    binding = role_binding("given", "lists", name, kind="Role")
    admin.make(f"{RBAC}/namespaces/{name}/rolebindings", binding)
    with pair[1].log_in(name) as una:
        assert una.get(config_maps(name)).status_code == 200
        admin.patch(f"{RBAC}/namespaces/{name}/roles/lists", {"rules": []})
        ends(lambda: una.get(config_maps(name)), 403)
        admin.patch(f"{RBAC}/namespaces/{name}/roles/lists", {"rules": [rule]})
        assert una.get(config_maps(name)).status_code == 200


def test_who_joins_a_group_at_one_is_of_it_at_the_other_until_she_leaves(
    pair: Pair, name: str
) -> None:
    admin = make_project(pair, name)
    add_user(pair[0].server, name)
    group = f"{USERS}/groups/{name}-team"
    admin.make(f"{USERS}/groups", {"metadata": {"name": f"{name}-team"}, "users": []})
    binding = role_binding("given", "view", groups=(f"{name}-team",))
    admin.make(f"{RBAC}/namespaces/{name}/rolebindings", binding)
    with pair[1].log_in(name) as una, pair[1].registry(name) as pulling:
        for _ in range(3):
            assert una.get(config_maps(name)).status_code == 403
            admin.patch(group, {"users": [name]})
            assert una.get(config_maps(name)).status_code == 200
            assert pulling.manifest(f"{name}/web", "1").status_code == 200
            admin.patch(group, {"users": []})
            ends(lambda: una.get(config_maps(name)), 403)
            ends(lambda: pulling.manifest(f"{name}/web", "1"), 403)


def disable(pair: Pair, name: str) -> None:
    command(pair[0], "user", "disable", name)


def remove(pair: Pair, name: str) -> None:
    command(pair[0], "user", "delete", name)


def delete_tokens(pair: Pair, name: str) -> None:
    tokens = "/apis/oauth.openshift.io/v1/oauthaccesstokens"
    with pair[0].log_in() as admin:
        for each in admin.read(tokens)["items"]:
            if each["userName"] == name:
                admin.delete(f"{tokens}/{each['metadata']['name']}")


@pytest.mark.parametrize("end", [disable, remove, delete_tokens])
def test_a_login_ended_at_one_is_none_at_the_other(
    pair: Pair, name: str, end: Callable[[Pair, str], None]
) -> None:
    admin = make_project(pair, name)
    add_user(pair[0].server, name)
    admin.make(f"{RBAC}/namespaces/{name}/rolebindings", role_binding("given", "view", name))
    una = pair[1].log_in(name)
    assert una.token is not None
    with pair[1].registry("token", una.token) as asking:
        token = asking.token(f"repository:{name}/web:pull")
    with una, pair[1].bearer(token) as pulling:
        assert una.get(config_maps(name)).status_code == 200
        assert pulling.manifest(f"{name}/web", "1").status_code == 200
        end(pair, name)
        ends(lambda: una.get(config_maps(name)), 401)
        ends(lambda: pulling.manifest(f"{name}/web", "1"), 401)


def token_secret(account: str) -> dict[str, Any]:
    """A Secret into which the server puts a token of the account."""
    return {
        "metadata": {
            "name": f"{account}-token",
            "annotations": {"kubernetes.io/service-account.name": account},
        },
        "type": "kubernetes.io/service-account-token",
    }


@pytest.mark.parametrize("what", ["serviceaccounts/robot", "secrets/robot-token"])
def test_a_service_accounts_token_ends_with_what_it_is_bound_to(
    pair: Pair, name: str, what: str
) -> None:
    admin = make_project(pair, name)
    here = f"{CORE}/namespaces/{name}"
    admin.make(f"{here}/serviceaccounts", {"metadata": {"name": "robot"}})
    binding = role_binding("robot", "view", f"system:serviceaccount:{name}:robot")
    admin.make(f"{RBAC}/namespaces/{name}/rolebindings", binding)
    if what.startswith("secrets"):
        bound: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "name": "robot-token"}
        admin.make(f"{here}/secrets", {"metadata": {"name": "robot-token"}})
    else:
        bound = {}
    wanted = {"spec": {"expirationSeconds": 3600, **({"boundObjectRef": bound} if bound else {})}}
    made = admin.make(f"{here}/serviceaccounts/robot/token", wanted)
    token: str = made["status"]["token"]
    with pair[1].api(token) as robot, pair[1].bearer(token) as pulling:
        assert robot.get(config_maps(name)).status_code == 200
        assert pulling.manifest(f"{name}/web", "1").status_code == 200
        assert admin.delete(f"{here}/{what}").status_code == 200
        ends(lambda: robot.get(config_maps(name)), 401)
        ends(lambda: pulling.manifest(f"{name}/web", "1"), 401)


def test_a_namespace_ended_at_one_and_made_again_at_the_other_has_nothing_of_the_old(
    pair: Pair, name: str
) -> None:
    admin = make_project(pair, name)
    add_user(pair[0].server, name)
    admin.make(f"{RBAC}/namespaces/{name}/rolebindings", role_binding("given", "view", name))
    admin.make(config_maps(name), {"metadata": {"name": "old"}})
    with pair[1].log_in() as other, pair[1].log_in(name) as una, pair[1].registry() as registry:
        assert una.get(config_maps(name)).status_code == 200
        for number in range(3):
            assert admin.delete(f"{PROJECTS}/projects/{name}").status_code == 200

            def made() -> bool:
                answer = other.post(f"{PROJECTS}/projectrequests", project(name))
                assert answer.status_code in (201, 409), answer.text
                return answer.status_code == 201

            wait_until(made, what="the name to be free")
            assert [
                each["metadata"]["name"] for each in other.read(config_maps(name))["items"]
            ] == []
            assert registry.manifest(f"{name}/web", "1").status_code == 404
            ends(lambda: una.get(config_maps(name)), 403)
            assert una.get(f"{PROJECTS}/projects/{name}").status_code == 403
            found = admin.read(f"{RBAC}/namespaces/{name}/rolebindings")["items"]
            assert {each["metadata"]["name"] for each in found} == {
                "admin",
                "system:deployers",
                "system:image-builders",
                "system:image-pullers",
            }
            admin.make(config_maps(name), {"metadata": {"name": f"old-{number}"}})
            registry.push(f"{name}/web", small_image(f"{name}{number}"), "1")


# Many at once.


def all_at_once(
    pair: Pair, count: int, ask: Callable[[KubeClient, int], httpx.Response]
) -> list[httpx.Response]:
    """What `count` clients are told that ask at the same time, every other one at each process."""
    token = log_in(pair[0].url)
    clients = [pair[number % 2].api(token) for number in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, clients, range(count)))


def codes(answers: list[httpx.Response]) -> dict[int, int]:
    found: dict[int, int] = {}
    for each in answers:
        found[each.status_code] = found.get(each.status_code, 0) + 1
    return found


def test_of_many_updates_of_one_version_one_wins(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)
    read = admin.make(config_maps(name), {"metadata": {"name": "one"}})

    def put(client: KubeClient, number: int) -> httpx.Response:
        return client.put(f"{config_maps(name)}/one", {**read, "data": {"by": str(number)}})

    answers = all_at_once(pair, CROWD, put)
    assert codes(answers) == {200: 1, 409: CROWD - 1}
    assert {each.json()["reason"] for each in answers if each.status_code == 409} == {"Conflict"}
    (won,) = [each.json() for each in answers if each.status_code == 200]
    assert admin.read(f"{config_maps(name)}/one") == won


def test_many_patches_without_a_version_all_land(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)
    admin.make(config_maps(name), {"metadata": {"name": "one"}})
    forms = ("application/merge-patch+json", "application/strategic-merge-patch+json")

    def patch(client: KubeClient, number: int) -> httpx.Response:
        note = {"metadata": {"annotations": {f"example.com/{number}": "here"}}}
        return client.patch(f"{config_maps(name)}/one", note, forms[number // 2 % 2])

    answers = all_at_once(pair, CROWD, patch)
    assert codes(answers) == {200: CROWD}
    annotations = admin.read(f"{config_maps(name)}/one")["metadata"]["annotations"]
    assert set(annotations) == {f"example.com/{number}" for number in range(CROWD)}
    versions = {each.json()["metadata"]["resourceVersion"] for each in answers}
    assert len(versions) == CROWD


def test_generated_names_are_distinct(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)

    def create(client: KubeClient, _number: int) -> httpx.Response:
        for _ in range(3):
            client.make(config_maps(name), {"metadata": {"generateName": "made-"}})
        return client.post(config_maps(name), {"metadata": {"generateName": "made-"}})

    answers = all_at_once(pair, CROWD, create)
    assert codes(answers) == {201: CROWD}
    found = admin.read(config_maps(name))["items"]
    assert len({each["metadata"]["name"] for each in found}) == 4 * CROWD


def test_of_many_requests_for_one_project_one_is_granted(pair: Pair, name: str) -> None:
    def request(client: KubeClient, _number: int) -> httpx.Response:
        return client.post(f"{PROJECTS}/projectrequests", project(name))

    answers = all_at_once(pair, CROWD, request)
    assert codes(answers) == {201: 1, 409: CROWD - 1}
    assert {each.json()["reason"] for each in answers if each.status_code == 409} == {
        "AlreadyExists"
    }


def test_of_many_deletions_one_deletes(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)
    admin.make(config_maps(name), {"metadata": {"name": "one"}})

    def delete(client: KubeClient, _number: int) -> httpx.Response:
        return client.delete(f"{config_maps(name)}/one")

    assert codes(all_at_once(pair, CROWD, delete)) == {200: 1, 404: CROWD - 1}


def test_of_many_appliers_of_a_new_object_one_makes_it_and_all_land(pair: Pair, name: str) -> None:
    admin = make_project(pair, name)

    def apply(client: KubeClient, number: int) -> httpx.Response:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "one"},
            "data": {f"key-{number}": "here"},
        }
        form = "application/apply-patch+yaml"
        return client.patch(f"{config_maps(name)}/one", body, form, fieldManager=f"m{number}")

    answers = all_at_once(pair, 20, apply)
    assert codes(answers) == {201: 1, 200: 19}
    assert len(admin.read(f"{config_maps(name)}/one")["data"]) == 20


def push(registry: RegistryClient, repository: str, pushed: Pushable) -> int:
    """The last status of a push, which may be refused on the way."""
    for blob in pushed.blobs:
        opened = registry.http.post(f"/v2/{repository}/blobs/uploads/")
        if opened.status_code != 202:
            return opened.status_code
        answer = registry.put_blob(repository, blob)
        if answer.status_code != 201:
            return answer.status_code
    return registry.put_manifest(repository, "1", pushed.manifest).status_code


def test_many_pushes_of_one_user_into_a_missing_project_make_it_once(pair: Pair, name: str) -> None:
    add_user(pair[0].server, name)
    clients = [pair[number % 2].registry(name) for number in range(10)]
    images = [small_image(f"{name}-{number}") for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        pushes = pool.map(
            push, clients, [f"{name}-new/app{number}" for number in range(10)], images
        )
        assert set(pushes) == {201}
    with pair[1].log_in() as admin:
        found = admin.read(f"{RBAC}/namespaces/{name}-new/rolebindings/admin")
        assert [each["name"] for each in found["subjects"]] == [name]
    for number, (client, image) in enumerate(zip(clients, images, strict=True)):
        client.pull(f"{name}-new/app{number}", image, "1")
        client.http.close()


def test_of_two_users_who_push_into_a_missing_project_one_gets_it(pair: Pair, name: str) -> None:
    users = (f"{name}-a", f"{name}-b")
    for each in users:
        add_user(pair[0].server, each)
    for round_ in range(5):
        made = f"{name}-{round_}"
        clients = [pair[number].registry(user) for number, user in enumerate(users)]
        images = [small_image(f"{made}-{user}") for user in users]
        with ThreadPoolExecutor(2) as pool:
            pushes = pool.map(push, clients, [f"{made}/{user}" for user in users], images)
            assert sorted(pushes) == [201, 403]
        for client in clients:
            client.http.close()
        with pair[1].log_in() as admin:
            found = admin.read(f"{RBAC}/namespaces/{made}/rolebindings/admin")
            assert len(found["subjects"]) == 1


def test_passwords_changed_while_others_log_in(pair: Pair, name: str) -> None:
    add_user(pair[0].server, name)
    with pair[1].registry(name) as una:
        assert una.http.get("/v2/").status_code == 200
        command(pair[0], "user", "passwd", name, "--password", f"another {PASSWORD}")
        ends(lambda: una.http.get("/v2/"), 401, 429)


def test_a_registry_taken_off_the_list_at_one_is_refused_at_the_others_first_request(
    pair: Pair, name: str
) -> None:
    admin = make_project(pair, name)
    cluster = "/apis/config.openshift.io/v1/images/cluster"
    streams = f"/apis/image.openshift.io/v1/namespaces/{name}/imagestreams"
    origin = {"kind": "DockerImage", "name": "quay.io/a/b:1"}

    def listed(*registries: str, **more: Any) -> None:
        entries = [{"domainName": each} for each in registries]
        spec = {"allowedRegistriesForImport": entries, **more}
        assert admin.patch(cluster, {"spec": spec}).status_code == 200

    with pair[1].log_in() as other:

        def public() -> object:
            status = other.read(f"{streams}/web")["status"]
            return status.get("publicDockerImageRepository")

        for number in range(10):
            body = {
                "metadata": {"name": f"s{number}"},
                "spec": {"tags": [{"name": "a", "from": origin}]},
            }
            listed("gcr.io")
            assert other.post(streams, body).status_code == 422
            listed("quay.io")
            assert other.post(streams, body).status_code == 201
        listed(externalRegistryHostnames=["images.example.com"])
        wait_until(lambda: public() == f"images.example.com/{name}/web", what="the new name")
        listed(externalRegistryHostnames=None)
        wait_until(lambda: "images.example.com" not in str(public()), what="the old name")
