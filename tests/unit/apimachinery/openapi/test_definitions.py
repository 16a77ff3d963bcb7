"""Names and schemas of OpenAPI definitions; names are those of Kubernetes' and OpenShift's own."""

from typing import Annotated

import pytest

from tests.unit.apimachinery.windmills import RESOURCES, SECRETS
from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.openapi.definitions import ConflictingDefinitions, Definitions, prefix
from tidegate.apimachinery.resource import Resource

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
WRITTEN = Definitions(RESOURCES, "#/definitions/").json()


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("", "io.k8s.api.core.v1"),
        ("apps", "io.k8s.api.apps.v1"),
        ("rbac.authorization.k8s.io", "io.k8s.api.rbac.v1"),
        ("authentication.k8s.io", "io.k8s.api.authentication.v1"),
        ("project.openshift.io", "com.github.openshift.api.project.v1"),
        ("imageregistry.operator.openshift.io", "com.github.openshift.api.imageregistry.v1"),
        ("stable.example.com", "com.example.stable.v1"),
    ],
)
def test_definitions_are_named_as_their_owners_name_them(group: str, name: str) -> None:
    assert prefix(group, "v1") == name


def test_a_kind_is_a_definition_with_its_group_version_and_kind() -> None:
    assert WRITTEN["io.k8s.api.core.v1.Secret"] == {
        "description": "Secret holds data that few may read.",
        "type": "object",
        "properties": {
            "apiVersion": {
                "description": "Version of the schema of this object, GROUP/VERSION.",
                "type": "string",
            },
            "data": {
                "description": "The data.",
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
            "kind": {
                "description": "Name of the REST resource that this object represents.",
                "type": "string",
            },
            "metadata": {
                "description": "Standard object metadata.",
                "$ref": f"#/definitions/{META}.ObjectMeta",
            },
        },
        "x-kubernetes-group-version-kind": [{"group": "", "kind": "Secret", "version": "v1"}],
    }


def test_a_struct_inside_is_named_beside_its_kind_and_says_how_it_is_merged() -> None:
    assert WRITTEN["com.example.stable.v1.WindmillSpec"] == {
        "description": "What is wanted of a windmill.",
        "type": "object",
        "required": ["height"],
        "properties": {
            "blades": {
                "description": "The blades.",
                "type": "array",
                "items": {"$ref": "#/definitions/com.example.stable.v1.Blade"},
                "x-kubernetes-list-map-keys": ["name"],
                "x-kubernetes-list-type": "map",
                "x-kubernetes-patch-merge-key": "name",
                "x-kubernetes-patch-strategy": "merge",
            },
            "colours": {
                "description": "Colours.",
                "type": "array",
                "items": {"type": "string"},
                "x-kubernetes-list-type": "set",
                "x-kubernetes-patch-strategy": "merge",
            },
            "height": {"description": "Height in metres.", "type": "integer", "format": "int64"},
            "notes": {
                "description": "Notes.",
                "type": "object",
                "additionalProperties": {"type": "string"},
                "x-kubernetes-map-type": "atomic",
            },
            "share": {"description": "Share of the owner.", "type": "number", "format": "double"},
        },
    }


def test_values_of_every_sort_have_their_type_and_format() -> None:
    properties = WRITTEN["com.example.stable.v1.Windmill"]["properties"]
    assert properties["built"] == {
        "description": "When it was built.",
        "type": "string",
        "format": "date-time",
    }
    assert properties["idle"] == {"description": "Whether it stands still.", "type": "boolean"}
    assert properties["extra"] == {"description": "Anything.", "type": "object"}
    assert properties["spec"]["x-kubernetes-patch-strategy"] == "replace"
    assert WRITTEN["com.example.stable.v1.Blade"]["properties"]["length"]["format"] == "int32"


def test_a_list_is_a_kind_too() -> None:
    written = WRITTEN["io.k8s.api.core.v1.SecretList"]
    assert written["required"] == ["items"]
    assert written["properties"]["items"]["items"] == {
        "$ref": "#/definitions/io.k8s.api.core.v1.Secret"
    }
    assert written["properties"]["metadata"]["$ref"] == f"#/definitions/{META}.ListMeta"
    assert written["x-kubernetes-group-version-kind"] == [
        {"group": "", "kind": "SecretList", "version": "v1"}
    ]
    assert "com.github.openshift.api.authorization.v1.ReviewList" not in WRITTEN


def test_the_kind_of_a_subresource_is_defined_in_its_own_group() -> None:
    assert "io.k8s.api.flour.v2.Grinding" in WRITTEN
    assert WRITTEN["com.example.stable.v1.Windmill"]["x-kubernetes-group-version-kind"] == [
        {"group": "stable.example.com", "kind": "Windmill", "version": "v1"}
    ]


@pytest.mark.parametrize(
    "name",
    ["ObjectMeta", "OwnerReference", "ListMeta", "Status", "StatusCause", "DeleteOptions",
     "Preconditions", "Patch"],
)  # fmt: skip
def test_what_all_kinds_share_is_defined_once(name: str) -> None:
    assert f"{META}.{name}" in WRITTEN


def test_every_reference_has_its_definition() -> None:
    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            inside = set().union(*map(references, value.values()))
            return inside | ({value["$ref"]} if "$ref" in value else set())
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert references(WRITTEN) <= {f"#/definitions/{name}" for name in WRITTEN}


class Owner(Wire):
    """Who owns it."""

    name: Annotated[str, doc("Her name.")] = ""


class Named(Wire):
    """Who owns it."""

    name: Annotated[str, doc("Her name.")] = ""


class Other(Wire):
    """Who owns it."""

    number: Annotated[int, doc("Her number.")] = 0


Named.__name__ = Other.__name__ = "Owner"  # as structs of other modules could be called


class Nothing(Wire):
    pass


class Mill(Object):
    """Mill."""

    owner: Annotated[Owner | None, doc("Owner.")] = None
    nothing: Annotated[Nothing | None, doc("Nothing.")] = None


class Barn(Object):
    """Barn."""

    owner: Annotated[Named | None, doc("Owner.")] = None


class Shed(Object):
    """Shed."""

    owner: Annotated[Other | None, doc("Owner.")] = None
    beside: Annotated[ObjectReference | None, doc("What it stands beside.")] = None


def declared(kind: type[Object]) -> Resource[Object]:
    name = kind.__name__
    return Resource(
        group="", version="v1", kind=name, plural=name.lower(), type=kind, namespaced=True
    )


def test_two_structs_of_one_name_and_shape_are_one_definition() -> None:
    written = Definitions((declared(Mill), declared(Barn)), "#/").json()
    assert "io.k8s.api.core.v1.Owner" in written


def test_two_structs_of_one_name_that_differ_are_refused() -> None:
    with pytest.raises(ConflictingDefinitions, match=r"io\.k8s\.api\.core\.v1\.Owner"):
        Definitions((declared(Mill), declared(Shed)), "#/")


def test_the_same_name_in_two_groups_is_two_definitions() -> None:
    elsewhere = Resource(
        group="apps", version="v1", kind="Shed", plural="sheds", type=Shed, namespaced=True
    )
    written = Definitions((declared(Mill), elsewhere, SECRETS), "#/").json()
    assert {"io.k8s.api.core.v1.Owner", "io.k8s.api.apps.v1.Owner"} <= set(written)


def test_references_to_objects_are_of_the_core_group_everywhere() -> None:
    elsewhere = Resource(
        group="apps", version="v1", kind="Shed", plural="sheds", type=Shed, namespaced=True
    )
    written = Definitions((elsewhere,), "#/").json()
    assert written["io.k8s.api.apps.v1.Shed"]["properties"]["beside"]["$ref"] == (
        "#/io.k8s.api.core.v1.ObjectReference"
    )


def test_a_struct_that_says_nothing_is_an_object() -> None:
    written = Definitions((declared(Mill),), "#/").json()
    assert written["io.k8s.api.core.v1.Nothing"] == {"type": "object"}
