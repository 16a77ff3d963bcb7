"""Attacks on ID tokens, and the tokens that real providers make."""

import asyncio
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from tests.unit.auth.oidc.provider import NOW, Provider, b64, key
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.oidc.names import Claims
from tidegate.auth.oidc.verification import (
    ALGORITHMS,
    LEEWAY,
    issuer_of,
    require_audience,
    require_client,
    verified,
)


def verify(
    provider: Provider, token: str, now: float = NOW, algorithms: tuple[str, ...] = ALGORITHMS
) -> Claims:
    return asyncio.run(verified(token, provider.issuer_keys(), algorithms, now))


def refused(provider: Provider, token: str, reason: str, now: float = NOW) -> None:
    with pytest.raises(TokenInvalid, match=reason):
        verify(provider, token, now)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        *((name, "RSA") for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("ES256", "P-256"),
        ("ES384", "P-384"),
        ("ES512", "P-521"),
        ("EdDSA", "EdDSA"),
        ("Ed25519", "EdDSA"),
    ],
)
def test_tokens_of_every_accepted_algorithm_are_read(algorithm: str, kind: str) -> None:
    provider = Provider(keys=[key(kind, "k1")])
    assert verify(provider, provider.token(algorithm=algorithm))["sub"] == "1234"


def test_a_token_without_a_type_or_a_key_id_will_do() -> None:
    """Several providers publish one key and name none."""
    provider = Provider()
    assert verify(provider, provider.token(header={"typ": None, "kid": None}))
    assert verify(provider, provider.token(header={"x5t": "abc", "nonce": "private"}))


def test_an_unsigned_token_is_refused() -> None:
    provider = Provider()
    for algorithm in ("none", "None", "NONE", ""):
        head = {"alg": algorithm, "kid": "k1", "typ": "JWT"}
        for signature in ("", b64(b"x" * 64)):
            token = f"{b64(head)}.{b64(provider.claims())}.{signature}"
            refused(provider, token, "algorithm")


@pytest.mark.parametrize("kind", ["RSA", "P-256"])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_passed_off_as_a_secret_is_refused(kind: str, algorithm: str) -> None:
    """Key confusion: the verifier must not use its public key as an HMAC key."""
    provider = Provider(keys=[key(kind, "k1")])
    private = provider.keys[0]
    assert not isinstance(private, OctKey)
    public = private.as_pem(private=False)
    message = f"{b64({'alg': algorithm, 'kid': 'k1'})}.{b64(provider.claims())}"
    digest = getattr(hashlib, "sha" + algorithm[2:])
    forged = f"{message}.{b64(hmac.digest(public, message.encode(), digest))}"
    refused(provider, forged, "algorithm")


def test_a_secret_that_an_issuer_publishes_is_no_key() -> None:
    provider = Provider()
    secret = OctKey.import_key(b"s" * 32, {"kid": "shared"})
    provider.documents[f"{provider.issuer}/keys"] = {"keys": [secret.as_dict(private=True)]}
    message = f"{b64({'alg': 'HS256', 'kid': 'shared'})}.{b64(provider.claims())}"
    forged = f"{message}.{b64(hmac.digest(b's' * 32, message.encode(), 'sha256'))}"
    refused(provider, forged, "algorithm")
    refused(provider, provider.token(header={"kid": "shared"}), "not signed")


def test_an_algorithm_that_was_not_configured_is_refused() -> None:
    provider = Provider(keys=[key("RSA", "k1")])
    token = provider.token(algorithm="RS256")
    with pytest.raises(TokenInvalid, match="algorithm"):
        verify(provider, token, algorithms=("ES256",))


def test_a_key_is_used_with_its_own_algorithm_alone() -> None:
    provider = Provider(keys=[key("RSA", "k1")])
    described = {**provider.keys[0].as_dict(private=False), "alg": "RS256"}
    provider.documents[f"{provider.issuer}/keys"] = {"keys": [described]}
    verify(provider, provider.token(algorithm="RS256"))
    refused(provider, provider.token(algorithm="PS256"), "not signed")


def test_a_key_for_encryption_signs_nothing() -> None:
    provider = Provider()
    described = {**provider.keys[0].as_dict(private=False), "use": "enc"}
    provider.documents[f"{provider.issuer}/keys"] = {"keys": [described]}
    refused(provider, provider.token(), "not signed")


def test_another_issuers_signature_is_refused_whatever_key_it_names() -> None:
    provider, other = Provider(), key("P-256", "other")
    refused(provider, provider.token(other), "not signed")
    refused(provider, provider.token(other, header={"kid": "k1"}), "not signed")
    refused(provider, provider.token(other, header={"kid": None}), "not signed")


def test_a_key_inside_the_token_is_not_used() -> None:
    provider, other = Provider(), key("P-256", "other")
    public = other.as_dict(private=False)
    refused(provider, provider.token(other, header={"jwk": public, "kid": None}), "not signed")
    for name in ("jku", "x5u"):
        header = {name: "https://evil.example/keys", "kid": "k9"}
        refused(provider, provider.token(other, header=header), "not signed")
    assert not [url for url in provider.fetched if "evil" in url]


def test_a_changed_claim_breaks_the_signature() -> None:
    provider = Provider()
    header, _, signature = provider.token().split(".")
    refused(provider, f"{header}.{b64(provider.claims(sub='admin'))}.{signature}", "not signed")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"crit": ["exp"]}, "extensions"),
        ({"crit": []}, "extensions"),
        ({"b64": False}, "extensions"),
        ({"typ": "at+jwt"}, "another type"),
        ({"typ": "logout+jwt"}, "another type"),
        ({"kid": ["k1"]}, "cannot be read"),
        ({"alg": ["ES256"]}, "cannot be read"),
        ({"alg": None}, "cannot be read"),
    ],
)
def test_a_header_that_no_id_token_has_is_refused(header: dict[str, Any], reason: str) -> None:
    provider = Provider()
    _, claims, signature = provider.token().split(".")
    head = {"alg": "ES256", "kid": "k1", "typ": "JWT", **header}
    head = {name: value for name, value in head.items() if value is not None}
    refused(provider, f"{b64(head)}.{claims}.{signature}", reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": "https://issuer.example/"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"iss": ["https://issuer.example"]}, "another issuer"),
        ({"exp": None}, "exp"),
        ({"exp": "9999999999"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": int(NOW) - 31}, "expired"),
        ({"exp": -1}, "expired"),
        ({"iat": None}, "iat"),
        ({"iat": int(NOW) + 31}, "future"),
        ({"nbf": int(NOW) + 31}, "not valid yet"),
        ({"nbf": "now"}, "nbf"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "logging out"),
    ],
)
def test_a_signed_token_whose_claims_do_not_hold_is_refused(
    changes: dict[str, Any], reason: str
) -> None:
    provider = Provider()
    refused(provider, provider.token(**changes), reason)


def test_clocks_may_differ_a_little() -> None:
    provider = Provider()
    token = provider.token(exp=int(NOW), iat=int(NOW + LEEWAY), nbf=int(NOW + LEEWAY))
    verify(provider, token)
    verify(provider, token, NOW + LEEWAY - 1)
    refused(provider, token, "expired", NOW + LEEWAY)


@pytest.mark.parametrize("audience", ["other", "", None, [], ["other"], [["tidegate"]], 1])
def test_a_token_for_somebody_else_is_refused(audience: Any) -> None:
    with pytest.raises(TokenInvalid, match="audience"):
        require_audience({"aud": audience}, "tidegate")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "tidegate"},
        {"aud": ["tidegate"]},
        {"aud": "tidegate", "azp": "tidegate"},
        {"aud": ["tidegate", "other"], "azp": "tidegate"},
    ],
)
def test_a_token_made_for_the_client_is_taken(claims: Claims) -> None:
    require_client(claims, "tidegate")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "tidegate", "azp": "other"},
        {"aud": ["tidegate", "other"]},
        {"aud": ["tidegate", "other"], "azp": "other"},
        {"aud": "tidegate", "azp": ["tidegate"]},
    ],
)
def test_a_token_made_for_another_client_is_refused_though_we_are_an_audience(
    claims: Claims,
) -> None:
    with pytest.raises(TokenInvalid):
        require_client(claims, "tidegate")


def test_the_issuer_of_a_token_is_read_before_anything_is_checked() -> None:
    provider = Provider()
    assert issuer_of(provider.token()) == provider.issuer
    assert issuer_of(provider.token(iss=["x"])) == ""
    assert issuer_of("a.b") == issuer_of("") == issuer_of("e30.W10.x") == ""


@given(st.text() | st.binary().map(lambda each: f"{b64(each)}.{b64(each)}."))
def test_no_text_crashes_the_verifier(token: str) -> None:
    issuer_of(token)
    provider = Provider()
    with pytest.raises(TokenInvalid):
        verify(provider, token)
