"""RFC 6902 by its own examples (appendix A), and the refusals of a Kubernetes API server."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.apimachinery.errors import ApiError, BadRequest, RequestTooLarge
from tidegate.apimachinery.patch import json_patch
from tidegate.apimachinery.patch.json_values import DEPTH, equal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda each: (
        st.lists(each, max_size=4) | st.dictionaries(st.text("ab/~0", max_size=2), each, max_size=4)
    ),
    max_leaves=12,
)

RFC_EXAMPLES = {
    "A.1 adding an object member": (
        '{"foo": "bar"}',
        '[{"op": "add", "path": "/baz", "value": "qux"}]',
        '{"baz": "qux", "foo": "bar"}',
    ),
    "A.2 adding an array element": (
        '{"foo": ["bar", "baz"]}',
        '[{"op": "add", "path": "/foo/1", "value": "qux"}]',
        '{"foo": ["bar", "qux", "baz"]}',
    ),
    "A.3 removing an object member": (
        '{"baz": "qux", "foo": "bar"}',
        '[{"op": "remove", "path": "/baz"}]',
        '{"foo": "bar"}',
    ),
    "A.4 removing an array element": (
        '{"foo": ["bar", "qux", "baz"]}',
        '[{"op": "remove", "path": "/foo/1"}]',
        '{"foo": ["bar", "baz"]}',
    ),
    "A.5 replacing a value": (
        '{"baz": "qux", "foo": "bar"}',
        '[{"op": "replace", "path": "/baz", "value": "boo"}]',
        '{"baz": "boo", "foo": "bar"}',
    ),
    "A.6 moving a value": (
        '{"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}',
        '[{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]',
        '{"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}',
    ),
    "A.7 moving an array element": (
        '{"foo": ["all", "grass", "cows", "eat"]}',
        '[{"op": "move", "from": "/foo/1", "path": "/foo/3"}]',
        '{"foo": ["all", "cows", "eat", "grass"]}',
    ),
    "A.8 testing a value: success": (
        '{"baz": "qux", "foo": ["a", 2, "c"]}',
        """[{"op": "test", "path": "/baz", "value": "qux"},
            {"op": "test", "path": "/foo/1", "value": 2}]""",
        '{"baz": "qux", "foo": ["a", 2, "c"]}',
    ),
    "A.10 adding a nested member object": (
        '{"foo": "bar"}',
        '[{"op": "add", "path": "/child", "value": {"grandchild": {}}}]',
        '{"foo": "bar", "child": {"grandchild": {}}}',
    ),
    "A.11 ignoring unrecognized elements": (
        '{"foo": "bar"}',
        '[{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]',
        '{"foo": "bar", "baz": "qux"}',
    ),
    "A.14 ~ escape ordering": (
        '{"/": 9, "~1": 10}',
        '[{"op": "test", "path": "/~01", "value": 10}]',
        '{"/": 9, "~1": 10}',
    ),
    "A.16 adding an array value": (
        '{"foo": ["bar"]}',
        '[{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]',
        '{"foo": ["bar", ["abc", "def"]]}',
    ),
}


@pytest.mark.parametrize(("document", "patch", "result"), RFC_EXAMPLES.values(), ids=RFC_EXAMPLES)
def test_an_example_of_the_rfc_gives_its_result(document: str, patch: str, result: str) -> None:
    assert json_patch.apply(json.loads(document), json.loads(patch)) == json.loads(result)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/baz", "value": "bar"},  # A.9
        {"op": "add", "path": "/none/bat", "value": "qux"},  # A.12
        {"op": "test", "path": "/~01", "value": "10"},  # A.15: a string is no number
        {"op": "test", "path": "/yes", "value": 1},
        {"op": "add", "path": "/list/3", "value": 0},  # section 4.1: beyond the end
        {"op": "add", "path": "/list/01", "value": 0},  # RFC 6901 section 4: no leading zero
        {"op": "replace", "path": "/list/2", "value": 0},
        {"op": "replace", "path": "/list/-", "value": 0},
        {"op": "remove", "path": "/list/-1"},
        {"op": "remove", "path": "/absent"},
        {"op": "replace", "path": "/absent", "value": 1},
        {"op": "add", "path": "/baz/x", "value": 1},  # a string has no members
        {"op": "remove", "path": "/baz/x"},
        {"op": "replace", "path": "/baz/x", "value": 1},
        {"op": "move", "from": "/yes/x", "path": "/x"},
        {"op": "move", "from": "/absent", "path": "/x"},
        {"op": "move", "from": "/deep", "path": "/deep/er"},  # section 4.4: into its own child
        {"op": "copy", "from": "/absent", "path": "/x"},
        {"op": "copy", "path": "/x"},
        {"op": "add", "path": "/x"},
        {"op": "add", "path": "x", "value": 1},
        {"op": "add", "value": 1},
        {"op": "merge", "path": "/x", "value": 1},
        {},
    ],
    ids=str,
)
def test_an_operation_that_cannot_be_carried_out_is_unprocessable(
    operation: dict[str, Any],
) -> None:
    document = {"baz": "qux", "~1": 10, "yes": True, "list": [1, 2], "deep": {}}
    before = copy.deepcopy(document)
    with pytest.raises(ApiError) as refused:
        json_patch.apply(document, [{"op": "remove", "path": "/list/0"}, operation])
    assert refused.value.code == 422
    assert refused.value.reason == "Invalid"
    assert str(refused.value) == (
        "the server rejected our request due to an error in our request"  # NewGenericServerResponse
    )
    assert document == before


@pytest.mark.parametrize(
    "operations",
    [{"op": "add"}, "add", None, [[]], [1], [{"op": 1, "path": "/a"}], [{"op": "add", "path": []}]],
    ids=str,
)
def test_what_is_no_list_of_operations_is_a_bad_request(operations: Any) -> None:
    with pytest.raises(BadRequest, match="error decoding patch: json: cannot unmarshal"):
        json_patch.apply({}, operations)


def test_more_than_ten_thousand_operations_are_too_many() -> None:
    operation = {"op": "test", "path": "", "value": {}}
    assert json_patch.apply({}, [operation] * 10_000) == {}
    with pytest.raises(RequestTooLarge) as refused:
        json_patch.apply({}, [operation] * 10_001)
    assert str(refused.value) == (
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000,"
        " got 10001"
    )


def test_the_whole_document_is_the_empty_path() -> None:
    assert json_patch.apply({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}]) == {
        "b": 2
    }
    assert json_patch.apply({"a": 1}, [{"op": "add", "path": "", "value": [3]}]) == [3]
    assert json_patch.apply({"a": 1}, [{"op": "copy", "from": "", "path": "/b"}]) == {
        "a": 1,
        "b": {"a": 1},
    }
    assert json_patch.apply({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": ""}]) == {"b": 1}
    assert json_patch.apply({"a": 1}, [{"op": "remove", "path": ""}]) is None


def test_moving_a_value_to_where_it_is_changes_nothing() -> None:
    assert json_patch.apply({"a": [1]}, [{"op": "move", "from": "/a/0", "path": "/a/0"}]) == {
        "a": [1]
    }


def test_a_copy_is_not_changed_with_its_original() -> None:
    operations = [
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/a/-", "value": 2},
    ]
    assert json_patch.apply({"a": [1]}, operations) == {"a": [1, 2], "b": [1]}


def test_an_added_value_is_not_changed_by_what_follows() -> None:
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": "/a", "value": []},
        {"op": "add", "path": "/a/-", "value": 1},
    ]
    assert json_patch.apply({}, operations) == {"a": [1]}
    assert operations[0]["value"] == []


def test_copying_a_document_into_itself_again_and_again_is_stopped() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{place}"} for place in range(40)]
    with pytest.raises(json_patch.Impossible):
        json_patch.apply({"text": "x" * 1000, "list": [1, None]}, doubling)


def test_a_document_is_not_nested_deeper_than_the_limit() -> None:
    deeper = [
        {"op": "add", "path": "/b", "value": {}},
        {"op": "move", "from": "/a", "path": "/b/a"},
        {"op": "move", "from": "/b", "path": "/a"},
    ]
    shallow = json_patch.apply({"a": {}}, deeper * (DEPTH - 1))
    assert list(shallow) == ["a"]
    with pytest.raises(BadRequest, match="exceeded max depth"):
        json_patch.apply({"a": {}}, deeper * (DEPTH + 1))
    with pytest.raises(json_patch.Impossible):
        json_patch.apply({"a": {}}, [*deeper * 3000, {"op": "copy", "from": "/a", "path": "/c"}])
    value: list[Any] = []
    for _ in range(DEPTH):
        value = [value]
    with pytest.raises(BadRequest, match="exceeded max depth"):
        json_patch.apply({}, [{"op": "add", "path": "/x", "value": value}])


def steps(path: list[Any]) -> str:
    return "".join("/" + str(each).replace("~", "~0").replace("/", "~1") for each in path)


def difference(old: Any, new: Any, path: list[Any]) -> list[dict[str, Any]]:
    """Operations that make `new` of `old`, found without the code under test."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [name for name in old if name not in new]
        found: list[dict[str, Any]] = [
            {"op": "remove", "path": steps([*path, name])} for name in gone
        ]
        for name in new:
            if name in old:
                found += difference(old[name], new[name], [*path, name])
            else:
                found.append({"op": "add", "path": steps([*path, name]), "value": new[name]})
        return found
    if equal(old, new):
        return [{"op": "test", "path": steps(path), "value": new}]
    return [{"op": "replace", "path": steps(path), "value": new}]


@settings(deadline=None)
@given(JSON, JSON)
def test_the_difference_of_two_documents_makes_one_of_the_other(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    assert equal(json_patch.apply(old, difference(old, new, [])), new)
    assert equal(old, before)


@settings(deadline=None)
@given(st.dictionaries(st.text("ab/~", min_size=1, max_size=3), JSON, min_size=1), JSON)
def test_moving_a_value_away_and_back_is_no_change(document: dict[str, Any], value: Any) -> None:
    name = next(iter(document))
    there_and_back = [
        {"op": "move", "from": steps([name]), "path": "/elsewhere"},
        {"op": "add", "path": steps([name]), "value": value},
        {"op": "move", "from": "/elsewhere", "path": steps([name])},
    ]
    assert equal(json_patch.apply(document, there_and_back), document)


def test_a_path_deeper_than_any_document_is_not_walked() -> None:
    path = "/a" * (DEPTH + 1)
    with pytest.raises(json_patch.Impossible):
        json_patch.apply({"a": {}}, [{"op": "add", "path": path, "value": 1}])
