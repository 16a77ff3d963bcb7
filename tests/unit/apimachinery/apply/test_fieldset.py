"""Sets of field paths and FieldsV1, as structured-merge-diff has them."""

import tracemalloc
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import field

from tidegate.apimachinery.apply import fields_v1
from tidegate.apimachinery.apply.comparison import Comparison, compare, fields_of
from tidegate.apimachinery.apply.fieldset import (
    NOTHING,
    FieldSet,
    Path,
    key_element,
    shown,
    value_element,
)
from tidegate.apimachinery.apply.shape import Unidentified
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.schema import schema_of


class Port(Wire):
    """A port."""

    port: Annotated[int, doc("Number.")] = 0
    protocol: Annotated[str, doc("Protocol.")] = ""
    name: Annotated[str, doc("Name.")] = ""


class Part(Wire):
    """A struct inside."""

    text: Annotated[str, doc("A scalar.")] = ""
    labels: Annotated[dict[str, str], doc("A map.")] = field(default_factory=dict)


class Spec(Wire):
    """Every form of field."""

    text: Annotated[str, doc("A scalar.")] = ""
    count: Annotated[int, doc("A scalar.")] = 0
    plain: Annotated[list[str], doc("Owned as a whole.")] = field(default_factory=list)
    tags: Annotated[list[str], doc("By value.", list_type="set")] = field(default_factory=list)
    ports: Annotated[list[Port], doc("By key.", keys=("port", "protocol"))] = field(
        default_factory=list
    )
    part: Annotated[Part, doc("By field.")] = field(default_factory=Part)
    parts: Annotated[dict[str, Part], doc("By entry.")] = field(default_factory=dict)
    whole: Annotated[dict[str, str], doc("Owned as a whole.", atomic=True)] = field(
        default_factory=dict
    )
    anything: Annotated[dict[str, Any], doc("By field, without a schema.")] = field(
        default_factory=dict
    )


class Thing(Object):
    """A kind."""

    spec: Annotated[Spec, doc("Wanted state.")] = field(default_factory=Spec)


SPEC = schema_of(Spec)


def paths(*texts: str) -> FieldSet:
    return FieldSet.of(tuple(text.split("/")) for text in texts)


def leaves(fields: FieldSet) -> list[str]:
    return ["/".join(each) for each in fields.paths()]


def owned(value: dict[str, Any]) -> list[str]:
    return leaves(fields_of(value, SPEC))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"text": "a", "count": 1}, ["f:count", "f:text"]),
        ({"text": None}, ["f:text"]),
        ({"plain": ["a", "b"]}, ["f:plain"]),
        ({"plain": []}, ["f:plain"]),
        ({"tags": ["b", "a"]}, ['f:tags/v:"a"', 'f:tags/v:"b"']),
        ({"tags": []}, []),  # nobody owns an empty list that is merged
        ({"whole": {"a": "b"}}, ["f:whole"]),
        ({"part": {"text": "a"}}, ["f:part/f:text"]),  # a struct is not owned by itself,
        ({"part": {}}, ["f:part"]),  # unless that is all there is
        (
            {"parts": {"x": {"text": "a"}}},  # an entry of a map is
            ["f:parts/f:x", "f:parts/f:x/f:text"],
        ),
        (
            {"ports": [{"port": 80, "protocol": "TCP", "name": "web"}, {"port": 9}]},
            [
                'f:ports/k:{"port":9}',
                'f:ports/k:{"port":80,"protocol":"TCP"}',
                'f:ports/k:{"port":9}/f:port',
                'f:ports/k:{"port":80,"protocol":"TCP"}/f:name',
                'f:ports/k:{"port":80,"protocol":"TCP"}/f:port',
                'f:ports/k:{"port":80,"protocol":"TCP"}/f:protocol',
            ],
        ),
        (
            {"anything": {"a": {"b": [1]}, "c": None}},
            ["f:anything/f:a", "f:anything/f:c", "f:anything/f:a/f:b"],
        ),
        ({"tags": ["a", "a", "b"]}, ['f:tags/v:"a"', 'f:tags/v:"b"']),
        ({"parts": "no map"}, ["f:parts"]),
        ({"tags": "no list"}, ["f:tags"]),
    ],
    ids=str,
)
def test_the_fields_of_a_value_follow_its_schema(value: dict[str, Any], expected: Any) -> None:
    assert owned(value) == expected


def test_duplicates_are_known_to_be_there_and_nothing_more() -> None:
    twice = {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}
    assert owned(twice) == ['f:ports/k:{"port":80}']


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (
            {"ports": [{"port": 1}, {"name": "a"}]},
            "element 1: associative list with keys has an element that omits all key fields ",
        ),
        ({"ports": [None]}, "element 0: associative list with keys may not have a null element"),
        ({"ports": [1]}, "element 0: associative list with keys may not have non-map elements"),
        ({"tags": [{}]}, "element 0: associative list without keys has an element that's a map"),
        ({"tags": [[]]}, "element 0: not supported: associative list with lists as elements"),
        ({"tags": [None]}, "element 0: associative list without keys has an element that's an ex"),
    ],
)
def test_an_element_that_nothing_tells_apart_is_an_error(value: dict[str, Any], why: str) -> None:
    with pytest.raises(Unidentified) as found:
        fields_of(value, SPEC)
    assert str(found.value).startswith(why)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:data", "f:a.b"), ".data.a.b"),
        (
            ("f:ports", key_element({"protocol": "TCP", "port": 80}), "f:name"),
            '.ports[port=80,protocol="TCP"].name',
        ),
        (("f:finalizers", value_element("x/y")), '.finalizers[="x/y"]'),
        (("f:list", "i:3"), ".list[3]"),
    ],
)
def test_a_path_is_shown_as_kubernetes_does(path: Path, text: str) -> None:
    assert shown(path) == text


def difference(comparison: Comparison) -> dict[str, list[str]]:
    found = {
        "removed": leaves(comparison.removed),
        "modified": leaves(comparison.modified),
        "added": leaves(comparison.added),
    }
    return {name: each for name, each in found.items() if each}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"text": "a"}, {"text": "a"}, {}),
        ({"text": "a"}, {"text": "b"}, {"modified": ["f:text"]}),
        ({"text": "a"}, {"text": None}, {"modified": ["f:text"]}),
        ({"count": 1}, {"count": 1.0}, {}),
        ({"anything": {"a": 1}}, {"anything": {"a": True}}, {"modified": ["f:anything/f:a"]}),
        ({}, {"plain": ["a"]}, {"added": ["f:plain"]}),
        ({"plain": ["a"]}, {"plain": ["b"]}, {"modified": ["f:plain"]}),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, {}),
        (
            {"tags": ["a"]},
            {"tags": ["b"]},
            {"removed": ['f:tags/v:"a"'], "added": ['f:tags/v:"b"']},
        ),
        ({}, {"tags": ["a"]}, {"added": ["f:tags", 'f:tags/v:"a"']}),
        ({"tags": []}, {}, {"removed": ["f:tags"]}),
        ({"part": {}}, {"part": None}, {"modified": ["f:part"]}),
        (
            {"parts": {"x": {"text": "a"}}},
            {"parts": {"y": {"text": "a"}}},
            {
                "removed": ["f:parts/f:x", "f:parts/f:x/f:text"],
                "added": ["f:parts/f:y", "f:parts/f:y/f:text"],
            },
        ),
        (
            {"ports": [{"port": 80, "name": "a"}]},
            {"ports": [{"port": 80, "name": "b"}]},
            {"modified": ['f:ports/k:{"port":80}/f:name']},
        ),
        (
            {"anything": {"a": {"b": 1}}},
            {"anything": {"a": "x"}},
            {"removed": ["f:anything/f:a/f:b"], "modified": ["f:anything/f:a"]},
        ),
        (
            {"anything": {"a": [1]}},
            {"anything": {"a": {"b": 1}}},
            {"modified": ["f:anything/f:a"], "added": ["f:anything/f:a/f:b"]},
        ),
        # structured-merge-diff: duplicates come and go as one
        ({"tags": ["a", "a"]}, {"tags": ["a", "a"]}, {}),
        ({"tags": ["a", "a"]}, {"tags": ["a", "a", "a"]}, {"modified": ['f:tags/v:"a"']}),
        (
            {"tags": ["a", "a"]},
            {"tags": ["b"]},
            {"removed": ['f:tags/v:"a"'], "added": ['f:tags/v:"b"']},
        ),
        (
            {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]},
            {"ports": [{"port": 1, "name": "a"}]},
            {
                "removed": ['f:ports/k:{"port":1}'],
                "added": [
                    'f:ports/k:{"port":1}',
                    'f:ports/k:{"port":1}/f:name',
                    'f:ports/k:{"port":1}/f:port',
                ],
            },
        ),
        (
            {"ports": [{"port": 1}]},
            {"ports": [{"port": 1}, {"port": 1}]},
            {
                "removed": ['f:ports/k:{"port":1}', 'f:ports/k:{"port":1}/f:port'],
                "added": ['f:ports/k:{"port":1}'],
            },
        ),
        ({"tags": ["b"]}, {"tags": ["b", "a", "a"]}, {"added": ['f:tags/v:"a"']}),
    ],
    ids=str,
)
def test_two_values_are_compared_field_by_field(
    old: dict[str, Any], new: dict[str, Any], expected: dict[str, list[str]]
) -> None:
    assert difference(compare(old, new, SPEC)) == expected


def test_fields_can_be_left_out_of_a_comparison_with_all_below() -> None:
    comparison = compare({"part": {"text": "a"}}, {"part": {"text": "b"}, "text": "c"}, SPEC)
    assert difference(comparison.without(paths("f:part"))) == {"added": ["f:text"]}
    assert comparison.written() == paths("f:part/f:text", "f:text")


def test_sets_are_joined_and_divided_by_path() -> None:
    one, two = paths("f:a", "f:a/f:b", "f:c/f:d"), paths("f:a/f:b", "f:c", "f:e/f:f")
    assert one.union(two) == paths("f:a", "f:a/f:b", "f:c", "f:c/f:d", "f:e/f:f")
    assert one.intersection(two) == paths("f:a/f:b")
    # as documented at fieldpath.Set: what is below a member of the other set stays
    assert one.difference(two) == paths("f:a", "f:c/f:d")
    assert one.recursive_difference(two) == paths("f:a")
    assert one.difference(one).is_empty()
    assert one.difference(one) == NOTHING
    assert one.has(("f:c", "f:d"))
    assert not one.has(("f:c",))
    assert not one.has(("f:x", "f:d"))


def test_nobody_owns_a_whole_object() -> None:
    assert FieldSet.of([()]) == NOTHING
    assert fields_of("scalar", None) == NOTHING


def test_fields_of_structs_become_members_and_entries_of_maps_do_not() -> None:
    fields = paths(
        "f:part/f:labels/f:a", "f:parts/f:x/f:labels/f:b", 'f:ports/k:{"port":1}/f:name', "f:no/f:b"
    )
    assert leaves(fields.with_named_fields(SPEC)) == [
        "f:part",
        "f:parts",
        "f:ports",
        "f:no/f:b",
        "f:part/f:labels",
        "f:part/f:labels/f:a",
        "f:parts/f:x/f:labels",
        "f:parts/f:x/f:labels/f:b",
        'f:ports/k:{"port":1}/f:name',
    ]
    odd = paths("f:plain/i:0/f:x", 'f:tags/v:"a"/f:x')
    assert leaves(odd.with_named_fields(SPEC)) == [
        "f:plain",
        "f:tags",
        "f:plain/i:0/f:x",
        'f:tags/v:"a"/f:x',
    ]


# ── FieldsV1 ─────────────────────────────────────────────────────────────────────────────────────


def test_fields_are_written_as_in_the_documentation_of_kubernetes() -> None:
    # https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    fields = paths(
        "f:metadata/f:labels",
        "f:metadata/f:labels/f:test-label",
        "f:data/f:key",
        'f:spec/f:ports/k:{"port":80,"protocol":"TCP"}',
        'f:spec/f:ports/k:{"port":80,"protocol":"TCP"}/f:port',
    )
    assert fields_v1.encode(fields) == {
        "f:data": {"f:key": {}},
        "f:metadata": {"f:labels": {".": {}, "f:test-label": {}}},
        "f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}},
    }


def test_fields_are_written_in_the_order_of_kubernetes() -> None:
    fields = paths("f:b", "f:a/f:x", "i:2", 'v:"a"', "v:true", "v:1.5", "v:null", "i:10", "v:9")
    keyed = FieldSet.of([(key_element({"p": each}),) for each in (10, 9, "a", False)])
    assert list(fields_v1.encode(fields.union(keyed))) == [
        "f:a",
        "f:b",
        'k:{"p":9}',
        'k:{"p":10}',
        'k:{"p":"a"}',
        'k:{"p":false}',
        "v:1.5",
        "v:9",
        'v:"a"',
        "v:true",
        "v:null",
        "i:2",
        "i:10",
    ]


def test_other_spellings_of_an_element_are_the_same_element() -> None:
    tree: dict[str, Any] = {
        'k:{"protocol": "TCP", "port": 80.0}': {"f:name": {}},
        'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}},
        'v: "a"': {},
        "i:07": {},
    }
    assert leaves(fields_v1.decode(tree)) == [
        'k:{"port":80,"protocol":"TCP"}',
        'v:"a"',
        "i:7",
        'k:{"port":80,"protocol":"TCP"}/f:name',
        'k:{"port":80,"protocol":"TCP"}/f:port',
    ]


def test_sorts_of_elements_that_are_unknown_are_dropped() -> None:
    newer: dict[str, Any] = {"x:new": {"f:a": {}}, "f:b": {}}
    assert fields_v1.decode(newer) == paths("f:b")


@pytest.mark.parametrize(
    "tree", [[], {"f": {}}, {"": {}}, {"fa": {}}, {"f:a": 1}, {"k:[]": {}}, {"v:": {}}, {"i:x": {}}]
)
def test_what_is_no_tree_of_fields_is_refused(tree: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whichever part of it is wrong
        fields_v1.decode(tree)


@pytest.mark.parametrize("depth", [200, 100_000])
def test_an_element_nests_no_deeper_than_an_object(depth: int) -> None:
    with pytest.raises(ValueError, match="too deep"):
        fields_v1.decode({"v:" + "[" * depth + "]" * depth: {}})


SCALARS = st.text(max_size=3) | st.integers(-99, 99) | st.booleans() | st.floats(-9, 9)
ELEMENTS = (
    st.text(min_size=1, max_size=3).map(lambda name: f"f:{name}")
    | st.dictionaries(st.text("ab", min_size=1), SCALARS, min_size=1, max_size=2).map(key_element)
    | SCALARS.map(value_element)
    | st.integers(0, 99).map(lambda index: f"i:{index}")
)
SETS = st.lists(st.lists(ELEMENTS, max_size=4).map(tuple), max_size=8).map(FieldSet.of)


@settings(deadline=None)
@given(SETS)
def test_a_set_that_is_written_and_read_is_the_same(fields: FieldSet) -> None:
    tree = fields_v1.encode(fields)
    assert fields_v1.decode(tree) == fields
    assert list(fields_v1.encode(fields_v1.decode(tree))) == list(tree)


@settings(deadline=None)
@given(SETS, SETS)
def test_the_operations_are_those_on_sets_of_paths(one: FieldSet, two: FieldSet) -> None:
    left, right = set(one.paths()), set(two.paths())
    assert FieldSet.of(left) == one
    assert set(one.union(two).paths()) == left | right
    assert set(one.intersection(two).paths()) == left & right
    assert set(one.difference(two).paths()) == left - right
    assert one.is_empty() == (not left)
    below = {path for path in left if any(path[: len(other)] == other for other in right)}
    assert set(one.recursive_difference(two).paths()) == left - below
    assert all(one.has(path) for path in left)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "text": st.sampled_from("ab"),
        "tags": st.lists(st.sampled_from("abc"), unique=True),
        "plain": st.lists(st.sampled_from("ab"), max_size=2),
        "part": st.fixed_dictionaries({}, optional={"text": st.sampled_from("ab")}),
        "parts": st.dictionaries(st.sampled_from("xy"), st.just({"text": "a"})),
    },
)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_no_field_is_removed_modified_and_added_at_once(old: Any, new: Any) -> None:
    comparison = compare(old, new, SPEC)
    sets = comparison.removed, comparison.modified, comparison.added
    found = [path for each in sets for path in each.paths()]
    assert len(found) == len(set(found))
    back = compare(new, old, SPEC)
    assert (back.removed, back.modified, back.added) == (sets[2], sets[1], sets[0])
    assert compare(old, old, SPEC) == Comparison(NOTHING, NOTHING, NOTHING)


def test_long_elements_are_not_kept() -> None:
    """Names of fields are as long as clients write them."""
    tracemalloc.start()
    try:
        for number in range(20):
            text = f"f:{number}{'x' * 500_000}"
            assert fields_v1.encode(fields_v1.decode({text: {}})) == {text: {}}
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_500_000
