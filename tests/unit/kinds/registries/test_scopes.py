"""The grammar of config/v1, with the examples of its own tests."""

import pytest

from tidegate.kinds.registries.scopes import host_fault, location_fault, scope_fault

GOOD = (
    "registry.io",
    "registry.io/myrepo",
    "*.example.com",
    "localhost:5000/repo",
    "a-b.c/d__e/f--g",
)
BAD = (
    "",
    "*",
    "*.",
    "*example.com",
    "*.example.com/repo",
    "*.example.com:5000",
    "registry.io/myrepo:latest",
    "registry.io/myrepo@sha256:abc123",
    "https://registry.io",
    "registry.io/",
    "registry.io/UPPER",
    "-registry.io",
    "registry-.io",
    "registry..io",
    "a b",
    "registry.io\n",
    "a" * 257,
)


@pytest.mark.parametrize("text", GOOD)
def test_a_scope_is_a_registry_a_part_of_one_or_a_wildcard(text: str) -> None:
    assert scope_fault(text) == ""


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_none(text: str) -> None:
    assert scope_fault(text).startswith("each registry must be a valid hostname[:port][/path]")


def test_a_mirror_is_no_wildcard() -> None:
    assert location_fault("*.example.com")
    assert location_fault("mirror.local:5000/a/b") == ""


def test_a_host_has_no_path() -> None:
    assert host_fault("registry.example.com:5000") == ""
    for text in ("a/b", "", "https://a", "a:", "*.a", "a" * 257):
        assert host_fault(text)


def test_a_hostile_text_costs_no_time() -> None:
    assert scope_fault("a/" + "a" * 250 + "!")
    assert scope_fault("a-" * 100 + "!")
