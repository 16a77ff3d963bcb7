"""Which exception becomes which Status.

Look-up follows an exception's class ancestry. What nobody listed is a 500 whose text stays in the
log. Rooms above bring the exceptions of their ports (`failures`).
"""

from collections.abc import Callable, Mapping

from tidegate.apimachinery.errors import (
    ApiError,
    Conflict,
    Expired,
    ResourceExpired,
    ServerTimeout,
    UpdateConflict,
)
from tidegate.wire.errors import BodyStalled

Failures = Mapping[type[Exception], Callable[[Exception], ApiError]]

TOO_OLD = "The resourceVersion for the provided watch is too old."


FAILURES: Failures = {
    Conflict: lambda _: UpdateConflict("the object has been modified; please try again"),
    Expired: lambda _: ResourceExpired(TOO_OLD),
    BodyStalled: lambda _: ServerTimeout("Timeout: the body of the request stopped arriving"),
}


def known(error: Exception, failures: Failures) -> ApiError | None:
    """The answer to an exception; None for one that nobody foresaw."""
    if isinstance(error, ApiError):
        return error
    for kind in type(error).__mro__:
        found = failures.get(kind) or FAILURES.get(kind)
        if found is not None:
            return found(error)
    return None


def unforeseen() -> ApiError:
    """What a client is told when something broke."""
    return ApiError(
        'an error on the server ("see the log") has prevented the request from succeeding'
    )
