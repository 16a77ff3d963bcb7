"""How one object names another, as core/v1 writes it."""

from typing import Annotated

from tidegate.apimachinery.meta import Wire, doc


class ObjectReference(Wire):
    """Names an object, or a piece of one."""

    api_version: Annotated[str, doc("API version of the object.")] = ""
    kind: Annotated[str, doc("Kind of the object.")] = ""
    namespace: Annotated[str, doc("Namespace of the object.")] = ""
    name: Annotated[str, doc("Name of the object.")] = ""
    uid: Annotated[str, doc("UID of the object.")] = ""
    resource_version: Annotated[str, doc("The version of it that is meant.")] = ""
    field_path: Annotated[
        str, doc("The piece that is meant, as in spec.tags{latest}, when it is not the whole.")
    ] = ""


class LocalObjectReference(Wire):
    """Names an object in the same namespace."""

    name: Annotated[str, doc("Name of the object.")] = ""
