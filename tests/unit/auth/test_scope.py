import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authorizers import MASTERS, Rights
from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, User
from tidegate.auth.errors import InvalidScope
from tidegate.auth.scope import (
    CATALOG,
    SCOPE_LIMIT,
    TEXT_LIMIT,
    Grant,
    covers,
    narrow,
    parse_scopes,
    repository_grant,
    rights,
)
from tidegate.oci.name import RepositoryName

WEB = RepositoryName("shop/web")


def grant(name: str, *actions: str) -> Grant:
    return Grant("repository", name, frozenset(actions))


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("repository:shop/web:pull", [grant("shop/web", "pull")]),
        ("repository:shop/web:pull,push", [grant("shop/web", "pull", "push")]),
        ("repository(image):shop/web:pull", [grant("shop/web", "pull")]),
        ("repository:shop/web:*", [grant("shop/web", "pull", "push", "delete")]),
        ("repository:a/b:pull repository:c/d:push", [grant("a/b", "pull"), grant("c/d", "push")]),
        ("repository:a/b:pull repository:a/b:push", [grant("a/b", "pull", "push")]),
        ("registry:catalog:*", [CATALOG]),
        ("  repository:a/b:pull  ", [grant("a/b", "pull")]),
        ("", []),
    ],
)
def test_a_scope_asks_for_actions_on_resources(text: str, asked: list[Grant]) -> None:
    assert list(parse_scopes([text])) == asked


def test_repeated_parameters_are_one_scope() -> None:
    assert parse_scopes(["repository:a/b:pull", "repository:c/d:push"]) == parse_scopes(
        ["repository:a/b:pull repository:c/d:push"]
    )


def test_a_name_of_a_mirrored_registry_is_asked_for_as_the_stream_that_it_is_read_from() -> None:
    (grant,) = parse_scopes(["repository:hub/library/nginx:pull"])
    assert str(grant) == "repository:hub/library.nginx:pull"


@pytest.mark.parametrize(
    "text",
    [
        "repository:shop/web",
        "repository:shop/web:",
        "repository:shop/web:pull,",
        "repository:shop/web:PULL",
        "repository:shop/web:admin",
        "repository:web:pull",
        "repository:a/b//c:pull",
        "repository:Shop/web:pull",
        "repository:../web:pull",
        "repository:host.example:5000/shop/web:pull",
        "repository():shop/web:pull",
        "Repository:shop/web:pull",
        "registry:catalog:pull",
        "registry:other:*",
        "images:shop/web:pull",
        ":::",
        "repository:shop/web\x00:pull",
        "repository:shop/wéb:pull",
    ],
)
def test_what_no_request_could_need_is_passed_over(text: str) -> None:
    assert parse_scopes([text]) == ()
    assert parse_scopes([text, "repository:a/b:pull"]) == (grant("a/b", "pull"),)


def test_too_many_or_too_long_scopes_are_refused() -> None:
    with pytest.raises(InvalidScope):
        parse_scopes(["repository:a/b:pull"] * (SCOPE_LIMIT + 1))
    with pytest.raises(InvalidScope):
        parse_scopes(["x" * (TEXT_LIMIT + 1)])
    assert parse_scopes(["repository:a/b:pull"] * SCOPE_LIMIT) == (grant("a/b", "pull"),)


@given(st.lists(st.text(alphabet=st.sampled_from("repositygc(al):,*/ .-pushdx\n\0é\ud800"))))
def test_no_text_crashes_the_parser_or_grants_what_it_does_not_name(texts: list[str]) -> None:
    for asked in parse_scopes(texts):
        assert asked == CATALOG or (asked.type == "repository" and asked.name in " ".join(texts))
        assert asked == CATALOG or asked.actions <= {"pull", "push", "delete"}
        assert asked.actions


names = st.sampled_from(["a/b", "a/c", "shop/web"])
actions = st.frozensets(st.sampled_from(["pull", "push", "delete"]), min_size=1)
grants = st.lists(st.builds(Grant, st.just("repository"), names, actions), max_size=4)


@given(grants)
def test_a_grant_written_as_a_scope_is_read_back(asked: list[Grant]) -> None:
    read = parse_scopes(map(str, asked))
    assert all(covers(read, each) for each in asked)
    assert all(
        any(action in each.actions and each.name == got.name for each in asked)
        for got in read
        for action in got.actions
    )


class Allowing:
    """Allows exactly what it is given."""

    def __init__(self, *allowed: Attributes) -> None:
        self.allowed = allowed

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        return attributes in self.allowed


@given(grants, st.frozensets(st.tuples(names, st.sampled_from(["get", "update"]))))
def test_nobody_gets_more_than_she_asked_for_nor_more_than_she_may(
    asked: list[Grant], allowed: frozenset[tuple[str, str]]
) -> None:
    authorizer = Allowing(
        *(
            Attributes(verb, "imagestreams/layers", name.split("/")[0], name.split("/")[1])
            for name, verb in allowed
        )
    )
    granted = asyncio.run(narrow(parse_scopes(map(str, asked)), User("ann"), authorizer))
    verbs = {"pull": "get", "push": "update", "delete": "get"}  # which tags: asked at each delete
    for got in granted:
        for action in got.actions:
            assert any(got.name == each.name and action in each.actions for each in asked)
            assert (got.name, verbs[action]) in allowed


def test_an_administrator_gets_all_that_she_asks_for() -> None:
    asked = parse_scopes(["repository:a/b:* registry:catalog:*"])
    administrator = User("admin", (MASTERS,))
    granted = asyncio.run(narrow(asked, administrator, Rights()))
    assert granted == asked


def test_nobody_in_particular_gets_pull_where_anonymous_pull_is_on_and_else_nothing() -> None:
    asked = parse_scopes(["repository:a/b:pull,push,delete registry:catalog:*"])
    for anonymous_pull, granted in ((True, (grant("a/b", "pull", "delete"),)), (False, ())):
        authorizer = Rights(anonymous_pull=anonymous_pull)
        assert asyncio.run(narrow(asked, ANONYMOUS, authorizer)) == granted


def test_whoever_logged_in_may_carry_the_listing_and_nobody_in_particular_may_not() -> None:
    assert asyncio.run(narrow((CATALOG,), User("ann"), Rights())) == (CATALOG,)
    assert asyncio.run(narrow((CATALOG,), ANONYMOUS, Rights())) == ()


def test_each_action_is_the_right_that_openshift_asks_for() -> None:
    assert rights(repository_grant(WEB, "pull")) == (
        Attributes("get", "imagestreams/layers", "shop", "web"),
    )
    assert rights(repository_grant(WEB, "push")) == (
        Attributes("update", "imagestreams/layers", "shop", "web"),
    )
    assert rights(repository_grant(WEB, "delete")) == (
        Attributes("delete", "imagestreamtags", "shop", "web"),
        Attributes("delete", "images"),
        Attributes("get", "imagestreams/layers", "shop", "web"),
    )
    assert rights(CATALOG) == (Attributes("list", "imagestreams"),)


def test_the_right_to_delete_images_everywhere_is_enough_to_delete_in_a_repository() -> None:
    asked = (repository_grant(WEB, "delete"),)
    authorizer = Allowing(Attributes("delete", "images"))
    assert asyncio.run(narrow(asked, User("pruner"), authorizer)) == asked


@pytest.mark.parametrize(
    ("held", "needed", "enough"),
    [
        (["pull"], ["pull"], True),
        (["pull", "push"], ["push"], True),
        (["pull"], ["push"], False),
        (["pull"], ["pull", "push"], False),
        ([], ["pull"], False),
    ],
)
def test_a_grant_covers_no_other_action(held: list[str], needed: list[str], enough: bool) -> None:
    assert covers([grant("a/b", *held)], grant("a/b", *needed)) is enough


def test_a_grant_covers_no_other_repository_and_no_other_type() -> None:
    assert not covers([grant("a/b", "pull")], grant("a/bc", "pull"))
    assert not covers([Grant("registry", "a/b", frozenset({"pull"}))], grant("a/b", "pull"))
