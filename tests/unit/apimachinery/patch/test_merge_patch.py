"""RFC 7386 by its own test cases (appendix A), and the refusals of a Kubernetes API server."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.patch import merge_patch
from tidegate.apimachinery.patch.json_values import DEPTH

APPENDIX_A = """
{"a":"b"}            {"a":"c"}              {"a":"c"}
{"a":"b"}            {"b":"c"}              {"a":"b","b":"c"}
{"a":"b"}            {"a":null}             {}
{"a":"b","b":"c"}    {"a":null}             {"b":"c"}
{"a":["b"]}          {"a":"c"}              {"a":"c"}
{"a":"c"}            {"a":["b"]}            {"a":["b"]}
{"a":{"b":"c"}}      {"a":{"b":"d","c":null}}    {"a":{"b":"d"}}
{"a":[{"b":"c"}]}    {"a":[1]}              {"a":[1]}
["a","b"]            ["c","d"]              ["c","d"]
{"a":"b"}            ["c"]                  ["c"]
{"a":"foo"}          null                   null
{"a":"foo"}          "bar"                  "bar"
{"e":null}           {"a":1}                {"e":null,"a":1}
[1,2]                {"a":"b","c":null}     {"a":"b"}
{}                   {"a":{"bb":{"ccc":null}}}   {"a":{"bb":{}}}
"""
UNDECODABLE = "error decoding patch: json: cannot unmarshal"
CASES = [[json.loads(each) for each in line.split()] for line in APPENDIX_A.strip().splitlines()]


@pytest.mark.parametrize(("target", "patch", "result"), CASES)
def test_a_case_of_the_rfc_gives_its_result(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch.merge(target, patch) == result


def test_neither_the_document_nor_the_patch_is_changed() -> None:
    document, patch = {"a": {"b": 1, "c": [1]}}, {"a": {"b": None, "d": {"e": None}}}
    before = copy.deepcopy((document, patch))
    assert merge_patch.apply(document, patch) == {"a": {"c": [1], "d": {}}}
    assert (document, patch) == before


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (["a"], f"{UNDECODABLE} array into Go value of type map[string]interface {{}}"),
        ("a", f"{UNDECODABLE} string into Go value of type map[string]interface {{}}"),
        (None, "Invalid JSON Patch"),
    ],
)
def test_a_patch_that_is_no_object_is_a_bad_request(patch: Any, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        merge_patch.apply({}, patch)
    assert str(refused.value) == message


def test_a_patch_is_not_nested_deeper_than_the_limit() -> None:
    patch: dict[str, Any] = {}
    for _ in range(DEPTH - 1):
        patch = {"a": patch}
    assert merge_patch.apply({}, patch) == patch
    with pytest.raises(BadRequest, match="exceeded max depth"):
        merge_patch.apply({}, {"a": {"a": {"a": patch}}})


OBJECTS = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text("xy", max_size=2) | st.just([1, {"k": None}]),
    lambda each: st.dictionaries(st.sampled_from("abc"), each, max_size=3),
    max_leaves=10,
)


def difference(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    gone: dict[str, Any] = {name: None for name in old if name not in new}
    return gone | {name: difference(old.get(name), new[name]) for name in new}


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_the_difference_of_two_documents_makes_one_of_the_other(old: Any, new: Any) -> None:
    patch = difference(old, new)
    assert merge_patch.merge(old, patch) == new
    assert merge_patch.merge(merge_patch.merge(old, patch), patch) == new
