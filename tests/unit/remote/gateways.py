"""A gateway for a test, and servers that answer as the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from tests.faults import Answer, Ask, Choice
from tests.images import Content, Pushable
from tidegate.oci.digest import Digest
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.budgets import Budgets, NoBudgets
from tidegate.remote.credentials import Keyring
from tidegate.remote.deadlines import Deadlines
from tidegate.remote.gateway import Gateway
from tidegate.remote.http.network import Network, SystemNames
from tidegate.remote.location import Location
from tidegate.remote.rules import RegistryRules

T = TypeVar("T")

IMPATIENT = Deadlines(connect=5.0, answer=0.5, stall=0.5, small=(5.0, 5.0, 5.0), pause=0.01)
"""Short where a test lets a server hang."""

QUICK = Deadlines(pause=0.01)

REGISTRY = {"Docker-Distribution-Api-Version": "registry/2.0"}

HERE = AddressPolicy(networks=["127.0.0.0/8"])


class Names:
    """A resolver: what a name stands for, each time one after the other; the last stays."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answers = self._answers.get(host)
        if answers is None:
            return await SystemNames()(host, port)
        return list(answers.pop(0) if len(answers) > 1 else answers[0])


def with_gateway(
    scenario: Callable[[Gateway], Awaitable[T]],
    *,
    rules: RegistryRules | None = None,
    addresses: AddressPolicy = HERE,
    budgets: Budgets | None = None,
    names: Names | None = None,
    deadlines: Deadlines = QUICK,
) -> T:
    """What a scenario gives with a gateway of its own."""

    async def run() -> T:
        gateway = Gateway(
            lambda: rules or RegistryRules(),
            addresses,
            budgets or NoBudgets(),
            network=Network(addresses, names),
            deadlines=deadlines,
        )
        try:
            return await scenario(gateway)
        finally:
            await gateway.close()

    return asyncio.run(run())


def location(address: str, repository: str = "library/app") -> Location:
    return Location(address, repository)


def keyring(address: str, username: str = "ann", password: str = "secret") -> Keyring:
    entry = {"username": username, "password": password}
    return Keyring.of([json.dumps({"auths": {address: entry}}).encode()])


def serves(*images: Pushable, tag: str = "v1", blobs: Sequence[Content] = ()) -> Choice:
    """A registry of these images, the first one tagged; HEAD as GET."""
    manifests = {each.digest: each.manifest for each in images}
    if images:
        manifests[tag] = images[0].manifest
    contents = {each.digest: each for image in images for each in image.blobs}
    contents |= {each.digest: each for each in blobs}

    def choose(ask: Ask) -> Answer:
        known = manifests if ask.kind == "manifest" else contents if ask.kind == "blob" else {}
        found = known.get(ask.reference)
        if found is None:
            code = "MANIFEST_UNKNOWN" if ask.kind == "manifest" else "NAME_UNKNOWN"
            return refuses(404, code, "unknown here")
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": found.digest}
        return Answer(
            200, {**REGISTRY, **headers, "Content-Length": str(len(found.data))}, found.data
        )

    return choose


def refuses(status: int, code: str, message: str, **headers: str) -> Answer:
    """An error in the form of registries."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    kind = {"Content-Type": "application/json"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {**REGISTRY, **kind, **named}, body)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """The address of a server that treats each connection so, until it is left."""
    tasks = set[asyncio.Task[None]]()

    async def treat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
            writer.close()
        except (OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()

    server = await asyncio.start_server(treat, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def digest_of(content: bytes) -> Digest:
    return Digest.of(content)
