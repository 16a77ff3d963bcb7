import base64

import pytest

from tests.unit.auth.world import World
from tidegate.apimachinery.authorizer import ANONYMOUS, User
from tidegate.auth.credentials import Basic, Bearer
from tidegate.auth.errors import InvalidCredentials, IssuerUnavailable, Throttled, TokenInvalid
from tidegate.auth.identity import NOBODY, Identity
from tidegate.auth.logins import RELIED_ON, Login
from tidegate.auth.scope import repository_grant
from tidegate.oci.name import RepositoryName

HERE = "192.0.2.1"
GRANTS = (repository_grant(RepositoryName("shop/web"), "pull"),)


def authenticate(world: World, authorization: str | None) -> Identity:
    return world.run(world.authenticator.authenticate(authorization, HERE))


def bearer(world: World, name: str = "ann") -> str:
    login = world.accounts[name].login.reference if name in world.accounts else ""
    return "Bearer " + world.run(world.tokens.issue(name, login, GRANTS, world.now)).token


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
    world.now += RELIED_ON
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


def test_a_login_is_relied_on_for_less_than_a_second(world: World) -> None:
    world.set_password("ann", "correct horse")
    token = bearer(world)
    for _ in range(10):
        authenticate(world, token)
    assert world.look_ups == 1
    del world.accounts["ann"]
    world.now += RELIED_ON
    assert RELIED_ON < 1
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            authenticate(world, token)


ACCESS_TOKEN = "sha256~" + "A" * 43
EVE = User("eve", ("devs",), "u-1")


class Vouched:
    """A kind of login that vouches for one token."""

    kind = "vouched"

    def __init__(self) -> None:
        self.stands = True

    async def authenticate(
        self, token: str, now: float, audiences: tuple[str, ...] = ()
    ) -> Login | None:
        return Login(EVE, "vouched:1", now + 100) if token == ACCESS_TOKEN else None

    async def resume(self, reference: str, now: float) -> User | None:
        return EVE if self.stands and reference == "vouched:1" else None


def test_a_token_of_any_kind_is_its_user_without_limits(world: World) -> None:
    world.accept(Vouched())
    assert authenticate(world, f"Bearer {ACCESS_TOKEN}") == Identity(EVE)


@pytest.mark.parametrize("name", ["eve", "ann", "serviceaccount", "unused", ""])
def test_a_token_in_a_passwords_place_is_its_own_user_whatever_the_name(
    world: World, name: str
) -> None:
    world.accept(Vouched())
    world.set_password("ann", "correct horse")
    assert authenticate(world, basic(name, ACCESS_TOKEN)) == Identity(EVE)
    assert world.hashes.checked == 0


def test_a_registry_token_in_a_passwords_place_keeps_its_limits(world: World) -> None:
    world.set_password("ann", "correct horse")
    token = bearer(world).removeprefix("Bearer ")
    assert authenticate(world, basic("any", token)).grants == GRANTS


def test_a_registry_token_proves_nothing_outside_the_registry(world: World) -> None:
    world.set_password("ann", "correct horse")
    token = bearer(world).removeprefix("Bearer ")
    for credentials in (Bearer(token), Basic("ann", token)):
        with pytest.raises(TokenInvalid):
            world.run(world.authenticator.log_in(credentials, HERE))


def test_a_login_outside_the_registry_is_a_password_or_a_token(world: World) -> None:
    world.accept(Vouched())
    world.set_password("ann", "correct horse")
    for credentials, name in (
        (Bearer(ACCESS_TOKEN), "eve"),
        (Basic("ann", ACCESS_TOKEN), "eve"),
        (Basic("ann", "correct horse"), "ann"),
    ):
        assert world.run(world.authenticator.log_in(credentials, HERE)).user.name == name


def test_tokens_that_fail_in_a_passwords_place_count_and_one_that_holds_is_not_delayed(
    world: World,
) -> None:
    world.accept(Vouched())
    wrong = basic("x", "sha256~" + "B" * 43)
    for _ in range(5):
        with pytest.raises(TokenInvalid):
            authenticate(world, wrong)
    with pytest.raises(Throttled):
        authenticate(world, wrong)
    assert authenticate(world, basic("x", ACCESS_TOKEN)) == Identity(EVE)


def test_a_registry_token_is_void_with_the_login_that_it_came_of(world: World) -> None:
    kind = Vouched()
    world.accept(kind)
    issued = world.run(world.tokens.issue("eve", "vouched:1", GRANTS, world.now))
    header = f"Bearer {issued.token}"
    assert authenticate(world, header) == Identity(EVE, GRANTS)
    kind.stands = False
    world.now += RELIED_ON
    with pytest.raises(TokenInvalid, match="revoked"):
        authenticate(world, header)


def test_a_registry_token_of_a_kind_that_is_no_longer_configured_is_void(world: World) -> None:
    issued = world.run(world.tokens.issue("eve", "vouched:1", GRANTS, world.now))
    with pytest.raises(TokenInvalid, match="revoked"):
        authenticate(world, f"Bearer {issued.token}")


def test_an_issuer_that_is_down_is_no_guess_of_its_users(world: World) -> None:
    class Down(Vouched):
        async def authenticate(
            self, token: str, now: float, audiences: tuple[str, ...] = ()
        ) -> Login | None:
            raise IssuerUnavailable("the token's issuer cannot be asked for its keys")

    world.accept(Down())
    for _ in range(60):
        with pytest.raises(IssuerUnavailable):
            authenticate(world, basic("x", ACCESS_TOKEN))
