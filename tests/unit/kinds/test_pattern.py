"""The same answers as Python's `re` where both have one, and none that takes its time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kinds.automaton import PLACES, TEXT_LIMIT, PatternInvalid
from tidegate.kinds.pattern import glob_of, pattern_of

SEMVER = (
    r"^(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)\.(?P<patch>0|[1-9]\d*)"
    r"(?:-(?P<prerelease>(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+(?P<buildmetadata>[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$"
)
"""As semver.org proposes it."""

ATOMS = st.sampled_from(
    ["a", "b", "-", r"\.", ".", "[ab]", "[^ab]", "[a-c.]", "[]b]", "[a-]", r"\d", r"\w", r"[\d-]"]
)
TIMES = st.sampled_from(["*", "+", "?", "{0}", "{2}", "{1,}", "{0,2}", "*?", "+?", "{1,3}?"])


def larger(smaller: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(smaller, smaller).map("".join),
        st.tuples(smaller, smaller).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(smaller, TIMES).map(lambda two: f"({two[0]}){two[1]}"),
    )


@given(
    pattern=st.recursive(ATOMS, larger, max_leaves=6),
    texts=st.lists(st.text("abc1-.]_é\n", max_size=6), min_size=20, max_size=20),
)
def test_it_decides_as_re_does(pattern: str, texts: list[str]) -> None:
    ours, theirs = pattern_of(pattern), re.compile(pattern, re.ASCII)
    for text in texts:
        assert ours.matches(text) == bool(theirs.fullmatch(text)), text


@pytest.mark.parametrize(
    "evil", ["(a+)+", "([a-zA-Z]+)*", "(a|aa)+", "(a|a?)+", "(.*a){20}", "a*a*a*a*a*a*a*b", "(a*)*"]
)
def test_the_classic_evil_patterns_answer_at_once(evil: str) -> None:
    assert not pattern_of(evil).matches("a" * (TEXT_LIMIT - 1) + "!")


def test_the_expression_of_semver_is_understood() -> None:
    pattern = pattern_of(SEMVER)
    for good in ("1.0.0", "1.2.3-rc.1", "1.0.0-alpha-a.b-c", "10.20.30+build.1"):
        assert pattern.matches(good)
    for bad in ("1.0", "01.0.0", "1.0.0-01", "v1.0.0", "1.0.0-", "1.0.0+"):
        assert not pattern.matches(bad)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "a ( is never closed"),
        ("a)", "the ) at 1 closes nothing"),
        ("*a", "the * at 1 repeats nothing"),
        ("a**", "the * at 3 repeats nothing"),
        ("a++", "the + at 3 repeats nothing"),
        ("[a", "ends too early"),
        ("[z-a]", "a class has a range that is none"),
        ("[[:digit:]]", "[:class:] is not supported; write [0-9], [a-z]"),
        ("a{,3}", r"{,3} is no {n}, {n,} or {n,m}; for a brace write \{"),
        ("a{3,1}", "{3,1} has its bounds the wrong way round"),
        ("(?=a)", "look-around and flags, (?…), are not supported"),
        ("(?<=a)b", "look-around and flags, (?…), are not supported"),
        ("(?i)a", "look-around and flags, (?…), are not supported"),
        (r"(a)\1", r"\1 is not supported"),
        (r"\bweb", r"\b is not supported"),
        ("a^b", "^ may only be at the begin of it"),
        ("a$b", "$ may only be at the end of it"),
        ("(a$)", "$ may only be at the end of it"),
        ("\\", "ends too early"),
        ("a" * 513, "may not be more than 512 characters"),
        ("(" * 17 + ")" * 17, "groups may be 16 deep"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(pattern: str, why: str) -> None:
    with pytest.raises(PatternInvalid) as caught:
        pattern_of(pattern)
    assert str(caught.value) == why


@pytest.mark.parametrize("huge", ["a{9999}", "((a{20}){20}){20}", "((){20}){200}", "(a{30}|b){20}"])
def test_repeats_are_bounded_before_they_are_written_out(huge: str) -> None:
    with pytest.raises(PatternInvalid, match=f"it may have {PLACES} characters"):
        pattern_of(huge)


def test_a_pattern_is_about_the_whole_text_with_or_without_its_ends_marked() -> None:
    for pattern in ("v1|v2", "^v1$|^v2$", "^v1|v2$", "^(v1|v2)$"):
        assert [pattern_of(pattern).matches(text) for text in ("v1", "v2", "v11", "av2", "")] == [
            True,
            True,
            False,
            False,
            False,
        ]


def test_a_text_that_is_too_long_matches_nothing() -> None:
    assert pattern_of(".*").matches("a" * TEXT_LIMIT)
    assert not pattern_of(".*").matches("a" * (TEXT_LIMIT + 1))


def test_a_glob_matches_as_in_a_shell() -> None:
    texts = ("", "v1.0", "v2.x", "latest", "1.0", "(a|b)", "*")
    cases = {
        "*": set(texts),
        "v*": {"v1.0", "v2.x"},
        "v?.[0-9]": {"v1.0"},
        "[!v]*": {"latest", "1.0", "(a|b)", "*"},
        "1.*": {"1.0"},
        "(a|b)": {"(a|b)"},
        r"\*": {"*"},
    }
    for glob, found in cases.items():
        assert {each for each in texts if glob_of(glob).matches(each)} == found, glob


@pytest.mark.parametrize("bad", ["[a", "[z-a]", "a\\", "a" * 513])
def test_what_is_no_glob_is_refused(bad: str) -> None:
    with pytest.raises(PatternInvalid):
        glob_of(bad)


def test_more_places_than_go_in_one_step_are_all_gone_on_from() -> None:
    pattern = pattern_of("(a|b)*a(a|b){9}")
    assert pattern.matches("b" * 200 + "a" + "b" * 9)
    assert not pattern.matches("b" * 200 + "a" + "b" * 10)
    assert pattern_of("(a?){200}").matches("a" * 200)
    assert not pattern_of("(a?){200}").matches("a" * 201)
    assert pattern_of("[ä-ü]*").matches("äöü")
