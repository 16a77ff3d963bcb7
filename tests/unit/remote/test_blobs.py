"""Blobs on their way: verified before they end, and taken up where a connection broke."""

import os
import re
from collections.abc import Callable

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Ask, Corrupt, Cut, Hang, Pass, asks, wrong_length
from tests.unit.remote.gateways import IMPATIENT, REGISTRY, location, refuses, with_gateway
from tidegate.oci.digest import Digest
from tidegate.remote.errors import ContentInvalid, ContentMissing, RemoteError, Unavailable
from tidegate.remote.gateway import Gateway

CONTENT = os.urandom(700_000)
DIGEST = Digest.of(CONTENT)
EMPTY = Digest.of(b"")


def serves_blob(content: bytes = CONTENT, *, ranges: bool = True) -> Callable[[Ask], Answer]:
    """A registry of one blob."""

    def choose(ask: Ask) -> Answer:
        if ask.kind != "blob":
            return Answer(404, REGISTRY)
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", ask.headers.get("range", ""))
        if span is None or not ranges:
            return Answer(200, {"Content-Length": str(len(content))}, content)
        begin, end = int(span[1]), int(span[2] or len(content) - 1) + 1
        if begin >= len(content):
            return Answer(416, {"Content-Range": f"bytes */{len(content)}"})
        part = content[begin:end]
        place = f"bytes {begin}-{begin + len(part) - 1}/{len(content)}"
        return Answer(206, {"Content-Range": place}, part)

    return choose


class Pulled:
    """What came of a blob: its size as told, the bytes that were handed out, and the error."""

    def __init__(self) -> None:
        self.size = -1
        self.content = b""
        self.error: RemoteError | None = None


def pull(
    address: str,
    digest: Digest = DIGEST,
    *,
    offset: int = 0,
    size: int | None = None,
    verify: bool = True,
) -> Pulled:
    async def scenario(gateway: Gateway) -> Pulled:
        registries, pulled = gateway.registries(insecure=True), Pulled()
        try:
            async with registries.blob(
                location(address), digest, offset=offset, size=size, verify=verify
            ) as blob:
                pulled.size = blob.size
                assert blob.offset == offset
                async for chunk in blob.chunks:
                    assert chunk
                    pulled.content += chunk
        except RemoteError as error:
            pulled.error = error
        return pulled

    return with_gateway(scenario, deadlines=IMPATIENT)


def refused(pulled: Pulled, error: type[RemoteError], words: str) -> bytes:
    """What was handed out before the error."""
    assert isinstance(pulled.error, error), pulled.error
    assert re.search(words, str(pulled.error)), pulled.error
    return pulled.content


def test_a_blob_comes_whole() -> None:
    with FaultProxy() as server:
        server.always(serves_blob())
        pulled = pull(server.address)
        assert (pulled.size, pulled.content) == (len(CONTENT), CONTENT)
        assert server.count("blob") == 1


def test_an_empty_blob_has_no_chunks_and_is_verified_nevertheless() -> None:
    with FaultProxy() as server:
        server.always(serves_blob(b""))
        assert (pull(server.address, EMPTY).size, pull(server.address, EMPTY).content) == (0, b"")
        refused(pull(server.address), ContentInvalid, "another digest")


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    ("offset", "size"),
    [(0, 10), (5, 10), (1000, None), (699_999, None), (699_999, 50), (0, 700_000), (0, 900_000)],
)
def test_a_part_of_a_blob_comes_even_from_who_knows_no_ranges(
    ranges: bool, offset: int, size: int | None
) -> None:
    with FaultProxy() as server:
        server.always(serves_blob(ranges=ranges))
        pulled = pull(server.address, offset=offset, size=size)
        end = None if size is None else offset + size
        assert (pulled.error, pulled.size) == (None, len(CONTENT))
        assert pulled.content == CONTENT[offset:end]


def test_nothing_follows_the_end_and_beyond_it_there_is_no_place() -> None:
    with FaultProxy() as server:
        server.always(serves_blob())
        assert pull(server.address, offset=len(CONTENT)).content == b""
        refused(pull(server.address, offset=len(CONTENT) + 1), ContentInvalid, "none at")


def test_who_hashes_a_blob_herself_is_handed_whatever_came() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob())
        server.when(asks("blob"), Corrupt(at=3))
        pulled = pull(server.address, verify=False)
        assert pulled.error is None
        assert len(pulled.content) == len(CONTENT)
        assert pulled.content != CONTENT


def test_the_last_bytes_of_a_wrong_blob_are_never_handed_out() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob())
        server.when(asks("blob"), Corrupt(at=3))
        got = refused(pull(server.address), ContentInvalid, "another digest")
        assert len(got) < len(CONTENT)
        assert server.count("blob") == 1  # what is wrong is wrong the next time, too


@pytest.mark.parametrize("after", [0, 1, 100, 300_000, len(CONTENT) - 1])
def test_a_blob_goes_on_where_its_connection_broke(after: int) -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob())
        server.when(asks("blob"), Cut(after=after), times=1)
        pulled = pull(server.address)
        assert (pulled.error, pulled.content) == (None, CONTENT)
        ranges = [ask.headers.get("range") for ask in server.seen("blob")]
        assert len(ranges) == 2
        if after:
            assert ranges == [None, f"bytes={after}-{len(CONTENT) - 1}"]


def test_a_blob_goes_on_where_its_server_hung() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob())
        server.when(asks("blob"), Hang(after=1000), times=1)
        assert pull(server.address).content == CONTENT


def test_a_blob_goes_on_from_who_knows_no_ranges() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob(ranges=False))
        server.when(asks("blob"), Cut(after=300_000), times=2)
        assert pull(server.address).content == CONTENT
        assert server.count("blob") == 3


def test_who_breaks_off_every_time_is_given_up() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob())
        server.when(asks("blob"), Cut(after=0))
        refused(pull(server.address), Unavailable, "broke off|reset")
        assert server.count("blob") <= 10


def test_who_breaks_off_later_each_time_gives_it_all_in_the_end() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob())
        server.when(asks("blob"), Cut(after=50_000), times=13)
        assert pull(server.address).content == CONTENT


def test_a_blob_that_becomes_another_on_the_way_is_refused() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob(CONTENT + b"more"))
        registry.when(asks("blob", last=1), serves_blob())
        server.when(asks("blob"), Cut(after=1000), times=1)
        refused(pull(server.address), ContentInvalid, "and now")


def test_less_than_was_promised_is_no_blob() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob(ranges=False))
        server.when(asks("blob"), wrong_length(len(CONTENT) + 5))
        refused(pull(server.address), Unavailable, "broke off")


def test_more_than_was_promised_is_cut_off_and_found_wrong() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob())
        server.when(asks("blob"), wrong_length(1000))
        refused(pull(server.address), ContentInvalid, "another digest")


def test_who_does_not_say_how_large_a_blob_is_is_asked() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves_blob())
        server.when(asks("blob", "GET"), Pass({"content-length": None}))
        pulled = pull(server.address)
        assert (pulled.error, pulled.size, pulled.content) == (None, len(CONTENT), CONTENT)
        server.when(asks("blob"), Answer(200, {}, [b"x" * 1000] * 1000))
        refused(pull(server.address), ContentInvalid, "how large")


@pytest.mark.parametrize(
    "place", ["", "bytes 0-4/700000", "bytes 6-9/700000", "bytes 5-9/*", "bytes=5-9/700000"]
)
def test_another_part_than_was_asked_for_is_refused(place: str) -> None:
    with FaultProxy() as server:
        server.always(Answer(206, {"Content-Range": place}, CONTENT[5:10]))
        refused(pull(server.address, offset=5), ContentInvalid, "another part")


def test_a_missing_blob_is_missing() -> None:
    with FaultProxy() as server:
        server.always(refuses(404, "BLOB_UNKNOWN", "no such blob"))
        refused(pull(server.address), ContentMissing, "no such blob")


def test_a_page_in_place_of_a_blob_is_no_blob() -> None:
    with FaultProxy() as server:
        server.always(Answer(200, {"Content-Type": "text/html"}, b"<html>"))
        assert refused(pull(server.address), ContentInvalid, "another digest") == b""


def test_a_reader_who_leaves_early_leaves_nothing_behind() -> None:
    with FaultProxy() as server:
        server.always(serves_blob())

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(insecure=True)
            for _ in range(3):
                async with registries.blob(location(server.address), DIGEST) as blob:
                    async for _ in blob.chunks:
                        break

        with_gateway(scenario)
        assert server.count("blob") == 3


def test_size_is_asked_by_head() -> None:
    with FaultProxy() as server:
        server.always(serves_blob())

        async def scenario(gateway: Gateway) -> int:
            return await gateway.registries(insecure=True).blob_size(
                location(server.address), DIGEST
            )

        assert with_gateway(scenario) == len(CONTENT)
        assert [ask.method for ask in server.seen("blob")] == ["HEAD"]
