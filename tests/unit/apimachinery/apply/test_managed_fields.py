"""metadata.managedFields through creates, updates and patches, as Kubernetes keeps it."""

import copy
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import field

from tidegate.apimachinery.apply import managed
from tidegate.apimachinery.apply.fieldset import FieldSet
from tidegate.apimachinery.meta import Object, OwnerReference, Wire, doc
from tidegate.apimachinery.schema import schema_of


class Status(Wire):
    """Seen state."""

    phase: Annotated[str, doc("Phase.")] = ""


class ConfigMap(Object):
    """A kind."""

    data: Annotated[dict[str, str], doc("Entries.")] = field(default_factory=dict)
    owners: Annotated[list[OwnerReference], doc("Owners.", merge_key="uid")] = field(
        default_factory=list
    )
    status: Annotated[Status, doc("Seen state.")] = field(default_factory=Status)


SCHEMA = schema_of(ConfigMap)
T1, T2, T3 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", "2026-01-01T00:00:03Z"


def config_map(data: dict[str, str], **more: Any) -> dict[str, Any]:
    metadata = {"name": "c", "namespace": "n", **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data, **more}


def written(
    old: dict[str, Any] | None,
    new: dict[str, Any],
    manager: str = "m",
    now: str = T1,
    **options: Any,
) -> dict[str, Any]:
    before = copy.deepcopy((old, new))
    result = managed.track_update(old, new, SCHEMA, manager, "v1", now, **options)
    assert (old, new) == before, "an input was changed"
    result["metadata"].setdefault("uid", "u")  # as the server does before it stores
    return result


def entries(values: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = values["metadata"].get("managedFields", [])
    return found


def owners(values: dict[str, Any]) -> dict[str, Any]:
    return {each["manager"]: each["fieldsV1"] for each in entries(values)}


def test_a_create_makes_its_manager_the_owner_of_everything_that_is_set() -> None:
    # https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    new = config_map(
        {"key": "some value"}, metadata={"labels": {"test-label": "test"}, "generation": 1}
    )
    assert entries(written(None, new, "kubectl-create")) == [
        {
            "manager": "kubectl-create",
            "operation": "Update",
            "apiVersion": "v1",
            "time": T1,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:data": {".": {}, "f:key": {}},
                "f:metadata": {"f:labels": {".": {}, "f:test-label": {}}},
            },
        }
    ]


def test_what_the_server_sets_is_owned_by_nobody() -> None:
    names = ("creationTimestamp", "selfLink", "uid", "resourceVersion", "generateName")
    new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict.fromkeys(names, "x")}
    assert owners(written(None, new)) == {"m": {"f:metadata": {"f:generateName": {}}}}
    assert "managedFields" not in written(None, {"kind": "ConfigMap", "metadata": {}})["metadata"]


def test_who_changes_a_field_owns_it_and_who_did_before_does_not() -> None:
    first = written(None, config_map({"a": "1", "b": "2"}), "one", T1)
    second = written(first, {**first, "data": {"a": "1", "b": "3"}}, "two", T2)
    assert owners(second) == {
        "one": {"f:data": {".": {}, "f:a": {}}},
        "two": {"f:data": {"f:b": {}}},
    }
    assert [each["time"] for each in entries(second)] == [T1, T2]


def test_what_is_removed_is_owned_by_nobody_and_empty_entries_vanish() -> None:
    first = written(None, config_map({"a": "1"}), "one", T1)
    second = written(first, {**first, "data": {"a": "1", "b": "2"}}, "two", T2)
    third = written(second, {**second, "data": {"a": "1"}}, "three", T3)
    assert owners(third) == {"one": {"f:data": {".": {}, "f:a": {}}}}
    assert entries(third)[0]["time"] == T1


def test_a_write_that_changes_nothing_changes_no_time() -> None:
    first = written(None, config_map({"a": "1"}), "one", T1)
    assert written(first, copy.deepcopy(first), "one", T2) == first
    assert written(first, copy.deepcopy(first), "two", T2) == first


def test_a_client_that_does_not_know_managed_fields_does_not_lose_them() -> None:
    first = written(None, config_map({"a": "1"}), "one", T1)
    unknowing = config_map({"a": "1", "b": "2"}, metadata={"uid": "u"})
    assert owners(written(first, unknowing, "two", T2)) == {
        "one": {"f:data": {".": {}, "f:a": {}}},
        "two": {"f:data": {"f:b": {}}},
    }


@pytest.mark.parametrize("nothing", [[], [{}]])
def test_the_keeping_of_managers_can_be_reset(nothing: list[Any]) -> None:
    first = written(None, config_map({"a": "1"}), "one", T1)
    changed = config_map({"a": "2"}, metadata={"uid": "u", "managedFields": nothing})
    second = written(first, changed, "two", T2)
    assert "managedFields" not in second["metadata"]
    third = written(second, {**second, "data": {"a": "3"}}, "two", T3)
    assert "managedFields" not in third["metadata"]  # until somebody applies


def test_a_client_may_edit_managed_fields() -> None:
    # kubectl apply --server-side moves what client-side apply owned to itself so
    first = written(None, config_map({"a": "1"}), "kubectl-client-side-apply", T1)
    moved: list[dict[str, Any]] = [
        {**entries(first)[0], "manager": "kubectl", "operation": "Apply"}
    ]
    edited = {**first, "metadata": {**first["metadata"], "managedFields": moved}}
    assert entries(written(first, edited, "kubectl", T2)) == moved


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        ["x"],
        [{"manager": "x", "operation": "Patch", "apiVersion": "v1", "fieldsType": "FieldsV1"}],
        [{"manager": "x", "operation": "Update", "fieldsType": "FieldsV1"}],
        [{"manager": "x", "operation": "Update", "apiVersion": "v1"}],
        [
            {
                "manager": "x",
                "operation": "Update",
                "apiVersion": "v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"?": {}},
            }
        ],
    ],
    ids=str,
)
def test_managed_fields_that_cannot_be_read_are_as_if_they_were_not_said(wrong: Any) -> None:
    first = written(None, config_map({"a": "1"}), "one", T1)
    said = {**first, "metadata": {**first["metadata"], "managedFields": wrong}}
    assert written(first, said, "two", T2) == first
    assert "managedFields" not in written(said, {**said}, "two", T2)["metadata"]


def test_a_subresource_has_an_entry_of_its_own_and_may_not_edit_managed_fields() -> None:
    first = written(None, config_map({"a": "1"}), "m", T1)
    new = config_map({"a": "1"}, metadata={"uid": "u", "managedFields": []}, status={"phase": "x"})
    second = written(first, new, "m", T2, subresource="status")
    assert entries(second)[0] == entries(first)[0]
    assert entries(second)[1] == {
        "manager": "m",
        "operation": "Update",
        "apiVersion": "v1",
        "time": T2,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:status": {".": {}, "f:phase": {}}},
        "subresource": "status",
    }


def test_nobody_becomes_the_owner_of_what_a_write_resets() -> None:
    ignored = FieldSet.of([("f:status",)])
    new = config_map({"a": "1"}, status={"phase": "x"})
    assert owners(written(None, new, ignored=ignored)) == {"m": {"f:data": {".": {}, "f:a": {}}}}


def test_a_manager_without_a_name_is_unknown() -> None:
    assert list(owners(written(None, config_map({"a": "1"}), ""))) == ["unknown"]


def test_updaters_beyond_ten_become_one() -> None:
    # capmanagers_test.go: the oldest are merged until there are ten
    now = written(None, config_map({"k0": "x"}), "m00", "2026-01-01T00:00:00Z")
    for each in range(1, 12):
        new = {**now, "data": {**now["data"], f"k{each}": "x"}}
        now = written(now, new, f"m{each:02}", f"2026-01-01T00:00:{each:02}Z")
        assert len(entries(now)) == min(each + 1, 10)
    assert [each["manager"] for each in entries(now)] == [
        "ancient-changes",
        *(f"m{each:02}" for each in range(3, 12)),
    ]
    assert entries(now)[0]["time"] == "2026-01-01T00:00:02Z"
    assert owners(now)["ancient-changes"] == {
        "f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}}
    }


def test_the_entry_for_old_changes_is_never_merged_away() -> None:
    def entry(manager: str, second: int) -> dict[str, Any]:
        return {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "time": f"2026-01-01T00:00:{second:02}Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {f"f:{manager}": {}}},
        }

    before = [
        entry("ab", 0),
        entry("ancient-changes", 1),
        *(entry(f"m{n}", n) for n in range(2, 10)),
    ]
    data = {each["manager"]: "x" for each in before}
    old = config_map(data, metadata={"uid": "u", "managedFields": before})
    found = entries(written(old, {**old, "data": {**data, "z": "x"}}, "new", T1))
    assert len(found) == 11 - 1
    kept = {name for each in found for name in each["fieldsV1"]["f:data"]}
    assert kept == {f"f:{name}" for name in data} | {"f:z"}


def test_an_object_whose_lists_cannot_be_told_apart_keeps_its_managers() -> None:
    first = written(None, config_map({"a": "1"}), "one", T1)
    second = written(first, {**first, "owners": [{"name": "no uid"}]}, "two", T2)
    assert entries(second) == entries(first)


def test_a_result_that_differs_in_times_only_gets_its_times_back() -> None:
    first = written(None, config_map({"a": "1"}), "one", T1)
    later = copy.deepcopy(first)
    later["metadata"]["managedFields"][0]["time"] = T2
    assert managed.with_settled_times(first, later) == first
    other = {**later, "data": {"a": "2"}}
    assert managed.with_settled_times(first, other) == other
    bare = {"kind": "ConfigMap"}
    assert managed.with_settled_times(first, bare) == bare
    assert managed.with_settled_times(bare, bare) == bare


DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xy"))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), DATA), min_size=1))
def test_every_entry_has_exactly_one_owner_as_long_as_nobody_applies(
    writes: list[tuple[str, dict[str, str]]],
) -> None:
    now: dict[str, Any] | None = None
    for manager, data in writes:
        now = written(now, config_map(data, metadata={} if now is None else {"uid": "u"}), manager)
        owned = [name for each in owners(now).values() for name in each["f:data"] if name != "."]
        assert sorted(owned) == sorted(f"f:{name}" for name in data)
