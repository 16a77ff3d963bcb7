"""Tokens and passwords that must not open anything, and those that must open only one thing."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.images import digest_of, small_image
from tests.raw_http import exchange, request
from tests.registry_client import RegistryClient, client_of, error_codes
from tests.server import PASSWORD, USERNAME, Server, wait_until


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Header, claims and signature of a token."""
    header, claims, signature = token.split(".")
    return json.loads(decode(header)), json.loads(decode(claims)), signature


def sign(header: dict[str, Any], claims: dict[str, Any], key: bytes = b"") -> str:
    """A token that an attacker makes: signed with a guessed key, or with none at all."""
    body = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    if str(header.get("alg", "")).lower() == "none":
        return f"{body}."
    return f"{body}.{encode(hmac.digest(key, body.encode(), hashlib.sha256))}"


def refuses(server: Server, repository: str, token: str) -> None:
    """Reading and writing with this token is answered 401 with a challenge."""
    with client_of(server, bearer=token) as client:
        for answer in (
            client.manifest(repository, "1"),
            client.http.post(f"/v2/{repository}/blobs/uploads/"),
            client.http.delete(f"/v2/{repository}/manifests/1"),
            client.http.get("/v2/_catalog"),
            client.http.get("/v2/"),
        ):
            assert answer.status_code == 401, answer.text
            assert error_codes(answer) == ["UNAUTHORIZED"]
            assert answer.headers["www-authenticate"].startswith("Bearer "), answer.headers


@pytest.fixture
def pushed(api: RegistryClient, repository: str) -> str:
    """A repository with an image tagged 1."""
    api.push(repository, small_image(repository), "1")
    return repository


@pytest.fixture
def good(api: RegistryClient, pushed: str) -> str:
    """A token that opens it, to be spoilt."""
    token = api.token(f"repository:{pushed}:pull,push,delete")
    with RegistryClient(api.url, bearer=token) as client:
        assert client.manifest(pushed, "1").status_code == 200
    return token


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_a_signature_opens_nothing(
    server: Server, pushed: str, good: str, algorithm: str
) -> None:
    header, claims, signature = parts(good)
    refuses(server, pushed, sign({**header, "alg": algorithm}, claims))
    refuses(server, pushed, sign({"alg": algorithm}, claims))
    refuses(server, pushed, sign({**header, "alg": algorithm}, claims) + signature)


@pytest.mark.parametrize("key", [b"", b"secret", b"tidegate", PASSWORD.encode(), b"\x00" * 32])
def test_a_token_signed_with_a_guess_opens_nothing(
    server: Server, pushed: str, good: str, key: bytes
) -> None:
    header, claims, _ = parts(good)
    refuses(server, pushed, sign(header, claims, key))


@pytest.mark.parametrize("name", ["../../etc/hostname", "/dev/null", "' OR 1=1 --", "", "no such"])
def test_a_key_name_leads_to_no_key_of_the_attackers_choice(
    server: Server, pushed: str, good: str, name: str
) -> None:
    header, claims, _ = parts(good)
    refuses(server, pushed, sign({**header, "kid": name}, claims))
    refuses(server, pushed, sign({**header, "kid": [name]}, claims))
    refuses(server, pushed, sign({**header, "jwk": {"kty": "oct", "k": ""}}, claims))


def test_a_token_whose_claims_were_changed_opens_nothing(
    server: Server, pushed: str, good: str
) -> None:
    header, _, signature = good.split(".")
    _, claims, _ = parts(good)
    for change in (
        {"exp": claims["exp"] + 3600},
        {"sub": "somebody"},
        {"access": [{"type": "repository", "name": "*", "actions": ["*"]}]},
    ):
        spoilt = encode(json.dumps({**claims, **change}).encode())
        refuses(server, pushed, f"{header}.{spoilt}.{signature}")


def test_a_signature_with_a_changed_byte_opens_nothing(
    server: Server, pushed: str, good: str
) -> None:
    body, _, signature = good.rpartition(".")
    for place in (0, 10, len(signature) // 2):
        other = "A" if signature[place] != "A" else "B"
        refuses(server, pushed, f"{body}.{signature[:place]}{other}{signature[place + 1 :]}")
    refuses(server, pushed, f"{body}.")
    refuses(server, pushed, body)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b.c", "e30.e30.", "x" * 20_000, "é", "null", "Bearer"]
)
def test_what_is_no_token_at_all_opens_nothing(server: Server, pushed: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    answer = exchange(server.address, request("GET", f"/v2/{pushed}/manifests/1", headers))
    assert answer is not None
    assert answer.status == 401, answer


def test_an_expired_token_opens_nothing(start: Start, repository: str) -> None:
    server = start(settings={"token_lifetime": "1"})
    with client_of(server) as client:
        client.push(repository, small_image(repository), "1")
        token = client.token(f"repository:{repository}:pull,push")
    _, claims, _ = parts(token)
    with client_of(server, bearer=token) as bearer:
        wait_until(
            lambda: (
                time.time() > claims["exp"] and bearer.manifest(repository, "1").status_code != 200
            ),
            what="the token to expire",
        )
    refuses(server, repository, token)


def test_a_token_for_another_repository_opens_nothing_here(
    server: Server, api: RegistryClient, pushed: str
) -> None:
    api.push(f"{pushed}-other", small_image("other"), "1")
    token = api.token(f"repository:{pushed}-other:pull,push")
    with client_of(server, bearer=token) as client:
        assert client.manifest(f"{pushed}-other", "1").status_code == 200
        for answer in (
            client.manifest(pushed, "1"),
            client.http.post(f"/v2/{pushed}/blobs/uploads/"),
            client.http.get(f"/v2/{pushed}/tags/list"),
            client.http.get(f"/v2/{pushed}/referrers/{digest_of(b'')}"),
        ):
            assert answer.status_code == 401, answer.text
            challenge = answer.headers["www-authenticate"]
            assert f"repository:{pushed}:" in challenge
            assert 'error="insufficient_scope"' in challenge


def test_a_token_to_pull_does_not_push_or_delete(
    server: Server, api: RegistryClient, pushed: str
) -> None:
    image = small_image(pushed)
    token = api.token(f"repository:{pushed}:pull")
    with client_of(server, bearer=token) as client:
        client.pull(pushed, image, "1")
        for answer in (
            client.http.post(f"/v2/{pushed}/blobs/uploads/"),
            client.put_manifest(pushed, "2", image.manifest),
            client.http.delete(f"/v2/{pushed}/manifests/1"),
            client.http.delete(f"/v2/{pushed}/blobs/{image.blobs[0].digest}"),
        ):
            assert answer.status_code == 401, answer.text
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    client_sees = api.tags(pushed)
    assert client_sees == ["1"]


def test_a_mount_with_a_token_that_may_not_read_the_source_gives_no_blob(
    server: Server, api: RegistryClient, pushed: str
) -> None:
    blob = small_image(pushed).blobs[0]
    token = api.token(f"repository:{pushed}-other:pull,push")
    with client_of(server, bearer=token) as client:
        for parameters in ({"mount": blob.digest, "from": pushed}, {"mount": blob.digest}):
            answer = client.http.post(f"/v2/{pushed}-other/blobs/uploads/", params=parameters)
            assert answer.status_code in (202, 401), answer.text
        assert not client.has_blob(f"{pushed}-other", blob.digest)


@pytest.mark.parametrize(
    "credentials",
    [(USERNAME, "wrong"), (USERNAME, ""), ("", ""), ("nobody", PASSWORD), ("nobody", "x" * 10_000)],
)
def test_wrong_credentials_get_the_same_answer_whoever_is_named(
    server: Server, pushed: str, credentials: tuple[str, str]
) -> None:
    with client_of(server, credentials=credentials) as client:
        answer = client.manifest(pushed, "1")
    assert answer.status_code in (401, 429)
    assert error_codes(answer)[0] in ("UNAUTHORIZED", "TOOMANYREQUESTS")


@pytest.mark.parametrize(
    "header", ["Basic", "Basic ", "Basic !!!", "Basic YWRtaW4=", "Basic /w==", "Digest x", "x", ","]
)
def test_credentials_in_no_known_form_are_refused(server: Server, pushed: str, header: str) -> None:
    target = f"/v2/{pushed}/manifests/1"
    answer = exchange(server.address, request("GET", target, {"Authorization": header}))
    assert answer is not None
    assert answer.status in (400, 401)


def test_without_credentials_every_path_is_challenged_alike_whether_it_exists_or_not(
    server: Server, pushed: str
) -> None:
    with client_of(server, credentials=None) as client:
        answers = [
            client.manifest(pushed, "1"),
            client.manifest(f"{pushed}-none", "1"),
            client.blob(pushed, small_image(pushed).blobs[0].digest),
            client.blob(pushed, digest_of(b"no such")),
            client.http.get(f"/v2/{pushed}/tags/list"),
            client.http.post(f"/v2/{pushed}/blobs/uploads/"),
            client.http.get("/v2/"),
            client.http.get("/v2/_catalog"),
        ]
    for answer in answers:
        assert answer.status_code == 401
        assert error_codes(answer) == ["UNAUTHORIZED"]
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith("Bearer realm=")
        assert "/openshift/token" in challenge
    bodies = {answer.content for answer in answers[:2]}
    assert len(bodies) == 1


def test_anonymous_pull_opens_reading_and_nothing_else(start: Start, repository: str) -> None:
    server = start(arguments=("--anonymous-pull",))
    image = small_image(repository)
    with client_of(server) as client:
        client.push(repository, image, "1")
    with client_of(server, credentials=None) as anyone:
        token = anyone.token(f"repository:{repository}:pull,push,delete")
    with client_of(server, bearer=token) as client:
        client.pull(repository, image, "1")
        for answer in (
            client.http.post(f"/v2/{repository}/blobs/uploads/"),
            client.put_manifest(repository, "2", image.manifest),
            client.http.delete(f"/v2/{repository}/manifests/1"),
        ):
            assert answer.status_code in (401, 403), answer.text
