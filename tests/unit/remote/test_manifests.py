"""What a registry says of a tag, and what its bytes are: both are distrusted."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Ask, Cut, Fault, Hang, asks
from tests.images import index, small_image
from tests.unit.remote.gateways import (
    IMPATIENT,
    REGISTRY,
    location,
    refuses,
    serves,
    with_gateway,
)
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import MANIFEST_LIMIT
from tidegate.remote.errors import (
    AccessDenied,
    ContentInvalid,
    ContentMissing,
    InsecureOnly,
    NoRegistry,
    RateLimited,
    RemoteError,
    Unavailable,
)
from tidegate.remote.gateway import Found, Gateway, Registries, RemoteManifest
from tidegate.remote.location import Location

T = TypeVar("T")

IMAGE, OTHER = small_image("one"), small_image("two")
TYPE = IMAGE.manifest.media_type
MANIFEST = IMAGE.manifest.data


def ask(server: FaultProxy, work: Callable[[Registries, Location], Coroutine[Any, Any, T]]) -> T:
    async def scenario(gateway: Gateway) -> T:
        return await work(gateway.registries(insecure=True), location(server.address))

    return with_gateway(scenario, deadlines=IMPATIENT)


def head(server: FaultProxy, reference: str = "v1") -> Found:
    return ask(server, lambda registries, here: registries.head(here, reference))


def manifest(server: FaultProxy, reference: str = "v1") -> RemoteManifest:
    return ask(server, lambda registries, here: registries.manifest(here, reference))


def answers(body: bytes = MANIFEST, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, {**REGISTRY, "Content-Type": TYPE, **named}, body)


def test_a_tag_costs_one_head() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        found = head(server)
        assert found == Found(Digest(IMAGE.digest), TYPE, len(MANIFEST), location(server.address))
        assert [each.method for each in server.seen("manifest")] == ["HEAD"]
        accepted = server.seen("manifest")[0].headers["accept"]
        assert "manifest.list.v2+json" in accepted
        assert "image.index.v1+json" in accepted
        assert "v1+prettyjws" not in accepted


def test_a_manifest_comes_as_it_is() -> None:
    whole = index(IMAGE, OTHER)
    with FaultProxy() as server:
        server.always(serves(whole))
        for reference in ("v1", whole.digest):
            found = manifest(server, reference)
            assert (found.digest, found.content) == (whole.digest, whole.manifest.data)
            assert found.media_type == whole.manifest.media_type


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(405),
        Answer(501),
        Answer(400),
        Answer(200, {"Content-Type": TYPE, "Content-Length": str(len(MANIFEST))}),
        Answer(200, {"Docker-Content-Digest": IMAGE.digest, "Content-Length": "9"}),
        Answer(200, {"Docker-Content-Digest": "sha256:x", "Content-Type": TYPE}),
    ],
)
def test_where_head_says_nothing_get_does(refusal: Answer) -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.when(asks("manifest", "HEAD"), refusal)
        assert head(server).digest == IMAGE.digest
        assert [each.method for each in server.seen("manifest")] == ["HEAD", "GET"]


def test_without_a_digest_header_the_digest_is_that_of_the_bytes() -> None:
    with FaultProxy() as server:
        server.always(answers())
        assert manifest(server).digest == IMAGE.digest


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (answers(OTHER.manifest.data), IMAGE.digest),
        (answers(Docker_Content_Digest=OTHER.digest), "v1"),
        (answers(Docker_Content_Digest=OTHER.digest), IMAGE.digest),
        (answers(b""), IMAGE.digest),
    ],
)
def test_bytes_of_another_digest_are_refused(answer: Answer, reference: str) -> None:
    with FaultProxy() as server:
        server.always(answer)
        with pytest.raises(ContentInvalid, match=r"another digest|registry says"):
            manifest(server, reference)


def test_a_head_that_names_another_digest_than_was_asked_for_is_refused() -> None:
    with FaultProxy() as server:
        server.always(answers(Docker_Content_Digest=OTHER.digest))
        with pytest.raises(ContentInvalid, match=OTHER.digest):
            head(server, IMAGE.digest)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (answers(Content_Type="text/html"), NoRegistry, "web page"),
        (answers(Content_Type="image/png"), ContentInvalid, "image/png"),
        (
            answers(Content_Type="application/vnd.docker.distribution.manifest.v1+prettyjws"),
            ContentInvalid,
            "schema 1",
        ),
        (
            answers(b"{}", Content_Type="application/json"),
            ContentInvalid,
            "schemaVersion|mediaType",
        ),
        (answers(Content_Encoding="gzip"), ContentInvalid, "encoding"),
        (answers(b" " * (MANIFEST_LIMIT + 1)), ContentInvalid, "more than"),
        (
            Answer(200, {"Content-Type": TYPE}, [b" " * (1 << 20)] * 6),
            ContentInvalid,
            "more than",
        ),
        (refuses(404, "MANIFEST_UNKNOWN", "not here"), ContentMissing, "not here"),
        (refuses(403, "DENIED", "not for you"), AccessDenied, "denied: not for you"),
        (refuses(401, "UNAUTHORIZED", "who?"), AccessDenied, "who"),
        (refuses(418, "TEAPOT", "short and stout"), RemoteError, "418: teapot"),
        (refuses(500, "UNKNOWN", "oops"), Unavailable, "500"),
        (Answer(503), Unavailable, "503"),
        (
            refuses(301, "MOVED", "away", Location="/v2/library/app/manifests/v1"),
            RemoteError,
            "redirects",
        ),
    ],
)
def test_what_else_a_registry_may_answer(
    answer: Answer, error: type[RemoteError], words: str
) -> None:
    with FaultProxy() as server:
        server.always(answer)
        with pytest.raises(error, match=words) as caught:
            manifest(server)
        assert type(caught.value) is error


def test_a_manifest_of_a_vague_type_says_itself_what_it_is() -> None:
    with FaultProxy() as server:
        server.always(answers(Content_Type="text/plain; charset=utf-8"))
        assert manifest(server).media_type == TYPE
        assert head(server).media_type == TYPE


def test_too_many_requests_say_how_long_to_wait() -> None:
    with FaultProxy() as server:
        for given, seconds in (("7", 7.0), ("", 60.0)):
            server.always(refuses(429, "TOOMANYREQUESTS", "slow down", Retry_After=given))
            with pytest.raises(RateLimited, match="slow down") as caught:
                manifest(server)
            assert caught.value.retry_after == seconds
        assert server.count("manifest") == 2  # it is not asked again at once


@pytest.mark.parametrize("fault", [Cut(), Answer(502), Answer(503)])
def test_what_fails_for_a_moment_is_asked_again(fault: Fault) -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.when(asks("manifest"), fault, times=2)
        assert manifest(server).digest == IMAGE.digest
        assert server.count("manifest") == 3


def test_what_goes_on_failing_is_not_asked_for_ever() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.when(asks("manifest"), Answer(503))
        with pytest.raises(Unavailable):
            manifest(server)
        assert server.count("manifest") == 3


def test_a_registry_that_hangs_is_given_up() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.when(asks("manifest"), Hang())
        with pytest.raises(Unavailable, match="no answer in time"):
            manifest(server)


@pytest.mark.parametrize("status", [404, 401, 200])
def test_a_web_server_is_told_apart_from_a_registry_without_the_image(status: int) -> None:
    page = {"Content-Type": "text/html"}
    with FaultProxy() as server:
        server.always(Answer(404, page, b"<html>nothing here</html>"))
        server.when(lambda each: each.path == "/v2/", Answer(status, page, b"<html>"))
        with pytest.raises(NoRegistry if status != 401 else RemoteError):
            head(server)


def test_a_registry_that_answers_without_its_headers_is_one_nevertheless() -> None:
    with FaultProxy() as server:
        server.when(lambda each: each.path == "/v2/", Answer(200, body=b"{}"))
        with pytest.raises(ContentMissing):
            head(server)


def test_a_registry_without_tls_has_to_be_allowed() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))

        async def scenario(gateway: Gateway) -> Found:
            return await gateway.registries().head(location(server.address), "v1")

        with pytest.raises(InsecureOnly, match="speaks no TLS"):
            with_gateway(scenario)
        assert server.count("manifest") == 0


@pytest.mark.parametrize(
    ("host", "repository", "reference"),
    [
        ("h", "../../v3", "v1"),
        ("h", "a//b", "v1"),
        ("h", "a?b", "v1"),
        ("h", "A", "v1"),
        ("h", "", "v1"),
        ("h", "a" * 300, "v1"),
        ("h/x", "a", "v1"),
        ("ann:pw@h", "a", "v1"),
        ("h#", "a", "v1"),
        ("", "a", "v1"),
        ("h", "a", "../blobs/x"),
        ("h", "a", "v1?x"),
        ("h", "a", "sha256:short"),
        ("h", "a", ""),
    ],
)
def test_what_is_no_image_of_a_registry_is_not_asked_for(
    host: str, repository: str, reference: str
) -> None:
    async def scenario(gateway: Gateway) -> None:
        registries = gateway.registries(insecure=True)
        for call in (registries.head, registries.manifest):
            with pytest.raises(RemoteError, match=r"is no |neither|more than"):
                await call(Location(host, repository), reference)

    with_gateway(scenario)


def test_a_deeply_nested_manifest_is_no_trouble() -> None:
    deep = b'{"schemaVersion": 2, "mediaType": ' + b"[" * 100_000
    with FaultProxy() as server:
        server.always(answers(deep, Content_Type="application/json"))
        with pytest.raises(ContentInvalid):
            manifest(server)


def test_words_of_a_registry_are_shown_short_and_on_one_line() -> None:
    body = json.dumps(
        {"errors": [{"code": "X", "message": "a\r\nb\x1b[31m" + "c" * 5000}]}
    ).encode()
    with FaultProxy() as server:
        server.always(Answer(403, {}, body))
        with pytest.raises(AccessDenied) as caught:
            manifest(server)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500


def test_a_head_that_is_denied_is_asked_by_get_for_the_reason() -> None:
    def choose(each: Ask) -> Answer:
        return Answer(401) if each.method == "HEAD" else refuses(401, "UNAUTHORIZED", "expired")

    with FaultProxy() as server:
        server.always(choose)
        with pytest.raises(AccessDenied, match="expired"):
            head(server)


def test_a_tag_that_only_get_tells_is_asked_for_by_what_it_was() -> None:
    current = [IMAGE]

    def choose(each: Ask) -> Answer:
        image = current[0]
        if each.method == "HEAD":
            return Answer(405)
        if each.headers.get("if-none-match") == f'"{image.digest}"':
            return Answer(304, {"ETag": f'"{image.digest}"'})
        return answers(image.manifest.data, ETag=f'"{image.digest}"')

    with FaultProxy() as server:
        server.always(choose)

        async def scenario(gateway: Gateway) -> None:
            registries, here = gateway.registries(insecure=True), location(server.address)
            for _ in range(3):
                assert (await registries.head(here, "v1")).digest == IMAGE.digest
            current[0] = OTHER
            for _ in range(2):
                assert (await registries.head(here, "v1")).digest == OTHER.digest
            assert (await registries.manifest(here, "v1")).content == OTHER.manifest.data

        with_gateway(scenario)
        assert server.sent("manifest") == len(MANIFEST) + 2 * len(OTHER.manifest.data)


def test_nothing_new_is_no_answer_to_who_knows_nothing() -> None:
    with FaultProxy() as server:
        server.when(asks("manifest", "HEAD"), Answer(405))
        server.when(asks("manifest", "GET"), Answer(304, {"ETag": '"x"'}))
        with pytest.raises(RemoteError, match="304"):
            head(server)
