"""Kinds of which a part is declared: the rest is kept, by every way of writing.

What Kubernetes does with its own kinds is what is expected of the declared part; of the rest, what
it does with x-kubernetes-preserve-unknown-fields.
"""

from typing import Annotated, Any

import pytest
from msgspec import field

from tidegate.apimachinery.apply.apply import apply
from tidegate.apimachinery.decoding.decoder import JSON, Clean, Decoder
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.meta import Object, ObjectMeta, Open, doc
from tidegate.apimachinery.openapi import v2, v3
from tidegate.apimachinery.patch import strategic
from tidegate.apimachinery.resource import Resource


class Sail(Open):
    """A sail."""

    name: Annotated[str, doc("Which one.")] = ""
    colour: Annotated[str, doc("Its colour.")] = ""


class MillSpec(Open):
    """What is known of mills."""

    sails: Annotated[list[Sail], doc("The sails.", merge_key="name")] = field(default_factory=list)
    meta: Annotated[ObjectMeta, doc("Of what is milled.")] = field(default_factory=ObjectMeta)
    height: Annotated[int | None, doc("In metres.")] = None


class Mill(Object):
    """Mill grinds."""

    spec: Annotated[dict[str, Any], doc("What is wanted.", shape=MillSpec)] = field(
        default_factory=dict
    )


DECODER = Decoder("Mill", "mills.io/v1", Mill)
MILLS = Resource(
    group="mills.io", version="v1", kind="Mill", plural="mills", type=Mill, namespaced=True
)


def read(spec: bytes) -> Clean:
    return DECODER.read(b'{"spec":' + spec + b"}", JSON)


def test_fields_that_are_not_declared_are_kept() -> None:
    spec = b'{"sails":[{"name":"a","cloth":{"kind":"linen","holes":null}}],"stones":[1,{}]}'
    clean = read(spec)
    assert not clean.faults
    assert DECODER.settled(clean.values)["spec"] == {
        "sails": [{"name": "a", "cloth": {"kind": "linen", "holes": None}}],
        "stones": [1, {}],
    }


def test_a_null_is_no_field() -> None:
    assert read(b'{"stones":null,"height":null}').values["spec"] == {}


def test_what_is_given_twice_is_told_of() -> None:
    faults = read(b'{"sails":[{"cloth":{"a":1,"a":2}}],"height":1,"height":2}').faults
    assert sorted(faults) == [
        'duplicate field "spec.height"',
        'duplicate field "spec.sails[0].cloth.a"',
    ]


def test_a_closed_struct_inside_takes_no_unknown_field() -> None:
    assert read(b'{"meta":{"nmae":"x"}}').faults == ['unknown field "spec.meta.nmae"']


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (
            b'{"sails":[{"name":"a"},{"name":5}]}',
            "Go struct field Sail.spec.sails.name of type string",
        ),
        (
            b'{"height":"tall"}',
            "json: cannot unmarshal string into Go struct field MillSpec.spec.height of type int64",
        ),
        (
            b"[]",
            "json: cannot unmarshal array into Go struct field Mill.spec of type v1.MillSpec",
        ),
    ],
)
def test_a_declared_field_has_its_type(spec: bytes, fault: str) -> None:
    with pytest.raises(BadRequest) as refused:
        DECODER.struct(read(spec).values)
    assert fault in str(refused.value)


def test_strategic_merge_joins_declared_lists_and_replaces_others() -> None:
    before = {
        "spec": {
            "sails": [{"name": "a", "cloth": {"x": 1}}, {"name": "b"}],
            "stones": [1, 2],
            "roof": {"tiles": 9, "holes": 1},
        }
    }
    patch = {
        "spec": {
            "sails": [{"name": "a", "colour": "red"}, {"name": "b", "$patch": "delete"}],
            "stones": [3],
            "roof": {"holes": None},
        }
    }
    assert strategic.apply(before, patch, DECODER.schema) == {
        "spec": {
            "sails": [{"name": "a", "cloth": {"x": 1}, "colour": "red"}],
            "stones": [3],
            "roof": {"tiles": 9},
        }
    }


def applied(current: dict[str, Any] | None, spec: dict[str, Any], manager: str) -> dict[str, Any]:
    said = {
        "apiVersion": "mills.io/v1",
        "kind": "Mill",
        "metadata": {"name": "m"},
        "spec": spec,
    }
    now = "2026-01-01T00:00:00Z"
    return apply(current, said, DECODER.schema, manager, False, "mills.io/v1", now)


def test_server_side_apply_owns_what_is_not_declared_by_its_fields() -> None:
    first = applied(None, {"sails": [{"name": "a", "cloth": {"x": 1}}], "roof": {"tiles": 9}}, "me")
    both = applied(first, {"sails": [{"name": "b"}], "roof": {"holes": 1}}, "you")
    assert both["spec"] == {
        "sails": [{"name": "a", "cloth": {"x": 1}}, {"name": "b"}],
        "roof": {"tiles": 9, "holes": 1},
    }
    left = applied(both, {"sails": [{"name": "a"}]}, "me")
    assert left["spec"] == {"sails": [{"name": "a"}, {"name": "b"}], "roof": {"holes": 1}}


def test_openapi_3_says_that_there_may_be_more() -> None:
    schemas = v3.document([MILLS], "t", "1")["components"]["schemas"]
    spec = schemas["io.mills.v1.MillSpec"]
    assert spec["x-kubernetes-preserve-unknown-fields"] is True
    assert set(spec["properties"]) == {"sails", "meta", "height"}
    assert spec["properties"]["sails"]["x-kubernetes-patch-merge-key"] == "name"
    assert "x-kubernetes-preserve-unknown-fields" not in schemas["io.mills.v1.Mill"]


def test_openapi_2_says_nothing_that_old_clients_would_validate_or_merge_by() -> None:
    document = v2.document([MILLS], "t", "1")
    assert document["definitions"]["io.mills.v1.Mill"] == {
        "description": "Mill grinds.",
        "type": "object",
    }
    assert "io.mills.v1.MillSpec" not in document["definitions"]
    (path,) = (each for each in document["paths"] if each.endswith("/mills/{name}"))
    assert "patch" in document["paths"][path]  # from which kubectl 1.20 learns of dry runs
