import asyncio
from collections.abc import Callable

import httpx
import pytest

from tidegate.remote.errors import RemoteError
from tidegate.remote.https import LIMIT, HttpsDocuments, check_url

Handler = Callable[[httpx.Request], httpx.Response]


def fetch(handler: Handler, url: str = "https://issuer.example/keys") -> bytes:
    async def scenario() -> bytes:
        documents = HttpsDocuments(transport=httpx.MockTransport(handler))
        try:
            return await documents.fetch(url)
        finally:
            await documents.close()

    return asyncio.run(scenario())


def test_a_document_is_fetched_by_a_client_that_says_who_it_is() -> None:
    seen: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"{}")

    assert fetch(serve) == b"{}"
    [request] = seen
    assert request.headers["user-agent"].startswith("tidegate/")
    assert "authorization" not in request.headers


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 500, 503])
def test_anything_but_a_document_is_a_failure(status: int) -> None:
    with pytest.raises(RemoteError, match=str(status)):
        fetch(lambda _: httpx.Response(status, content=b"{}"))


def test_too_much_is_not_taken_in() -> None:
    assert len(fetch(lambda _: httpx.Response(200, content=b" " * LIMIT))) == LIMIT
    with pytest.raises(RemoteError, match="more than"):
        fetch(lambda _: httpx.Response(200, content=b" " * (LIMIT + 1)))


def test_a_redirect_on_the_same_host_is_followed() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/keys":
            return httpx.Response(302, headers={"location": "/v2/keys"})
        return httpx.Response(200, content=request.url.path.encode())

    assert fetch(serve) == b"/v2/keys"


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/keys",
        "https://issuer.example:8443/keys",
        "http://issuer.example/keys",
        "http://127.0.0.1/keys",
        "//evil.example/keys",
        "file:///etc/passwd",
    ],
)
def test_a_redirect_anywhere_else_is_not(location: str) -> None:
    asked: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"location": location})

    with pytest.raises(RemoteError):
        fetch(serve)
    assert asked == ["https://issuer.example/keys"]


def test_redirects_in_a_circle_end() -> None:
    with pytest.raises(RemoteError, match="redirects"):
        fetch(lambda _: httpx.Response(302, headers={"location": "/keys"}))


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_a_host_that_does_not_answer_is_a_failure_that_names_the_address(
    failure: httpx.HTTPError,
) -> None:
    def serve(_: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(RemoteError, match=r"issuer\.example"):
        fetch(serve)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/keys",
        "ftp://issuer.example/keys",
        "file:///etc/passwd",
        "https:///keys",
        "https://user:password@issuer.example/keys",
        "https://issuer.example:port/keys",
        "https://[::1/keys",
        "keys",
        "",
    ],
)
def test_nothing_is_fetched_from_elsewhere_than_https(url: str) -> None:
    with pytest.raises(RemoteError):
        check_url(url)


@pytest.mark.parametrize("url", ["https://x", "http://127.0.0.1:8080/x", "http://localhost/x"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    check_url(url)
