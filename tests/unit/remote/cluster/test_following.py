"""Lists and watches as a cluster answers them; the answers are written down, not computed here."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tidegate.remote.cluster import watching
from tidegate.remote.cluster.access import ClusterAccess, Token
from tidegate.remote.cluster.client import ClusterClient, Path
from tidegate.remote.cluster.errors import (
    ClusterRefused,
    ClusterUnavailable,
    ObjectConflict,
    ObjectMissing,
)
from tidegate.remote.cluster.watching import Follower, lines

PODS = Path.of("", "v1", "pods")


class Ended(Exception):
    """The script of a test is over."""


class Script:
    """Answers one request after the other, and keeps what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []
        self.over = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(dict(request.url.params))
        if not self.answers:
            self.over.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)


class Told:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def begin(self) -> None:
        self.words.append("begin")

    def present(self, body: bytes) -> None:
        self.words.append(json.loads(body)["metadata"]["name"])

    def complete(self) -> None:
        self.words.append("complete")

    def gone(self, body: bytes) -> None:
        self.words.append("-" + json.loads(body)["metadata"]["name"])


def pod(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


def page(version: str, *pods: dict[str, Any], token: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version, "continue": token}, "items": list(pods)}


def watched(*events: tuple[str, dict[str, Any]], end: str = "") -> httpx.Response:
    text = "".join(json.dumps({"type": kind, "object": body}) + "\n" for kind, body in events)
    return httpx.Response(200, content=(text + end).encode())


def status(code: int, message: str = "because") -> dict[str, Any]:
    return {"kind": "Status", "code": code, "message": message}


def refused(code: int) -> httpx.Response:
    return httpx.Response(code, json=status(code))


def client_of(answer: Callable[..., Any], **access: Any) -> ClusterClient:
    return ClusterClient(
        ClusterAccess("https://cluster", **access), transport=httpx.MockTransport(answer)
    )


def follow(
    monkeypatch: pytest.MonkeyPatch, *answers: Any, optional: bool = False
) -> tuple[list[str], list[dict[str, str]]]:
    """What a listener is told, and what was asked, until the answers are used up."""
    monkeypatch.setattr(watching, "PAUSES", (0.0,))
    monkeypatch.setattr(watching, "MISSING_SECONDS", 0.0)

    async def run() -> tuple[list[str], list[dict[str, str]]]:
        script, told = Script(*answers), Told()
        client = client_of(script)
        task = asyncio.ensure_future(Follower(client, PODS, told, optional=optional).run())
        await asyncio.wait_for(script.over.wait(), 10)
        task.cancel()
        await asyncio.wait({task})
        await client.close()
        return told.words, script.asked

    return asyncio.run(run())


def test_pages_are_listed_and_watched_from_where_the_list_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, asked = follow(
        monkeypatch,
        page("10", pod("a", "3"), token="next"),
        page("10", pod("b", "4")),
        watched(
            ("ADDED", pod("c", "11")),
            ("MODIFIED", pod("a", "12")),
            ("BOOKMARK", {"metadata": {"resourceVersion": "20"}}),
            ("DELETED", pod("b", "21")),
        ),
        watched(),
    )
    assert words == ["begin", "a", "b", "complete", "c", "a", "-b"]
    assert asked[1]["continue"] == "next"
    assert [each.get("resourceVersion") for each in asked[2:]] == ["10", "21", "21"]
    assert {each["allowWatchBookmarks"] for each in asked[2:]} == {"true"}


def test_a_bookmark_moves_the_version_on(monkeypatch: pytest.MonkeyPatch) -> None:
    _, asked = follow(
        monkeypatch, page("10"), watched(("BOOKMARK", {"metadata": {"resourceVersion": "20"}}))
    )
    assert asked[-1]["resourceVersion"] == "20"


@pytest.mark.parametrize(
    "expired", [watched(("ERROR", status(410))), httpx.Response(410, json=status(410))]
)
def test_a_version_that_is_forgotten_is_a_reason_to_list(
    monkeypatch: pytest.MonkeyPatch, expired: httpx.Response
) -> None:
    words, _ = follow(monkeypatch, page("10", pod("a", "1")), expired, page("30", pod("b", "29")))
    assert words == ["begin", "a", "complete", "begin", "b", "complete"]


def test_a_watch_that_breaks_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    words, asked = follow(
        monkeypatch,
        page("10"),
        httpx.ConnectError("refused"),
        refused(503),
        watched(("ADDED", pod("a", "11"))),
        httpx.ReadError("cut"),
        refused(401),
        watched(("ADDED", pod("b", "12"))),
    )
    assert words == ["begin", "complete", "a", "b"]
    assert [each["resourceVersion"] for each in asked[1:]] == [
        "10",
        "10",
        "10",
        "11",
        "11",
        "11",
        "12",
    ]


@pytest.mark.parametrize(
    "broken",
    [
        watched(end='{"type": "ADDED", "obj'),
        watched(end="<html>\n"),
        watched(end='{"type": "ADDED"}\n'),
        watched(("ERROR", status(500))),
        httpx.Response(403, json=status(403)),
        httpx.Response(200, content=b"\xff\xfe\n"),
    ],
)
def test_nonsense_is_survived(monkeypatch: pytest.MonkeyPatch, broken: httpx.Response) -> None:
    good = watched(("ADDED", pod("a", "11")))
    words, _ = follow(monkeypatch, page("10"), broken, page("10"), good, good)
    assert words[-1] == "a"


def test_a_kind_that_the_cluster_does_not_have_has_no_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, _ = follow(monkeypatch, refused(404), refused(404), page("10", pod("a", "1")))
    assert [each for each in words if each != "begin"] == ["complete", "complete", "a", "complete"]


def test_of_a_kind_that_we_may_do_without_and_not_read_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, _ = follow(monkeypatch, refused(403), page("10", pod("a", "1")), optional=True)
    assert words == ["begin", "begin", "complete", "begin", "a", "complete"]
    words, _ = follow(monkeypatch, refused(403), page("10", pod("a", "1")))
    assert words == ["begin", "begin", "a", "complete"]


def test_a_list_that_breaks_in_the_middle_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    words, _ = follow(
        monkeypatch,
        page("10", pod("a", "1"), token="next"),
        refused(410),  # the token is too old
        page("20", pod("b", "1")),
    )
    assert words == ["begin", "a", "begin", "b", "complete"]


def test_lines_are_put_together_of_pieces_however_they_are_cut() -> None:
    async def pieces(text: bytes, size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(text), size):
            yield text[start : start + size]

    async def read(size: int) -> list[bytes]:
        text = b'{"a": 1}\n\n{"b": 2}\n{"unfinished'
        return [each async for each in lines(pieces(text, size))]

    for size in (1, 2, 3, 7, 1000):
        assert asyncio.run(read(size)) == [b'{"a": 1}', b'{"b": 2}']


def test_a_line_without_an_end_is_given_up() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024 * 1024

    async def read() -> None:
        async for _ in lines(endless()):
            pass

    with pytest.raises(ClusterRefused, match="larger than any object"):
        asyncio.run(read())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(404), ObjectMissing),
        (refused(409), ObjectConflict),
        (refused(403), ClusterRefused),
        (refused(422), ClusterRefused),
        (refused(429), ClusterUnavailable),
        (refused(500), ClusterUnavailable),
        (httpx.Response(302, headers={"location": "https://elsewhere"}), ClusterRefused),
        (httpx.Response(502, text="<html>"), ClusterUnavailable),
        (httpx.ConnectTimeout("late"), ClusterUnavailable),
    ],
)
def test_an_answer_that_is_none_is_one_of_our_errors(answer: Any, kind: type[Exception]) -> None:
    async def run() -> None:
        client = client_of(Script(answer))
        try:
            await client.get(PODS)
        finally:
            await client.close()

    with pytest.raises(kind) as caught:
        asyncio.run(run())
    assert type(caught.value) is kind


def test_requests_carry_the_token_of_the_moment_and_a_patch_its_type() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    async def run() -> None:
        client = client_of(answer, token=Token("secret"))
        path = Path.of("apps", "v1", "deployments", "a b", "c/d", "status")
        await client.patch(path, [{"op": "add"}], {"fieldManager": "me"})
        await client.close()

    asyncio.run(run())
    (request,) = seen
    assert request.url.raw_path == (
        b"/apis/apps/v1/namespaces/a%20b/deployments/c%2Fd/status?fieldManager=me"
    )
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["content-type"] == "application/json-patch+json"
