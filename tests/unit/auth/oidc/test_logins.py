import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.auth.oidc.provider import ISSUER, NOW, Provider, key
from tidegate.apimachinery.authorizer import User
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import API_AUDIENCE, Login
from tidegate.auth.oidc.logins import OidcIssuer, OidcLogins, check_issuers

CORP = OidcIssuer(name="corp", issuer=ISSUER, client_id="tidegate", groups_claim="groups")


class Scene:
    """Logins by issuers at one provider, with local groups and local users."""

    def __init__(self, *issuers: OidcIssuer) -> None:
        self.provider = Provider()
        self.local_users: set[str] = set()
        self.local_groups: dict[str, tuple[str, ...]] = {}
        keys = {each.name: self.provider.issuer_keys() for each in issuers}
        self.logins = OidcLogins(issuers, keys, self.groups_of, self.is_local)

    async def groups_of(self, user: str) -> tuple[str, ...]:
        return self.local_groups.get(user, ())

    async def is_local(self, user: str) -> bool:
        return user in self.local_users

    def log_in(self, *audiences: str, **claims: Any) -> Login:
        login = asyncio.run(self.logins.authenticate(self.provider.token(**claims), NOW, audiences))
        assert login is not None
        return login

    def refuse(self, reason: str, *audiences: str, **claims: Any) -> None:
        with pytest.raises(TokenInvalid, match=reason):
            self.log_in(*audiences, **claims)

    def resume(self, reference: str) -> User | None:
        return asyncio.run(self.logins.resume(reference, NOW))


def test_a_user_and_her_groups_are_named_for_their_issuer() -> None:
    login = Scene(CORP).log_in(sub="ann", groups=["devs", "ops"])
    assert login.user == User("corp:ann", ("corp:devs", "corp:ops", "system:authenticated"))
    assert login.expires == int(NOW) + 300 + 30


def test_local_groups_that_name_her_count_too() -> None:
    scene = Scene(CORP)
    scene.local_groups["corp:ann"] = ("admins",)
    assert scene.log_in(sub="ann").user.groups == ("admins", "system:authenticated")


def test_a_token_of_an_issuer_that_is_not_configured_is_of_no_kind_here() -> None:
    scene, other = Scene(CORP), Provider("https://evil.example")
    assert asyncio.run(scene.logins.authenticate(other.token(), NOW)) is None
    assert scene.provider.fetched == []


def test_a_token_for_another_client_or_service_is_refused() -> None:
    scene = Scene(CORP)
    scene.refuse("audience", aud="other")
    scene.refuse("another client", azp="other")
    scene.refuse("audience", "vault", sub="ann")
    assert scene.log_in(API_AUDIENCE, sub="ann").audiences == (API_AUDIENCE,)


def test_an_issuer_may_have_two_clients_that_are_called_differently() -> None:
    second = replace(CORP, name="tools", client_id="cli")
    scene = Scene(CORP, second)
    assert scene.log_in(sub="ann", aud="cli").user.name == "tools:ann"
    assert scene.log_in(sub="ann").user.name == "corp:ann"
    scene.refuse("audience", aud="other")


def test_a_verified_mail_address_needs_no_prefix_unless_one_is_set() -> None:
    """kube-apiserver's rules for --oidc-username-claim=email."""
    mail = replace(CORP, username_claim="email")
    scene = Scene(mail)
    assert scene.log_in(email="ann@x.org", email_verified=True).user.name == "ann@x.org"
    for verified in (None, False, "true", 1):
        scene.refuse("verified", email="ann@x.org", email_verified=verified)
    scene = Scene(replace(mail, username_prefix="corp:"))
    assert scene.log_in(email="ann@x.org").user.name == "corp:ann@x.org"
    scene.refuse("verified", email="ann@x.org", email_verified=False)


@pytest.mark.parametrize(
    "name", ["", "system:admin", "ci:gitlab:x", "corp:ann", "a:b", "~", "a\nb", "a\0", "x" * 257,
             " ann", "ann\u200b", None, ["ann"], {"a": 1}],
)  # fmt: skip
def test_without_a_prefix_nobody_is_called_like_others(name: Any) -> None:
    Scene(replace(CORP, username_prefix="-")).refuse("user name|claim|prefix", sub=name)


def test_without_a_prefix_a_local_user_keeps_her_name_whoever_was_first() -> None:
    scene = Scene(replace(CORP, username_prefix="-"))
    login = scene.log_in(sub="ann")
    assert login.user.name == "ann"
    scene.local_users.add("ann")
    scene.refuse("local user", sub="ann")
    assert scene.resume(login.reference) is None


def test_groups_of_kubernetes_own_are_never_given() -> None:
    scene = Scene(replace(CORP, groups_prefix="-"))
    groups = ["system:masters", "system:cluster-admins", "ci:x:y", "corp:devs", "ops", "", 7, "a\n"]
    assert scene.log_in(groups=groups).user.groups == ("ops", "system:authenticated")
    assert Scene(CORP).log_in(groups=["system:masters"]).user.groups == (
        "corp:system:masters",
        "system:authenticated",
    )


@pytest.mark.parametrize("groups", [{"a": 1}, ["g"] * 251, 7])
def test_groups_that_are_no_list_or_too_many_are_refused(groups: Any) -> None:
    Scene(CORP).refuse("groups", groups=groups)


def test_one_group_may_come_as_text_and_none_at_all() -> None:
    assert Scene(CORP).log_in(groups="devs").user.groups[0] == "corp:devs"
    assert Scene(CORP).log_in().user.groups == ("system:authenticated",)


def test_a_login_stands_while_its_issuer_is_configured_as_it_was() -> None:
    scene = Scene(CORP)
    login = scene.log_in(sub="ann", groups=["devs"])
    assert scene.resume(login.reference) == login.user
    scene.local_groups["corp:ann"] = ("admins",)
    resumed = scene.resume(login.reference)
    assert resumed is not None
    assert "admins" in resumed.groups
    assert Scene().resume(login.reference) is None
    elsewhere = replace(CORP, issuer="https://other.example")
    assert Scene(elsewhere).resume(login.reference) is None
    for broken in ("oidc:", "oidc:[]", 'oidc:["corp"]', "oidc:x", "local:x"):
        assert scene.resume(broken) is None


def test_a_forged_token_of_a_configured_issuer_is_refused() -> None:
    scene = Scene(CORP)
    scene.refuse("not signed", signer=key("P-256", "evil"), header={"kid": "k1"})


@pytest.mark.parametrize(
    ("issuers", "reason"),
    [
        ([replace(CORP, issuer="http://issuer.example")], "https only"),
        ([replace(CORP, name="")], "needed"),
        ([replace(CORP, client_id="")], "needed"),
        ([replace(CORP, algorithms=("RS256", "HS256"))], "algorithms"),
        ([replace(CORP, algorithms=("none",))], "algorithms"),
        ([replace(CORP, algorithms=())], "algorithms"),
        ([CORP, CORP], "one name"),
        ([replace(CORP, name="system")], "system:"),
        ([replace(CORP, name="ci")], "ci:"),
        ([replace(CORP, username_prefix="system:x:")], "system:"),
        ([replace(CORP, username_prefix="ci:gitlab:")], "ci:"),
        ([replace(CORP, username_prefix="corp-")], "colon"),
        ([replace(CORP, groups_prefix="system:")], "system:"),
        ([CORP, replace(CORP, name="b", username_prefix="corp:x:")], "begins with"),
        ([CORP, replace(CORP, name="b", username_prefix="corp:")], "begins with"),
        (
            [
                replace(CORP, username_prefix="-"),
                replace(CORP, name="b", username_prefix="-"),
            ],
            "begins with",
        ),
    ],
)
def test_issuers_whose_users_could_be_taken_for_others_are_refused(
    issuers: list[OidcIssuer], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        check_issuers(issuers)


def test_issuers_that_can_be_told_apart_are_accepted() -> None:
    check_issuers([CORP, replace(CORP, name="b"), replace(CORP, name="c", username_prefix="-")])
