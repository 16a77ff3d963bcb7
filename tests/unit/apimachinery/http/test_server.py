"""A watch through a real server: events arrive as they happen, and leaving is noticed."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest
import uvicorn

from tests.unit.apimachinery.http.in_process import Api
from tidegate.wire.limits import Limits
from tidegate.wire.protocol import protocol_factory

SECRETS = "/api/v1/namespaces/ns/secrets"


@contextlib.contextmanager
def serving(api: Api) -> Iterator[httpx.Client]:
    """A client of the application behind a real server in another thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    with ThreadPoolExecutor(2) as threads:
        config = uvicorn.Config(
            api.application,
            http=protocol_factory(Limits(), threads, None),  # type: ignore[arg-type]
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            headers = {"authorization": "Bearer root"}
            with httpx.Client(base_url=base, headers=headers, timeout=20) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with serving(api) as found:
        yield found


def test_events_arrive_while_the_watch_goes_on(client: httpx.Client) -> None:
    with client.stream("GET", f"{SECRETS}?watch=true&timeoutSeconds=20") as watch:
        assert watch.status_code == 200
        assert watch.headers["transfer-encoding"] == "chunked"
        lines = watch.iter_lines()
        seen = []
        for name in ("a", "b"):
            client.post(SECRETS, json={"metadata": {"name": name}}).raise_for_status()
            event = msgspec.json.decode(next(lines))
            seen.append((event["type"], event["object"]["metadata"]["name"]))
    assert seen == [("ADDED", "a"), ("ADDED", "b")]


def test_a_watch_ends_when_its_time_is_up(client: httpx.Client) -> None:
    assert client.get(f"{SECRETS}?watch=true&timeoutSeconds=1").text == ""


def test_a_watch_of_a_client_that_left_is_closed(api: Api, client: httpx.Client) -> None:
    with client.stream("GET", f"{SECRETS}?watch=true"):
        assert api.store.watchers == 1
    end = time.monotonic() + 15
    while api.store.watchers:
        assert time.monotonic() < end, "the watch goes on"
        time.sleep(0.01)
