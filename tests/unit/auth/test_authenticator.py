import base64

import pytest

from tests.unit.auth.world import World
from tidegate.apimachinery.authorizer import ANONYMOUS
from tidegate.auth.accounts import RELIED_ON, RecentAccounts
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.errors import InvalidCredentials, TokenInvalid
from tidegate.auth.identity import NOBODY, Identity
from tidegate.auth.scope import repository_grant
from tidegate.oci.name import RepositoryName

HERE = "192.0.2.1"
GRANTS = (repository_grant(RepositoryName("shop/web"), "pull"),)


def authenticate(world: World, authorization: str | None) -> Identity:
    return world.run(world.authenticator.authenticate(authorization, HERE))


def bearer(world: World, name: str = "ann") -> str:
    generation = world.accounts[name].generation if name in world.accounts else 0.0
    return "Bearer " + world.run(world.tokens.issue(name, generation, GRANTS, world.now)).token


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_a_request_without_credentials_is_nobodys(world: World) -> None:
    assert authenticate(world, None) is NOBODY


def test_basic_is_the_user_without_limits(world: World) -> None:
    world.set_password("ann", "correct horse")
    identity = authenticate(world, basic("ann", "correct horse"))
    assert (identity.user.name, identity.grants) == ("ann", None)


def test_a_token_is_the_user_within_its_grants_and_her_rights_of_now(world: World) -> None:
    world.set_password("ann", "correct horse", admin=True)
    token = bearer(world)
    identity = authenticate(world, token)
    assert identity == Identity(world.accounts["ann"].user, GRANTS)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x", "Basic x", "Bearer anonymous", "Digest username=ann"]
)
def test_credentials_that_prove_nothing_are_not_taken_for_none(
    world: World, authorization: str
) -> None:
    with pytest.raises(InvalidCredentials):
        authenticate(world, authorization)


def test_a_removed_or_disabled_users_token_is_void(world: World) -> None:
    world.set_password("ann", "correct horse")
    token = bearer(world)
    authenticate(world, token)
    del world.accounts["ann"]
    with pytest.raises(TokenInvalid, match="revoked"):
        authenticate(world, token)


def test_a_changed_password_voids_the_tokens_from_before(world: World) -> None:
    world.set_password("ann", "correct horse")
    token = bearer(world)
    world.now += 1
    world.set_password("ann", "correct horse")
    with pytest.raises(TokenInvalid, match="revoked"):
        authenticate(world, token)
    authenticate(world, bearer(world))


def test_a_new_user_of_the_same_name_does_not_inherit_tokens(world: World) -> None:
    world.set_password("ann", "correct horse")
    token = bearer(world)
    del world.accounts["ann"]
    world.now += 10
    world.set_password("ann", "battery staple", admin=True)
    with pytest.raises(TokenInvalid):
        authenticate(world, token)


def test_a_token_of_nobody_is_nobody_within_its_grants(world: World) -> None:
    token = bearer(world, ANONYMOUS.name)
    assert authenticate(world, token) == Identity(ANONYMOUS, GRANTS)
    assert world.look_ups == 0


def test_accounts_are_relied_on_for_less_than_a_second(world: World) -> None:
    recent = RecentAccounts(world, world.clock)
    authenticator = Authenticator(world.login, world.tokens, recent, world.clock)
    world.set_password("ann", "correct horse")
    token = bearer(world)
    for _ in range(10):
        world.run(authenticator.authenticate(token, HERE))
    assert world.look_ups == 1
    del world.accounts["ann"]
    world.now += RELIED_ON
    assert RELIED_ON < 1
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            world.run(authenticator.authenticate(token, HERE))


def test_an_account_that_is_made_is_found_at_once(world: World) -> None:
    recent = RecentAccounts(world, world.clock)
    assert world.run(recent.find("ann")) is None
    world.set_password("ann", "correct horse")
    assert world.run(recent.find("ann")) is world.accounts["ann"]
