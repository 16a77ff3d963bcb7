"""Claims as Kubernetes' pkg/serviceaccount/claims.go makes them."""

import base64
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from tests.unit.auth.serviceaccounts.world import World
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import DeleteOptions
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import REGISTRY_AUDIENCES, looks_like_token
from tidegate.auth.secrets import Secret
from tidegate.auth.serviceaccounts.kinds import (
    BoundObjectReference,
    ServiceAccount,
    TokenRequest,
    TokenRequestSpec,
)
from tidegate.auth.serviceaccounts.tokens import (
    ISSUER,
    Bound,
    account_of,
    lifetime_of,
)
from tidegate.auth.signing import sign
from tidegate.metastore.keys import Key as SigningKey


def token_of(world: World, account: ServiceAccount, *audiences: str, lifetime: int = 3600) -> str:
    bound = Bound(account.metadata.name, account.metadata.uid)
    return world.signer().sign("shop", bound, audiences or (ISSUER,), lifetime).token


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


def test_a_token_says_what_kubernetes_says(world: World) -> None:
    account = world.make_account()
    claims = claims_of(token_of(world, account))
    assert claims.pop("jti")
    assert claims == {
        "iss": "https://kubernetes.default.svc",
        "sub": "system:serviceaccount:shop:builder",
        "aud": ["https://kubernetes.default.svc"],
        "iat": 1_767_323_045,
        "nbf": 1_767_323_045,
        "exp": 1_767_326_645,
        "kubernetes.io": {
            "namespace": "shop",
            "serviceaccount": {"name": "builder", "uid": account.metadata.uid},
        },
    }


def test_a_token_proves_the_account_with_its_groups(world: World) -> None:
    account = world.make_account()
    token = token_of(world, account)
    assert looks_like_token(token)
    login = world.run(world.tokens.authenticate(token, world.now))
    assert login is not None
    assert login.user.name == "system:serviceaccount:shop:builder"
    assert login.user.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:shop",
        "system:authenticated",
    )
    assert login.user.uid == account.metadata.uid
    ((key, (identity,)),) = login.user.extra
    assert key == "authentication.kubernetes.io/credential-id"
    assert identity == f"JTI={claims_of(token)['jti']}"
    assert login.expires == world.now + 3600
    assert login.reference.startswith("serviceaccount:shop:builder:")
    assert token.rpartition(".")[2] not in login.reference


def test_a_token_for_the_registry_is_none_for_the_api(world: World) -> None:
    token = token_of(world, world.make_account(), "tidegate")
    with pytest.raises(TokenInvalid, match="another audience"):
        world.run(world.tokens.authenticate(token, world.now))
    login = world.run(world.tokens.authenticate(token, world.now, REGISTRY_AUDIENCES))
    assert login is not None
    assert login.audiences == ("tidegate",)


def test_a_token_for_the_api_is_good_for_the_registry_too(world: World) -> None:
    token = token_of(world, world.make_account())
    login = world.run(world.tokens.authenticate(token, world.now, REGISTRY_AUDIENCES))
    assert login is not None
    assert login.audiences == (ISSUER,)


def test_a_token_for_a_third_party_is_good_for_neither(world: World) -> None:
    token = token_of(world, world.make_account(), "vault")
    for audiences in ((), REGISTRY_AUDIENCES):
        with pytest.raises(TokenInvalid, match="another audience"):
            world.run(world.tokens.authenticate(token, world.now, audiences))
    login = world.run(world.tokens.authenticate(token, world.now, ("vault", "x")))
    assert login is not None
    assert login.audiences == ("vault",)


def test_a_token_ends_when_it_says(world: World) -> None:
    token = token_of(world, world.make_account())
    world.now += 3599
    login = world.run(world.tokens.authenticate(token, world.now))
    assert login is not None
    world.now += 1
    with pytest.raises(TokenInvalid, match="expired"):
        world.run(world.tokens.authenticate(token, world.now))
    assert world.run(world.tokens.resume(login.reference, world.now)) is None


def test_a_token_of_another_kind_is_left_to_others(world: World) -> None:
    key = world.keys[0]
    claims = token_of(world, world.make_account()).split(".")[1]
    payload = base64.urlsafe_b64decode(claims + "==")
    for typ in ("JWT", "registry+jwt"):
        assert world.run(world.tokens.authenticate(sign(payload, typ, key), world.now)) is None
    assert world.run(world.tokens.authenticate("sha256~abc", world.now)) is None


def test_a_token_with_another_signature_is_refused(world: World) -> None:
    head, payload, signature = token_of(world, world.make_account()).split(".")
    forged = f"{head}.{payload}.{'A' * len(signature)}"
    with pytest.raises(TokenInvalid, match="not made here"):
        world.run(world.tokens.authenticate(forged, world.now))
    stolen = jws.serialize_compact(
        {"alg": "HS256", "kid": "k1", "typ": "sa+jwt"},
        base64.urlsafe_b64decode(payload + "=="),
        OctKey.import_key(b"x" * 32),
        ["HS256"],
    )
    with pytest.raises(TokenInvalid, match="not made here"):
        world.run(world.tokens.authenticate(stolen, world.now))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "k1", "typ": "sa+jwt"},
        {"alg": "HS512", "kid": "k1", "typ": "sa+jwt"},
        {"alg": "HS256", "kid": "k2", "typ": "sa+jwt"},
        {"alg": "HS256", "kid": "k1", "typ": "sa+jwt", "jku": "http://x"},
    ],
)
def test_a_header_that_we_would_not_write_is_no_token_of_ours(
    world: World, header: dict[str, str]
) -> None:
    _, payload, signature = token_of(world, world.make_account()).split(".")
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    token = f"{head}.{payload}.{signature}"
    assert world.run(world.tokens.authenticate(token, world.now)) is None


def test_a_token_from_another_issuer_or_from_the_future_is_refused(world: World) -> None:
    account = world.make_account()
    bound = Bound("builder", account.metadata.uid)
    signer = world.signer()
    other = type(signer)(signer.key, signer.kids, signer.now, "https://elsewhere")
    token = other.sign("shop", bound, (ISSUER,), 3600).token
    with pytest.raises(TokenInvalid, match="another issuer"):
        world.run(world.tokens.authenticate(token, world.now))
    token = token_of(world, account)
    world.now -= 10
    with pytest.raises(TokenInvalid, match="not valid yet"):
        world.run(world.tokens.authenticate(token, world.now))


def test_a_token_with_other_claims_is_refused(world: World) -> None:
    token = sign(b'{"iss":"https://kubernetes.default.svc"}', "sa+jwt", world.keys[0])
    with pytest.raises(TokenInvalid, match="not made here"):
        world.run(world.tokens.authenticate(token, world.now))


def test_deleting_the_account_voids_its_tokens(world: World) -> None:
    token = token_of(world, world.make_account())
    login = world.run(world.tokens.authenticate(token, world.now))
    assert login is not None
    assert world.run(world.tokens.resume(login.reference, world.now)) == login.user
    world.run(world.accounts.delete(world.call("delete"), "builder", DeleteOptions()))
    world.now += 0.5
    with pytest.raises(TokenInvalid, match="is gone"):
        world.run(world.tokens.authenticate(token, world.now))
    assert world.run(world.tokens.resume(login.reference, world.now)) is None


def test_a_new_account_of_the_name_does_not_revive_them(world: World) -> None:
    token = token_of(world, world.make_account())
    world.run(world.accounts.delete(world.call("delete"), "builder", DeleteOptions()))
    world.make_account()
    with pytest.raises(TokenInvalid, match="is gone"):
        world.run(world.tokens.authenticate(token, world.now))


def test_an_account_that_is_being_deleted_proves_nothing(world: World) -> None:
    new = ServiceAccount(metadata=ObjectMeta(name="builder", finalizers=["example.com/wait"]))
    world.run(world.accounts.create(world.call("create"), new))
    token = token_of(world, world.account())
    world.run(world.accounts.delete(world.call("delete"), "builder", DeleteOptions()))
    with pytest.raises(TokenInvalid, match="is gone"):
        world.run(world.tokens.authenticate(token, world.now))


def test_deleting_the_secret_that_a_token_is_bound_to_voids_it(world: World) -> None:
    world.make_account()
    world.run(world.secrets.create(world.call("create"), Secret(metadata=ObjectMeta(name="b"))))
    reference = BoundObjectReference(kind="Secret", api_version="v1", name="b")
    body = world.run(
        world.requests.create(
            world.call("create", name="builder"),
            TokenRequest(spec=TokenRequestSpec(bound_object_ref=reference)),
        )
    )
    token = json.loads(body)["status"]["token"]
    login = world.run(world.tokens.authenticate(token, world.now))
    assert login is not None
    world.run(world.secrets.delete(world.call("delete"), "b", DeleteOptions()))
    world.now += 0.5
    with pytest.raises(TokenInvalid, match="is gone"):
        world.run(world.tokens.authenticate(token, world.now))
    assert world.run(world.tokens.resume(login.reference, world.now)) is None


def test_removing_a_key_voids_what_it_signed(world: World) -> None:
    token = token_of(world, world.make_account())
    login = world.run(world.tokens.authenticate(token, world.now))
    assert login is not None
    world.keys[:] = [SigningKey("k2", b"2" * 32, world.now - 1000)]
    world.now += 0.5
    with pytest.raises(TokenInvalid, match="key was removed"):
        world.run(world.tokens.authenticate(token, world.now))
    assert world.run(world.tokens.resume(login.reference, world.now)) is None


def test_a_token_outlives_the_rotation_of_keys(world: World) -> None:
    token = token_of(world, world.make_account())
    world.keys.append(SigningKey("k2", b"2" * 32, world.now))
    world.now += 120
    assert world.run(world.tokens.authenticate(token, world.now)) is not None


@pytest.mark.parametrize(
    "reference",
    ["serviceaccount:", "local:a:b:c:d:e:1:g:h", "serviceaccount:a:b:c:d:e:f:g:h", ""],
)
def test_a_reference_that_is_none_of_ours_is_void(world: World, reference: str) -> None:
    assert world.run(world.tokens.resume(reference, world.now)) is None


def test_documents_are_read_once_in_half_a_second(world: World) -> None:
    token = token_of(world, world.make_account())
    before = world.store.reads
    for _ in range(5):
        world.run(world.tokens.authenticate(token, world.now))
    assert world.store.reads == before + 1


def test_a_new_token_is_in_no_repr(world: World) -> None:
    account = world.make_account()
    signer = world.signer()
    minted = signer.sign("shop", Bound("builder", account.metadata.uid), (ISSUER,), 600)
    assert minted.token not in repr(minted)
    assert "1111" not in repr(signer)


def test_a_user_name_is_an_account_s_or_not() -> None:
    assert account_of("system:serviceaccount:shop:builder") == ("shop", "builder")
    for name in ("jane", "system:serviceaccount:shop", "system:serviceaccount:a:b:c"):
        assert account_of(name) is None


def test_a_lifetime_is_read_from_what_is_a_token(world: World) -> None:
    lifetime = lifetime_of(token_of(world, world.make_account()))
    assert lifetime is not None
    assert (lifetime.issued, lifetime.expires, lifetime.kid) == (
        1_767_323_045,
        1_767_326_645,
        "k1",
    )
    for text in ("", "a.b", "a.b.c", "e30.e30.x"):
        assert lifetime_of(text) is None
