import base64

import pytest

from tests.unit.auth.world import World
from tidegate.apimachinery.authorizer import ANONYMOUS, User
from tidegate.apimachinery.errors import TooManyRequests, Unauthorized
from tidegate.auth.api import ApiAuthenticator
from tidegate.auth.logins import Login

HERE = "192.0.2.1"
TOKEN = "sha256~" + "A" * 43
EVE = User("eve", ("devs",), "u-1")


class Vouched:
    """A kind of login that vouches for one token."""

    kind = "vouched"

    async def authenticate(
        self, token: str, now: float, audiences: tuple[str, ...] = ()
    ) -> Login | None:
        return Login(EVE, "vouched:1") if token == TOKEN else None

    async def resume(self, reference: str, now: float) -> User | None:
        return EVE


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def bearer(world: World) -> str:
    """A registry token of Ann."""
    reference = world.accounts["ann"].login.reference
    return "Bearer " + world.run(world.tokens.issue("ann", reference, (), world.now)).token


def api_user(world: World, *authorization: str) -> User:
    headers = [(b"host", b"x"), *((b"authorization", each.encode()) for each in authorization)]
    return world.run(ApiAuthenticator(world.authenticator)(headers, HERE))


def test_the_api_takes_whoever_shows_nothing_for_anonymous(world: World) -> None:
    assert api_user(world) == ANONYMOUS


def test_the_api_takes_passwords_and_tokens_of_logins(world: World) -> None:
    world.accept(Vouched())
    world.set_password("ann", "correct horse")
    assert api_user(world, f"Bearer {TOKEN}") == EVE
    assert api_user(world, basic("ann", "correct horse")).name == "ann"


def test_the_api_refuses_everything_else(world: World) -> None:
    world.accept(Vouched())
    world.set_password("ann", "correct horse")
    for headers in (
        (bearer(world),),
        ("Bearer x",),
        ("Digest x",),
        (basic("ann", "wrong"),),
    ):
        with pytest.raises(Unauthorized):
            api_user(world, *headers)


def test_the_api_says_when_to_come_again_after_too_many_failures(world: World) -> None:
    world.set_password("ann", "correct horse")
    for _ in range(5):
        with pytest.raises(Unauthorized):
            api_user(world, basic("ann", "wrong"))
    with pytest.raises(TooManyRequests) as refusal:
        api_user(world, basic("ann", "wrong"))
    assert refusal.value.retry_after >= 1
    assert refusal.value.claimed == "ann"


def test_the_audit_log_can_tell_whose_password_was_guessed(world: World) -> None:
    with pytest.raises(Unauthorized) as refusal:
        api_user(world, basic("nobody", "wrong"))
    assert refusal.value.claimed == "nobody"
    assert "nobody" not in str(refusal.value.status())
