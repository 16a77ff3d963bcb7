"""Where a body ends: chunked decoding at any split, and the header fields that decide."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.errors import RequestRefused
from tidegate.wire.framing import Chunked, Counted, Framing, framing_of


def decoded(framing: Framing, pieces: list[bytes], *, writable: bool) -> tuple[bytes, bytes]:
    """The payload, and what was left behind the body."""
    payload = behind = b""
    for piece in pieces:
        if framing.done:
            behind += piece
            continue
        found, used = framing.decode(memoryview(bytearray(piece) if writable else piece))
        payload += bytes(found)
        behind += piece[used:]
    return payload, behind


def split(message: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({0, len(message), *(cut % (len(message) + 1) for cut in cuts)})
    return [message[start:end] for start, end in itertools.pairwise(marks)]


def reference(message: bytes) -> tuple[bytes, bytes] | None:
    """RFC 9112 section 7.1.3 read aloud, on the whole message; None when it is malformed."""
    payload = b""
    while True:
        size = re.match(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n", message)
        if size is None:
            return None
        message = message[size.end() :]
        length = int(size[1], 16)
        if length == 0:
            break
        if message[length : length + 2] != b"\r\n":
            return None
        payload, message = payload + message[:length], message[length + 2 :]
    trailers = re.match(
        rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*\r\n", message
    )
    return (payload, message[trailers.end() :]) if trailers else None


extensions = st.sampled_from([b"", b";a", b";a=b", b' ;a="b c"', b";sig=" + b"f" * 64])
trailers = st.lists(
    st.sampled_from([b"Digest: x\r\n", b"A:\r\n", b"b-c: d e \xff\r\n"]), max_size=3
)


@st.composite
def chunked_messages(draw: st.DrawFn) -> tuple[bytes, bytes]:
    chunks = draw(st.lists(st.binary(min_size=1, max_size=300), max_size=8))
    message = b""
    for chunk in chunks:
        size = draw(st.sampled_from([b"%x", b"%X", b"00%x"])) % len(chunk)
        message += size + draw(extensions) + b"\r\n" + chunk + b"\r\n"
    message += b"0" + draw(extensions) + b"\r\n" + b"".join(draw(trailers)) + b"\r\n"
    return message, b"".join(chunks)


@given(chunked_messages(), st.binary(max_size=50), st.lists(st.integers(0)), st.booleans())
def test_a_chunked_body_is_the_same_wherever_it_is_split(
    body: tuple[bytes, bytes], behind: bytes, cuts: list[int], writable: bool
) -> None:
    message, payload = body
    framing = Chunked()
    assert decoded(framing, split(message + behind, cuts), writable=writable) == (payload, behind)
    assert framing.done
    assert reference(message + behind) == (payload, behind)


@given(chunked_messages(), st.integers(0), st.binary(max_size=3), st.lists(st.integers(0)))
def test_a_damaged_chunked_body_is_judged_as_the_reference_judges_it(
    body: tuple[bytes, bytes], at: int, damage: bytes, cuts: list[int]
) -> None:
    message, _ = body
    at %= len(message)
    message = message[:at] + damage + message[at + 1 :]
    framing = Chunked()
    try:
        result = decoded(framing, split(message, cuts), writable=True)
    except RequestRefused:
        assert reference(message) is None
    else:
        assert not framing.done or result == reference(message)


@pytest.mark.parametrize(
    "message",
    [
        b"\r\n", b"\n", b"g\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b" 1\r\n", b"1 \r\n", b"1\n",
        b"1\r\nab\r\n", b"1\r\na\n0\r\n\r\n", b"1\r\nabc", b"1;a\rb\r\n", b"1;\0\r\n",
        b"1" * 16 + b"\r\n", b"0\r\nno colon\r\n", b"0\r\n a: folded\r\n", b"0\r\n: x\r\n",
        b"0\r\nGET / HTTP/1.1\r\n\r\n", b"0\r\n\n", b"1;" + b"x" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_chunked_encoding_is_refused(message: bytes) -> None:
    for pieces in ([message], [message[index : index + 1] for index in range(len(message))]):
        with pytest.raises(RequestRefused) as refused:
            decoded(Chunked(), pieces, writable=True)
        assert refused.value.status == 400


def test_a_body_that_is_mostly_chunk_extensions_is_refused() -> None:
    with pytest.raises(RequestRefused, match="too little data"):
        decoded(Chunked(), [b"1;" + b"x" * 1000 + b"\r\na\r\n"] * 20, writable=True)


def test_one_byte_chunks_are_refused_only_for_their_extensions() -> None:
    payload, _ = decoded(Chunked(), [b"1\r\na\r\n"] * 20_000 + [b"0\r\n\r\n"], writable=True)
    assert payload == b"a" * 20_000


def test_endless_trailers_are_refused() -> None:
    with pytest.raises(RequestRefused):
        decoded(Chunked(), [b"0\r\n"] + [b"a: " + b"b" * 100 + b"\r\n"] * 1000, writable=True)


@given(st.binary(max_size=200), st.binary(max_size=50), st.lists(st.integers(0)))
def test_a_counted_body_ends_after_its_length(body: bytes, behind: bytes, cuts: list[int]) -> None:
    assert decoded(Counted(len(body)), split(body + behind, cuts), writable=False) == (body, behind)


LENGTH, CODING = b"content-length", b"transfer-encoding"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(LENGTH, b"3"), (CODING, b"chunked")], 400),
        ([(CODING, b"chunked"), (LENGTH, b"3")], 400),
        ([(LENGTH, b"3"), (LENGTH, b"4")], 400),
        ([(LENGTH, b"3"), (LENGTH, b"3")], 400),
        *[([(LENGTH, value)], 400) for value in
          (b"", b"+3", b"-3", b"3,3", b"0x3", b"3 4", b"\xb2", b"9" * 19, b"9" * 25)],
        ([(CODING, b"chunked"), (CODING, b"chunked")], 400),
        ([(CODING, b"chunked"), (CODING, b"identity")], 400),
        *[([(CODING, value)], 501) for value in
          (b"", b"identity", b"gzip, chunked", b"chunked, gzip", b"xchunked", b"\x0bchunked")],
    ],
)  # fmt: skip
def test_framing_that_two_servers_could_read_differently_is_refused(
    headers: list[tuple[bytes, bytes]], status: int
) -> None:
    with pytest.raises(RequestRefused) as refused:
        framing_of(headers, "1.1")
    assert refused.value.status == status


def test_transfer_encoding_is_refused_in_http_1_0() -> None:
    with pytest.raises(RequestRefused):
        framing_of([(CODING, b"chunked")], "1.0")


def test_lengths_and_codings_are_read() -> None:
    assert framing_of([], "1.1").expected == 0
    assert framing_of([(LENGTH, b"0")], "1.1").done
    assert framing_of([(LENGTH, b"12 ")], "1.0").expected == 12
    assert framing_of([(CODING, b"Chunked")], "1.1").expected is None
