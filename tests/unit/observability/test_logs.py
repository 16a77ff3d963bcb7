import io
import json
import logging
from collections.abc import Iterator

import pytest

from tidegate.observability.logs import configure_logs
from tidegate.observability.request_id import REQUEST_ID


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("style", ["plain", "json"])
def test_text_that_a_client_chose_starts_no_line_and_steers_no_terminal(style: str) -> None:
    stream = io.StringIO()
    configure_logs(style, stream=stream)
    logging.getLogger("tidegate.x").warning("bad name %s", "a\nERROR forged\x1b[2J\r\x85\u2028")
    text = stream.getvalue()
    assert len(text.splitlines()) == 1 or style == "json"
    assert text.count("\n") == 1
    assert "\x1b" not in text


@pytest.mark.usefixtures("root")
def test_a_plain_line_names_time_level_logger_and_request() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    token = REQUEST_ID.set("r-1")
    logging.getLogger("tidegate.x").info("hello")
    REQUEST_ID.reset(token)
    logging.getLogger("tidegate.x").info("outside")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("Z INFO tidegate.x [r-1] hello")
    assert second.endswith("Z INFO tidegate.x outside")


@pytest.mark.usefixtures("root")
def test_a_json_line_names_time_level_logger_and_request() -> None:
    stream = io.StringIO()
    configure_logs("json", stream=stream)
    token = REQUEST_ID.set("r-1")
    logging.getLogger("tidegate.x").info("caf\udce9 %d", 7)
    REQUEST_ID.reset(token)
    entry = json.loads(stream.getvalue())
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "info",
        "logger": "tidegate.x",
        "message": "caf\\udce9 7",
        "request_id": "r-1",
    }


@pytest.mark.usefixtures("root")
def test_a_traceback_is_indented_below_its_line_and_a_field_in_json() -> None:
    plain, entry = io.StringIO(), io.StringIO()
    for style, stream in (("plain", plain), ("json", entry)):
        configure_logs(style, stream=stream)
        try:
            raise ValueError("x\nERROR forged")
        except ValueError:
            logging.getLogger("tidegate.x").exception("failed")
    first, *trace = plain.getvalue().splitlines()
    assert first.endswith("ERROR tidegate.x failed")
    assert all(line.startswith("    ") for line in trace)
    assert "ValueError: x" in json.loads(entry.getvalue())["trace"]


@pytest.mark.usefixtures("root")
def test_records_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logs(level="warning", stream=stream)
    logging.getLogger("tidegate.x").info("quiet")
    assert stream.getvalue() == ""
