"""Rendering a response's head."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.response import ResponseInvalid, render


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"a", b"b\r\nc: d"), (b"a", b"b\nc"), (b"a", b"b\rc"), (b"a", b"\0"),
        (b"a\r\nb", b"c"), (b"a b", b"c"), (b"", b"c"), (b"a:", b"c"), (b"a\0", b"c"),
        (b"content-length", b"-1"), (b"content-length", b"1_0"), (b"Content-Length", b" 1"),
    ],
)  # fmt: skip
def test_a_field_that_could_split_the_response_is_refused(name: bytes, value: bytes) -> None:
    with pytest.raises(ResponseInvalid):
        render(200, [(b"x", b"y"), (name, value)], b"")


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=5))
def test_no_field_ever_adds_a_line(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        head = render(200, headers, b"")
    except ResponseInvalid:
        return
    lines = head.content.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert len(lines) <= len(headers) + 2
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)


def test_fields_that_say_how_the_answer_is_framed_are_understood() -> None:
    head = render(
        299, [(b"Content-Length", b"12"), (b"Connection", b"Close"), (b"A", b"")], b"b: c\r\n"
    )
    assert (head.length, head.close, head.chunked) == (12, True, False)
    assert head.content == b"HTTP/1.1 299 \r\nb: c\r\ncontent-length: 12\r\na: \r\n"
    assert render(200, [(b"transfer-encoding", b"chunked")], b"").chunked


def test_two_lengths_are_refused() -> None:
    with pytest.raises(ResponseInvalid):
        render(200, [(b"content-length", b"1"), (b"Content-Length", b"1")], b"")
