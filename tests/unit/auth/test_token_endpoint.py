import base64
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.authorizers import MASTERS, Rights
from tests.unit.auth.world import World
from tidegate.apimachinery.authorizer import User
from tidegate.auth.errors import AuthError, InvalidCredentials, InvalidScope, InvalidTokenRequest
from tidegate.auth.identity import Identity
from tidegate.auth.logins import Login
from tidegate.auth.scope import SCOPE_LIMIT
from tidegate.auth.token_endpoint import (
    FORM,
    REQUEST_LIMIT,
    IssuedTo,
    TokenEndpoint,
    TokenRequest,
    read_token_form,
    read_token_query,
)

HERE = "192.0.2.1"
BASIC = "Basic " + base64.b64encode(b"admin:correct horse").decode()


def endpoint(world: World, *, anonymous_pull: bool = False) -> TokenEndpoint:
    authorizer = Rights(anonymous_pull=anonymous_pull)
    return TokenEndpoint(world.authenticator, world.tokens, authorizer, "tidegate", world.clock)


def issue(world: World, request: TokenRequest, *, anonymous_pull: bool = False) -> IssuedTo:
    return world.run(endpoint(world, anonymous_pull=anonymous_pull).issue(request, HERE))


def query(authorization: str | None = BASIC, /, **fields: str | list[str]) -> TokenRequest:
    return read_token_query(urlencode(fields, doseq=True).encode(), authorization)


def form(authorization: str | None = None, /, **fields: str) -> TokenRequest:
    return read_token_form(urlencode(fields).encode(), FORM, authorization)


def holder(world: World, issued: IssuedTo) -> Identity:
    header = f"Bearer {issued.answer.token}"
    return world.run(world.authenticator.authenticate(header, HERE))


def test_a_login_and_a_scope_give_a_token_in_the_words_of_both_specifications(
    world: World,
) -> None:
    world.set_password("admin", "correct horse", admin=True)
    issued = issue(world, query(service="tidegate", scope="repository:shop/web:pull,push"))
    answer = issued.answer
    assert answer.token == answer.access_token
    assert answer.expires_in == 300
    assert answer.issued_at == "2026-01-02T03:04:05Z"
    assert answer.scope == "repository:shop/web:pull,push"
    assert issued.user.name == "admin"
    assert [str(grant) for grant in holder(world, issued).grants or ()] == [answer.scope]


def test_repeated_and_joined_scopes_are_alike(world: World) -> None:
    world.set_password("admin", "correct horse", admin=True)
    first, second = "repository:a/b:pull", "repository:c/d:push"
    repeated = issue(world, query(scope=[first, second]))
    joined = issue(world, query(scope=f"{first} {second}"))
    assert repeated.answer.scope == joined.answer.scope == f"{first} {second}"


def test_a_login_without_a_scope_gives_a_token_for_nothing(world: World) -> None:
    """`docker login` checks the password so."""
    world.set_password("admin", "correct horse", admin=True)
    issued = issue(world, query(account="admin", client_id="docker", offline_token="true"))
    assert holder(world, issued).grants == ()


def test_a_user_gets_the_part_of_the_scope_that_she_has_the_right_to(world: World) -> None:
    world.set_password("ann", "correct horse")
    basic = "Basic " + base64.b64encode(b"ann:correct horse").decode()
    request = query(basic, scope="repository:shop/web:pull,push,delete registry:catalog:*")
    listing = "registry:catalog:*"
    scope = issue(world, request, anonymous_pull=True).answer.scope
    assert scope == f"repository:shop/web:delete,pull {listing}"
    assert issue(world, request).answer.scope == listing


def test_the_form_of_oauth_2_gives_the_same(world: World) -> None:
    world.set_password("admin", "correct horse", admin=True)
    request = form(
        grant_type="password", username="admin", password="correct horse", service="tidegate",
        scope="repository:shop/web:pull", client_id="skopeo", access_type="offline",
    )  # fmt: skip
    assert issue(world, request).answer.scope == "repository:shop/web:pull"


def test_a_wrong_password_is_refused_in_both_forms(world: World) -> None:
    world.set_password("admin", "battery staple", admin=True)
    for request in (
        query(),
        form(BASIC, grant_type="password"),
        form(grant_type="password", username="admin", password="x"),
        form(BASIC, grant_type="password", username="admin"),
    ):
        with pytest.raises(InvalidCredentials):
            issue(world, request)


def test_nobody_gets_a_pull_token_where_anonymous_pull_is_on(world: World) -> None:
    request = query(None, scope="repository:shop/web:pull,push")
    issued = issue(world, request, anonymous_pull=True)
    assert issued.answer.scope == "repository:shop/web:pull"
    assert holder(world, issued).is_anonymous


@pytest.mark.parametrize(
    ("scope", "anonymous_pull"),
    [("repository:shop/web:pull", False), ("repository:shop/web:push", True), ("", True)],
)
def test_nobody_gets_no_token_for_what_nobody_may_do(
    world: World, scope: str, anonymous_pull: bool
) -> None:
    with pytest.raises(InvalidCredentials):
        issue(world, query(None, scope=scope), anonymous_pull=anonymous_pull)


def test_a_token_does_not_buy_another(world: World) -> None:
    world.set_password("admin", "correct horse", admin=True)
    token = issue(world, query()).answer.token
    basic = "Basic " + base64.b64encode(f"admin:{token}".encode()).decode()
    for request in (
        query(f"Bearer {token}"),
        query(basic),
        form(f"Bearer {token}", grant_type="password"),
        form(grant_type="password", username="admin", password=token),
    ):
        with pytest.raises(InvalidCredentials):
            issue(world, request)


def test_a_token_of_the_api_buys_a_registry_token_that_ends_with_it(world: World) -> None:
    user = User("eve", (MASTERS,))
    api_token = "sha256~" + "A" * 43

    class Vouched:
        kind = "vouched"

        async def authenticate(
            self, token: str, now: float, audiences: tuple[str, ...] = ()
        ) -> Login | None:
            return Login(user, "vouched:1", world.now + 60) if token == api_token else None

        async def resume(self, reference: str, now: float) -> User | None:
            return user

    world.accept(Vouched())
    basic = "Basic " + base64.b64encode(f"any:{api_token}".encode()).decode()
    scope = "repository:shop/web:pull"
    for request in (
        query(f"Bearer {api_token}", scope=scope),
        query(basic, scope=scope),
        form(grant_type="password", username="any", password=api_token, scope=scope),
    ):
        issued = issue(world, request)
        assert issued.user == user
        assert issued.answer.token != api_token
        assert issued.answer.expires_in in (59, 60)
        assert holder(world, issued).user == user


def test_another_service_is_refused(world: World) -> None:
    world.set_password("admin", "correct horse", admin=True)
    with pytest.raises(InvalidTokenRequest):
        issue(world, query(service="registry.example"))


@pytest.mark.parametrize("grant_type", ["refresh_token", "client_credentials", "", "PASSWORD"])
def test_other_grant_types_are_unsupported(grant_type: str) -> None:
    with pytest.raises(InvalidTokenRequest) as refusal:
        form(grant_type=grant_type)
    assert refusal.value.code == "unsupported_grant_type"


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", FORM + "x"])
def test_a_body_that_is_no_form_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidTokenRequest):
        read_token_form(b"grant_type=password", content_type, None)
    read_token_form(b"grant_type=password", FORM.upper() + " ; charset=utf-8", None)


@pytest.mark.parametrize(
    "text",
    [
        b"scope=x&" * (SCOPE_LIMIT + 21) + b"a=b",
        b"service=" + b"x" * REQUEST_LIMIT,
        b"service=tidegate&service=other",
        b"scope=%ff%fe",
        b"scope=\xff\xfe",
    ],
)
def test_parameters_beyond_reason_are_refused(text: bytes) -> None:
    with pytest.raises(InvalidTokenRequest):
        read_token_query(text, None)


def test_too_many_scopes_are_refused_before_a_password_is_checked(world: World) -> None:
    many = " ".join(f"repository:p/s{number}:pull" for number in range(SCOPE_LIMIT + 1))
    with pytest.raises(InvalidScope):
        issue(world, query(scope=many))
    assert world.look_ups == 0


def test_the_password_and_the_token_are_not_shown(world: World) -> None:
    world.set_password("admin", "correct horse", admin=True)
    request = query()
    issued = issue(world, request)
    assert "correct horse" not in repr(request)
    assert issued.answer.token not in repr(issued)


@given(st.binary(), st.none() | st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_crashes_the_endpoint(world: World, text: bytes, header: str | None) -> None:
    for post in (False, True):
        try:
            request = (
                read_token_form(text, FORM, header) if post else read_token_query(text, header)
            )
            issue(world, request)
        except AuthError:
            continue
        raise AssertionError("a token for nobody")
