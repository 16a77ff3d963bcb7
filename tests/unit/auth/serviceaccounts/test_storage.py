"""Answers and texts as Kubernetes' serviceaccount storage and token controller give them."""

import json
from typing import Any

import pytest

from tests.unit.auth.serviceaccounts.world import World
from tidegate.apimachinery.errors import ApiError, BadRequest, Invalid, NotFound, UpdateConflict
from tidegate.apimachinery.http.endpoints import Endpoints
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import DeleteOptions
from tidegate.auth.secrets import (
    SECRETS,
    SERVICE_ACCOUNT_NAME,
    SERVICE_ACCOUNT_UID,
    Secret,
    value_of,
)
from tidegate.auth.serviceaccounts.kinds import (
    SERVICE_ACCOUNTS,
    BoundObjectReference,
    ServiceAccount,
    TokenRequest,
    TokenRequestSpec,
    TokenRequestStatus,
)
from tidegate.auth.serviceaccounts.pull_secrets import is_due
from tidegate.auth.serviceaccounts.serving import RESOURCES, serve


def request(world: World, name: str = "builder", **spec: Any) -> dict[str, Any]:
    asked = TokenRequest(spec=TokenRequestSpec(**spec))
    body = world.run(world.requests.create(world.call("create", name=name), asked))
    answer: dict[str, Any] = json.loads(body)
    return answer


def test_every_resource_is_served_with_all_its_verbs(world: World) -> None:
    served = serve(world.store, world.tokens, world.clock)
    assert tuple(each.resource for each in served) == RESOURCES
    Endpoints(served, world.clock)  # raises when a storage lacks a verb


def test_a_token_is_requested_for_an_hour_and_the_api(world: World) -> None:
    world.make_account()
    answer = request(world)
    assert answer["spec"] == {
        "audiences": ["https://kubernetes.default.svc"],
        "expirationSeconds": 3600,
    }
    assert answer["metadata"] == {
        "name": "builder",
        "namespace": "shop",
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    assert answer["status"]["expirationTimestamp"] == "2026-01-02T04:04:05Z"
    login = world.run(world.tokens.authenticate(answer["status"]["token"], world.now))
    assert login is not None
    assert login.user.name == "system:serviceaccount:shop:builder"


def test_a_request_keeps_no_token(world: World) -> None:
    world.make_account()
    token = request(world)["status"]["token"].encode()
    assert all(token not in each.body for each in world.store.documents.values())


def test_a_token_lives_ten_minutes_at_least(world: World) -> None:
    world.make_account()
    with pytest.raises(Invalid) as refused:
        request(world, expiration_seconds=599)
    assert str(refused.value) == (
        'TokenRequest.authentication.k8s.io "builder" is invalid: spec.expirationSeconds: '
        "Invalid value: 599: may not specify a duration less than 10 minutes"
    )
    with pytest.raises(Invalid, match=r"larger than 2\^32 seconds"):
        request(world, expiration_seconds=(1 << 32) + 1)


def test_a_token_for_longer_than_a_year_is_shortened_with_a_warning(world: World) -> None:
    world.make_account()
    call = world.call("create", name="builder")
    asked = TokenRequest(spec=TokenRequestSpec(expiration_seconds=31_536_001))
    body = world.run(world.requests.create(call, asked))
    assert json.loads(body)["spec"]["expirationSeconds"] == 31_536_000
    assert call.warnings == [
        "requested expiration of 31536001 seconds shortened to 31536000 seconds"
    ]


def test_a_token_of_an_account_that_is_missing_is_not_made(world: World) -> None:
    with pytest.raises(NotFound, match='serviceaccounts "ghost" not found'):
        request(world, "ghost")


def test_a_token_of_an_account_that_is_being_deleted_is_not_made(world: World) -> None:
    new = ServiceAccount(metadata=ObjectMeta(name="builder", finalizers=["example.com/wait"]))
    world.run(world.accounts.create(world.call("create"), new))
    world.run(world.accounts.delete(world.call("delete"), "builder", DeleteOptions()))
    with pytest.raises(ApiError, match="it is being deleted"):
        request(world)


def test_a_request_that_names_another_account_is_refused(world: World) -> None:
    world.make_account()
    asked = TokenRequest(metadata=ObjectMeta(name="admin"))
    with pytest.raises(BadRequest, match="does not match the name on the URL"):
        world.run(world.requests.create(world.call("create", name="builder"), asked))
    with pytest.raises(TypeError):
        world.run(world.requests.create(world.call("create"), ServiceAccount()))


def test_a_token_is_bound_to_nothing_but_a_secret_that_is_there(world: World) -> None:
    world.make_account()
    with pytest.raises(NotFound, match='secrets "b" not found'):
        request(world, bound_object_ref=BoundObjectReference(kind="Secret", name="b"))
    with pytest.raises(NotFound, match='pods "p" not found'):
        request(world, bound_object_ref=BoundObjectReference(kind="Pod", name="p"))
    reference = BoundObjectReference(kind="Deployment", api_version="apps/v1", name="d")
    with pytest.raises(BadRequest) as refused:
        request(world, bound_object_ref=reference)
    assert str(refused.value) == "cannot bind token to object of type apps/v1, Kind=Deployment"
    with pytest.raises(BadRequest, match="of type /v1, Kind=Node"):
        request(world, bound_object_ref=BoundObjectReference(kind="Node", name="n"))


def test_a_token_is_bound_to_the_very_secret_that_was_meant(world: World) -> None:
    world.make_account()
    world.run(world.secrets.create(world.call("create"), Secret(metadata=ObjectMeta(name="b"))))
    reference = BoundObjectReference(kind="Secret", api_version="v1", name="b", uid="other")
    with pytest.raises(UpdateConflict) as refused:
        request(world, bound_object_ref=reference)
    assert str(refused.value) == (
        'Operation cannot be fulfilled on Secret "b": the UID in the bound object reference '
        "(other) does not match the UID in record. The object might have been deleted and then "
        "recreated"
    )


def test_a_token_in_an_answer_is_in_no_repr() -> None:
    status = TokenRequestStatus(token="eyJ.x.y", expiration_timestamp="2026-01-02T04:04:05Z")
    assert "eyJ" not in repr(TokenRequest(status=status))


def test_a_secret_for_a_token_gets_one_that_lives_a_year(world: World) -> None:
    account = world.make_account()
    new = Secret(
        type="kubernetes.io/service-account-token",
        metadata=ObjectMeta(name="t", annotations={SERVICE_ACCOUNT_NAME: "builder"}),
    )
    world.run(world.secrets.create(world.call("create"), new))
    secret = world.find(SECRETS, "t")
    assert secret is not None
    assert secret.metadata.annotations[SERVICE_ACCOUNT_UID] == account.metadata.uid
    assert value_of(secret, "namespace") == b"shop"
    token = (value_of(secret, "token") or b"").decode()
    login = world.run(world.tokens.authenticate(token, world.now))
    assert login is not None
    assert login.expires == world.now + 31_536_000


def test_a_secret_for_a_token_goes_with_its_account(world: World) -> None:
    world.make_account()
    new = Secret(
        type="kubernetes.io/service-account-token",
        metadata=ObjectMeta(name="t", annotations={SERVICE_ACCOUNT_NAME: "builder"}),
    )
    world.run(world.secrets.create(world.call("create"), new))
    world.run(world.accounts.delete(world.call("delete"), "builder", DeleteOptions()))
    assert world.find(SECRETS, "t") is None


@pytest.mark.parametrize("extra", [{}, {SERVICE_ACCOUNT_UID: "another"}])
def test_a_secret_for_the_token_of_nobody_is_refused(world: World, extra: dict[str, str]) -> None:
    if extra:
        world.make_account("ghost")
    new = Secret(
        type="kubernetes.io/service-account-token",
        metadata=ObjectMeta(name="t", annotations={SERVICE_ACCOUNT_NAME: "ghost", **extra}),
    )
    with pytest.raises(Invalid) as refused:
        world.run(world.secrets.create(world.call("create"), new))
    assert str(refused.value) == (
        'Secret "t" is invalid: metadata.annotations[kubernetes.io/service-account.name]: '
        'Not found: "ghost"'
    )


def test_an_ordinary_secret_is_stored_as_it_is(world: World) -> None:
    new = Secret(metadata=ObjectMeta(name="a"), string_data={"k": "v"})
    world.run(world.secrets.create(world.call("create"), new))
    secret = world.find(SECRETS, "a")
    assert secret is not None
    assert value_of(secret, "k") == b"v"


def test_the_table_counts_the_secrets_of_an_account(world: World) -> None:
    (column,) = SERVICE_ACCOUNTS.columns
    assert column.cell(world.make_account(), 0.0) == 1


def test_an_account_that_is_applied_has_its_pull_secret_from_the_start(world: World) -> None:
    call = world.call("patch", name="builder")

    def wanted(_current: object) -> ServiceAccount:
        return ServiceAccount(metadata=ObjectMeta(name="builder"))

    world.now += 90 * 86_400  # what was read for an account long ago is of no use
    assert world.run(world.accounts.update(call, "builder", wanted, creates=True)).created
    assert not is_due(world.pull_secret(), world.signer())


def test_a_secret_for_a_token_that_is_applied_gets_one(world: World) -> None:
    world.make_account()
    call = world.call("patch", name="token")

    def wanted(_current: object) -> Secret:
        metadata = ObjectMeta(name="token", annotations={SERVICE_ACCOUNT_NAME: "builder"})
        return Secret(metadata=metadata, type="kubernetes.io/service-account-token")

    assert world.run(world.secrets.update(call, "token", wanted, creates=True)).created
    secret = world.find(SECRETS, "token")
    assert secret is not None
    token = value_of(secret, "token")
    assert token is not None
    assert world.run(world.tokens.authenticate(token.decode(), world.now)) is not None
