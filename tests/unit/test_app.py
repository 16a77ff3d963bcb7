"""The assembled application, as a worker runs it, without a socket."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import PASSWORD, USERNAME
from tidegate.app.assembly import assemble
from tidegate.app.front import Application
from tidegate.auth.administrator import change_password
from tidegate.auth.passwords import PasswordHashes
from tidegate.cli.setup import prepare
from tidegate.config import Settings, load

REPOSITORY = "shop/web"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a prepared data directory."""
    flags = {
        "data": tmp_path / "data",
        "admin_password": PASSWORD,
        "upload_expiry": 0.2,
        "purge_interval": 0.05,
    }
    settings = load(flags, environment={}).settings
    settings.data.mkdir()
    assert asyncio.run(prepare(settings)) is None
    return settings


def client_of(application: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(application),
        base_url="http://registry.test",
        auth=(USERNAME, PASSWORD),
    )


def test_the_health_endpoints_answer_without_credentials(settings: Settings) -> None:
    async def look() -> None:
        async with assemble(settings) as application, client_of(application) as client:
            for path in ("/healthz", "/livez", "/readyz", "/"):
                answer = await client.get(path, auth=None)
                assert (answer.status_code, answer.text) == (200, "ok")
            assert (await client.get("/nothing", auth=None)).status_code == 404

    asyncio.run(look())


def test_while_draining_new_requests_are_503_and_running_ones_end(settings: Settings) -> None:
    async def look() -> None:
        async with assemble(settings) as application, client_of(application) as client:
            held = asyncio.Event()

            async def body() -> Any:
                yield b"first"
                held.set()
                await asyncio.sleep(0)
                while not application.draining:  # noqa: ASYNC110  what is tested has no event
                    await asyncio.sleep(0)
                yield b"last"

            location = (await client.post(f"/v2/{REPOSITORY}/blobs/uploads/")).headers["location"]
            running = asyncio.create_task(client.patch(location, content=body()))
            await held.wait()
            draining = asyncio.create_task(application.drain(30.0))
            await asyncio.sleep(0)
            refused = await client.get("/v2/")
            assert refused.status_code == 503
            assert refused.headers["connection"] == "close"
            assert (await client.get("/readyz")).status_code == 503
            assert (await running).status_code == 202
            await draining

    asyncio.run(look())


def test_a_drain_ends_at_its_bound_although_a_request_does_not(settings: Settings) -> None:
    async def look() -> None:
        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        async with assemble(settings) as application:
            stuck = Application(never, never, {}, application.database, ())
            request = asyncio.create_task(
                stuck({"path": "/v2/", "headers": [], "method": "GET"}, _no_body, _ignore)
            )
            await asyncio.sleep(0)
            await stuck.drain(0.01)
            request.cancel()

    asyncio.run(look())


def test_expired_uploads_are_purged_while_serving(settings: Settings) -> None:
    async def look() -> None:
        async with assemble(settings) as application, client_of(application) as client:
            answer = await client.post(f"/v2/{REPOSITORY}/blobs/uploads/")
            location = answer.headers["location"]
            await client.patch(location, content=b"stale")
            deadline = time.monotonic() + 30
            while (await client.get(location)).status_code != 404:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            assert [path for path in (settings.data / "uploads").rglob("*") if path.is_file()] == []

    asyncio.run(look())


def test_a_new_password_voids_the_old_one_and_its_tokens(settings: Settings) -> None:
    async def look() -> None:
        async with assemble(settings) as application, client_of(application) as client:
            assert (await client.get("/v2/")).status_code == 200
            token = (await client.get("/openshift/token")).json()["token"]
            bearer = {"Authorization": f"Bearer {token}"}
            assert (await client.get("/v2/", auth=None, headers=bearer)).status_code == 200
            hashes = PasswordHashes()
            changed = await change_password(
                application.database, hashes, USERNAME, "another-password", time.time()
            )
            assert changed
            assert (await client.get("/v2/")).status_code == 401
            assert (await client.get("/v2/", auth=(USERNAME, "another-password"))).is_success
            deadline = time.monotonic() + 30
            while (await client.get("/v2/", auth=None, headers=bearer)).status_code != 401:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            assert not await change_password(
                application.database, hashes, "nobody", "another-password", time.time()
            )
            hashes.close()

    asyncio.run(look())


def test_an_answer_carries_the_id_of_its_request(settings: Settings) -> None:
    async def look() -> None:
        async with assemble(settings) as application, client_of(application) as client:
            given = await client.get("/v2/", headers={"X-Request-ID": "mine-1"})
            assert given.headers["x-request-id"] == "mine-1"
            made = await client.get("/v2/", headers={"X-Request-ID": "not\tmine"})
            assert len(made.headers["x-request-id"]) == 32

    asyncio.run(look())


async def _no_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b""}


async def _ignore(_message: dict[str, Any]) -> None:
    return None
