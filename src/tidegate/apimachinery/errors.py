"""What the Kubernetes conventions call wrong, whoever finds it; nothing here knows HTTP framing.

`Conflict` and `Expired` belong to the ports that this room declares: the rooms behind a port raise
them. `ApiError` and its kin are answers: each knows its reason, code and the text that clients
print, which is why the wording is the original's (`kubectl`, `oc` and controllers match on it).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class Conflict(Exception):
    """The thing exists already, or is not at the version that the writer had read."""


class Expired(Exception):
    """The history after the revision asked for is no longer kept: list again, then watch."""


@dataclass(frozen=True, slots=True)
class Qualified:
    """A resource or kind with its group, as texts name it: `roles.rbac.authorization.k8s.io`."""

    name: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.name}.{self.group}" if self.group else self.name


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of an object: `field: type: detail`, as `field.Error` of Kubernetes prints it.

    Make them with `required`, `invalid`, `duplicate`, `not_supported`, `forbidden`, `too_long`,
    `not_found`.
    """

    reason: str  # FieldValueRequired, FieldValueInvalid, ...
    field: str
    message: str  # without the field

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", field, _joined("Required value", detail))


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", field, f"Invalid value: {_shown(value)}: {detail}")


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", field, f"Duplicate value: {_shown(value)}")


def not_found(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", field, f"Not found: {_shown(value)}")


def not_supported(field: str, value: Any, supported: Sequence[str]) -> FieldError:
    values = ", ".join(f'"{each}"' for each in supported)
    return FieldError(
        "FieldValueNotSupported",
        field,
        f"Unsupported value: {_shown(value)}: supported values: {values}",
    )


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, _joined("Forbidden", detail))


def too_long(field: str, limit: int) -> FieldError:
    return FieldError("FieldValueTooLong", field, f"Too long: may not be more than {limit} bytes")


def _joined(message: str, detail: str) -> str:
    return f"{message}: {detail}" if detail else message


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return "null"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value).lower() if isinstance(value, bool) else str(value)


class ApiError(Exception):
    """An answer that is a failure: a Status with this reason and code.

    `details` are the Status's, without None values; `retry_after` is in whole seconds. `claimed` is
    whom credentials that prove nobody named, for the audit log alone.
    """

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        resource: Qualified | None = None,
        name: str = "",
        causes: Sequence[FieldError] = (),
        retry_after: int = 0,
        claimed: str = "",
    ) -> None:
        super().__init__(message)
        self.claimed = claimed
        self.resource = resource
        self.name = name
        self.causes = tuple(causes)
        self.retry_after = retry_after

    def status(self) -> dict[str, Any]:
        """The Status object, as JSON-ready values."""
        details: dict[str, Any] = {}
        if self.name:
            details["name"] = self.name
        if self.resource is not None:
            if self.resource.group:
                details["group"] = self.resource.group
            if self.resource.name:
                details["kind"] = self.resource.name
        if self.causes:
            details["causes"] = [
                {"reason": each.reason, "message": each.message, "field": each.field}
                for each in self.causes
            ]
        if self.retry_after:
            details["retryAfterSeconds"] = self.retry_after
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
        }
        if details:
            status["details"] = details
        status["code"] = self.code
        return status


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", *, claimed: str = "") -> None:
        super().__init__(message, claimed=claimed)


class Forbidden(ApiError):
    """`RESOURCE "NAME" is forbidden: WHY`; make it with `forbid`."""

    code, reason = 403, "Forbidden"


def forbid(resource: Qualified, name: str, why: str) -> Forbidden:
    """The refusal of an operation on a resource, in the words that clients print."""
    subject = f'{resource} "{name}"' if name else f"{resource}"
    return Forbidden(f"{subject} is forbidden: {why}", resource=resource, name=name)


class NotFound(ApiError):
    code, reason = 404, "NotFound"


def missing(resource: Qualified, name: str) -> NotFound:
    return NotFound(f'{resource} "{name}" not found', resource=resource, name=name)


class PathNotFound(NotFound):
    """No endpoint has this path."""

    def __init__(self) -> None:
        super().__init__("the server could not find the requested resource")


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"

    def __init__(
        self, message: str = "the server does not allow this method on the requested resource"
    ) -> None:
        super().__init__(message)


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


def exists_already(resource: Qualified, name: str) -> AlreadyExists:
    return AlreadyExists(f'{resource} "{name}" already exists', resource=resource, name=name)


class UpdateConflict(ApiError):
    """409 Conflict; `modified` and `uid_differs` make the usual ones."""

    code, reason = 409, "Conflict"


def modified(resource: Qualified, name: str, why: str = "") -> UpdateConflict:
    why = why or (
        "the object has been modified; please apply your changes to the latest version"
        " and try again"
    )
    return UpdateConflict(
        f'Operation cannot be fulfilled on {resource} "{name}": {why}',
        resource=resource,
        name=name,
    )


class ResourceExpired(ApiError):
    """410: a resourceVersion or continue token that is too old."""

    code, reason = 410, "Expired"


class RequestTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """422: an object that breaks the rules of its kind; make it with `invalid_object`."""

    code, reason = 422, "Invalid"


def invalid_object(kind: Qualified, name: str, faults: Sequence[FieldError]) -> Invalid:
    """`KIND "NAME" is invalid: …`, with every fault as a cause."""
    texts = [str(each) for each in faults]
    listed = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    return Invalid(f'{kind} "{name}" is invalid: {listed}', resource=kind, name=name, causes=faults)


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class ServerTimeout(ApiError):
    code, reason = 504, "Timeout"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class InsufficientStorage(ApiError):
    code, reason = 507, "InsufficientStorage"
