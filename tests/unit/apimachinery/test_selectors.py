"""Grammar and texts as k8s.io/apimachinery's pkg/labels and pkg/fields have them."""

import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.selectors import (
    EVERYTHING,
    Requirement,
    Selection,
    parse_fields,
    parse_labels,
)

NO_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
FIELDS = ("metadata.name", "metadata.namespace", "type")


def selects(text: str, labels: Mapping[str, str]) -> bool:
    return Selection(labels=parse_labels(text)).matches(labels, lambda _: "")


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("  ", {"a": "b"}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a==b", {"a": "b"}, True),
        (" a = b , c = d ", {"a": "b", "c": "d"}, True),
        ("a=b,c=d", {"a": "b"}, False),
        ("a!=b", {"a": "b"}, False),
        ("a!=b", {"a": "c"}, True),
        ("a!=b", {}, True),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a!=", {"a": ""}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a in (b,c)", {"a": "d"}, False),
        ("a in (b,)", {"a": ""}, True),
        ("a in (b)", {}, False),
        ("a notin (b,c)", {"a": "b"}, False),
        ("a notin (b,c)", {"a": "d"}, True),
        ("a notin (b,c)", {}, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("! a", {"a": "b"}, False),
        ("example.com/a=b,!c", {"example.com/a": "b"}, True),
        ("a>3", {"a": "4"}, True),
        ("a>3", {"a": "3"}, False),
        ("a>3", {}, False),
        ("a<3", {"a": "-4"}, True),
        ("a<3", {"a": "x"}, False),
        ("a>-1", {"a": "0"}, True),
    ],
)
def test_labels_are_selected_as_in_kubernetes(
    text: str, labels: Mapping[str, str], *, expected: bool
) -> None:
    assert selects(text, labels) is expected


@pytest.mark.parametrize(
    "text",
    [
        ",",
        "a,",
        ",a",
        "a,,b",
        "a=b=c",
        "a in",
        "a in b",
        "a in (b",
        "a b",
        "!",
        "a>b",
        "a>",
        "a<9999999999999999999999",
        "(a)",
        "=b",
    ],
)
def test_a_label_selector_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_labels(text)


def test_what_is_wrong_with_a_key_or_a_value_is_said_in_kubernetes_words() -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_labels("-a=b")
    assert str(refusal.value) == (
        f'unable to parse requirement: <nil>: Invalid value: "-a": {NO_NAME_PART}'
    )
    with pytest.raises(BadRequest, match="prefix part a lowercase RFC 1123 subdomain"):
        parse_labels("A/b")
    with pytest.raises(BadRequest) as refusal:
        parse_labels("a in (b,-)")
    assert str(refusal.value).startswith(
        'unable to parse requirement: values[1][a]: Invalid value: "-": a valid label must be an '
    )


def test_a_refusal_repeats_no_more_than_an_excerpt() -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_labels("a" * 100_000 + "=b")
    assert len(str(refusal.value)) < 1000


@given(st.text(alphabet="ab/.-_=!<>(), in", max_size=30))
def test_every_label_selector_is_read_or_refused(text: str) -> None:
    try:
        requirements = parse_labels(text)
    except BadRequest:
        return
    assert isinstance(Selection(labels=requirements).matches({"a": "b"}, lambda _: ""), bool)


@pytest.mark.parametrize("text", ["a{}b", "a={}!", "a in{}b", "{}", "!{}!", "a<{}b", "a{}=b{}!"])
def test_a_long_label_selector_is_read_in_one_go(text: str) -> None:
    blank = " " * 1_000_000  # trying two ways at each of them would take hours
    with contextlib.suppress(BadRequest):
        parse_labels(text.replace("{}", blank))


def test_fields_know_three_operators() -> None:
    assert parse_fields("metadata.name=a,metadata.namespace==b,type!=c", FIELDS) == (
        ("metadata.name", "a", True),
        ("metadata.namespace", "b", True),
        ("type", "c", False),
    )


def test_empty_terms_of_fields_are_passed_over() -> None:
    assert parse_fields("", FIELDS) == ()
    assert parse_fields(",metadata.name=,", FIELDS) == (("metadata.name", "", True),)


def test_a_backslash_escapes_in_the_values_of_fields() -> None:
    assert parse_fields(r"type=a\,b\=c\\,metadata.name=d", FIELDS) == (
        ("type", r"a,b=c\ "[:-1], True),
        ("metadata.name", "d", True),
    )


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("spec.x=y", "field label not supported: spec.x"),
        ("type", "invalid selector: 'type'; can't understand 'type'"),
        ("type=a,b", "invalid selector: 'type=a,b'; can't understand 'b'"),
        (r"type=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("type=\\", "invalid field selector: invalid escape sequence: \\"),
        ("type=a=b", "invalid field selector: invalid escape sequence: a=b"),
        ("type!=a==b", "invalid field selector: invalid escape sequence: a==b"),
    ],
)
def test_a_field_selector_that_cannot_be_read_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(BadRequest) as error:
        parse_fields(text, FIELDS)
    assert str(error.value) == refusal


def test_a_selection_knows_the_name_and_the_namespace_that_it_wants() -> None:
    wanted = Selection(
        fields=parse_fields("type=x,metadata.name!=b,metadata.name=a,metadata.namespace=n", FIELDS)
    )
    assert (wanted.name, wanted.namespace) == ("a", "n")
    assert not wanted.is_everything
    assert EVERYTHING.is_everything
    assert (EVERYTHING.name, EVERYTHING.namespace) == (None, None)


def test_all_terms_must_hold() -> None:
    wanted = Selection(labels=(Requirement("a", "exists"),), fields=parse_fields("type=x", FIELDS))
    assert wanted.matches({"a": ""}, lambda _: "x")
    assert not wanted.matches({}, lambda _: "x")
    assert not wanted.matches({"a": ""}, lambda _: "y")
