"""One request on its way through the pipeline, past the authorizer."""

from dataclasses import dataclass

from tidegate.apimachinery.authorizer import Attributes
from tidegate.apimachinery.http.endpoints import Endpoint
from tidegate.apimachinery.http.request import Request
from tidegate.apimachinery.storage import Call


@dataclass(frozen=True, slots=True)
class Exchange:
    """The request, where it leads, and who makes it; `asked` is what was authorized."""

    request: Request
    endpoint: Endpoint
    call: Call
    asked: Attributes
