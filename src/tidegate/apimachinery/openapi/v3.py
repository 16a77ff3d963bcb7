"""OpenAPI version 3: an index, and one document for each group and version.

kubectl reads these to explain, to find out that the server validates, and to choose a patch type.
See `openapi.py` for who hands them out. The index links each document by the hash of its content,
so that a client may keep what it has for ever.
"""

from collections.abc import Sequence
from typing import Any

from tidegate.apimachinery.discovery import Declared
from tidegate.apimachinery.openapi.definitions import Definitions, Json
from tidegate.apimachinery.openapi.operations import (
    Operation,
    Parameter,
    by_path,
    extensions,
    operations,
)

REFERENCE = "#/components/schemas/"
ANSWERS = ("application/json", "application/yaml")
REASONS = {200: "OK", 201: "Created", 202: "Accepted"}


def document(resources: Sequence[Declared], title: str, version: str) -> Json:
    """The document of resources of one group and version."""
    definitions = Definitions(resources, REFERENCE)
    schemas = {name: _wrapped(each) for name, each in definitions.json().items()}
    return {
        "openapi": "3.0.0",
        "info": {"title": title, "version": version},
        "paths": {
            path: {each.method: _operation(each, definitions) for each in found}
            for path, found in by_path(operations(resources)).items()
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "description": "Bearer token authentication",
                    "name": "authorization",
                    "in": "header",
                }
            },
        },
    }


def _operation(operation: Operation, definitions: Definitions) -> Json:
    written: Json = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "parameters": [_parameter(each) for each in operation.parameters],
    }
    if operation.body:
        schema = definitions.ref(operation.body)
        written["requestBody"] = {
            "content": {media: {"schema": schema} for media in operation.consumes}
        }
        if operation.body_required:
            written["requestBody"]["required"] = True
    responses: Json = {
        str(code): {
            "description": REASONS[code],
            "content": {media: {"schema": definitions.ref(answer)} for media in ANSWERS},
        }
        for code, answer in operation.answers.items()
    }
    written["responses"] = responses | {"401": {"description": "Unauthorized"}}
    return written | extensions(operation)


def _parameter(parameter: Parameter) -> Json:
    written: Json = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
    }
    if parameter.required:
        written["required"] = True
    return written | {"schema": {"type": parameter.type, "uniqueItems": True}}


def _wrapped(schema: Any) -> Any:
    """A definition as version 3 has it: what stands beside a `$ref` counts only with `allOf`."""
    if not isinstance(schema, dict):
        return schema
    written = {
        key: {name: _wrapped(each) for name, each in value.items()}
        if key == "properties"
        else _wrapped(value)
        for key, value in schema.items()
    }
    if "$ref" in written and len(written) > 1:
        written["allOf"] = [{"$ref": written.pop("$ref")}]
    return written
