"""What runs of the API find in the server: a login as `oc` makes it, and 10,000 ConfigMaps."""

import asyncio
import json
import re
import uuid
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import httpx

from tests.bench.servers import Tidegate
from tests.server import PASSWORD, USERNAME
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.metastore.documents import Documents
from tidegate.metastore.open import open_database

COUNT = 10_000
LISTED, WATCHED = "bench-listed", "bench-watched"
"""The namespace with all the ConfigMaps, and the one whose only ConfigMap is written."""

_CONTENT = {f"setting-{number}": "x" * 40 for number in range(10)}
_AT_ONCE = 500


class ApiRefused(Exception):
    """The API answered something else than the run expects."""


@dataclass
class Api:
    """One client of the API, who may do everything."""

    port: int
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def connect(self) -> HTTPConnection:
        """The standard library's client, which costs little beside the server."""
        return HTTPConnection("127.0.0.1", self.port, timeout=120)

    def send(
        self, connection: HTTPConnection, method: str, path: str, content: Any = None
    ) -> HTTPResponse:
        """One request on a kept connection, as far as the head of the answer, which is a success.

        A namespace or object that is there already is one, too.
        """
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {**self.headers, "Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status >= 400 and answer.status != 409:
            raise ApiRefused(f"{method} {path}: {answer.status} {answer.read()[:500]!r}")
        return answer

    def ask(self, method: str, path: str, content: Any = None) -> bytes:
        """One request on a connection of its own; the body of the answer."""
        connection = self.connect()
        try:
            return self.send(connection, method, path, content).read()
        finally:
            connection.close()


def path_of(namespace: str, name: str = "") -> str:
    """The path of a ConfigMap, or of all in a namespace."""
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def name_of(number: int) -> str:
    return f"settings-{number:05d}"


def config_map(namespace: str, name: str, serial: str = "") -> dict[str, Any]:
    """A ConfigMap of 600 bytes of values."""
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "bench"}},
        "data": {**_CONTENT, "serial": serial},
    }


def log_in(peer: Tidegate) -> Api:
    """A token as `oc login` gets one."""
    answer = httpx.get(
        f"{peer.url}/oauth/authorize",
        params={"client_id": "openshift-challenging-client", "response_type": "token"},
        headers={"X-CSRF-Token": "1"},
        auth=(USERNAME, PASSWORD),
        trust_env=False,
    )
    found = re.search(r"access_token=([^&]+)", answer.headers.get("location", ""))
    if found is None:
        raise ApiRefused(f"no token: {answer.status_code} {answer.text[:500]}")
    return Api(peer.port, found[1])


def fill(peer: Tidegate, api: Api) -> None:
    """Make the namespaces, and all the ConfigMaps after the pattern of one that the server made."""
    for namespace in (LISTED, WATCHED):
        made = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": namespace}}
        api.ask("POST", "/api/v1/namespaces", made)
        api.ask("POST", path_of(namespace), config_map(namespace, name_of(0)))
    pattern = json.loads(api.ask("GET", path_of(LISTED, name_of(0))))
    asyncio.run(_copy(peer.directory, pattern))


async def _copy(data: Path, pattern: dict[str, Any]) -> None:
    database = await open_database(f"sqlite:///{data / 'metadata.db'}")
    try:
        for start in range(1, COUNT, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, COUNT))

            def unit(tx: DocumentTransaction, numbers: range = numbers) -> None:
                for number in numbers:
                    _put(tx, name_of(number), pattern)

            await Documents(database).write(unit)
    finally:
        await database.close()


def _put(tx: DocumentTransaction, name: str, pattern: dict[str, Any]) -> None:
    uid = str(uuid.uuid4())

    def encode(revision: int) -> bytes:
        changed = {"name": name, "uid": uid, "resourceVersion": str(revision)}
        metadata = pattern["metadata"] | changed
        return json.dumps(pattern | {"metadata": metadata}, separators=(",", ":")).encode()

    tx.put(Key("configmaps", LISTED, name), uid, encode)
