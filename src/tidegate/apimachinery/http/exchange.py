"""One request on its way through the pipeline, past the authorizer."""

from dataclasses import dataclass

from tidegate.apimachinery.authorizer import Attributes
from tidegate.apimachinery.http.endpoints import Endpoint
from tidegate.apimachinery.http.guarded_watch import Still
from tidegate.apimachinery.http.request import Request
from tidegate.apimachinery.storage import Call


@dataclass(frozen=True, slots=True)
class Exchange:
    """The request, where it leads, and who makes it; `asked` is what was authorized.

    `still` raises what to answer when it would not be any more.
    """

    request: Request
    endpoint: Endpoint
    call: Call
    asked: Attributes
    still: Still
