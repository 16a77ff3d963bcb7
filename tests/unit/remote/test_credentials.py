import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.remote.credentials import NO_KEYS, Credential, Keyring
from tidegate.remote.location import Location

NGINX = Location("docker.io", "library/nginx")


def auth(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def keyring(*configs: object) -> Keyring:
    return Keyring.of(json.dumps(each).encode() for each in configs)


def found(auths: dict[str, object], location: Location) -> str:
    credential = keyring({"auths": auths}).find(location)
    return credential.username if credential else ""


def test_both_forms_of_docker_configuration_are_read() -> None:
    entry = {"quay.io": {"auth": auth("ann", "s:e:c")}}
    for config in (entry, {"auths": entry}):
        assert keyring(config).find(Location("quay.io", "a/b")) == Credential("ann", "s:e:c")


def test_a_user_name_and_password_may_stand_by_themselves() -> None:
    plain = {"username": "ann", "password": "pw"}
    assert found({"quay.io": plain}, Location("quay.io", "a")) == "ann"
    assert (
        found({"quay.io": {**plain, "auth": auth("bob", "pw")}}, Location("quay.io", "a")) == "bob"
    )


@pytest.mark.parametrize(
    "key",
    [
        "docker.io",
        "https://index.docker.io/v1/",
        "index.docker.io",
        "registry-1.docker.io",
        "https://docker.io/v2/",
        "docker.io/library",
        "docker.io/library/nginx",
    ],
)
def test_docker_hub_is_known_by_all_its_names(key: str) -> None:
    assert found({key: {"auth": auth("ann", "pw")}}, NGINX) == "ann"


@pytest.mark.parametrize(
    ("key", "location"),
    [
        ("quay.io", Location("other.io", "org/app")),
        ("quay.io", Location("quay.io.evil.example", "org/app")),
        ("quay.io", Location("evil-quay.io", "org/app")),
        ("quay.io:8443", Location("quay.io", "org/app")),
        ("quay.io", Location("quay.io:8443", "org/app")),
        ("quay.io/org", Location("quay.io", "organisation/app")),
        ("quay.io/org/app", Location("quay.io", "org")),
        ("quay.io/org", Location("quay.io", "other/org")),
        ("*.quay.io", Location("quay.io", "org/app")),
        ("*.quay.io", Location("a.b.quay.io", "org/app")),
        ("*", Location("quay.io", "org/app")),
    ],
)
def test_credentials_are_for_their_host_and_path_alone(key: str, location: Location) -> None:
    assert found({key: {"auth": auth("ann", "pw")}}, location) == ""


def test_the_most_specific_path_wins_and_of_equals_the_first() -> None:
    auths: dict[str, object] = {
        "*.quay.io": {"auth": auth("any", "pw")},
        "a.quay.io": {"auth": auth("host", "pw")},
        "a.quay.io/org": {"auth": auth("org", "pw")},
        "https://a.quay.io:443/org/app": {"auth": auth("app", "pw")},
    }
    for repository, who in (("org/app", "app"), ("org/other", "org"), ("x", "host")):
        assert found(auths, Location("a.quay.io", repository)) == who
    assert found(auths, Location("b.quay.io", "x")) == "any"
    two = keyring({"q.io": {"auth": auth("one", "p")}}, {"q.io": {"auth": auth("two", "p")}})
    credential = two.find(Location("q.io", "x"))
    assert credential is not None
    assert credential.username == "one"


def test_identity_tokens_are_known_in_both_ways_of_writing_them() -> None:
    own = {"auth": auth("ann", "pw"), "identitytoken": "secret-token"}
    as_password = {"auth": auth("<token>", "secret-token")}
    for entry in (own, as_password):
        credential = keyring({"auths": {"acr.io": entry}}).find(Location("acr.io", "a"))
        assert credential is not None
        assert credential.identity_token == "secret-token"


def test_padding_and_nul_characters_that_docker_writes_are_no_part_of_a_password() -> None:
    unpadded = auth("ann", "pw1").rstrip("=")
    padded = base64.b64encode(b"ann:pw\0\0\0").decode()
    assert keyring({"q.io": {"auth": unpadded}}).find(Location("q.io", "a")) == ("ann", "pw1", "")
    assert keyring({"q.io": {"auth": padded}}).find(Location("q.io", "a")) == ("ann", "pw", "")


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"auths": []}',
        b'{"auths": {"q.io": []}}',
        b'{"auths": {"q.io": {"auth": 1}}}',
        b'{"auths": {"q.io": {"auth": "%%%"}}}',
        b'{"auths": {"q.io": {"auth": "YW5u"}}}',  # no colon
        b'{"auths": {"q.io": {"username": "ann"}}}',
        b'{"q.io": null}',
        b'{"auths": ' + b"[" * 10_000,
    ],
)
def test_a_malformed_configuration_has_no_credentials(config: bytes) -> None:
    assert not Keyring.of([config])


@given(st.binary(max_size=200))
def test_no_bytes_make_a_keyring_fail(config: bytes) -> None:
    Keyring.of([config, b'{"auths": {"q.io": ' + config + b"}}"]).find(NGINX)


def test_no_secret_is_shown() -> None:
    credential = Credential("ann", "hidden-password", "hidden-token")
    token = Credential("", "", "hidden-token")
    for text in (repr(credential), str(credential), f"{token!r}", token.account):
        assert "hidden" not in text
    assert Credential("ann", "pw").account == "ann"
    assert token.account == Credential("<token>", "", "hidden-token").account
    assert NO_KEYS.find(NGINX) is None
