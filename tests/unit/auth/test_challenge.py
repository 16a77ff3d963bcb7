import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.challenge import (
    INSUFFICIENT_SCOPE,
    INVALID_TOKEN,
    basic_challenge,
    bearer_challenge,
)
from tidegate.auth.scope import CATALOG, repository_grant
from tidegate.oci.name import RepositoryName

REALM = "https://registry.example:5000/openshift/token"
WEB = RepositoryName("shop/web")


def test_the_challenge_names_realm_service_and_scope() -> None:
    assert (
        bearer_challenge(REALM, "tidegate", [repository_grant(WEB, "push", "pull")])
        == f'Bearer realm="{REALM}",service="tidegate",scope="repository:shop/web:pull,push"'
    )


def test_several_scopes_are_separated_by_spaces() -> None:
    source = repository_grant(RepositoryName("lib/os"), "pull")
    challenge = bearer_challenge(REALM, "tidegate", [repository_grant(WEB, "push"), source])
    assert 'scope="repository:shop/web:push repository:lib/os:pull"' in challenge


@pytest.mark.parametrize("error", [INVALID_TOKEN, INSUFFICIENT_SCOPE])
def test_an_error_comes_last(error: str) -> None:
    challenge = bearer_challenge(REALM, "tidegate", [CATALOG], error)
    assert challenge.endswith(f',scope="registry:catalog:*",error="{error}"')


def test_no_scope_is_no_parameter() -> None:
    assert "scope" not in bearer_challenge(REALM, "tidegate")


def test_basic_asks_for_utf_8() -> None:
    assert basic_challenge("tidegate") == 'Basic realm="tidegate",charset="UTF-8"'


@given(st.text(), st.text())
def test_nothing_put_in_can_end_a_parameter_or_the_header(realm: str, service: str) -> None:
    quoted = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
    assert re.fullmatch(f"Bearer realm={quoted},service={quoted}", bearer_challenge(realm, service))
