"""Watches whose right is taken away while they go on."""

import asyncio
from typing import Any

import pytest

from tests.unit.apimachinery.http.in_process import Api, Stream
from tidegate.apimachinery.errors import Unauthorized
from tidegate.apimachinery.http import guarded_watch

WATCH = "/api/v1/namespaces/ns/secrets?watch=1&timeoutSeconds=86400"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_watch, "ASKED_EVERY", 0.01)


def test_a_watch_ends_when_the_right_to_it_does(api: Api) -> None:
    api.rights.grant("ann", "watch", "secrets", "ns")

    async def watched() -> dict[str, Any]:
        stream = Stream(api.application, WATCH, user="ann")
        assert (await stream.head())["status"] == 200
        await asyncio.sleep(0.05)
        assert not stream.task.done()
        api.rights.granted.clear()
        event = await stream.event()
        await stream.task
        return event

    event = api.run(watched())
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (403, "Forbidden")


def test_a_watch_ends_when_the_login_does(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def revoked(_headers: object, _client: str) -> None:
        raise Unauthorized

    async def watched() -> dict[str, Any]:
        stream = Stream(api.application, WATCH)
        await stream.head()
        monkeypatch.setattr(api.application, "_authenticate", revoked)
        event = await stream.event()
        await stream.task
        return event

    event = api.run(watched())
    assert (event["type"], event["object"]["code"]) == ("ERROR", 401)


def test_a_watch_outlives_a_moment_in_which_nobody_can_say(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(Exception):
        pass

    async def away(_headers: object, _client: str) -> None:
        raise Away

    async def watched() -> bool:
        stream = Stream(api.application, WATCH)
        await stream.head()
        monkeypatch.setattr(api.application, "_passing", (Away,))
        monkeypatch.setattr(api.application, "_authenticate", away)
        await asyncio.sleep(0.05)
        done = stream.task.done()
        stream.leave()
        await stream.task
        return done

    assert not api.run(watched())
