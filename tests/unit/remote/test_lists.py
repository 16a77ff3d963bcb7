"""Tags and referrers: lists that may have many pages, or never end."""

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Ask, asks, endless_tags
from tests.images import artifact, small_image
from tests.unit.remote.gateways import REGISTRY, location, refuses, serves, with_gateway
from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.remote.errors import AccessDenied, ContentInvalid, ContentMissing, RemoteError
from tidegate.remote.gateway import Gateway
from tidegate.remote.referrers import fallback_tag

IMAGE = small_image("one")
SUBJECT = Digest(IMAGE.digest)
SIGNATURES = [artifact("application/x", f"{n}".encode(), subject=IMAGE) for n in range(3)]


def tags(address: str) -> list[str]:
    async def scenario(gateway: Gateway) -> list[str]:
        return await gateway.registries(insecure=True).tags(location(address))

    return with_gateway(scenario)


def referrers(address: str) -> list[str]:
    async def scenario(gateway: Gateway) -> list[str]:
        registries = gateway.registries(insecure=True)
        return [each.digest for each in await registries.referrers(location(address), SUBJECT)]

    return with_gateway(scenario)


def page(names: object, link: str = "") -> Answer:
    body = json.dumps({"name": "library/app", "tags": names}).encode()
    return Answer(200, {**REGISTRY, **({"Link": link} if link else {})}, body)


def paged(
    *pages: list[str], link: str = '</v2/library/app/tags/list?page={n}>; rel="next"'
) -> Callable[[Ask], Answer]:
    def choose(ask: Ask) -> Answer:
        number = int(parse_qs(urlsplit(ask.target).query).get("page", ["0"])[0])
        more = number + 1 < len(pages)
        return page(pages[number], link.format(n=number + 1) if more else "")

    return choose


@pytest.mark.parametrize(
    "link",
    [
        '</v2/library/app/tags/list?page={n}>; rel="next"',
        "<list?page={n}>; rel=next",
        "<?page={n}>;rel='x';rel=\"next\"",
        '<http://other.example/>; rel="prev", </v2/library/app/tags/list?page={n}>; rel="next"',
    ],
)
def test_all_pages_of_tags_are_read(link: str) -> None:
    with FaultProxy() as server:
        server.always(paged(["c", "a"], ["b", "a"], ["d"], link=link))
        assert tags(server.address) == ["c", "a", "b", "d"]
        assert server.count("tags") == 3


def test_what_is_no_tag_is_left_out() -> None:
    with FaultProxy() as server:
        server.always(page(["v1", "", "-x", "a/b", "a b", 5, None, "x" * 129, "ok"]))
        assert tags(server.address) == ["v1", "ok"]
        server.always(page(None))
        assert tags(server.address) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (endless_tags, "does not end|more than"),
        (page(["a"], '</v2/library/app/tags/list?same>; rel="next"'), "does not end"),
        (page(["a"], '<http://other.example/v2/x>; rel="next"'), "another server"),
        (page(["a"], '<//127.0.0.1:1/v2/x>; rel="next"'), "another server"),
        (page([f"t{n}" for n in range(100_001)]), "more than 100000"),
        (page("tags"), "no list"),
        (Answer(200, REGISTRY, b"[]"), "no JSON"),
        (Answer(200, REGISTRY, b"[" * 100_000), "no JSON"),
        (Answer(200, REGISTRY, [b" " * (1 << 20)] * 40), "more than"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(
    answer: Answer | Callable[[Ask], Answer | None], words: str
) -> None:
    with FaultProxy() as server:
        server.always(answer)
        with pytest.raises(ContentInvalid, match=words):
            tags(server.address)
        assert server.count("tags") <= 1001


def test_a_repository_that_is_missing_or_closed_says_so() -> None:
    with FaultProxy() as server:
        server.always(refuses(404, "NAME_UNKNOWN", "no such repository"))
        with pytest.raises(ContentMissing, match="no such repository"):
            tags(server.address)
        server.always(refuses(403, "DENIED", "not yours"))
        with pytest.raises(AccessDenied, match="not yours"):
            tags(server.address)


def referring(*digests: str, link: str = "") -> Answer:
    entries = [{"mediaType": mediatype.OCI_MANIFEST, "digest": each, "size": 5} for each in digests]
    document = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": entries}
    headers = {**REGISTRY, "Content-Type": mediatype.OCI_INDEX, **({"Link": link} if link else {})}
    return Answer(200, headers, json.dumps(document).encode())


def test_referrers_are_listed_by_their_registry() -> None:
    first, second, third = (each.digest for each in SIGNATURES)
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        assert referrers(server.address) == []
        server.when(asks("referrers"), referring(second, third))
        server.when(asks("referrers", last=2), referring(first, link='<?page=2>; rel="next"'))
        assert referrers(server.address) == [first, second, third]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(405),
        Answer(400),
        refuses(404, "NAME_UNKNOWN", "no such thing"),
        Answer(200, {"Content-Type": "text/html"}, b"<html>"),
    ],
)
def test_where_a_registry_lists_none_the_tag_of_its_clients_does(answer: Answer) -> None:
    digests = [each.digest for each in SIGNATURES]
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.when(lambda ask: ask.path == "/v2/", Answer(200))
        server.when(asks("referrers"), answer)
        assert referrers(server.address) == []
        tag = fallback_tag(SUBJECT)
        server.when(lambda ask: ask.reference == tag, referring(*digests))
        assert referrers(server.address) == digests
        server.when(lambda ask: ask.reference == tag, serves(IMAGE, tag=tag))
        assert referrers(server.address) == []  # somebody's tag, no list


def test_referrers_without_end_or_sense_are_refused() -> None:
    many = [f"sha256:{number:064x}" for number in range(1001)]
    with FaultProxy() as server:
        for answer in (
            referring(*many),
            referring("sha256:short"),
            referring(SUBJECT, link="<?same>; rel=next"),
        ):
            server.always(answer)
            with pytest.raises(RemoteError):
                referrers(server.address)


def test_the_fallback_tag_is_what_clients_call_it() -> None:
    assert fallback_tag(Digest(f"sha256:{'a' * 64}")) == f"sha256-{'a' * 64}"
    assert fallback_tag(Digest(f"sha512:{'b' * 128}")) == f"sha512-{'b' * 64}"
