"""Reading a request's head: any split, strictness, limits."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.errors import RequestRefused
from tidegate.wire.head import RequestHead
from tidegate.wire.limits import Limits

LIMITS = Limits(target_bytes=100, header_bytes=1000, header_fields=10)
PLAIN = b"PUT /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


def parsed(message: bytes, limits: Limits = LIMITS) -> RequestHead:
    head = RequestHead(limits)
    head.feed(message)
    head.framing()
    head.location()
    return head


@given(st.lists(st.integers(0, len(PLAIN) + 7)), st.sampled_from([b"", b"\r\n\r\n"]))
def test_a_head_is_the_same_wherever_it_is_split(cuts: list[int], before: bytes) -> None:
    message = before + PLAIN + b"abcGET /"
    marks = sorted({0, len(message), *cuts})
    head = RequestHead(LIMITS)
    behind = b""
    for start, end in itertools.pairwise(marks):
        piece = message[start:end]
        behind += piece if head.complete else head.feed(piece)
    assert behind == b"abcGET /"
    assert (head.method, head.http_version, head.persistent) == ("PUT", "1.1", True)
    assert head.headers == [(b"host", b"x"), (b"content-length", b"3")]
    assert head.location() == ("/a b", b"/a%20b", b"c=d")
    assert head.framing().expected == 3


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_refused_or_waited_for(message: bytes) -> None:
    with contextlib.suppress(RequestRefused):
        RequestHead(LIMITS).feed(message)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET /" + b"a" * 100, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 1000, 431),
        (b"\r\n" * 501, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 12, 431),
    ],
)
def test_what_is_not_http_1_or_beyond_a_limit_is_refused_before_it_is_complete(
    message: bytes, status: int
) -> None:
    with pytest.raises(RequestRefused) as refused:
        parsed(message)
    assert refused.value.status == status


def test_absolute_targets_and_odd_paths_are_taken_as_they_are() -> None:
    get = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
    assert parsed(get % b"http://h:1/a?b").location() == ("/a", b"/a", b"b")
    assert parsed(get % b"http://h:1").location() == ("/", b"/", b"")
    assert parsed(get % b"*").location() == ("*", b"*", b"")
    assert parsed(get % b"//a/../b?").location() == ("//a/../b", b"//a/../b", b"")
    assert parsed(get % b"/a#b").location() == ("/a", b"/a", b"")
    assert parsed(get % b"/%ff%00").location()[1] == b"/%ff%00"


def test_an_upgrade_is_not_taken_up_and_its_body_is_a_body() -> None:
    head = RequestHead(LIMITS)
    offer = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
    assert head.feed(offer + b"Content-Length: 3\r\n\r\nabc") == b"abc"
    assert head.framing().expected == 3


def test_persistence_follows_the_connection_field() -> None:
    assert not parsed(b"GET / HTTP/1.0\r\n\r\n").persistent
    assert not parsed(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").persistent
    assert not parsed(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").persistent
    assert parsed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").persistent
