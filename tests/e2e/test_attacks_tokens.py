"""Tokens that prove nothing: forged, expired, revoked, for somebody else's ears, or too narrow.

Tokens of service accounts and of logins are spoilt here; `test_bad_tokens` spoils the registry's.
"""

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from tests.e2e.attacking import LAIR, VAULT, Scene, account_token, attacked
from tests.e2e.conftest import Start
from tests.images import small_image
from tests.kube_client import (
    CORE,
    RBAC,
    USERS,
    KubeClient,
    add_user,
    log_in,
    role_binding,
)
from tests.registry_client import RegistryClient, basic, client_of
from tests.server import PASSWORD, wait_until
from tests.tools import must

OAUTH = "/apis/oauth.openshift.io/v1"
ME = f"{USERS}/users/~"
ACCOUNTS = f"{CORE}/namespaces/{LAIR}/serviceaccounts"
CHALLENGING, BROWSER, CLI = (
    f"openshift-{each}-client" for each in ("challenging", "browser", "cli")
)

_names = (f"n{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with attacked(tmp_path_factory.mktemp("tokens") / "data") as ready:
        yield ready


@pytest.fixture
def name() -> str:
    return next(_names)


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Header, claims and signature."""
    header, claims, signature = token.split(".")
    return json.loads(decode(header)), json.loads(decode(claims)), signature


def forged(header: Any, claims: Any, key: bytes = b"") -> str:
    body = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    return f"{body}.{encode(hmac.digest(key, body.encode(), hashlib.sha256))}"


def opens(scene: Scene, token: str) -> dict[str, bool]:
    """Which doors a token opens: the API, the registry and its token endpoint, by both schemes.

    What does not hold counts as a failed login where it came in a password's place.
    """
    url = scene.server.url
    named = {"Authorization": f"Bearer {token}"}
    as_password = basic("whoever", token)
    answers = {
        "api": httpx.get(f"{url}{ME}", headers=named, trust_env=False),
        "api, Basic": httpx.get(f"{url}{ME}", headers=as_password, trust_env=False),
        "registry": httpx.get(f"{url}/v2/", headers=named, trust_env=False),
        "registry, Basic": httpx.get(f"{url}/v2/", headers=as_password, trust_env=False),
        "token": httpx.get(f"{url}/openshift/token", headers=named, trust_env=False),
        "token, Basic": httpx.get(f"{url}/openshift/token", headers=as_password, trust_env=False),
    }
    for door, answer in answers.items():
        assert answer.status_code in (200, 401, 429), (door, answer.text)
    return {door: answer.status_code == 200 for door, answer in answers.items()}


def opens_nothing(scene: Scene, token: str) -> None:
    with client_of(scene.server, bearer=token) as client:
        for path in (ME, "/v2/", "/openshift/token", f"{CORE}/namespaces/{VAULT}/secrets"):
            assert client.http.get(path).status_code == 401, (path, token)


def user(scene: Scene, *words: str, stdin: str = "") -> None:
    """`tidegate user` beside the running server."""
    must(
        scene.server.program,
        "user",
        *words,
        *("--data", str(scene.server.data)),
        environment=scene.server.environment(),
        stdin=stdin,
    )


# Forged


def test_no_account_token_can_be_forged(scene: Scene) -> None:
    good = account_token(scene.mallory, LAIR, "builder")
    assert all(opens(scene, good).values())
    header, claims, signature = parts(good)
    head, body, _ = good.split(".")
    admins = {**claims, "sub": "system:serviceaccount:vault:builder"}
    private = {**claims["kubernetes.io"], "namespace": VAULT}
    elsewhere = {**admins, "kubernetes.io": private}
    for token in (
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature[:-2]}",
        f"{head}.{body}.{'A' * len(signature)}",
        f"{head}.{encode(json.dumps(elsewhere).encode())}.{signature}",
        f"{head}.{encode(json.dumps({**claims, 'exp': claims['exp'] + 1}).encode())}.{signature}",
        f"{encode(json.dumps({'alg': 'none'}).encode())}.{body}.",
        f"{encode(json.dumps({**header, 'alg': 'none'}).encode())}.{body}.{signature}",
        f"{encode(json.dumps({**header, 'typ': 'registry+jwt'}).encode())}.{body}.{signature}",
        f"{encode(json.dumps({**header, 'typ': 'JWT'}).encode())}.{body}.{signature}",
        *(
            forged(change, elsewhere, key)
            for key in (b"", b"secret", b"\0" * 32, str(header["kid"]).encode(), PASSWORD.encode())
            for change in (
                header,
                {**header, "alg": "HS512"},
                {**header, "alg": "RS256"},
                {**header, "kid": ""},
                {**header, "kid": "../../../dev/null"},
                {**header, "kid": "' OR '1'='1"},
                {**header, "kid": [header["kid"]]},
                {**header, "jwk": {"kty": "oct", "k": encode(key)}},
                {**header, "jku": "http://127.0.0.1/keys"},
                {**header, "crit": ["exp"]},
                {name: value for name, value in header.items() if name != "kid"},
            )
        ),
        forged(header, [], b""),
        forged([], claims, b""),
        "eyJ.eyJ.",
        "eyJ" + "A" * 8_000 + ".e30.e30",
        "sha256~",
        "sha256~" + "A" * 43,
        "sha256~" + "A" * 8_000,
    ):
        opens_nothing(scene, token)
    assert not any(opens(scene, forged(header, elsewhere, b"secret")).values())
    assert all(opens(scene, good).values())


def test_the_name_of_a_login_is_not_its_token(scene: Scene) -> None:
    """What is stored is a hash of the token: who reads the objects cannot log in."""
    tokens = scene.admin.read(f"{OAUTH}/oauthaccesstokens")["items"]
    assert tokens
    for each in tokens[:3]:
        opens_nothing(scene, each["metadata"]["name"])


# Expired


def test_an_account_token_ends_when_its_time_is_over(scene: Scene) -> None:
    """Its shortest life is ten minutes, so that only its end is looked at."""
    path = f"{ACCOUNTS}/builder/token"
    made = scene.mallory.make(path, {"spec": {"expirationSeconds": 600}})["status"]["token"]
    _, claims, _ = parts(made)
    assert claims["exp"] - claims["iat"] == 600
    assert abs(claims["exp"] - time.time() - 600) < 60
    assert scene.mallory.post(path, {"spec": {"expirationSeconds": 1}}).status_code == 422
    longest = scene.mallory.make(path, {"spec": {"expirationSeconds": 2**31}})
    assert longest["spec"]["expirationSeconds"] <= 366 * 86_400


def test_a_registry_token_ends_before_the_login_that_it_came_of(start: Start) -> None:
    server = start(settings={"token_lifetime": "1"})
    with client_of(server) as client:
        client.push("demo/app", small_image("expiring"), "1")
        token = client.token("repository:demo/app:pull")
    with RegistryClient(server.url, bearer=token) as bearing:
        wait_until(
            lambda: bearing.manifest("demo/app", "1").status_code == 401, what="the token's end"
        )
        assert 'error="invalid_token"' in bearing.http.get("/v2/").headers["www-authenticate"]


# Replayed after the login ended


@pytest.fixture
def login(scene: Scene, name: str) -> dict[str, str]:
    """A user with an access token and a registry token from each of token and password."""
    add_user(scene.server, name)
    scene.mallory.make(f"{RBAC}/namespaces/{LAIR}/rolebindings", role_binding(name, "edit", name))
    scope = f"repository:{LAIR}/app:pull,push"
    access = log_in(scene.server.url, name)
    with client_of(scene.server, credentials=(name, PASSWORD)) as by_password:
        of_password = by_password.token(scope)
    with client_of(scene.server, credentials=(name, access)) as by_token:
        of_token = by_token.token(scope)
    found = {"name": name, "access": access, "of password": of_password, "of token": of_token}
    for token in (access, of_password, of_token):
        assert pulls(scene, token) == 200
    return found


def pulls(scene: Scene, token: str) -> int:
    with RegistryClient(scene.server.url, bearer=token) as client:
        return client.manifest(f"{LAIR}/app", "1").status_code


def is_refused_everywhere(scene: Scene, token: str) -> bool:
    """Whether ten connections in a row are refused, whichever worker serves them."""
    return all(pulls(scene, token) == 401 for _ in range(10))


def void_within_a_second(scene: Scene, *tokens: str) -> None:
    """The tokens are refused by every worker; each may rely on what it saw for half a second."""
    for token in tokens:
        wait_until(partial(is_refused_everywhere, scene, token), seconds=5, what="a refusal")
        opens_nothing(scene, token)


Ending = Callable[[Scene, str], None]


def new_password(scene: Scene, name: str) -> None:
    user(scene, "passwd", name, "--password-stdin", stdin="quite another password\n")


def disable(scene: Scene, name: str) -> None:
    user(scene, "disable", name)


def disable_and_enable(scene: Scene, name: str) -> None:
    user(scene, "disable", name)
    user(scene, "enable", name)


def delete(scene: Scene, name: str) -> None:
    user(scene, "delete", name)


def delete_and_add(scene: Scene, name: str) -> None:
    user(scene, "delete", name)
    add_user(scene.server, name)


def delete_the_object(scene: Scene, name: str) -> None:
    assert scene.admin.delete(f"{USERS}/users/{name}").status_code == 200


@pytest.mark.parametrize(
    "end", [new_password, disable, disable_and_enable, delete, delete_and_add, delete_the_object]
)
def test_whatever_ends_a_user_or_her_password_ends_her_tokens(
    scene: Scene, login: dict[str, str], end: Ending
) -> None:
    end(scene, login["name"])
    void_within_a_second(scene, login["access"], login["of password"], login["of token"])
    again = httpx.get(
        f"{scene.server.url}/v2/", headers=basic(login["name"], PASSWORD), trust_env=False
    )
    allowed = end in (disable_and_enable, delete_and_add)
    assert again.status_code == (200 if allowed else 401), again.text


def test_logging_out_ends_the_token_and_what_came_of_it(
    scene: Scene, login: dict[str, str]
) -> None:
    """`oc logout` deletes the OAuthAccessToken by the name that its hash gives."""
    secret = login["access"].removeprefix("sha256~")
    stored = f"sha256~{encode(hashlib.sha256(secret.encode()).digest())}"
    other = log_in(scene.server.url, login["name"])
    with KubeClient(scene.server.url, login["access"]) as client:
        assert client.delete(f"{OAUTH}/oauthaccesstokens/{stored}").status_code == 200
    void_within_a_second(scene, login["access"], login["of token"])
    assert pulls(scene, other) == 200
    assert pulls(scene, login["of password"]) == 200


def test_an_account_made_anew_does_not_take_over_the_tokens_of_the_old_one(
    scene: Scene, name: str
) -> None:
    scene.mallory.make(ACCOUNTS, {"metadata": {"name": name}})
    token = account_token(scene.mallory, LAIR, name)
    with client_of(scene.server, credentials=("x", token)) as client:
        registry = client.token(f"repository:{LAIR}/app:pull")
    assert pulls(scene, token) == pulls(scene, registry) == 200
    assert scene.mallory.delete(f"{ACCOUNTS}/{name}").status_code == 200
    scene.mallory.make(ACCOUNTS, {"metadata": {"name": name}})
    void_within_a_second(scene, token, registry)
    assert pulls(scene, account_token(scene.mallory, LAIR, name)) == 200


def test_a_token_bound_to_a_secret_ends_with_it(scene: Scene, name: str) -> None:
    path = f"{CORE}/namespaces/{LAIR}/secrets"
    scene.mallory.make(path, {"metadata": {"name": name}})
    spec = {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": name}}
    token = scene.mallory.make(f"{ACCOUNTS}/builder/token", {"spec": spec})["status"]["token"]
    kept = {
        "metadata": {
            "name": f"{name}-token",
            "annotations": {"kubernetes.io/service-account.name": "builder"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    scene.mallory.make(path, kept)
    stored = scene.mallory.read(f"{path}/{name}-token")["data"]["token"]
    of_secret = base64.b64decode(stored).decode()
    with client_of(scene.server, credentials=("x", token)) as client:
        registry = client.token(f"repository:{LAIR}/app:pull")
    assert [pulls(scene, each) for each in (token, of_secret, registry)] == [200, 200, 200]
    for each in (name, f"{name}-token"):
        assert scene.mallory.delete(f"{path}/{each}").status_code == 200
    scene.mallory.make(path, {"metadata": {"name": name}})
    void_within_a_second(scene, token, of_secret, registry)


# For another audience


def test_a_token_for_another_audience_is_taken_nowhere(scene: Scene) -> None:
    for audiences in (("vault",), ("https://example.com", "x"), ("Tidegate",), ("tidegate/",)):
        opens_nothing(scene, account_token(scene.mallory, LAIR, "builder", *audiences))


def test_a_token_for_the_registry_is_not_one_for_the_api(scene: Scene) -> None:
    """Pull secrets are handed out widely: they open the registry and nothing else."""
    secret = next(
        each
        for each in scene.mallory.read(f"{CORE}/namespaces/{LAIR}/secrets")["items"]
        if each["type"] in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson")
    )
    (encoded,) = secret["data"].values()
    config = json.loads(base64.b64decode(encoded))
    entry = next(iter(config.get("auths", config).values()))
    user_name, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    for token in (password, account_token(scene.mallory, LAIR, "default", "tidegate")):
        doors = opens(scene, token)
        assert not doors["api"], user_name
        assert not doors["api, Basic"]
        assert doors["registry"]
        assert doors["registry, Basic"]
        assert pulls(scene, token) == 200


def test_a_registry_token_is_for_the_registry_and_prolongs_nothing(scene: Scene) -> None:
    with scene.registry() as client:
        token = client.token(f"repository:{LAIR}/app:pull,push")
    assert pulls(scene, token) == 200
    doors = opens(scene, token)
    assert doors["registry"]
    for door in ("api", "api, Basic", "token", "token, Basic"):
        assert not doors[door], door
    review = {"spec": {"token": token}}
    answer = scene.admin.make("/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert not answer["status"].get("authenticated")


def test_a_review_of_a_token_says_for_whom_it_was_made(scene: Scene) -> None:
    """A service that asks whether a token is for it must not take one that is for the API."""
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    mine = account_token(scene.mallory, LAIR, "builder")
    theirs = account_token(scene.mallory, LAIR, "builder", "vault")
    for token, audiences, wanted in (
        (mine, ["vault"], False),
        (theirs, ["vault"], True),
        (theirs, [], False),
        (theirs, ["other"], False),
        (str(scene.mallory.token), ["vault"], False),
    ):
        review = {"spec": {"token": token, "audiences": audiences}}
        status = scene.admin.make(path, review)["status"]
        assert bool(status.get("authenticated")) is wanted, status
        assert token not in json.dumps(status)


# Too narrow


def test_a_token_to_pull_does_nothing_else_anywhere(scene: Scene) -> None:
    with scene.registry() as client:
        client.push(f"{LAIR}/other", small_image("other"), "1")
        token = client.token(f"repository:{LAIR}/app:pull")
    blob = scene.own.blobs[0].digest
    with RegistryClient(scene.server.url, bearer=token) as narrow:
        upload = f"/v2/{LAIR}/app/blobs/uploads/"
        for answer in (
            narrow.http.post(upload),
            narrow.http.post(upload, params={"mount": blob, "from": f"{LAIR}/other"}),
            narrow.http.post(upload, params={"digest": blob}),
            narrow.put_manifest(f"{LAIR}/app", "2", scene.own.manifest),
            narrow.http.delete(f"/v2/{LAIR}/app/manifests/1"),
            narrow.http.delete(f"/v2/{LAIR}/app/manifests/{scene.own.digest}"),
            narrow.http.delete(f"/v2/{LAIR}/app/blobs/{blob}"),
            narrow.manifest(f"{LAIR}/other", "1"),
            narrow.http.get(f"/v2/{LAIR}/other/tags/list"),
            narrow.http.post(f"/v2/{LAIR}/other/blobs/uploads/", params={"mount": blob}),
            narrow.http.get("/v2/_catalog"),
        ):
            assert answer.status_code == 401, (answer.url, answer.text)
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        # where no token would help, none is asked for
        assert narrow.manifest(f"{VAULT}/app", "1").status_code == 403
        assert narrow.http.delete(f"/admin/blobs/{blob}").status_code in (401, 403)


@pytest.mark.parametrize(
    "scope",
    [
        f"repository:{VAULT}/app:pull,push,delete",
        f"repository:{VAULT}/app:*",
        "repository:*:*",
        "repository:*/*:pull",
        f"repository:{LAIR}/../{VAULT}/app:pull",
        f"repository:{LAIR}/app:pull repository:{VAULT}/app:pull",
        "registry:catalog:*",
        "aws(x):y:z",
        "::",
        "a" * 9000,
    ],
)
def test_no_scope_gets_more_than_its_asker_may(scene: Scene, scope: str) -> None:
    with scene.registry() as client:
        answer = client.http.get("/openshift/token", params={"scope": scope})
    if answer.status_code == 200:
        _, claims, _ = parts(answer.json()["token"])
        assert VAULT not in json.dumps(claims["access"])
        with RegistryClient(scene.server.url, bearer=answer.json()["token"]) as bearing:
            assert bearing.manifest(f"{VAULT}/app", "1").status_code == 403
            listed = bearing.http.get("/v2/_catalog")
            assert VAULT not in listed.text
    else:
        assert answer.status_code == 400
