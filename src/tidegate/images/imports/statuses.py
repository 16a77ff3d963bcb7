"""What became of an image, as clients print it and conditions keep it (image-api 7.2).

The texts are the original's where a client or a user knows them. A text is the same as long as the
failure is: another one would be another condition, hence a write, at each look at a tag.
"""

from collections.abc import Callable

from tidegate.apimachinery.decoding.messages import Status, StatusDetails
from tidegate.images.imports.errors import ImportsBusy, OwnImage
from tidegate.images.kinds.group import GROUP
from tidegate.remote.errors import (
    AccessDenied,
    AddressRefused,
    CertificateRefused,
    ContentMissing,
    InsecureOnly,
    LeftAlone,
    NoRegistry,
    RateLimited,
    RegistryBlocked,
    RemoteError,
    SourcesFailed,
)
from tidegate.remote.location import Location

TEXT_LIMIT = 2000
"""Characters of a message: part of it is what another server said."""

SUCCESS = Status(status="Success")

_RESOURCE = "dockerimage"


def failed(reference: str, location: Location, error: RemoteError) -> Status:
    """What is to be said of an image that could not be had; `reference` is as it was written."""
    errors = error.errors if isinstance(error, SourcesFailed) else (error,)
    if len(errors) == 1:
        for kind, told in _TOLD:
            if isinstance(errors[0], kind):
                return told(reference, location, errors[0])
    return _unusable(reference, location, error)


def not_found(reference: str) -> Status:
    """There is no such image."""
    return _failure(404, "NotFound", f"{_qualified(reference)} not found", reference)


def forbidden(reference: str, why: str) -> Status:
    """Something here does not allow it."""
    return _failure(403, "Forbidden", f"{_qualified(reference)} is forbidden: {why}", reference)


def invalid(reference: str, why: str) -> Status:
    """What was asked for cannot be."""
    return _failure(422, "Invalid", f"{_qualified(reference)} is invalid: {why}", reference)


def internal(why: str) -> Status:
    """Anything else, in the original's words."""
    return _failure(500, "InternalError", f"Internal error occurred: {why}")


def some_failed(count: int) -> Status:
    """What is to be said of a repository of which not every image could be imported."""
    which = "one of the images" if count == 1 else f"{count} of the images"
    return Status(
        status="Failure",
        reason="ImportFailed",
        message=f"{which} from this repository failed to import",
    )


def _missing(reference: str, _location: Location, _error: RemoteError) -> Status:
    return not_found(reference)


def _denied(reference: str, _location: Location, error: RemoteError) -> Status:
    if isinstance(error, AccessDenied) and error.wrong_credentials:
        text = f'incorrect username or password for image "{reference}"'
    else:
        text = f'you may not have access to the container image "{reference}"'
        if isinstance(error, AccessDenied) and error.anonymous:
            text += " and did not have credentials to the repository"
    return _failure(401, "Unauthorized", text)


def _insecure(_reference: str, location: Location, _error: RemoteError) -> Status:
    text = f"the repository {location} is HTTP only and requires the insecure flag to import"
    return _failure(400, "BadRequest", text)


def _unusable(reference: str, _location: Location, error: RemoteError) -> Status:
    text = _text(error)
    return internal(text if text.startswith(f"{reference}: ") else f"{reference}: {text}")


def _no_registry(_reference: str, location: Location, _error: RemoteError) -> Status:
    text = f'endpoint "{location.host}" does not support v2 API'
    return _failure(403, "NotV2Registry", text)


def _blocked(reference: str, location: Location, _error: RemoteError) -> Status:
    return forbidden(reference, f"registry {location.host} blocked")


def _refused(reference: str, _location: Location, error: RemoteError) -> Status:
    return forbidden(reference, _text(error))


def _limited(reference: str, location: Location, _error: RemoteError) -> Status:
    # without the seconds to wait, which are others each time
    return internal(f"{reference}: toomanyrequests: {location.host} allows no more requests now")


def _busy(reference: str, _location: Location, _error: RemoteError) -> Status:
    why = "other imports take all the room that there is for them: try again a little later"
    return internal(f"{reference}: {why}")


def _own(reference: str, location: Location, _error: RemoteError) -> Status:
    stream = location.repository
    why = f"it is in this registry: tag it from the image stream, as with `oc tag {stream}:TAG`"
    return forbidden(reference, why)


def _left_alone(reference: str, location: Location, _error: RemoteError) -> Status:
    return internal(f"{reference}: {location.host} failed again and again, and is left alone")


_TOLD: tuple[tuple[type[RemoteError], Callable[[str, Location, RemoteError], Status]], ...] = (
    (OwnImage, _own),
    (ContentMissing, _missing),
    (AccessDenied, _denied),
    (CertificateRefused, _unusable),
    (InsecureOnly, _insecure),
    (NoRegistry, _no_registry),
    (RegistryBlocked, _blocked),
    (AddressRefused, _refused),
    (ImportsBusy, _busy),
    (RateLimited, _limited),
    (LeftAlone, _left_alone),
)
"""What each kind of failure means; the first that fits."""


def _failure(code: int, reason: str, message: str, reference: str = "") -> Status:
    details = None
    if reference:
        details = StatusDetails(name=reference, group=GROUP, kind=_RESOURCE)
    return Status(status="Failure", message=message, reason=reason, details=details, code=code)


def _qualified(reference: str) -> str:
    return f'{_RESOURCE}.{GROUP} "{reference}"'


def _text(error: RemoteError) -> str:
    text = "".join(each if each.isprintable() else "\ufffd" for each in str(error))
    return text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "…"
