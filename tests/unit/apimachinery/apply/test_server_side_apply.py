"""Server-side apply, as structured-merge-diff and the field manager of Kubernetes do it.

The same steps in random order were also compared with the original (managedfields of
k8s.io/apimachinery v0.37) in some forty thousand applies and updates. The one difference is
intended: zero values are shared (`Comparison.zeros`).
"""

import copy
import json
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import field

from tidegate.apimachinery.apply import managed
from tidegate.apimachinery.apply.apply import apply
from tidegate.apimachinery.apply.conflicts import ApplyConflict
from tidegate.apimachinery.apply.fieldset import FieldSet
from tidegate.apimachinery.errors import BadRequest, UpdateConflict
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.patch.json_values import DEPTH
from tidegate.apimachinery.schema import schema_of


class Container(Wire):
    """A container."""

    name: Annotated[str, doc("Name.")] = ""
    image: Annotated[str, doc("Image.")] = ""
    args: Annotated[list[str], doc("Arguments.")] = field(default_factory=list)


class Spec(Wire):
    """Wanted state."""

    replicas: Annotated[int, doc("A number.")] = 0
    paused: Annotated[bool, doc("A boolean.")] = False
    containers: Annotated[list[Container], doc("By name.", merge_key="name")] = field(
        default_factory=list
    )
    tags: Annotated[list[str], doc("A set.", list_type="set")] = field(default_factory=list)
    selector: Annotated[dict[str, str], doc("Whole.", atomic=True)] = field(default_factory=dict)
    anything: Annotated[dict[str, Any], doc("Anything.")] = field(default_factory=dict)


class Deployment(Object):
    """A kind."""

    data: Annotated[dict[str, str], doc("Entries.")] = field(default_factory=dict)
    spec: Annotated[Spec, doc("Wanted state.")] = field(default_factory=Spec)
    status: Annotated[dict[str, str], doc("Seen state.")] = field(default_factory=dict)


SCHEMA = schema_of(Deployment)
T1, T2, T3 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", "2026-01-01T00:00:03Z"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def thing(**parts: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop", **parts.pop("metadata", {})}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, **parts}


def applied(
    current: dict[str, Any] | None,
    wanted: dict[str, Any],
    manager: str = "one",
    now: str = T1,
    force: bool = False,
    **options: Any,
) -> dict[str, Any]:
    before = copy.deepcopy((current, wanted))
    result = apply(current, wanted, SCHEMA, manager, force, "apps/v1", now, **options)
    assert (current, wanted) == before, "an input was changed"
    return result


def updated(
    current: dict[str, Any] | None, new: dict[str, Any], manager: str, now: str = T1
) -> dict[str, Any]:
    result = managed.track_update(current, new, SCHEMA, manager, "apps/v1", now)
    result["metadata"].setdefault("uid", "u")
    return result


def without_managers(values: dict[str, Any]) -> dict[str, Any]:
    kept = {name: each for name, each in values["metadata"].items() if name != "managedFields"}
    return {**values, "metadata": kept}


def owners(values: dict[str, Any]) -> dict[str, Any]:
    entries = values["metadata"].get("managedFields", [])
    return {f"{each['manager']} {each['operation']}": each["fieldsV1"] for each in entries}


def test_applying_to_nothing_makes_the_object_and_its_manager() -> None:
    wanted = thing(spec={"replicas": 3, "containers": [{"name": "web", "image": "nginx"}]})
    result = applied(None, wanted)
    assert without_managers(result) == wanted
    assert result["metadata"]["managedFields"] == [
        {
            "manager": "one",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": T1,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}, "f:name": {}}},
                    "f:replicas": {},
                }
            },
        }
    ]


def test_what_others_set_stays() -> None:
    first = updated(None, thing(data={"a": "1"}, spec={"replicas": 2}), "creator")
    result = applied(first, thing(data={"b": "2"}), now=T2)
    assert result["data"] == {"a": "1", "b": "2"}
    assert result["spec"] == {"replicas": 2}
    assert owners(result) == {
        "one Apply": {"f:data": {"f:b": {}}},
        "creator Update": {"f:data": {".": {}, "f:a": {}}, "f:spec": {".": {}, "f:replicas": {}}},
    }


def test_what_a_manager_applies_no_longer_is_removed() -> None:
    wanted = thing(
        data={"a": "1", "b": "2"},
        spec={
            "containers": [{"name": "web", "image": "nginx"}, {"name": "log"}],
            "tags": ["x", "y"],
            "selector": {"app": "web"},
        },
    )
    less = thing(data={"b": "2"}, spec={"containers": [{"name": "web"}], "tags": ["y"]})
    assert without_managers(applied(applied(None, wanted), less, now=T2)) == less
    nothing = applied(applied(None, wanted), thing())
    assert nothing == thing()


def test_what_somebody_else_owns_too_is_not_removed() -> None:
    first = applied(None, thing(data={"a": "1", "b": "2"}), "one")
    shared = applied(first, thing(data={"a": "1"}), "two", T2)
    result = applied(shared, thing(), "one", T3)
    assert result["data"] == {"a": "1"}
    assert owners(result) == {"two Apply": {"f:data": {"f:a": {}}}}


def test_an_element_stays_while_another_manager_has_fields_in_it() -> None:
    first = applied(None, thing(spec={"containers": [{"name": "web", "image": "nginx"}]}), "one")
    both = applied(first, thing(spec={"containers": [{"name": "web", "args": ["-v"]}]}), "two", T2)
    result = applied(both, thing(spec={}), "one", T3)
    assert result["spec"] == {"containers": [{"name": "web", "args": ["-v"]}]}


def test_what_nobody_owns_stays_unless_what_is_around_it_goes() -> None:
    first = applied(None, thing(spec={"anything": {"a": {"b": 1}, "c": 2}}, data={"x": "1"}))
    first["spec"]["anything"]["a"]["unowned"] = 3
    first["data"]["unowned"] = "4"
    emptied = applied(first, thing(spec={"anything": {"c": 2, "a": {}}}, data={}), now=T2)
    assert emptied["spec"]["anything"] == {"a": {"unowned": 3}, "c": 2}
    assert emptied["data"] == {"unowned": "4"}
    gone = applied(first, thing(spec={"anything": {"c": 2}}), now=T2)
    assert gone["spec"]["anything"] == {"c": 2}
    assert "data" not in gone


def test_applying_the_same_again_changes_nothing_not_even_the_time() -> None:
    wanted = thing(data={"a": "1"}, spec={"containers": [{"name": "web"}], "tags": ["x"]})
    first = applied(None, wanted, now=T1)
    assert applied(first, wanted, now=T2) == first
    assert applied(first, wanted, now=T2, force=True) == first


def test_a_change_of_a_value_or_of_the_fields_is_a_new_time() -> None:
    first = applied(None, thing(data={"a": "1"}), now=T1)
    for wanted in (thing(data={"a": "2"}), thing(data={"a": "1", "b": "1"}), thing(data={})):
        (entry,) = applied(first, wanted, now=T2)["metadata"]["managedFields"]
        assert entry["time"] == T2


def test_the_same_value_applied_by_two_is_shared() -> None:
    first = applied(None, thing(spec={"replicas": 3}), "one")
    result = applied(first, thing(spec={"replicas": 3}), "two", T2)
    mine: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    assert owners(result) == {"one Apply": mine, "two Apply": mine}
    assert [each["time"] for each in result["metadata"]["managedFields"]] == [T1, T2]


def test_a_zero_value_is_shared_although_it_is_not_stored() -> None:
    wanted = thing(spec={"replicas": 0, "paused": False, "selector": {}}, data={})
    first = stored(applied(None, wanted, "one"))
    assert first["spec"] == {}
    second = stored(applied(first, wanted, "two", T2))
    assert owners(second)["one Apply"] == owners(second)["two Apply"]
    assert stored(applied(second, wanted, "two", T3)) == second
    with pytest.raises(ApplyConflict, match=r"\.spec\.replicas"):
        applied(second, thing(spec={"replicas": 1}), "three")


def test_one_conflict_is_told_as_kubernetes_does() -> None:
    current = updated(None, thing(data={"key": "a"}), "kubectl-client-side-apply")
    with pytest.raises(ApplyConflict) as refused:
        applied(current, thing(data={"key": "b"}))
    assert isinstance(refused.value, UpdateConflict)
    assert refused.value.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Apply failed with 1 conflict: conflict with"
        ' "kubectl-client-side-apply" using apps/v1: .data.key',
        "reason": "Conflict",
        "details": {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "kubectl-client-side-apply" using apps/v1',
                    "field": ".data.key",
                }
            ]
        },
        "code": 409,
    }


def test_several_conflicts_are_listed_by_manager() -> None:
    # conflict_test.go of apimachinery
    current = updated(None, thing(spec={"replicas": 1, "paused": True}), "x")
    current = managed.track_update(
        current, {**current, "status": {"a": "1"}}, SCHEMA, "y", "apps/v1", T1, subresource="status"
    )
    current = applied(current, thing(data={"k": "v"}), "z")
    wanted = thing(spec={"replicas": 2, "paused": False}, status={"a": "2"}, data={"k": "w"})
    with pytest.raises(ApplyConflict) as refused:
        applied(current, wanted)
    assert str(refused.value) == (
        'Apply failed with 4 conflicts: conflicts with "x" using apps/v1:\n'
        "- .spec.paused\n"
        "- .spec.replicas\n"
        'conflicts with "y" with subresource "status" using apps/v1:\n'
        "- .status.a\n"
        'conflicts with "z":\n'
        "- .data.k"
    )
    assert [each.field for each in refused.value.causes] == [
        ".spec.paused",
        ".spec.replicas",
        ".status.a",
        ".data.k",
    ]


def test_a_conflict_in_a_list_names_its_element() -> None:
    current = applied(None, thing(spec={"containers": [{"name": "web", "image": "a"}]}), "one")
    with pytest.raises(ApplyConflict, match=r'conflict with "one": .spec.containers\[name="web"\]'):
        applied(current, thing(spec={"containers": [{"name": "web", "image": "b"}]}), "two")


def test_force_takes_the_fields_over() -> None:
    first = applied(None, thing(data={"a": "1", "b": "1"}), "one")
    result = applied(first, thing(data={"a": "2"}), "two", T2, force=True)
    assert result["data"] == {"a": "2", "b": "1"}
    assert owners(result) == {
        "one Apply": {"f:data": {"f:b": {}}},
        "two Apply": {"f:data": {"f:a": {}}},
    }


def test_an_object_whose_managers_were_not_kept_belongs_to_before_first_apply() -> None:
    current = thing(data={"a": "1"}, metadata={"uid": "u", "labels": {"x": "y"}})
    with pytest.raises(ApplyConflict) as refused:
        applied(current, thing(data={"a": "2"}))
    assert str(refused.value) == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1: .data.a'
    )
    result = applied(current, thing(data={"b": "2"}))
    assert owners(result) == {
        "one Apply": {"f:data": {"f:b": {}}},
        "before-first-apply Update": {
            "f:data": {".": {}, "f:a": {}},
            "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
        },
    }
    broken = {**current, "metadata": {**current["metadata"], "managedFields": [{"manager": "?"}]}}
    assert owners(applied(broken, thing(data={"b": "2"}))) == owners(result)


def merged_order(current: str, wanted: str) -> str:
    def spec(names: str) -> dict[str, Any]:
        return thing(spec={"containers": [{"name": each} for each in names]})

    first = updated(None, spec(current), "creator")
    result = applied(first, spec(wanted))["spec"]["containers"]
    return "".join(each["name"] for each in result)


@pytest.mark.parametrize(
    ("current", "wanted", "result"),
    [  # typed/merge_test.go of structured-merge-diff
        ("abc", "ac", "abc"),
        ("ab", "ba", "ba"),
        ("abc", "cba", "cba"),
        ("ab", "cd", "abcd"),
        ("xay", "ba", "xbay"),
        ("abd", "cab", "cabd"),
        ("acx", "cba", "cxba"),
        ("", "ab", "ab"),
    ],
)
def test_a_merged_list_has_the_order_that_is_applied_with_the_rest_in_place(
    current: str, wanted: str, result: str
) -> None:
    assert merged_order(current, wanted) == result


def test_duplicates_that_are_there_are_replaced_by_what_is_applied() -> None:
    current = updated(None, thing(spec={"tags": ["a", "b", "a"]}), "creator")
    with pytest.raises(ApplyConflict):
        applied(current, thing(spec={"tags": ["a"]}))
    result = applied(current, thing(spec={"tags": ["a"]}), force=True)
    assert result["spec"]["tags"] == ["a", "b"]


def test_null_unsets_a_field_and_leaves_what_the_server_sets_alone() -> None:
    current = applied(
        None, thing(spec={"replicas": 3}, metadata={"creationTimestamp": T1, "uid": "u"})
    )
    wanted = thing(spec={"replicas": None}, metadata={"creationTimestamp": None}, data=None)
    result = applied(current, wanted, now=T2)
    assert result["metadata"]["creationTimestamp"] == T1
    assert result["spec"] == {}
    assert owners(result) == {"one Apply": {"f:data": {}, "f:spec": {"f:replicas": {}}}}


def test_without_a_schema_null_is_a_value_and_a_changed_form_replaces() -> None:
    current = applied(None, thing(spec={"anything": {"a": {"b": None, "c": {}}, "d": [1]}}))
    assert current["spec"]["anything"] == {"a": {"b": None, "c": {}}, "d": [1]}
    wanted = thing(spec={"anything": {"a": "text", "d": {"e": [{"f": None}]}}})
    result = applied(current, wanted, now=T2)
    assert result["spec"]["anything"] == {"a": "text", "d": {"e": [{"f": None}]}}


def test_what_is_taken_out_of_an_object_without_a_schema_leaves_it_empty() -> None:
    current = applied(None, thing(spec={"anything": {"a": {"b": {"c": 1}}, "d": 2}}))
    result = applied(current, thing(spec={"anything": {"a": {}, "d": 2}}), now=T2)
    assert result["spec"]["anything"] == {"a": {}, "d": 2}


def test_what_was_owned_in_parts_and_is_now_owned_as_a_whole_goes_as_a_whole() -> None:
    current = applied(None, thing(spec={"selector": {"a": "1", "b": "2"}}, data={"k": "v"}))
    (entry,) = current["metadata"]["managedFields"]
    entry["fieldsV1"]["f:spec"] = {".": {}, "f:selector": {"f:a": {}, "f:b": {}}}
    result = applied(current, thing(data={"k": "v"}), now=T2)
    assert "spec" not in result
    kept: dict[str, Any] = {
        "operation": "Update",
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
    }
    kept |= {"manager": "m", "fieldsV1": {"f:spec": {"f:selector": {".": {}, "f:b": {}}}}}
    current["metadata"]["managedFields"].append(kept)
    result = applied(current, thing(data={"k": "v"}), now=T2)
    assert result["spec"] == {"selector": {"a": "1", "b": "2"}}


def test_an_object_may_be_applied_without_metadata() -> None:
    wanted = {"apiVersion": "apps/v1", "kind": "Deployment", "data": {"a": "1"}}
    assert applied(thing(), wanted)["metadata"]["name"] == "web"
    assert owners(applied(None, wanted)) == {"one Apply": {"f:data": {"f:a": {}}}}


def test_nobody_becomes_the_owner_of_what_a_write_resets() -> None:
    ignored = FieldSet.of([("f:status",)])
    current = updated(None, thing(status={"a": "1"}), "controller")
    result = applied(current, thing(status={"a": "2"}, data={"b": "1"}), ignored=ignored)
    assert owners(result)["one Apply"] == {"f:data": {"f:b": {}}}
    assert owners(result)["controller Update"] == {"f:status": {".": {}, "f:a": {}}}


def test_a_subresource_is_applied_by_a_manager_of_its_own() -> None:
    first = applied(None, thing(spec={"replicas": 1}))
    result = applied(first, thing(status={"a": "1"}), now=T2, subresource="status")
    main, status = result["metadata"]["managedFields"]
    assert main == first["metadata"]["managedFields"][0]
    assert (status["manager"], status["subresource"]) == ("one", "status")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (thing() | {"apiVersion": "v1"}, "invalid object type: /v1, Kind=Deployment"),
        (thing() | {"kind": "Pod"}, "invalid object type: apps/v1, Kind=Pod"),
        ({"metadata": {"name": "web"}}, "invalid object type: /, Kind="),
        (thing(metadata={"managedFields": []}), "metadata.managedFields must be nil"),
        (
            thing(spec={"replicaz": 1}),
            "typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.replicaz: field not",
        ),
        (thing(spec={"replicas": "1"}), ": .spec.replicas: expected numeric (int or float), got s"),
        (thing(spec={"replicas": {}}), "expected numeric (int or float), got map[string]interface"),
        (thing(spec={"paused": "yes"}), ": .spec.paused: expected boolean, got &{…}"),
        (
            thing(data={"a": True}),
            ": .data.a: expected string, got &value.valueUnstructured{Value:true}",
        ),
        (thing(spec=[]), ": .spec: expected map, got &{[]}"),
        (thing(spec={"tags": "a"}), ": .spec.tags: expected list, got &{…}"),
        (
            thing(spec={"containers": [{"name": "a"}, {"name": "a"}]}),
            ': .spec.containers: duplicate entries for key [name="a"]',
        ),
        (thing(spec={"tags": ["a", "a"]}), ': .spec.tags: duplicate entries for key [="a"]'),
        (
            thing(spec={"containers": [{"image": "a"}]}),
            ": .spec.containers: element 0: associative list with keys has an element that omits",
        ),
        (
            thing(spec={"containers": [{"name": "a", "args": [True]}], "x": 1}),
            ': errors:\n  .spec.containers[name="a"].args[0]: expected string, got &value.valueUn',
        ),
        ({**thing(), "metadata": "x"}, "object (/; apps/v1, Kind=Deployment): .metadata: expected"),
    ],
)
def test_what_does_not_fit_its_kind_is_refused(wanted: dict[str, Any], message: str) -> None:
    current = applied(None, thing(spec={"replicas": 3}))
    with pytest.raises(BadRequest) as refused:
        applied(current, wanted, force=True)
    assert message in str(refused.value)


def test_what_is_applied_is_not_nested_deeper_than_the_limit() -> None:
    deep: dict[str, Any] = {}
    for _ in range(DEPTH - 3):
        deep = {"a": deep}
    wanted = thing(spec={"anything": deep})
    assert applied(applied(None, wanted), wanted, "two")["spec"]["anything"] == deep
    with pytest.raises(BadRequest, match="exceeded max depth"):
        applied(None, thing(spec={"anything": {"a": {"a": deep}}}))


# ── from client-side apply ───────────────────────────────────────────────────────────────────────


def client_side(data: dict[str, str], annotation: str | None = None) -> dict[str, Any]:
    said = json.dumps(thing(data=data)) if annotation is None else annotation
    annotated = thing(data=data, metadata={"annotations": {LAST_APPLIED: said}})
    return updated(None, annotated, "kubectl-client-side-apply")


def test_kubectl_takes_over_what_it_applied_on_the_client_side() -> None:
    result = applied(client_side({"a": "1"}), thing(data={"a": "2"}), "kubectl", T2)
    assert result["data"] == {"a": "2"}
    assert owners(result)["kubectl Apply"] == {"f:data": {"f:a": {}}}
    kept = result["metadata"]["annotations"][LAST_APPLIED]
    assert json.loads(kept) == thing(data={"a": "2"})
    assert kept.endswith("}\n")  # as Go's encoder writes it
    assert kept.index('"apiVersion"') < kept.index('"data"') < kept.index('"kind"')


def test_the_annotation_says_what_was_applied_without_itself() -> None:
    wanted = thing(data={"a": "<&>ü"}, metadata={"annotations": {LAST_APPLIED: "x", "b": "c"}})
    result = applied(client_side({"a": "1"}), wanted, "kubectl", T2, force=True)
    kept = result["metadata"]["annotations"][LAST_APPLIED]
    assert '"a":"\\u003c\\u0026\\u003eü"' in kept
    assert '"annotations":{"b":"c"}' in kept


def test_an_annotation_that_would_be_too_large_is_dropped() -> None:
    wanted = thing(data={"a": "1", "b": "x" * 300_000})
    result = applied(client_side({"a": "1"}), wanted, "kubectl", T2)
    assert result["metadata"]["annotations"] == {}


def test_what_changed_since_client_side_apply_is_still_a_conflict() -> None:
    first = client_side({"a": "1", "b": "1"})
    second = updated(first, {**first, "data": {"a": "1", "b": "2"}}, "somebody", T2)
    with pytest.raises(ApplyConflict) as refused:
        applied(second, thing(data={"a": "3", "b": "3"}), "kubectl", T3)
    assert str(refused.value) == (
        'Apply failed with 1 conflict: conflict with "somebody" using apps/v1: .data.b'
    )


@pytest.mark.parametrize(
    "annotation",
    [
        "",
        "no JSON",
        "[]",
        json.dumps(thing(data={"a": "1"}) | {"apiVersion": "v2"}),
        json.dumps(thing(datum={"a": "1"})),
        "[" * 5000,
        '{"a":' * 200 + "1" + "}" * 200,
    ],
)
def test_an_annotation_that_is_no_such_object_allows_nothing(annotation: str) -> None:
    with pytest.raises(ApplyConflict):
        applied(client_side({"a": "1"}, annotation), thing(data={"a": "2"}), "kubectl", T2)


def test_an_object_with_an_element_that_nothing_tells_apart_allows_nothing() -> None:
    first = client_side({"a": "1"})
    first["metadata"]["annotations"][LAST_APPLIED] = json.dumps(thing(data={"a": "1"}))
    assert applied(first, thing(data={"a": "2"}), "kubectl", T2)["data"] == {"a": "2"}


def test_other_managers_take_nothing_over() -> None:
    with pytest.raises(ApplyConflict):
        applied(client_side({"a": "1"}), thing(data={"a": "2"}), "argocd", T2)


# ── properties ───────────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from("abc")
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(1, 2),
        "tags": st.lists(NAMES, unique=True),
        "containers": st.lists(
            st.fixed_dictionaries({"name": NAMES}, optional={"image": st.sampled_from("xy")}),
            unique_by=lambda each: each["name"],
        ),
        "selector": st.dictionaries(NAMES, NAMES),
        "anything": st.dictionaries(NAMES, st.integers(1, 2) | st.just({"d": [1]})),
    },
)
APPLIES = st.lists(
    st.tuples(st.sampled_from(["one", "two", "three"]), SPECS), min_size=1, max_size=4
)


def stored(values: dict[str, Any]) -> dict[str, Any]:
    """What is read again after the object was stored."""
    body = msgspec.json.encode(msgspec.convert(values, Deployment))
    read: dict[str, Any] = msgspec.json.decode(body)
    return read


@settings(deadline=None)
@given(APPLIES)
def test_applying_twice_is_as_applying_once_and_the_applier_gets_what_it_says(
    applies: list[tuple[str, dict[str, Any]]],
) -> None:
    now = applied(None, thing(data={"k": "v"}), "keeper")
    for manager, spec in applies:
        now = stored(applied(now, thing(spec=spec), manager, T1, force=True))
        for force in (False, True):
            assert stored(applied(now, thing(spec=spec), manager, T2, force=force)) == now
        got = now.get("spec", {})
        for name in ("replicas", "selector"):
            assert not spec.get(name) or got[name] == spec[name]
        assert set(spec.get("tags", [])) <= set(got.get("tags", []))


@settings(deadline=None)
@given(APPLIES)
def test_what_everybody_stops_applying_is_gone(applies: list[tuple[str, dict[str, Any]]]) -> None:
    now = first = applied(None, thing(data={"k": "v"}), "keeper")
    for manager, spec in applies:
        now = applied(now, thing(spec=spec), manager, T2, force=True)
    for manager in ("one", "two", "three"):
        now = applied(now, thing(), manager, T3)
    assert now["metadata"] == first["metadata"]
    assert not any(now.get("spec", {}).get(name) for name in ("replicas", "selector", "containers"))
