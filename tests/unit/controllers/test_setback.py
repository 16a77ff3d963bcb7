import logging

import pytest

from tidegate.controllers.setback import log_setback
from tidegate.metastore.errors import MetastoreBusy, MetastoreFull, MetastoreUnavailable

LOG = logging.getLogger("tests.setback")


@pytest.mark.parametrize("outage", [MetastoreBusy, MetastoreFull, MetastoreUnavailable])
def test_a_database_that_cannot_serve_is_worth_a_line(
    caplog: pytest.LogCaptureFixture, outage: type[Exception]
) -> None:
    log_setback(LOG, "purging uploads", outage("it is away"))
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "purging uploads failed, will try again: it is away"
    assert not record.exc_info


def test_anything_else_is_told_whole(caplog: pytest.LogCaptureFixture) -> None:
    log_setback(LOG, "purging uploads", KeyError("surprise"))
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
