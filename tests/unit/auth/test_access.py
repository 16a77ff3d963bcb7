import asyncio

import pytest

from tests.authorizers import MASTERS, Rights
from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, User
from tidegate.auth.access import Decision, decide
from tidegate.auth.identity import NOBODY, Identity
from tidegate.auth.scope import Grant, repository_grant, rights
from tidegate.oci.name import RepositoryName

WEB = RepositoryName("shop/web")
PULL, PUSH = repository_grant(WEB, "pull"), repository_grant(WEB, "push")
OTHER = repository_grant(RepositoryName("shop/other"), "pull", "push", "delete")
ADMIN = User("admin", (MASTERS,))
ANN = User("ann", ("system:authenticated",))


@pytest.mark.parametrize(
    ("identity", "needed", "public", "decision"),
    [
        (Identity(ADMIN), PUSH, False, Decision.ALLOWED),
        (Identity(ADMIN, (PUSH,)), PUSH, False, Decision.ALLOWED),
        (Identity(ADMIN, (PULL,)), PUSH, False, Decision.INSUFFICIENT_SCOPE),
        (Identity(ADMIN, (OTHER,)), PULL, False, Decision.INSUFFICIENT_SCOPE),
        (Identity(ADMIN, ()), PULL, False, Decision.INSUFFICIENT_SCOPE),
        (Identity(ANN), PULL, True, Decision.ALLOWED),
        (Identity(ANN), PUSH, True, Decision.DENIED),
        (Identity(ANN, (PULL,)), PUSH, True, Decision.DENIED),
        (Identity(ANN, (PUSH,)), PUSH, True, Decision.DENIED),
        (NOBODY, PULL, False, Decision.UNAUTHENTICATED),
        (NOBODY, PULL, True, Decision.ALLOWED),
        (NOBODY, PUSH, True, Decision.UNAUTHENTICATED),
        (Identity(ANONYMOUS, (PULL,)), PULL, True, Decision.ALLOWED),
        (Identity(ANONYMOUS, (PULL,)), PULL, False, Decision.UNAUTHENTICATED),
        (Identity(ANONYMOUS, (PUSH,)), PUSH, True, Decision.UNAUTHENTICATED),
        (Identity(ANONYMOUS, ()), PULL, True, Decision.INSUFFICIENT_SCOPE),
    ],
)
def test_the_right_is_needed_and_the_scope_only_narrows(
    identity: Identity, needed: Grant, public: bool, decision: Decision
) -> None:
    authorizer = Rights(anonymous_pull=public)
    assert asyncio.run(decide(identity, rights(needed), needed, authorizer)) is decision


class OnlyImages:
    async def authorize(self, user: User, attributes: Attributes) -> bool:
        return attributes == Attributes("delete", "images")


def test_any_one_of_the_alternatives_suffices() -> None:
    needed = repository_grant(WEB, "delete")
    for identity, decision in (
        (Identity(ANN), Decision.ALLOWED),
        (Identity(ANN, (PULL,)), Decision.INSUFFICIENT_SCOPE),
    ):
        assert asyncio.run(decide(identity, rights(needed), needed, OnlyImages())) is decision


@pytest.mark.parametrize(
    ("identity", "decision"),
    [
        (Identity(ANN), Decision.ALLOWED),
        (Identity(ANN, ()), Decision.ALLOWED),
        (Identity(ANONYMOUS, ()), Decision.ALLOWED),
        (NOBODY, Decision.UNAUTHENTICATED),
    ],
)
def test_where_no_right_is_needed_being_somebody_or_holding_a_token_is_enough(
    identity: Identity, decision: Decision
) -> None:
    authorizer = Rights()
    assert asyncio.run(decide(identity, (), None, authorizer)) is decision


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("update", "imagestreams/layers"), ("get", "imagestreams"), ("list", "imagestreams/layers")],
)
def test_anonymous_pull_allows_nothing_but_to_pull(verb: str, resource: str) -> None:
    authorizer = Rights(anonymous_pull=True)
    asked = Attributes(verb, resource, "shop", "web")
    assert not asyncio.run(authorizer.authorize(ANONYMOUS, asked))
    assert asyncio.run(authorizer.authorize(ADMIN, asked))
