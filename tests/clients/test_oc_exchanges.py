"""What `oc` says over HTTP and needs to hear, command by command; no oc is needed to run it.

The requests are those that oc of the 4.2x line (client-go 0.35) sends. Kinds of Kubernetes go out
as protobuf, OpenShift's own as JSON; answers may be JSON for both.
"""

import base64
import hashlib
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.images import small_image
from tests.kube_client import (
    CORE,
    PROJECTS,
    RBAC,
    TOKENS,
    USERS,
    KubeClient,
    add_user,
    kube_client,
    log_in,
    project,
    token_name,
)
from tests.kube_client import role_binding as binding_of
from tests.registry_client import client_of
from tests.server import PASSWORD, Server, serving, wait_until

IMAGES = "/apis/image.openshift.io/v1"
OPENSHIFT = "/apis/authorization.openshift.io/v1"
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REDIRECT = "/oauth/token/implicit"


# Kubernetes' protobuf: fields by number, as in the generated.proto of each group.


def part(number: int, value: str | bytes) -> bytes:
    """A field that is text, bytes or a message."""
    payload = value.encode() if isinstance(value, str) else value
    length, size = b"", len(payload)
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def protobuf(version: str, kind: str, message: bytes) -> bytes:
    """A body: magic bytes, then who it is and what it says."""
    return b"k8s\0" + part(1, part(1, version) + part(2, kind)) + part(2, message)


def send(client: KubeClient, method: str, path: str, body: bytes) -> httpx.Response:
    """A request as a typed client of client-go makes it."""
    headers = {
        "Content-Type": "application/vnd.kubernetes.protobuf",
        "Accept": "application/vnd.kubernetes.protobuf,application/json",
    }
    answer = client.http.request(method, path, content=body, headers=headers)
    assert answer.headers["content-type"] == "application/json"
    return answer


def role_binding(name: str, role: str, *subjects: tuple[str, str], version: str = "") -> bytes:
    """A RoleBinding of a ClusterRole; subjects are kinds and names."""
    group = "rbac.authorization.k8s.io"
    message = part(1, part(1, name) + part(6, version))
    for kind, subject in subjects:
        named = part(1, kind) + part(3, subject)
        named += b"" if kind == "ServiceAccount" else part(2, group)
        message += part(2, named)
    message += part(3, part(1, group) + part(2, "ClusterRole") + part(3, role))
    return protobuf(f"{group}/v1", "RoleBinding", message)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests' own, with two users beside the administrator."""
    with serving(Server(tmp_path_factory.mktemp("oc") / "data", tls=True)) as started:
        for name in ("una", "ugo"):
            add_user(started, name)
        yield started
    assert "Traceback" not in started.log, started.log


@pytest.fixture(scope="module")
def una(server: Server) -> Iterator[KubeClient]:
    with kube_client(server, "una") as client:
        yield client


@pytest.fixture(scope="module")
def ugo(server: Server) -> Iterator[KubeClient]:
    with kube_client(server, "ugo") as client:
        yield client


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


@pytest.fixture
def shop(una: KubeClient, repository: str) -> Iterator[str]:
    """A project that una asked for."""
    name = repository.partition("/")[0]
    una.make(f"{PROJECTS}/projectrequests", project(name))
    yield name
    una.delete(f"{PROJECTS}/projects/{name}")


@pytest.fixture
def encrypted(server: Server) -> Iterator[httpx.Client]:
    """A client without a token on the TLS port, where `oc login` goes."""
    trust = ssl.create_default_context(cafile=server.authority)
    url = f"https://{server.tls_address}"
    with httpx.Client(base_url=url, verify=trust, trust_env=False, timeout=60) as client:
        yield client


# oc login


def test_login_finds_the_server_and_its_login(encrypted: httpx.Client) -> None:
    found = encrypted.head("/")
    assert found.status_code == 200
    assert "text/html" not in found.headers["content-type"]
    assert int(encrypted.get("/version").json()["minor"]) >= 24
    answer = encrypted.get("/.well-known/oauth-authorization-server", headers={"X-CSRF-Token": "1"})
    assert answer.headers["content-type"].startswith("application/json")
    metadata, url = answer.json(), str(encrypted.base_url).rstrip("/")
    assert metadata["issuer"] == url
    assert metadata["authorization_endpoint"] == f"{url}/oauth/authorize"
    assert metadata["token_endpoint"] == f"{url}/oauth/token"
    assert {"code", "token"} <= {*metadata["response_types_supported"]}
    assert {"authorization_code", "implicit"} <= {*metadata["grant_types_supported"]}
    assert {"plain", "S256"} <= {*metadata["code_challenge_methods_supported"]}
    assert encrypted.head(metadata["issuer"]).status_code == 200


def test_login_is_challenged_and_gets_a_token_by_a_code(encrypted: httpx.Client) -> None:
    url = str(encrypted.base_url).rstrip("/")
    verifier = "a-verifier-of-at-least-43-characters-say-these-here"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    asked = {
        "client_id": "openshift-challenging-client",
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "redirect_uri": url + REDIRECT,
        "response_type": "code",
    }
    token = {"X-CSRF-Token": "1"}

    challenged = encrypted.get("/oauth/authorize", params=asked, headers=token)
    assert challenged.status_code == 401
    assert challenged.headers["www-authenticate"].startswith("Basic realm=")
    browser = encrypted.get("/oauth/authorize", params=asked)
    assert browser.status_code == 401
    assert "www-authenticate" not in browser.headers
    wrong = encrypted.get("/oauth/authorize", params=asked, headers=token, auth=("una", "not hers"))
    assert wrong.status_code == 401

    sent_on = encrypted.get("/oauth/authorize", params=asked, headers=token, auth=("una", PASSWORD))
    assert sent_on.status_code == 302
    assert sent_on.headers["location"].startswith(url + REDIRECT)
    (code,) = parse_qs(urlsplit(sent_on.headers["location"]).query)["code"]
    exchange = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": url + REDIRECT,
        "code_verifier": verifier,
    }
    client = ("openshift-challenging-client", "")
    answer = encrypted.post("/oauth/token", data=exchange, auth=client)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    granted = answer.json()
    assert granted["access_token"].startswith("sha256~")
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 86400)
    assert granted["scope"] == "user:full"
    assert encrypted.post("/oauth/token", data=exchange, auth=client).status_code == 400


def test_login_looks_who_it_is_and_what_projects_there_are(server: Server, una: KubeClient) -> None:
    assert una.read(f"{USERS}/users/~")["metadata"]["name"] == "una"
    assert una.read(f"{PROJECTS}/projects")["kind"] == "ProjectList"
    motd = una.get(f"{CORE}/namespaces/openshift/configmaps/motd")
    assert motd.status_code in (403, 404)
    with KubeClient(server.url, "sha256~that-nobody-got") as nobody:
        assert nobody.get(f"{USERS}/users/~").status_code == 401


def test_login_without_projects_asks_whether_one_may_be_made(ugo: KubeClient) -> None:
    """oc's texts depend on two reviews; `subjectaccessreviews` of OpenShift without a user."""
    for verb, resource in (("list", "projects"), ("create", "projectrequests")):
        body = {
            "kind": "SubjectAccessReview",
            "apiVersion": "authorization.openshift.io/v1",
            "verb": verb,
            "resourceAPIGroup": "project.openshift.io",
            "resource": resource,
            **dict.fromkeys(("namespace", "resourceAPIVersion", "resourceName", "path"), ""),
            "isNonResourceURL": False,
            "content": None,
            "user": "",
            "groups": None,
            "scopes": None,
        }
        answer = ugo.make(f"{OPENSHIFT}/subjectaccessreviews", body)
        assert answer["kind"] == "SubjectAccessReviewResponse"
        assert answer["allowed"] is True


# oc whoami, oc logout


def test_whoami_is_told(una: KubeClient) -> None:
    body = protobuf("authentication.k8s.io/v1", "SelfSubjectReview", part(1, b""))
    answer = send(una, "POST", REVIEW, body)
    assert answer.status_code == 201
    user = answer.json()["status"]["userInfo"]
    assert user["username"] == "una"
    assert user["uid"] == una.read(f"{USERS}/users/~")["metadata"]["uid"]
    assert {"system:authenticated", "system:authenticated:oauth"} <= {*user["groups"]}


def test_logout_deletes_the_token_which_then_opens_nothing(server: Server) -> None:
    token = log_in(server.url, "una")
    with KubeClient(server.url, token) as client:
        answer = client.delete(
            f"{TOKENS}/{token_name(token)}", {"kind": "DeleteOptions", "apiVersion": "v1"}
        )
        assert answer.status_code == 200
        wait_until(
            lambda: client.get(f"{USERS}/users/~").status_code == 401, what="the end of the token"
        )
        basic = {"Authorization": "Basic " + base64.b64encode(f"x:{token}".encode()).decode()}
        assert client.http.get("/v2/", headers=basic).status_code == 401


# oc new-project, oc project, oc projects, oc delete project


def test_new_project_asks_first_and_has_a_project_at_once(
    una: KubeClient, ugo: KubeClient, repository: str
) -> None:
    requests, name = f"{PROJECTS}/projectrequests", repository.partition("/")[0]
    allowed = una.read(requests)
    assert (allowed["kind"], allowed["status"]) == ("Status", "Success")
    asked = {"metadata": {"name": name}, "displayName": "Shop", "description": "All of it"}
    answer = una.post(requests, asked)
    assert answer.status_code == 201
    made = answer.json()
    assert made["kind"] == "Project"
    assert made["metadata"]["annotations"] == {
        "openshift.io/description": "All of it",
        "openshift.io/display-name": "Shop",
        "openshift.io/requester": "una",
    }
    assert una.get(f"{CORE}/namespaces/{name}/secrets").status_code == 200
    bindings = una.read(f"{RBAC}/namespaces/{name}/rolebindings")["items"]
    assert {each["metadata"]["name"] for each in bindings} == {
        "admin", "system:deployers", "system:image-builders", "system:image-pullers",
    }  # fmt: skip
    for client in (una, ugo):
        again = client.post(requests, asked)
        assert again.status_code == 409
        assert again.json()["message"] == f'project.project.openshift.io "{name}" already exists'


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("openshift-x", 'cannot request a project starting with "openshift-"'),
        ("kubernetes-x", 'cannot request a project starting with "kubernetes-"'),
        ("kube-x", 'cannot request a project starting with "kube-"'),
    ],
)
def test_a_name_that_is_kept_for_the_system_is_refused(
    una: KubeClient, name: str, why: str
) -> None:
    answer = una.post(f"{PROJECTS}/projectrequests", project(name))
    assert answer.status_code == 403
    assert answer.json()["message"] == f'project.project.openshift.io "{name}" is forbidden: {why}'


def test_who_may_not_ask_for_projects_is_told_so(
    server: Server, una: KubeClient, shop: str
) -> None:
    path = f"{CORE}/namespaces/{shop}/serviceaccounts/default/token"
    token = una.make(path, {"spec": {}})["status"]["token"]
    with KubeClient(server.url, token) as account:
        answer = account.get(f"{PROJECTS}/projectrequests")
    assert answer.status_code == 403
    assert answer.json()["reason"] == "Forbidden"


def test_a_project_is_seen_by_its_members_alone(
    una: KubeClient, ugo: KubeClient, shop: str
) -> None:
    def names(client: KubeClient) -> set[str]:
        return {each["metadata"]["name"] for each in client.read(f"{PROJECTS}/projects")["items"]}

    assert una.read(f"{PROJECTS}/projects/{shop}")["status"]["phase"] == "Active"
    assert shop in names(una)
    assert shop not in names(ugo)
    for path in (f"{PROJECTS}/projects", f"{CORE}/namespaces"):
        assert ugo.get(f"{path}/{shop}").status_code == 403
        assert ugo.get(f"{path}/not-there").status_code == 403
    described = una.read(f"{CORE}/namespaces/{shop}/resourcequotas")
    assert described["kind"] == "ResourceQuotaList"


def test_an_administrator_is_told_that_a_project_does_not_exist(admin: KubeClient) -> None:
    for path in (f"{PROJECTS}/projects", f"{CORE}/namespaces"):
        answer = admin.get(f"{path}/not-there")
        assert answer.status_code == 404
        assert answer.json()["message"] == 'namespaces "not-there" not found'


def test_a_deleted_project_is_waited_for_by_a_watch(una: KubeClient, shop: str) -> None:
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    assert una.delete(f"{PROJECTS}/projects/{shop}", options).status_code == 200
    watch = {
        "allowWatchBookmarks": "true",
        "fieldSelector": f"metadata.name={shop}",
        "resourceVersionMatch": "NotOlderThan",
        "sendInitialEvents": "true",
        "timeoutSeconds": "60",
        "watch": "true",
    }
    bookmarked = False
    with una.http.stream("GET", f"{PROJECTS}/projects", params=watch) as stream:
        assert stream.status_code == 200
        for line in stream.iter_lines():
            event = json.loads(line)
            annotations = event["object"]["metadata"].get("annotations", {})
            if event["type"] == "BOOKMARK" and "k8s.io/initial-events-end" in annotations:
                bookmarked = True
                if una.get(f"{PROJECTS}/projects/{shop}").status_code != 200:
                    break  # it went before the watch began
            if event["type"] == "DELETED":
                assert event["object"]["metadata"]["name"] == shop
                break
    assert bookmarked
    wait_until(
        lambda: una.get(f"{PROJECTS}/projects/{shop}").status_code in (403, 404),
        what="the end of the project",
    )


# oc policy, oc adm policy, oc auth can-i


def test_a_role_is_added_to_a_user_and_removed(una: KubeClient, ugo: KubeClient, shop: str) -> None:
    path = f"{RBAC}/namespaces/{shop}/rolebindings"
    una.read(path)
    assert una.get(f"{RBAC}/clusterroles/view").status_code == 200
    assert una.get(f"{USERS}/users/ugo").status_code == 403  # oc only warns
    made = send(una, "POST", path, role_binding("view", "view", ("User", "ugo")))
    assert made.status_code == 201
    assert made.json()["subjects"] == [
        {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ugo"}
    ]
    assert ugo.get(f"{CORE}/namespaces/{shop}/configmaps").status_code == 200

    version = made.json()["metadata"]["resourceVersion"]
    both = (("User", "ugo"), ("User", "una"))
    body = role_binding("view", "view", *both, version=version)
    changed = send(una, "PUT", f"{path}/view", body)
    assert changed.status_code == 200
    assert [each["name"] for each in changed.json()["subjects"]] == ["ugo", "una"]
    assert send(una, "PUT", f"{path}/view", body).status_code == 409

    options = protobuf("meta.k8s.io/v1", "DeleteOptions", b"")
    assert send(una, "DELETE", f"{path}/view", options).json()["status"] == "Success"
    assert ugo.get(f"{CORE}/namespaces/{shop}/configmaps").status_code == 403


def test_a_role_is_added_to_a_service_account(una: KubeClient, shop: str) -> None:
    """With -z, oc names no namespace: it means the binding's own."""
    path = f"{RBAC}/namespaces/{shop}/rolebindings"
    group = "rbac.authorization.k8s.io"
    subject = part(1, "ServiceAccount") + part(3, "builder") + part(4, shop)
    role = part(1, group) + part(2, "ClusterRole") + part(3, "edit")
    message = part(1, part(1, "edit")) + part(2, subject) + part(3, role)
    made = send(una, "POST", path, protobuf(f"{group}/v1", "RoleBinding", message))
    assert made.status_code == 201
    assert made.json()["subjects"] == [
        {"kind": "ServiceAccount", "name": "builder", "namespace": shop}
    ]


def test_who_does_not_hold_a_role_cannot_add_it(
    una: KubeClient, ugo: KubeClient, shop: str
) -> None:
    path = f"{RBAC}/namespaces/{shop}/rolebindings"
    assert send(ugo, "POST", path, role_binding("x", "view", ("User", "ugo"))).status_code == 403
    escalated = send(una, "POST", path, role_binding("x", "cluster-admin", ("User", "una")))
    assert escalated.status_code == 403
    assert una.get(f"{RBAC}/clusterrolebindings").status_code == 403


def test_who_can_is_answered_for_a_project_and_for_all(
    una: KubeClient, admin: KubeClient, shop: str
) -> None:
    asked = {
        "kind": "LocalResourceAccessReview",
        "apiVersion": "authorization.openshift.io/v1",
        "namespace": shop,
        "verb": "get",
        "resourceAPIGroup": "image.openshift.io",
        "resourceAPIVersion": "",
        "resource": "imagestreams/layers",
        "resourceName": "",
        "path": "",
        "isNonResourceURL": False,
        "content": None,
    }
    path = f"{OPENSHIFT}/namespaces/{shop}/localresourceaccessreviews"
    answer = una.make(path, asked)
    assert answer["kind"] == "ResourceAccessReviewResponse"
    assert answer["namespace"] == shop
    assert {"admin", "una", f"system:serviceaccount:{shop}:builder"} == {*answer["users"]}
    assert f"system:serviceaccounts:{shop}" in answer["groups"]
    everywhere = {**asked, "kind": "ResourceAccessReview", "namespace": ""}
    path = f"{OPENSHIFT}/resourceaccessreviews"
    assert una.post(path, everywhere).status_code == 403
    answer = admin.make(path, everywhere)
    assert "una" not in answer["users"]
    assert "system:masters" in answer["groups"]


def test_can_i_is_answered(una: KubeClient, shop: str) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    def may(verb: str, resource: str, namespace: str) -> bool:
        attributes = part(1, namespace) + part(2, verb) + part(5, resource)
        message = part(1, b"") + part(2, part(1, attributes))
        body = protobuf("authorization.k8s.io/v1", "SelfSubjectAccessReview", message)
        answer = send(una, "POST", path, body)
        assert answer.status_code == 201
        return bool(answer.json()["status"]["allowed"])

    assert may("create", "secrets", shop)
    assert not may("create", "secrets", "default")
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    message = part(1, b"") + part(2, part(1, shop))
    body = protobuf("authorization.k8s.io/v1", "SelfSubjectRulesReview", message)
    status = send(una, "POST", path, body).json()["status"]
    assert status["incomplete"] is False
    assert any("secrets" in each["resources"] for each in status["resourceRules"])
    assert any("/version" in each["nonResourceURLs"] for each in status["nonResourceRules"])


# oc create secret docker-registry, oc secrets link and unlink, oc create sa, oc create token


def test_a_pull_secret_is_made_linked_and_unlinked(una: KubeClient, shop: str) -> None:
    secrets = f"{CORE}/namespaces/{shop}/secrets"
    account = f"{CORE}/namespaces/{shop}/serviceaccounts/default"
    auths = {"auths": {"quay.io": {"username": "u", "password": "p", "auth": "dTpw"}}}
    entry = part(1, ".dockerconfigjson") + part(2, json.dumps(auths))
    message = part(1, part(1, "pull")) + part(2, entry)
    message += part(3, "kubernetes.io/dockerconfigjson")
    made = send(una, "POST", secrets, protobuf("v1", "Secret", message))
    assert made.status_code == 201
    assert made.json()["type"] == "kubernetes.io/dockerconfigjson"
    stored = una.read(f"{secrets}/pull")["data"][".dockerconfigjson"]
    assert json.loads(base64.b64decode(stored)) == auths

    def write(read: dict[str, Any], *names: str) -> httpx.Response:
        metadata = part(1, "default") + part(3, shop) + part(5, read["metadata"]["uid"])
        metadata += part(6, read["metadata"]["resourceVersion"])
        for name, value in read["metadata"]["annotations"].items():
            metadata += part(12, part(1, name) + part(2, value))
        message = part(1, metadata)
        for each in read["secrets"]:
            message += part(2, part(3, each["name"]))
        for name in names:
            message += part(3, part(1, name))
        return send(una, "PUT", account, protobuf("v1", "ServiceAccount", message))

    before = una.read(account)
    own = [each["name"] for each in before["imagePullSecrets"]]
    assert len(own) == 1
    linked = write(before, *own, "pull")
    assert linked.status_code == 200
    assert linked.json()["imagePullSecrets"] == [{"name": each} for each in (*own, "pull")]
    assert linked.json()["secrets"] == before["secrets"]
    assert write(before, *own).status_code == 409
    unlinked = write(linked.json(), *own)
    assert unlinked.json()["imagePullSecrets"] == before["imagePullSecrets"]
    broken = part(1, part(1, "broken")) + part(2, part(1, ".dockerconfigjson") + part(2, "{"))
    broken += part(3, "kubernetes.io/dockerconfigjson")
    refused = send(una, "POST", secrets, protobuf("v1", "Secret", broken))
    assert refused.status_code == 422


def test_a_service_account_is_made_and_gets_a_token(
    server: Server, una: KubeClient, shop: str
) -> None:
    path = f"{CORE}/namespaces/{shop}/serviceaccounts"
    body = protobuf("v1", "ServiceAccount", part(1, part(1, "robot")))
    assert send(una, "POST", f"{path}?fieldManager=kubectl-create", body).status_code == 201
    request = protobuf("authentication.k8s.io/v1", "TokenRequest", part(1, b"") + part(2, b""))
    answer = send(una, "POST", f"{path}/robot/token", request)
    assert answer.status_code == 201
    assert answer.json()["spec"]["expirationSeconds"] == 3600
    with KubeClient(server.url, answer.json()["status"]["token"]) as robot:
        user = robot.make(REVIEW, {})["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{shop}:robot"
    assert {"system:serviceaccounts", f"system:serviceaccounts:{shop}"} <= {*user["groups"]}


# oc adm groups, oc create user, oc create identity


def test_groups_are_filled_and_count(
    admin: KubeClient, una: KubeClient, ugo: KubeClient, shop: str
) -> None:
    name = f"devs-{shop}"
    made = admin.make(f"{USERS}/groups", {"metadata": {"name": name}, "users": ["una"]})
    role = role_binding("devs", "view", ("Group", name))
    bound = send(una, "POST", f"{RBAC}/namespaces/{shop}/rolebindings", role)
    assert bound.status_code == 201
    assert ugo.get(f"{CORE}/namespaces/{shop}/configmaps").status_code == 403
    changed = admin.put(f"{USERS}/groups/{name}", {**made, "users": ["una", "ugo"]})
    assert changed.status_code == 200
    wait_until(
        lambda: ugo.get(f"{CORE}/namespaces/{shop}/configmaps").status_code == 200,
        what="the membership to count",
    )
    admin.put(f"{USERS}/groups/{name}", {**changed.json(), "users": None})
    wait_until(
        lambda: ugo.get(f"{CORE}/namespaces/{shop}/configmaps").status_code == 403,
        what="the membership to end",
    )
    assert admin.delete(f"{USERS}/groups/{name}").status_code == 200


def test_a_user_and_an_identity_are_made_as_oc_makes_them(admin: KubeClient) -> None:
    """`oc create identity corp:ida` leaves the name to the server."""
    user = {"kind": "User", "apiVersion": "user.openshift.io/v1", "metadata": {"name": "ida"}}
    assert admin.make(f"{USERS}/users", {**user, "identities": None, "groups": None})
    identity = {
        "kind": "Identity",
        "apiVersion": "user.openshift.io/v1",
        "metadata": {"creationTimestamp": None},
        "providerName": "corp",
        "providerUserName": "ida",
        "user": {},
    }
    assert admin.make(f"{USERS}/identities", identity)["metadata"]["name"] == "corp:ida"


# oc adm top, oc adm prune


def typed_list(client: KubeClient, path: str, **asked: Any) -> Any:
    """A list as a typed client reads it, for which JSON is good enough."""
    accept = {"Accept": "application/vnd.kubernetes.protobuf,application/json"}
    answer = client.http.get(path, params=asked, headers=accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_top_images_finds_the_pods_that_use_an_image(
    server: Server, admin: KubeClient, una: KubeClient, shop: str
) -> None:
    image = small_image("top")
    with client_of(server) as registry:
        registry.push(f"{shop}/web", image, "v1")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "annotations": {"openshift.io/deployment.name": "web-1"}},
        "spec": {"containers": [{"name": "web", "image": f"h:1/{shop}/web@{image.digest}"}]},
    }
    una.make(f"{CORE}/namespaces/{shop}/pods", pod)
    images = typed_list(admin, f"{IMAGES}/images")["items"]
    (found,) = [each for each in images if each["metadata"]["name"] == image.digest]
    assert sum(each["size"] for each in found["dockerImageLayers"]) == len(image.blobs[1].data)
    streams = typed_list(admin, f"{IMAGES}/imagestreams")["items"]
    (stream,) = [each for each in streams if each["metadata"]["namespace"] == shop]
    (tag,) = stream["status"]["tags"]
    assert (tag["tag"], tag["items"][0]["image"]) == ("v1", image.digest)
    pods = typed_list(admin, f"{CORE}/pods")["items"]
    (used,) = [each for each in pods if each["metadata"]["namespace"] == shop]
    assert used["spec"] == pod["spec"]
    assert used["status"] == {"phase": "Pending"}  # prune heeds what is Pending or Running


def test_prune_images_lists_whatever_may_use_one(
    admin: KubeClient, ugo: KubeClient, repository: str
) -> None:
    name = repository.partition("/")[0]
    pruner = binding_of(name, "system:image-pruner", "ugo")
    admin.make(f"{RBAC}/clusterrolebindings", {**pruner, "kind": "ClusterRoleBinding"})
    for path in (
        f"{CORE}/pods",
        f"{CORE}/replicationcontrollers",
        f"{CORE}/limitranges",
        *(f"/apis/apps/v1/{each}" for each in ("daemonsets", "deployments", "replicasets")),
        "/apis/apps/v1/statefulsets",
        *(f"/apis/batch/v1/{each}" for each in ("jobs", "cronjobs")),
        f"{IMAGES}/imagestreams",
    ):
        assert isinstance(typed_list(ugo, path)["items"], list)
    typed_list(ugo, f"{IMAGES}/images", limit=5000)
    for path in (
        "/apis/build.openshift.io/v1/buildconfigs",
        "/apis/build.openshift.io/v1/builds",
        "/apis/apps.openshift.io/v1/deploymentconfigs",
    ):
        assert ugo.get(path).status_code == 404  # which it takes for none
    admin.delete(f"{RBAC}/clusterrolebindings/{name}")


def test_a_workload_made_by_a_typed_client_is_told_how_to_be_sent(
    una: KubeClient, shop: str
) -> None:
    """`oc create deployment` sends protobuf, which is not read for what is kept as it was sent."""
    body = protobuf("apps/v1", "Deployment", part(1, part(1, "web")))
    refused = send(una, "POST", f"/apis/apps/v1/namespaces/{shop}/deployments", body)
    assert refused.status_code == 415
    status = refused.json()
    assert status["reason"] == "UnsupportedMediaType"
    assert "send it as JSON or YAML, as `kubectl create -f FILE`" in status["message"]


# oc get, oc status


def test_what_is_not_served_is_not_found_in_words_that_oc_knows(una: KubeClient) -> None:
    answer = una.get("/apis/apps.openshift.io/v1")
    assert answer.status_code == 404
    assert "the server could not find the requested resource" in answer.json()["message"]


def test_an_unprivileged_user_is_told_what_she_may_not(una: KubeClient) -> None:
    answer = una.get(f"{CORE}/namespaces/default/secrets/x")
    assert answer.status_code == 403
    status = answer.json()
    assert status["reason"] == "Forbidden"
    assert status["details"] == {"name": "x", "kind": "secrets"}
    assert status["message"] == (
        'secrets "x" is forbidden: User "una" cannot get resource "secrets" in API group "" in the'
        ' namespace "default"'
    )
