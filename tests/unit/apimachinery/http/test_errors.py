"""Which exception becomes which Status."""

import pytest

from tidegate.apimachinery.errors import (
    ApiError,
    Conflict,
    Expired,
    Qualified,
    ServiceUnavailable,
    missing,
)
from tidegate.apimachinery.http.errors import Failures, known, unforeseen
from tidegate.wire.errors import BodyStalled


class Busy(Exception):
    """Of a room that this one does not know."""


class VeryBusy(Busy):
    """Its kin."""


FAILURES: Failures = {Busy: lambda _: ServiceUnavailable("busy", retry_after=3)}


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (missing(Qualified("secrets"), "s"), 404, "NotFound"),
        (Conflict(), 409, "Conflict"),
        (Expired(), 410, "Expired"),
        (BodyStalled(), 504, "Timeout"),
        (Busy("at /var/lib"), 503, "ServiceUnavailable"),
        (VeryBusy(), 503, "ServiceUnavailable"),
    ],
)
def test_look_up_follows_the_ancestry(error: Exception, code: int, reason: str) -> None:
    found = known(error, FAILURES)
    assert found is not None
    assert (found.code, found.reason) == (code, reason)
    assert "/var/lib" not in str(found)


def test_what_nobody_listed_is_a_500() -> None:
    assert known(RuntimeError("x"), FAILURES) is None
    assert isinstance(unforeseen(), ApiError)
    assert (unforeseen().code, unforeseen().reason) == (500, "InternalError")
