"""Strategic merge patch, as Kubernetes' patch_test.go and its documentation have it."""

import copy
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import field

from tidegate.apimachinery.errors import ApiError, BadRequest
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.patch import strategic
from tidegate.apimachinery.patch.json_values import DEPTH
from tidegate.apimachinery.schema import schema_of


class Variable(Wire):
    """A variable of a container."""

    name: Annotated[str, doc("Name.")]
    value: Annotated[str, doc("Value.")] = ""


class Container(Wire):
    """A container."""

    name: Annotated[str, doc("Name.")] = ""
    image: Annotated[str, doc("Image.")] = ""
    args: Annotated[list[str], doc("Arguments.")] = field(default_factory=list)
    env: Annotated[list[Variable], doc("Variables.", merge_key="name")] = field(
        default_factory=list
    )


class Spec(Wire):
    """A pod."""

    containers: Annotated[list[Container], doc("Containers.", merge_key="name")] = field(
        default_factory=list
    )
    sets: Annotated[list[int], doc("A set.", list_type="set")] = field(default_factory=list)
    strategy: Annotated[dict[str, str], doc("Fields of one sort.")] = field(default_factory=dict)
    whole: Annotated[dict[str, str], doc("Replaced.", replace=True)] = field(default_factory=dict)
    anything: Annotated[dict[str, Any], doc("Anything.")] = field(default_factory=dict)


class Pod(Object):
    """Stands for any kind."""

    spec: Annotated[Spec, doc("Wanted state.")] = field(default_factory=Spec)


POD = schema_of(Pod)


def patched(spec: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    document, sent = {"spec": spec}, {"spec": patch}
    before = copy.deepcopy((document, sent))
    result = strategic.apply(document, sent, POD)
    assert (document, sent) == before, "an input was changed"
    assert list(result) == ["spec"]
    spec_after: dict[str, Any] = result["spec"]
    return spec_after


def names(elements: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in elements]


def test_fields_are_merged_and_null_removes() -> None:
    document = {"metadata": {"labels": {"a": "1", "b": "2"}}, "kind": "Pod"}
    patch = {"metadata": {"labels": {"a": None, "c": "3", "d": None}}}
    assert strategic.apply(document, patch, POD) == {
        "metadata": {"labels": {"b": "2", "c": "3"}},
        "kind": "Pod",
    }


def test_elements_are_joined_by_their_merge_key_at_every_depth() -> None:
    spec = {
        "containers": [
            {"name": "web", "image": "nginx", "env": [{"name": "A", "value": "1"}]},
            {"name": "log", "image": "fluentd"},
        ]
    }
    patch = {"containers": [{"name": "web", "env": [{"name": "B", "value": "2"}]}]}
    assert patched(spec, patch) == {
        "containers": [
            {
                "name": "web",
                "image": "nginx",
                "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
            },
            {"name": "log", "image": "fluentd"},
        ]
    }


def test_a_list_without_a_merge_key_is_replaced() -> None:
    spec = {"containers": [{"name": "web", "args": ["-v", "-x"]}]}
    assert patched(spec, {"containers": [{"name": "web", "args": ["-q"]}]}) == {
        "containers": [{"name": "web", "args": ["-q"]}]
    }


def test_an_element_without_its_merge_key_is_refused_in_the_words_of_kubernetes() -> None:
    with pytest.raises(BadRequest) as refused:
        patched({}, {"containers": [{"image": "nginx"}], "$setElementOrder/containers": []})
    assert "does not contain declared merge key: name" in str(refused.value)
    patch = {"containers": [{"image": "nginx", "args": ["a", "b"], "env": [{"name": None}]}]}
    with pytest.raises(BadRequest) as refused:
        patched({"containers": [{"name": "web"}]}, patch)
    assert str(refused.value) == (
        "map: map[args:[… …] env:[map[name:<nil>]] image:…]"
        " does not contain declared merge key: name"
    )


def test_a_merged_list_of_scalars_is_a_set() -> None:
    assert patched({"sets": [1, 2]}, {"sets": [2, 3]}) == {"sets": [1, 2, 3]}
    assert patched({"sets": []}, {"sets": []}) == {"sets": []}


def test_scalars_are_removed_by_a_parallel_list() -> None:
    # patch_test.go: "delete items in lists of scalars"
    patch = {
        "$setElementOrder/sets": [1, 2],
        "$deleteFromPrimitiveList/sets": [3],
    }
    assert patched({"sets": [1, 2, 3]}, patch) == {"sets": [1, 2]}
    assert patched({}, {"$deleteFromPrimitiveList/sets": [3]}) == {}
    assert patched({"sets": [1]}, {"$deleteFromPrimitiveList/sets": None}) == {}
    # patch_test.go: "add and delete items in lists of scalars"
    patch = {
        "$setElementOrder/sets": [1, 2, 4],
        "$deleteFromPrimitiveList/sets": [3],
        "sets": [4],
    }
    assert patched({"sets": [1, 2, 3]}, patch) == {"sets": [1, 2, 4]}


def test_an_element_is_removed_by_its_merge_key() -> None:
    spec = {"containers": [{"name": "a"}, {"name": "b", "image": "x"}, {"name": "c"}]}
    patch = {"containers": [{"name": "b", "$patch": "delete"}, {"name": "z", "$patch": "delete"}]}
    assert patched(spec, patch) == {"containers": [{"name": "a"}, {"name": "c"}]}


def test_a_list_is_replaced_by_a_directive_among_its_elements() -> None:
    spec = {"containers": [{"name": "a"}, {"name": "b"}]}
    patch = {"containers": [{"name": "c"}, {"$patch": "replace"}]}
    assert patched(spec, patch) == {"containers": [{"name": "c"}]}
    assert patched(spec, {"containers": [{"$patch": "replace"}]}) == {"containers": []}


def test_an_object_is_replaced_or_emptied_by_a_directive() -> None:
    spec = {"strategy": {"type": "Rolling", "surge": "1"}}
    patch = {"strategy": {"$patch": "replace", "type": "Recreate", "surge": None}}
    assert patched(spec, patch) == {"strategy": {"type": "Recreate"}}
    assert patched(spec, {"strategy": {"$patch": "delete"}}) == {"strategy": {}}


def test_a_field_that_is_replaced_by_its_schema_is_not_merged() -> None:
    assert patched({"whole": {"a": "1"}}, {"whole": {"b": "2"}}) == {"whole": {"b": "2"}}


def test_only_retained_keys_stay() -> None:
    spec = {"strategy": {"type": "Rolling", "surge": "1"}, "sets": [1]}
    patch = {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "surge": None}}
    assert patched(spec, patch) == {"strategy": {"type": "Recreate"}, "sets": [1]}


@pytest.mark.parametrize("listed", [["surge"], "type", None, [1], [{"type": "x"}]])
def test_retained_keys_have_to_name_what_the_patch_sets(listed: Any) -> None:
    with pytest.raises(BadRequest, match=r"^invalid patch format of retainKeys$"):
        patched({"strategy": {"a": "1"}}, {"strategy": {"$retainKeys": listed, "type": "x"}})


def ordered(order: list[str], added: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    patch: dict[str, Any] = {"$setElementOrder/containers": [{"name": each} for each in order]}
    return patch if added is None else patch | {"containers": added}


def containers(*found: str) -> dict[str, Any]:
    return {"containers": [{"name": each} for each in found]}


@pytest.mark.parametrize(
    ("current", "patch", "result"),
    [
        ("abc", ordered(["c", "a", "b"]), "cab"),
        ("acd", ordered(["d", "a"]), "cda"),  # of the others, only what was before stays before
        ("ab", ordered(["c", "b", "a"], [{"name": "c"}]), "cba"),
        ("ab", ordered(["b", "x", "a"]), "ba"),  # the order may name what is not there
        ("", ordered(["b", "a"], [{"name": "b"}, {"name": "a"}]), "ba"),
        ("", ordered(["b"]), ""),
        ("ab", ordered([]), "ab"),
        # patch_test.go, "add map and delete map from merging list": d precedes the new element
        ("abd", ordered(["b", "c"], [{"name": "c"}, {"name": "a", "$patch": "delete"}]), "bdc"),
        ("bd", ordered(["b", "c"], [{"name": "c"}]), "bcd"),
    ],
)
def test_elements_are_put_in_the_order_that_the_patch_says(
    current: str, patch: dict[str, Any], result: str
) -> None:
    assert "".join(names(patched(containers(*current), patch)["containers"])) == result


def test_a_new_merged_list_comes_in_the_order_that_the_patch_says() -> None:
    # patch_test.go: "add item to a list that is not there"
    added = [{"name": "b"}, {"name": "a", "$patch": "delete"}, {"name": "c"}]
    assert patched({}, ordered(["c", "b"], None) | {"sets": [1]}) == {"sets": [1]}
    assert patched({}, ordered(["b", "c"], added)) == containers("b", "c")


def test_an_order_that_the_patch_contradicts_is_refused() -> None:
    patch = ordered(["a", "b", "c"], [{"name": "c"}, {"name": "a"}])
    with pytest.raises(BadRequest) as refused:
        patched(containers("a"), patch)
    assert str(refused.value) == (  # patch_test.go
        "The order in patch list:\n[map[name:…] map[name:…]]\n"
        " doesn't match $setElementOrder list:\n[map[name:…] map[name:…] map[name:…]]\n"
    )
    with pytest.raises(BadRequest, match=r"\[3\]\n doesn't match"):
        patched({}, {"$setElementOrder/sets": [1], "sets": [3]})
    for wrong in ({"containers": "a"}, {"$setElementOrder/containers": "a"}):
        with pytest.raises(BadRequest, match="invalid patch format of setElementOrder list"):
            patched(containers("a"), ordered(["a"]) | wrong)


def test_null_removes_a_list_whose_order_is_given() -> None:
    assert patched(containers("a"), ordered(["a"]) | {"containers": None}) == {}


def test_a_new_value_comes_without_nulls_and_directives() -> None:
    new = {
        "name": "web",
        "image": None,
        "$setElementOrder/env": [{"name": "A"}],
        "$retainKeys": ["name"],
        "env": [{"name": "A", "value": None}, {"name": "B", "$patch": "delete"}],
    }
    clean = {"containers": [{"name": "web", "env": [{"name": "A"}]}]}
    assert patched({}, {"containers": [new]}) == clean
    assert patched({"containers": []}, {"containers": [new]}) == clean
    assert patched({"containers": "?"}, {"containers": [new]}) == clean
    assert patched({}, {"strategy": {"$patch": "delete"}}) == {}


def test_what_the_schema_does_not_know_is_merged_as_plain_json() -> None:
    spec = {"anything": {"a": {"b": 1, "c": [1]}, "d": 2}, "unknown": {"x": [1]}}
    patch = {"anything": {"a": {"b": None, "c": [2]}}, "unknown": {"x": [2], "y": 3}}
    assert patched(spec, patch) == {
        "anything": {"a": {"c": [2]}, "d": 2},
        "unknown": {"x": [2], "y": 3},
    }


@pytest.mark.parametrize(
    ("patch", "message", "code"),
    [
        (
            {"strategy": {"$patch": "merge"}},
            "unknown patch type: … in map: map[$patch:…]",
            400,
        ),
        (
            {"containers": [{"$patch": "merge", "name": "a"}]},
            "merging lists cannot yet be specified in the patch",
            400,
        ),
        (
            {"containers": [{"$patch": "x", "name": "a"}]},
            "unknown patch type: … in map: map[$patch:… name:…]",
            400,
        ),
        ({"containers": ["a"]}, "list element types are not identical: [map[name:…] …]", 400),
        ({"sets": [True]}, "list element types are not identical: [1 true]", 400),
        (
            {"sets": [[1]]},
            "the server rejected our request due to an error in our request",
            422,
        ),
        ({"containers": [{"name": {}}]}, "map[] is no value of a merge key", 400),
        ({"$deleteFromPrimitiveList/containers": [{}]}, "invalid patch format of primitive", 400),
        ({"$setElementOrder/containers": [1]}, "expected a map[string]interface", 400),
    ],
)
def test_a_patch_that_makes_no_sense_is_refused(
    patch: dict[str, Any], message: str, code: int
) -> None:
    spec = {"strategy": {"a": "1"}, "containers": [{"name": "a"}], "sets": [1]}
    with pytest.raises(ApiError) as refused:
        patched(spec, patch)
    assert message in str(refused.value)
    assert refused.value.code == code


def test_objects_are_not_merged_where_the_schema_promises_scalars() -> None:
    with pytest.raises(BadRequest, match="cannot merge lists without merge key"):
        patched({"sets": [{"a": 1}]}, {"sets": [{"b": 1}]})


@pytest.mark.parametrize(("patch", "kind"), [([], "array"), ("x", "string"), (True, "bool")])
def test_a_patch_that_is_no_object_is_a_bad_request(patch: Any, kind: str) -> None:
    with pytest.raises(BadRequest) as refused:
        strategic.apply({}, patch, POD)
    assert str(refused.value) == (
        f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    )


def test_a_patch_is_not_nested_deeper_than_the_limit() -> None:
    patch: dict[str, Any] = {}
    for _ in range(DEPTH):
        patch = {"a": patch}
    assert strategic.apply(patch, patch, POD) == patch
    with pytest.raises(BadRequest, match="exceeded max depth"):
        strategic.apply({}, {"a": patch}, POD)


SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "containers": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from("abcde"), "image": st.sampled_from("xy")}
            ),
            unique_by=lambda each: each["name"],
        ),
        "sets": st.lists(st.integers(0, 5), unique=True),
        "strategy": st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")),
    },
)


@settings(deadline=None)
@given(SPECS, SPECS)
def test_a_patch_without_directives_carries_its_point_and_does_so_once(
    spec: dict[str, Any], patch: dict[str, Any]
) -> None:
    result = patched(spec, patch)
    assert patched(result, patch) == result
    for name in spec.keys() | patch.keys():
        old, new, both = spec.get(name), patch.get(name), result[name]
        if name == "containers":
            assert sorted(names(both)) == sorted({*names(old or []), *names(new or [])})
            assert all(each in both for each in new or [])
        elif name == "sets":
            assert sorted(both) == sorted({*(old or []), *(new or [])})
        else:
            assert both == (old or {}) | (new or {})
