"""CI jobs' tokens for ours: RFC 8693, and what a hostile project name could try."""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.auth.oauth.site import Site, new_site
from tests.unit.auth.oidc.provider import ISSUER, NOW, Provider, b64, key
from tidegate.apimachinery.authorizer import User
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.keys import KeyRing
from tidegate.auth.logins import RELIED_ON
from tidegate.auth.oidc.ci import CiIssuer, check_ci_issuers, matches, render
from tidegate.auth.oidc.exchange import ACCESS_TOKEN, SUBJECT_TYPES, TOKEN_TYPES, CiTokens
from tidegate.auth.scope import CATALOG

GITLAB = CiIssuer(
    name="gitlab",
    issuer=ISSUER,
    audience="https://registry.example",
    subject="project:{project_path}:ref:{ref}",
    groups=("{namespace_path}", "protected:{ref_protected}"),
    require={"namespace_path": "shop"},
)

JOB = {
    "aud": GITLAB.audience,
    "project_path": "shop/web",
    "namespace_path": "shop",
    "ref": "main",
    "ref_protected": "true",
}

WEB = User(
    "ci:gitlab:project:shop/web:ref:main",
    ("ci:gitlab:shop", "ci:gitlab:protected:true", "system:authenticated"),
)


async def no_groups(_user: str) -> tuple[str, ...]:
    return ()


class Scene:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.provider = Provider()
        site.world.now = NOW
        self.configure(GITLAB)

    def configure(self, *issuers: CiIssuer) -> None:
        keys = {each.name: self.provider.issuer_keys() for each in issuers}
        self.ci = CiTokens(issuers, keys, KeyRing(self.site.world.read_keys), no_groups)
        self.site.application._server._exchange = self.ci
        self.site.world.accept(self.site.tokens, self.ci)

    def token(self, **claims: Any) -> str:
        return self.provider.token(**{**JOB, **claims})

    def exchange(self, token: str | None = None, /, **changes: str | None) -> httpx.Response:
        fields = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": token or self.token(),
            "subject_token_type": SUBJECT_TYPES[0],
            **changes,
        }
        data = {name: value for name, value in fields.items() if value is not None}
        return self.site.post("/oauth/token", data=data)

    def given(self, **claims: Any) -> str:
        response = self.exchange(self.token(**claims))
        assert response.status_code == 200, response.text
        token: str = response.json()["access_token"]
        return token

    def refuse(self, reason: str, **claims: Any) -> None:
        response = self.exchange(self.token(**claims))
        assert response.status_code == 400
        assert response.json()["error"] == "invalid_request"
        assert reason in response.json()["error_description"]

    def user(self, token: str) -> User:
        world = self.site.world
        return world.run(world.logins.authenticate(token, world.now)).user


@pytest.fixture
def scene() -> Iterator[Scene]:
    with new_site() as site:
        yield Scene(site)


def test_a_jobs_token_buys_a_short_lived_one_with_a_subject_of_its_claims(scene: Scene) -> None:
    response = scene.exchange()
    assert response.status_code == 200
    body = response.json()
    assert scene.user(body.pop("access_token")) == WEB
    assert body == {
        "token_type": "Bearer",
        "expires_in": 300,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    [event] = scene.site.audit.events
    assert (event.user, event.status) == (WEB.name, 200)


def test_it_lives_no_longer_than_configured_nor_than_the_jobs_own(scene: Scene) -> None:
    scene.configure(replace(GITLAB, lifetime=60))
    assert scene.exchange().json()["expires_in"] == 60
    scene.configure(replace(GITLAB, lifetime=3600))
    assert scene.exchange().json()["expires_in"] == 300
    token = scene.given()
    scene.site.world.now = NOW + 300
    with pytest.raises(TokenInvalid, match="expired"):
        scene.user(token)
    # within the leeway for the issuer's clock a token still counts, but nothing is left to give
    assert scene.exchange(scene.token(exp=int(NOW) + 300)).status_code == 400


def test_it_is_good_for_the_registry_as_bearer_and_as_password(scene: Scene) -> None:
    token, world = scene.given(), scene.site.world
    basic = base64.b64encode(f"any:{token}".encode()).decode()
    for header in (f"Bearer {token}", f"Basic {basic}"):
        identity = world.run(world.authenticator.authenticate(header, "192.0.2.1"))
        assert identity.user == WEB


def test_a_registry_token_of_it_ends_with_its_issuers_configuration(scene: Scene) -> None:
    world = scene.site.world
    login = world.run(world.logins.authenticate(scene.given(), world.now))
    issued = world.run(
        world.tokens.issue(
            login.user.name, login.reference, (CATALOG,), world.now, until=login.expires
        )
    )
    header = f"Bearer {issued.token}"
    assert world.run(world.authenticator.authenticate(header, "")).user == WEB
    scene.configure()
    world.now += RELIED_ON
    with pytest.raises(TokenInvalid):
        world.run(world.authenticator.authenticate(header, ""))


def test_the_token_itself_ends_with_its_issuers_configuration(scene: Scene) -> None:
    token = scene.given()
    scene.configure(replace(GITLAB, issuer="https://other.example"))
    with pytest.raises(TokenInvalid, match="no longer accepted"):
        scene.user(token)


def test_a_token_of_ours_buys_no_other(scene: Scene) -> None:
    token = scene.given()
    assert scene.exchange(token).status_code == 400
    assert scene.exchange(scene.site.token()).status_code == 400


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://elsewhere.example"}, "audience"),
        ({"aud": None}, "audience"),
        ({"exp": int(NOW) - 60}, "expired"),
        ({"iss": "https://evil.example"}, "no issuer"),
        ({"namespace_path": "shop2"}, "namespace_path"),
        ({"namespace_path": "xshop"}, "namespace_path"),
        ({"namespace_path": "Shop"}, "namespace_path"),
        ({"namespace_path": None}, "namespace_path"),
        ({"namespace_path": ["shop"]}, "namespace_path"),
        ({"ref": None}, "ref"),
        ({"ref": {"a": 1}}, "ref"),
    ],
)
def test_a_job_that_may_not_log_in_is_told_why(
    scene: Scene, claims: dict[str, Any], reason: str
) -> None:
    scene.refuse(reason, **claims)


@pytest.mark.parametrize(
    "value",
    [
        "shop/web:ref:main", "a:b", ":", "*", "shop/*", "a b", "a\tb", "a\nb", "a\0b", "\u2028",
        "a\u200bb", "\u202eb", "", " ", "x" * 257, "{ref}", "a\u00a0b", "a\u3000b",
    ],
)  # fmt: skip
@pytest.mark.parametrize("claim", ["project_path", "ref"])
def test_a_claim_that_could_forge_another_subject_is_refused(
    scene: Scene, claim: str, value: str
) -> None:
    """A branch may be called `x:ref:main`, a project `a:b`."""
    response = scene.exchange(scene.token(**{claim: value}))
    assert response.status_code == 400


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text(), min_size=2))
def test_two_jobs_never_get_one_subject(claims: dict[str, str]) -> None:
    """What is rendered can be taken apart again, so no two sets of claims give the same."""
    try:
        rendered = render("x:{a}:y:{b}", claims)
    except TokenInvalid:
        return
    _, a, _, b = rendered.split(":")
    assert {"a": a, "b": b} == claims


def test_a_claim_that_is_the_whole_name_may_have_colons(scene: Scene) -> None:
    """GitHub's `sub`: repo:octo-org/octo-repo:ref:refs/heads/main."""
    scene.configure(
        replace(GITLAB, name="github", subject="{sub}", groups=(), require={"sub": "repo:octo/**"})
    )
    token = scene.given(sub="repo:octo/web:ref:refs/heads/main")
    assert scene.user(token).name == "ci:github:repo:octo/web:ref:refs/heads/main"
    scene.refuse("sub", sub="repo:octopus/web:ref:refs/heads/main")


def test_a_claim_that_is_a_whole_group_does_not_pass_for_another(scene: Scene) -> None:
    assert scene.exchange(scene.token(namespace_path="protected:true")).status_code == 400


def test_numbers_and_truth_values_are_written_as_json_does(scene: Scene) -> None:
    token = scene.given(ref=17, ref_protected=True)
    user = scene.user(token)
    assert user.name.endswith(":ref:17")
    assert "ci:gitlab:protected:true" in user.groups


@pytest.mark.parametrize(
    ("wanted", "text", "holds"),
    [
        ("shop/web", "shop/web", True),
        ("shop/web", "shop/web2", False),
        ("shop/*", "shop/web", True),
        ("shop/*", "shop/a/b", False),
        ("shop/**", "shop/a/b", True),
        ("shop/*", "shop2/web", False),
        ("refs/tags/v*", "refs/tags/v1.0", True),
        ("a.c", "abc", False),
        ("[a-z]*", "b", False),
        ("*", "a\n", True),
        ("", "", True),
        ("shop", "shop\n", False),
        ("**", "anything/at all", True),
    ],
)
def test_what_is_required_is_matched_whole(wanted: str, text: str, holds: bool) -> None:
    assert matches(wanted, text) is holds


def test_of_two_configurations_of_one_issuer_the_first_that_fits_counts(scene: Scene) -> None:
    release = replace(GITLAB, name="release", require={"ref_protected": "true", "ref": "v*"})
    scene.configure(release, GITLAB)
    assert scene.user(scene.given(ref="v1")).name.startswith("ci:release:")
    assert scene.user(scene.given(ref="main")).name.startswith("ci:gitlab:")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token": "x"}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"requested_token_type": TOKEN_TYPES + "refresh_token"}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"scope": "repository:a/b:pull"}, "invalid_scope"),
        ({"audience": "https://vault.example"}, "invalid_target"),
        ({"resource": "https://vault.example"}, "invalid_target"),
    ],
)  # fmt: skip
def test_a_request_that_breaks_the_protocol_is_refused_in_its_words(
    scene: Scene, changes: dict[str, str | None], error: str
) -> None:
    response = scene.exchange(**changes)
    assert (response.status_code, response.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token_type": SUBJECT_TYPES[1]},
        {"requested_token_type": ACCESS_TOKEN},
        {"audience": "tidegate:api"},
        {"audience": "tidegate"},
    ],
)
def test_what_the_protocol_allows_is_taken(scene: Scene, changes: dict[str, str]) -> None:
    assert scene.exchange(**changes).status_code == 200


def test_a_forged_job_token_is_refused(scene: Scene) -> None:
    forged = scene.provider.token(key("P-256", "evil"), header={"kid": "k1"}, **JOB)
    response = scene.exchange(forged)
    assert response.status_code == 400
    assert forged.split(".")[2] not in response.text + repr(scene.site.audit.events)


def test_our_token_changed_or_of_another_sort_is_refused(scene: Scene) -> None:
    token = scene.given()
    header, claims, signature = token.split(".")
    forged = json.loads(_unb64(claims)) | {"sub": "system:admin"}
    world = scene.site.world
    for bad in (
        f"{header}.{b64(forged)}.{signature}",
        f"{header}.{claims}.",
        f"{b64({'alg': 'none', 'typ': 'ci+jwt'})}.{claims}.",
    ):
        with pytest.raises(TokenInvalid):
            scene.user(bad)
    with pytest.raises(TokenInvalid, match="audience"):
        world.run(world.logins.authenticate(token, world.now, ("vault",)))
    registry = world.run(world.tokens.issue(WEB.name, "", (CATALOG,), world.now)).token
    with pytest.raises(TokenInvalid):
        scene.user(registry)


def test_without_configured_issuers_the_grant_is_unsupported() -> None:
    with new_site() as site:
        answer = site.post(
            "/oauth/token",
            data={"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"},
        )
        assert answer.json()["error"] == "unsupported_grant_type"


def test_no_reference_is_misread(scene: Scene) -> None:
    for reference in ("ci:", "ci:[]", 'ci:["gitlab"]', "ci:x"):
        assert asyncio.run(scene.ci.resume(reference, NOW)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "a:b"}, "name"),
        ({"name": "GitLab"}, "name"),
        ({"issuer": "http://gitlab.example"}, "https only"),
        ({"audience": ""}, "audience"),
        ({"lifetime": 3601}, "3600"),
        ({"lifetime": 0}, "3600"),
        ({"require": {}}, "require"),
        ({"subject": "everybody"}, "claim"),
        ({"subject": "{a"}, "template"),
        ({"subject": "{a}/{b}"}, "colon"),
        ({"groups": ("x", "a:{a}.{b}")}, "colon"),
        ({"groups": ("{a}}",)}, "template"),
        ({"algorithms": ("HS256",)}, "algorithms"),
    ],
)
def test_a_configuration_that_is_unsafe_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_ci_issuers([replace(GITLAB, **changes)])
    with pytest.raises(ValueError, match="one name"):
        check_ci_issuers([GITLAB, GITLAB])


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")
