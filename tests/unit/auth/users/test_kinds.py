import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.auth.users.kinds import (
    GROUPS,
    IDENTITIES,
    USERS,
    Group,
    Identity,
    IdentityUser,
    User,
    identity_name_fault,
    user_name_fault,
)

NOW = 1_767_323_045.0


@pytest.mark.parametrize("name", ["ann", "Ann Lee", "ann@example.com", "é", "a" * 300])
def test_a_user_may_have_any_name_without_a_colon(name: str) -> None:
    assert user_name_fault(name) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("system:admin", 'may not contain ":"'),
        ("corp:ann", 'may not contain ":"'),
        ("~", 'may not equal "~"'),
    ],
)
def test_no_user_has_a_name_of_kubernetes_own(name: str, fault: str) -> None:
    """OpenShift's ValidateUserName; slashes and the like are refused for every kind."""
    assert user_name_fault(name) == fault


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("ann", "<providerName>:<providerUserName>"),
        ("a:b:c", "<providerName>:<providerUserName>"),
        (":ann", "with a non-empty providerName"),
        ("local:", "with a non-empty providerUserName"),
    ],
)
def test_an_identity_is_named_for_its_provider_and_user(name: str, ending: str) -> None:
    fault = identity_name_fault(name)
    assert fault is not None
    assert fault.startswith("must be in the format")
    assert fault.endswith(ending)


def identity(provider: str = "local", user: str = "ann") -> Identity:
    return Identity(
        metadata=ObjectMeta(name="local:ann"), provider_name=provider, provider_user_name=user
    )


def faults(new: Identity, old: Identity | None = None) -> list[str]:
    return [f"{each.field} {each.reason}" for each in IDENTITIES.strategy.validate(new, old)]


def test_an_identity_that_fits_its_name_is_valid() -> None:
    new = identity()
    new.user = IdentityUser(name="ann", uid="u-1")
    assert faults(new) == []


def test_the_faults_of_an_identity_are_all_told() -> None:
    assert faults(identity("", "")) == [
        "providerName FieldValueRequired",
        "providerUserName FieldValueRequired",
    ]
    assert faults(identity(user="eve")) == ["metadata.name FieldValueInvalid"]
    new = identity()
    new.user = IdentityUser(name="ann")
    assert faults(new) == ["user.uid FieldValueRequired"]
    new.user = IdentityUser(uid="u-1")
    assert faults(new) == ["user.uid FieldValueInvalid"]


def test_a_new_identity_without_a_name_is_named_for_its_provider() -> None:
    """`oc create identity corp:ann` sends none."""
    new = identity("corp", "ann")
    new.metadata.name = ""
    IDENTITIES.strategy.prepare(new, None)
    assert new.metadata.name == "corp:ann"


def test_an_identity_stays_with_its_provider() -> None:
    old = identity("other", "eve")
    assert faults(identity(), old) == [
        "providerName FieldValueInvalid",
        "providerUserName FieldValueInvalid",
    ]


@pytest.mark.parametrize("member", ["ann", "corp:ann", "ci:gitlab:shop"])
def test_a_group_may_name_users_of_issuers_too(member: str) -> None:
    assert list(GROUPS.strategy.validate(Group(users=[member]), None)) == []


@pytest.mark.parametrize("member", ["", "~", "..", "a/b", "system:anonymous", "system:admin"])
def test_a_group_names_nobody_of_kubernetes_own(member: str) -> None:
    [fault] = GROUPS.strategy.validate(Group(users=["ann", member]), None)
    assert fault.field == "users[1]"


def test_a_users_identities_and_groups_are_names_that_could_be() -> None:
    new = User(identities=["local:ann", "ann"], groups=["devs", "system:masters"])
    assert [each.field for each in USERS.strategy.validate(new, None)] == [
        "identities[1]",
        "groups[1]",
    ]


def test_the_columns_are_those_of_oc_get() -> None:
    assert [each.name for each in USERS.columns] == ["UID", "Full Name", "Identities"]
    assert [each.name for each in GROUPS.columns] == ["Users"]
    assert [each.name for each in IDENTITIES.columns] == [
        "IDP Name",
        "IDP User Name",
        "User Name",
        "User UID",
    ]
    user = User(metadata=ObjectMeta(uid="u-1"), full_name="Ann", identities=["a:b", "c:d"])
    assert [each.cell(user, NOW) for each in USERS.columns] == ["u-1", "Ann", "a:b, c:d"]
    assert GROUPS.columns[0].cell(Group(users=["ann", "eve"]), NOW) == "ann, eve"
    assert [each.cell(identity(), NOW) for each in IDENTITIES.columns] == ["local", "ann", "", ""]
