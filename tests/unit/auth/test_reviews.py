import json
from typing import Any

import pytest

from tests.unit.auth.world import World
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.storage import Call
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import Login
from tidegate.auth.reviews import (
    SelfSubjectReview,
    SelfSubjectReviewStorage,
    TokenReview,
    TokenReviewSpec,
    TokenReviewStorage,
)

ROOT = Call(user=User("root", ("g",), "u-1", (("key", ("a", "b")),)), verb="create")
TOKEN = "sha256~" + "A" * 43
EVE = User("eve", ("devs",), "u-2", (("k", ("v",)),))


class Vouched:
    """A kind of login whose one token is for the audience `vault`, and for the API."""

    kind = "vouched"

    async def authenticate(
        self, token: str, now: float, audiences: tuple[str, ...] = ()
    ) -> Login | None:
        if token != TOKEN:
            return None
        common = tuple(each for each in audiences if each == "vault")
        if audiences and not common:
            raise TokenInvalid("the token is for another audience")
        return Login(EVE, "vouched:1", None, common)

    async def resume(self, reference: str, now: float) -> User | None:
        return None


def review(world: World, token: str, *audiences: str) -> dict[str, Any]:
    world.accept(Vouched())
    asked = TokenReview(spec=TokenReviewSpec(token=token, audiences=list(audiences)))
    answer = world.run(TokenReviewStorage(world.logins, world.clock).create(ROOT, asked))
    status: dict[str, Any] = json.loads(answer).get("status", {})
    return status


def test_a_token_review_says_whom_a_token_proves(world: World) -> None:
    assert review(world, TOKEN) == {
        "authenticated": True,
        "user": {"username": "eve", "uid": "u-2", "groups": ["devs"], "extra": {"k": ["v"]}},
    }


def test_a_token_review_names_the_audiences_that_fit(world: World) -> None:
    assert review(world, TOKEN, "other", "vault")["audiences"] == ["vault"]


@pytest.mark.parametrize("token", ["x", "sha256~" + "B" * 43, "eyJhbGciOiJub25lIn0.e30."])
def test_a_token_that_proves_nobody_is_an_answer_not_a_failure(world: World, token: str) -> None:
    status = review(world, token)
    assert "authenticated" not in status
    assert "user" not in status
    assert status["error"]
    assert token not in status["error"]


def test_a_token_for_another_audience_proves_nobody(world: World) -> None:
    assert review(world, TOKEN, "other") == {"error": "the token is for another audience"}


def test_a_registry_token_proves_nobody_to_others(world: World) -> None:
    world.set_password("ann", "correct horse")
    reference = world.accounts["ann"].login.reference
    issued = world.run(world.tokens.issue("ann", reference, (), world.now))
    assert "user" not in review(world, issued.token)


def test_a_review_without_a_token_is_a_bad_request(world: World) -> None:
    with pytest.raises(BadRequest, match="token is required"):
        review(world, "")


def test_a_self_review_is_the_caller_herself(world: World) -> None:
    body = world.run(SelfSubjectReviewStorage().create(ROOT, SelfSubjectReview()))
    assert json.loads(body)["status"]["userInfo"] == {
        "username": "root",
        "uid": "u-1",
        "groups": ["g"],
        "extra": {"key": ["a", "b"]},
    }
