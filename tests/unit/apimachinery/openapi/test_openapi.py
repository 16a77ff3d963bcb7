"""OpenAPI documents as kubectl and generated clients read them."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.unit.apimachinery.windmills import RESOURCES, SECRETS
from tidegate.apimachinery.errors import NotAcceptable
from tidegate.apimachinery.openapi.openapi import OpenApi
from tidegate.apimachinery.protobuf import fields
from tidegate.apimachinery.published import Published

KUBECTL_1_20 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
OPENAPI = OpenApi(RESOURCES, "Tidegate", "v1.37.0")
SECRET = {"group": "", "kind": "Secret", "version": "v1"}


def read(document: Published | None) -> Any:
    assert document is not None
    assert document.content_type == "application/json"
    return msgspec.json.decode(document.body)


V2 = read(OPENAPI.v2())
CORE = read(OPENAPI.v3("api/v1"))
STABLE = read(OPENAPI.v3("apis/stable.example.com/v1"))


def operations(document: Any) -> dict[str, str]:
    """Path and method of each operation, by its id."""
    return {
        operation["operationId"]: f"{method} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


NAMESPACED = "/api/v1/namespaces/{namespace}/secrets"


@pytest.mark.parametrize(
    ("name", "place"),
    [  # as the OpenAPI document of Kubernetes 1.37 names them
        ("listCoreV1NamespacedSecret", f"get {NAMESPACED}"),
        ("createCoreV1NamespacedSecret", f"post {NAMESPACED}"),
        ("deleteCoreV1CollectionNamespacedSecret", f"delete {NAMESPACED}"),
        ("readCoreV1NamespacedSecret", f"get {NAMESPACED}/{{name}}"),
        ("replaceCoreV1NamespacedSecret", f"put {NAMESPACED}/{{name}}"),
        ("patchCoreV1NamespacedSecret", f"patch {NAMESPACED}/{{name}}"),
        ("deleteCoreV1NamespacedSecret", f"delete {NAMESPACED}/{{name}}"),
        ("listCoreV1SecretForAllNamespaces", "get /api/v1/secrets"),
    ],
)
def test_operations_have_kubernetes_names(name: str, place: str) -> None:
    assert operations(CORE)[name] == place
    assert operations(V2)[name] == place


def test_groups_are_in_the_names_of_operations_and_subresources_at_their_end() -> None:
    names = operations(V2)
    windmill = "/apis/stable.example.com/v1/namespaces/{namespace}/windmills/{name}"
    assert names["patchStableExampleComV1NamespacedWindmillStatus"] == f"patch {windmill}/status"
    assert names["createStableExampleComV1NamespacedWindmillGrind"] == f"post {windmill}/grind"
    assert names["readStableExampleComV1beta1Windmill"] == (
        "get /apis/stable.example.com/v1beta1/windmills/{name}"
    )
    assert names["createAuthorizationOpenshiftIoV1Review"] == (
        "post /apis/authorization.openshift.io/v1/reviews"
    )


def test_only_declared_verbs_are_operations() -> None:
    reviews = V2["paths"]["/apis/authorization.openshift.io/v1/reviews"]
    assert list(reviews) == ["post"]
    log = V2["paths"]["/apis/authorization.openshift.io/v1/reviews/{name}/log"]
    assert list(log) == ["get"]  # a watch is the list, asked otherwise
    old = V2["paths"]["/apis/stable.example.com/v1beta1/windmills/{name}"]
    assert list(old) == ["get"]


def test_ids_are_unique() -> None:
    count = sum(len(methods) for methods in V2["paths"].values())
    assert len(operations(V2)) == count


def test_patch_says_that_the_server_validates_and_takes_every_type() -> None:
    patch = CORE["paths"][f"{NAMESPACED}/{{name}}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == SECRET
    assert patch["x-kubernetes-action"] == "patch"
    assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= {
        each["name"] for each in patch["parameters"]
    }
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1"
    schema = {"schema": {"$ref": f"#/components/schemas/{meta}.Patch"}}
    assert patch["requestBody"] == {
        "content": {
            "application/apply-patch+yaml": schema,
            "application/json-patch+json": schema,
            "application/merge-patch+json": schema,
            "application/strategic-merge-patch+json": schema,
        },
        "required": True,
    }


def test_version_2_leaves_validation_to_the_client() -> None:
    """Or kubectl 1.37 lists custom resource definitions before it creates what has no PATCH."""
    patch = V2["paths"][f"{NAMESPACED}/{{name}}"]["patch"]
    names = {each["name"] for each in patch["parameters"]}
    assert "dryRun" in names  # kubectl 1.20 looks for it before --dry-run=server
    assert "fieldValidation" not in names


def test_a_list_can_be_paged_selected_and_watched() -> None:
    listing = CORE["paths"][NAMESPACED]["get"]
    assert {"limit", "continue", "labelSelector", "fieldSelector", "watch", "resourceVersion",
            "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds",
            "allowWatchBookmarks"} <= {each["name"] for each in listing["parameters"]}  # fmt: skip
    answer = listing["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/io.k8s.api.core.v1.SecretList"}


def test_what_is_in_the_path_is_required() -> None:
    for document in (CORE, V2):
        parameters = document["paths"][f"{NAMESPACED}/{{name}}"]["get"]["parameters"]
        required = {each["name"] for each in parameters if each.get("required")}
        assert required == {"name", "namespace"}


def test_the_body_of_a_delete_is_optional_and_of_a_create_the_kind() -> None:
    delete = CORE["paths"][f"{NAMESPACED}/{{name}}"]["delete"]
    assert "required" not in delete["requestBody"]
    body = V2["paths"][NAMESPACED]["post"]["parameters"][0]
    assert body == {
        "name": "body",
        "in": "body",
        "required": True,
        "schema": {"$ref": "#/definitions/io.k8s.api.core.v1.Secret"},
    }


def test_operations_of_subresources_are_of_their_own_kind() -> None:
    path = "/apis/stable.example.com/v1/namespaces/{namespace}/windmills/{name}/grind"
    grind = STABLE["paths"][path]["post"]
    assert grind["x-kubernetes-group-version-kind"] == {
        "group": "flour.k8s.io",
        "kind": "Grinding",
        "version": "v2",
    }
    assert "io.k8s.api.flour.v2.Grinding" in STABLE["components"]["schemas"]


def test_a_get_of_a_paged_subresource_has_the_parameters_of_a_page() -> None:
    windmill = "/apis/stable.example.com/v1/namespaces/{namespace}/windmills/{name}"
    review = "/apis/authorization.openshift.io/v1/reviews/{name}"
    for path, paged in ((f"{review}/log", True), (f"{windmill}/status", False)):
        parameters = V2["paths"][path]["get"]["parameters"]
        names = {each["name"] for each in parameters}
        assert ({"continue", "limit"} <= names) is paged


def test_a_reference_with_a_description_is_wrapped_in_version_3() -> None:
    schemas = CORE["components"]["schemas"]
    assert schemas["io.k8s.api.core.v1.Secret"]["properties"]["metadata"] == {
        "description": "Standard object metadata.",
        "allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}],
    }


def test_a_document_of_version_3_holds_one_group_version() -> None:
    assert all(path.startswith("/apis/stable.example.com/v1/") for path in STABLE["paths"])
    assert STABLE["openapi"] == "3.0.0"
    assert STABLE["info"] == {"title": "Tidegate", "version": "v1.37.0"}
    assert OPENAPI.v3("apis/none.example.com/v1") is None


def test_the_index_names_every_document_by_its_hash() -> None:
    paths = read(OPENAPI.v3_index("application/json, */*"))["paths"]
    assert set(paths) == {
        "api/v1",
        "apis/stable.example.com/v1",
        "apis/stable.example.com/v1beta1",
        "apis/authorization.openshift.io/v1",
    }
    core = OPENAPI.v3("api/v1")
    assert core is not None
    etag = core.etag.strip('"')
    assert paths["api/v1"] == {"serverRelativeURL": f"/openapi/v3/api/v1?hash={etag}"}


@pytest.mark.parametrize("accept", [KUBECTL_1_20, PROTOBUF, f"{KUBECTL_1_20},application/json"])
def test_old_kubectl_gets_protobuf_under_a_name_that_it_can_parse(accept: str) -> None:
    document = OPENAPI.v2(accept)
    assert document.content_type == PROTOBUF  # an `@` in it fails in kubectl 1.20
    assert document is OPENAPI.v2(accept)
    assert document.etag != OPENAPI.v2().etag


def test_other_forms_are_not_acceptable() -> None:
    with pytest.raises(NotAcceptable):
        OPENAPI.v2("text/html")
    with pytest.raises(NotAcceptable):
        OPENAPI.v3_index("application/com.github.proto-openapi.spec.v3@v1.0+protobuf")


def inside(message: bytes, *numbers: int) -> Iterator[bytes]:
    """The payloads at a path of field numbers, as gnostic's OpenAPIv2.proto numbers them."""
    if not numbers:
        yield message
        return
    for number, payload in fields(message):
        if number == numbers[0] and isinstance(payload, bytes):
            yield from inside(payload, *numbers[1:])


DOCUMENT = OpenApi((SECRETS,), "Tidegate", "v1").v2(KUBECTL_1_20).body
SWAGGER, INFO, PATHS, DEFINITIONS = 1, 2, 8, 9


def test_the_protobuf_document_has_its_texts() -> None:
    assert list(inside(DOCUMENT, SWAGGER)) == [b"2.0"]
    assert list(inside(DOCUMENT, INFO, 1)) == [b"Tidegate"]
    assert [name.decode() for name in inside(DOCUMENT, PATHS, 2, 1)] == [
        "/api/v1/namespaces/{namespace}/secrets",
        "/api/v1/namespaces/{namespace}/secrets/{name}",
        "/api/v1/secrets",
    ]
    assert b"io.k8s.api.core.v1.Secret" in inside(DOCUMENT, DEFINITIONS, 1, 1)


def test_the_protobuf_document_has_its_schemas() -> None:
    schema = next(
        value
        for entry in inside(DOCUMENT, DEFINITIONS, 1)
        if next(inside(entry, 1)) == b"io.k8s.api.core.v1.Secret"
        for value in inside(entry, 2)
    )
    assert list(inside(schema, 4)) == [b"Secret holds data that few may read."]
    assert list(inside(schema, 22, 1)) == [b"object"]
    assert list(inside(schema, 25, 1, 1)) == [b"apiVersion", b"data", b"kind", b"metadata"]
    assert list(inside(schema, 25, 1, 2, 21, 1, 22, 1)) == [b"string"]  # the values of `data`
    (extension,) = inside(schema, 31)
    assert list(inside(extension, 1)) == [b"x-kubernetes-group-version-kind"]
    (yaml,) = inside(extension, 2, 2)
    assert msgspec.yaml.decode(yaml) == [SECRET]


def test_the_protobuf_document_has_its_parameters() -> None:
    patch = PATHS, 2, 2, 8  # the PATCH of each path
    kinds = 8, 1  # its ParametersItems, the Parameters in them
    assert list(inside(DOCUMENT, *patch, *kinds, 1, 2)) == [b"body"]
    assert b"dryRun" in inside(DOCUMENT, *patch, *kinds, 2, 3, 4)
    assert set(inside(DOCUMENT, *patch, *kinds, 2, 4, 4)) == {b"name", b"namespace"}
    assert list(inside(DOCUMENT, *patch, 5)) == [b"patchCoreV1NamespacedSecret"]
