"""Tables; expected values from Kubernetes' meta.k8s.io/v1 Table and its printers."""

from typing import Annotated, Any

import msgspec

from tidegate.apimachinery.meta import Object, ObjectMeta, doc
from tidegate.apimachinery.resource import Column, Resource
from tidegate.apimachinery.table import column_definitions, partial, table

NOW = 1_767_323_045.0  # 2026-01-02T03:04:05Z


class Cup(Object):
    """A cup."""

    size: Annotated[int, doc("How large.")] = 0


COLUMN = Column("Size", lambda found, _: found.size, "How large.", "integer", "int32", priority=1)
CUPS = Resource(
    group="example.io",
    version="v1",
    kind="Cup",
    plural="cups",
    type=Cup,
    namespaced=True,
    columns=(COLUMN,),
)


def body(name: str, created: str = "2026-01-02T03:00:00Z") -> bytes:
    meta = ObjectMeta(name=name, creation_timestamp=created)
    return msgspec.json.encode(Cup(api_version="example.io/v1", kind="Cup", metadata=meta, size=3))


def test_name_and_age_surround_the_columns_of_the_resource() -> None:
    name, size, age = column_definitions(CUPS)
    assert (name["name"], name["type"], name["format"]) == ("Name", "string", "name")
    assert size == {
        "name": "Size",
        "type": "integer",
        "format": "int32",
        "description": "How large.",
        "priority": 1,
    }
    assert (age["name"], age["type"], age["priority"]) == ("Age", "string", 0)
    assert age["description"]


def test_a_resource_may_do_without_name_and_age() -> None:
    bare: Resource[Any] = Resource(
        group="",
        version="v1",
        kind="Cup",
        plural="cups",
        type=Cup,
        namespaced=True,
        columns=(COLUMN,),
        named=False,
        age=False,
    )
    made = msgspec.json.decode(table(bare, [body("a")], b"{}", NOW))
    assert [each["name"] for each in made["columnDefinitions"]] == ["Size"]
    assert made["rows"][0]["cells"] == [3]


def test_rows_show_cells_and_the_age_of_each_object() -> None:
    made = msgspec.json.decode(
        table(CUPS, [body("a"), body("b", "")], b'{"resourceVersion":"7"}', NOW)
    )
    assert made["kind"] == "Table"
    assert made["metadata"] == {"resourceVersion": "7"}
    assert [each["cells"] for each in made["rows"]] == [["a", 3, "4m5s"], ["b", 3, "<unknown>"]]


def test_metadata_is_taken_over_as_it_was_stored() -> None:
    raw = b'{"kind":"Cup","metadata":{"zz": 1, "name":"a"},"size":2}'
    assert partial(raw, "v1beta1") == (
        b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1beta1",'
        b'"metadata":{"zz": 1, "name":"a"}}'
    )
