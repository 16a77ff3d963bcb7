import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.auth.world import World
from tidegate.auth.errors import InvalidScope, TokenInvalid
from tidegate.auth.keys import READ_EVERY, KeyRing
from tidegate.auth.scope import CATALOG, Grant, repository_grant
from tidegate.auth.signing import TOKEN_LIMIT
from tidegate.auth.tokens import LEEWAY, REMEMBERED, Tokens, Verified
from tidegate.metastore.keys import Key
from tidegate.oci.name import RepositoryName

GRANTS = (repository_grant(RepositoryName("shop/web"), "pull", "push"), CATALOG)


def issue(world: World, subject: str = "ann") -> str:
    return world.run(world.tokens.issue(subject, "local:7.25:ann", GRANTS, world.now)).token


def verify(world: World, token: str) -> Verified:
    verified = world.run(world.tokens.verify(token, world.now))
    if verified is None:
        raise TokenInvalid("no registry token")
    return verified


def refused(world: World, token: str, reason: str | None = None) -> None:
    with pytest.raises(TokenInvalid, match=reason):
        verify(world, token)


def b64(value: bytes | dict[str, Any]) -> str:
    content = (
        value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    )
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    header, payload, signature = token.split(".")

    def read(part: str) -> Any:
        return json.loads(base64.urlsafe_b64decode(part + "=="))

    return read(header), read(payload), signature


def signed(header: dict[str, Any], claims: dict[str, Any], secret: bytes = b"1" * 32) -> str:
    """A token with a right HMAC-SHA256 signature, whatever its header says."""
    message = f"{b64(header)}.{b64(claims)}"
    return f"{message}.{b64(hmac.digest(secret, message.encode(), hashlib.sha256))}"


def test_a_token_says_who_and_what_it_was_issued_for(world: World) -> None:
    verified = verify(world, issue(world))
    assert (verified.subject, verified.login) == ("ann", "local:7.25:ann")
    assert verified.grants == GRANTS


def test_a_token_is_a_jwt_with_the_claims_of_distributions_token_specification(
    world: World,
) -> None:
    header, claims, _ = parts(issue(world))
    assert header == {"alg": "HS256", "kid": "k1", "typ": "registry+jwt"}
    assert claims["access"] == [
        {"type": "repository", "name": "shop/web", "actions": ["pull", "push"]},
        {"type": "registry", "name": "catalog", "actions": ["*"]},
    ]
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("tidegate", "ann", "tidegate")
    assert claims["exp"] - claims["iat"] == 300
    assert claims["nbf"] == claims["iat"] == int(world.now)


def test_no_two_tokens_are_alike(world: World) -> None:
    assert issue(world) != issue(world)


def test_a_token_is_good_until_its_expiry_and_not_a_moment_longer(world: World) -> None:
    token = issue(world)
    world.now = int(world.now) + 299.9
    verify(world, token)
    world.now += 0.1
    refused(world, token, "expired")
    refused(world, token, "expired")


def test_a_token_ends_with_the_login_that_it_came_of(world: World) -> None:
    issued = world.run(
        world.tokens.issue("ann", "oauth:x", GRANTS, world.now, until=world.now + 20)
    )
    assert issued.expires_in == 20
    verify(world, issued.token)
    world.now += 20
    refused(world, issued.token, "expired")


def test_an_expired_token_is_refused_by_a_process_that_sees_it_first(world: World) -> None:
    token = issue(world)
    world.now += 300
    refused(world, token, "expired")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "k1", "typ": "registry+jwt"},
        {"alg": "None", "kid": "k1", "typ": "registry+jwt"},
        {"alg": "none"},
        {"alg": "HS512", "kid": "k1", "typ": "registry+jwt"},
        {"alg": "RS256", "kid": "k1", "typ": "registry+jwt"},
        {"alg": "HS256", "typ": "registry+jwt"},
        {"alg": "HS256", "kid": "unknown", "typ": "registry+jwt"},
        {"alg": "HS256", "kid": "", "typ": "registry+jwt"},
        {"alg": "HS256", "kid": None, "typ": "registry+jwt"},
        {"alg": "HS256", "kid": ["k1"], "typ": "registry+jwt"},
        {"alg": "HS256", "kid": "../../dev/null", "typ": "registry+jwt"},
        {"alg": "HS256", "kid": "k1", "typ": "registry+jwt", "crit": ["exp"], "exp": 0},
        {"alg": "HS256", "kid": "k1", "typ": "registry+jwt", "b64": False, "crit": ["b64"]},
        {"alg": "HS256", "kid": "k1", "typ": "registry+jwt", "jwk": {"kty": "oct", "k": "eA"}},
        {"alg": "HS256", "kid": "k1", "typ": "registry+jwt", "jku": "https://evil.example/keys"},
        {"alg": "HS256", "kid": "k1", "typ": "at+jwt"},
        {"alg": "HS256", "kid": "k1", "typ": "JWT"},
        {"alg": "dir", "enc": "A256GCM", "kid": "k1"},
    ],
)
def test_a_header_that_we_do_not_write_is_refused_even_if_the_signature_is_right(
    world: World, header: dict[str, Any]
) -> None:
    _, claims, signature = parts(issue(world))
    for token in (
        signed(header, claims),
        f"{b64(header)}.{b64(claims)}.",
        f"{b64(header)}.{b64(claims)}.{signature}",
    ):
        refused(world, token, "no registry token")


def test_our_own_header_without_a_signature_is_refused(world: World) -> None:
    header, payload, _ = issue(world).split(".")
    refused(world, f"{header}.{payload}.", "not made here")


def test_a_public_key_passed_off_as_a_secret_is_refused(world: World) -> None:
    """RS256/HS256 confusion: a verifier that picks the algorithm from the token falls for it."""
    _, claims, _ = parts(issue(world))
    forged = signed(
        {"alg": "HS256", "kid": "k1", "typ": "registry+jwt"}, claims, b"-----BEGIN PUBLIC KEY-----"
    )
    refused(world, forged, "not made here")


@pytest.mark.parametrize(
    "change",
    [
        {"sub": "admin"},
        {"exp": 1 << 40},
        {"access": [{"type": "repository", "name": "a/b", "actions": ["push"]}]},
    ],
)
def test_a_changed_claim_breaks_the_signature(world: World, change: dict[str, Any]) -> None:
    token = issue(world)
    header, claims, signature = parts(token)
    verify(world, token)
    refused(world, f"{b64(header)}.{b64(claims | change)}.{signature}", "not made here")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aud": "other"}, "another service"),
        ({"aud": ""}, "another service"),
        ({"iss": "other"}, "another service"),
        ({"nbf": 1_767_323_045 + 10}, "not valid yet"),
        ({"exp": 1_767_323_045}, "expired"),
        ({"exp": -1}, "expired"),
        ({"aud": ["tidegate", "other"]}, "not made here"),
        ({"exp": None}, "not made here"),
        ({"exp": "9999999999"}, "not made here"),
        ({"exp": 1e400}, "not made here"),
        ({"sub": None}, "not made here"),
        ({"access": None}, "not made here"),
        ({"login": 7.25}, "not made here"),
    ],
)
def test_a_signed_token_with_claims_that_do_not_hold_is_refused(
    world: World, change: dict[str, Any], reason: str
) -> None:
    header, claims, _ = parts(issue(world))
    refused(world, signed(header, claims | change), reason)


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "nbf", "iat", "login", "access"])
def test_a_signed_token_that_lacks_a_claim_is_refused(world: World, claim: str) -> None:
    header, claims, _ = parts(issue(world))
    del claims[claim]
    refused(world, signed(header, claims), "not made here")


def test_a_replicas_clock_may_be_a_little_ahead(world: World) -> None:
    token = issue(world)
    world.now -= LEEWAY
    verify(world, token)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "x" * 100, "é.é.é", "anonymous", "\0.\0.\0"],
)
def test_text_that_is_no_token_is_refused(world: World, token: str) -> None:
    refused(world, token)


@given(
    st.text()
    | st.text().map("eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwIjoicmVnaXN0cnkrand0In0.".__add__)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_crashes_the_verifier(world: World, token: str) -> None:
    refused(world, token)


def test_an_oversized_token_is_refused_unread(world: World) -> None:
    header, claims, _ = parts(issue(world))
    token = signed(header, claims | {"padding": "x" * TOKEN_LIMIT})
    refused(world, token, "no registry token")


def test_a_token_for_more_scopes_than_fit_is_not_issued(world: World) -> None:
    grants = [Grant("repository", f"p{n}/{'x' * 200}", frozenset({"pull"})) for n in range(60)]
    with pytest.raises(InvalidScope):
        world.run(world.tokens.issue("ann", "", grants, world.now))


def test_a_token_of_another_service_with_the_same_keys_is_refused(world: World) -> None:
    other = Tokens(KeyRing(world.read_keys), "elsewhere")
    token = world.run(other.issue("ann", "", (), world.now)).token
    refused(world, token, "another service")


def test_rotation_refuses_no_token(world: World) -> None:
    before = issue(world)
    world.keys.append(Key("k2", b"2" * 32, world.now))
    world.now += 100
    after = issue(world)
    assert parts(after)[0]["kid"] == "k2"
    verify(world, before)
    verify(world, after)


def test_a_key_that_was_removed_verifies_nothing_remembered_tokens_included(
    world: World,
) -> None:
    token = issue(world)
    verify(world, token)
    world.keys[:] = [Key("k2", b"2" * 32, world.now)]
    world.now += READ_EVERY
    refused(world, token, "key was removed")


def test_a_key_that_was_replaced_under_the_same_id_is_another(world: World) -> None:
    token = issue(world)
    world.keys[:] = [Key("k1", b"2" * 32, world.now)]
    world.now += READ_EVERY
    refused(world, token, "not made here")


def test_the_memory_of_verified_tokens_is_bounded_and_holds_only_valid_ones(
    world: World,
) -> None:
    header, claims, _ = parts(issue(world))
    for number in range(REMEMBERED + 10):
        verify(world, signed(header, claims | {"jti": str(number)}))
    assert len(world.tokens._verified) == REMEMBERED
    world.now += 300
    expired = signed(header, claims | {"jti": "late"})
    refused(world, expired, "expired")
    assert expired not in world.tokens._verified
