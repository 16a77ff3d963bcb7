"""OpenAPI version 2 (swagger): one document of everything.

Clients from before version 3 explain and validate with it, in its protobuf form (see
`openapi_protobuf.py`); kubectl 1.37 comes back to it for kinds that have no PATCH. Finding that
this document has `fieldValidation`, it would next ask whether such a kind is a custom resource, by
a list of them which is not served here, and give up: so version 2 does not speak of that parameter,
and such kinds are validated by the client.
"""

from collections.abc import Sequence

from tidegate.apimachinery.discovery import Declared
from tidegate.apimachinery.openapi.definitions import Definitions, Json
from tidegate.apimachinery.openapi.operations import (
    VALIDATION,
    Operation,
    Parameter,
    by_path,
    extensions,
    operations,
)
from tidegate.apimachinery.openapi.v3 import ANSWERS, REASONS

REFERENCE = "#/definitions/"


def document(resources: Sequence[Declared], title: str, version: str) -> Json:
    """The document of all resources."""
    definitions = Definitions(resources, REFERENCE, open_kinds=False)
    return {
        "swagger": "2.0",
        "info": {"title": title, "version": version},
        "paths": {
            path: {each.method: _operation(each, definitions) for each in found}
            for path, found in by_path(operations(resources)).items()
        },
        "definitions": definitions.json(),
        "securityDefinitions": {
            "BearerToken": {
                "description": "Bearer token authentication",
                "type": "apiKey",
                "name": "authorization",
                "in": "header",
            }
        },
        "security": [{"BearerToken": []}],
    }


def _operation(operation: Operation, definitions: Definitions) -> Json:
    parameters = [_parameter(each) for each in operation.parameters if each != VALIDATION]
    if operation.body:
        body: Json = {"name": "body", "in": "body", "schema": definitions.ref(operation.body)}
        if operation.body_required:
            body["required"] = True
        parameters.insert(0, body)
    responses: Json = {
        str(code): {"description": REASONS[code], "schema": definitions.ref(answer)}
        for code, answer in operation.answers.items()
    }
    return {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "consumes": list(operation.consumes),
        "produces": list(ANSWERS),
        "schemes": ["https"],
        "parameters": parameters,
        "responses": responses | {"401": {"description": "Unauthorized"}},
    } | extensions(operation)


def _parameter(parameter: Parameter) -> Json:
    written: Json = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "type": parameter.type,
        "uniqueItems": True,
    }
    if parameter.required:
        written["required"] = True
    return written
