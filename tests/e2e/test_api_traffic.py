"""Many clients write and watch at once: what each watcher saw, replayed, is exactly what is there.

Two worker processes serve, so that a watcher mostly sees what the other process committed.
"""

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance import postgresql
from tests.kube_client import CORE, PROJECTS, KubeClient, log_in, project
from tests.server import Server, serving, wait_until

WRITERS, WATCHERS, OPERATIONS = 6, 8, 60
NAMESPACES = ("left", "right")
NAMES = [f"object-{number}" for number in range(12)]

Known = dict[tuple[str, str], tuple[str, Any]]
"""(namespace, name) -> (resourceVersion, data)."""


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "sqlite":
        with serving(Server(tmp_path / "data", workers=2)) as running:
            yield running
        return
    with (
        postgresql.server() as own,
        own.database() as url,
        serving(Server(tmp_path / "data", workers=2, settings={"database": url})) as running,
    ):
        yield running


class Watcher:
    """Lists, then watches from there, again and again over short watches, as an informer does."""

    def __init__(self, url: str, token: str, path: str, params: dict[str, str]) -> None:
        self._client = KubeClient(url, token)
        self._path, self._params = path, params
        self.known: Known = {}
        self.revision = 0
        self.faults: list[str] = []
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.thread.join(60)
        self._client.http.close()

    def _run(self) -> None:
        try:
            listed = self._client.read(self._path, **self._params)
            self.revision = int(listed["metadata"]["resourceVersion"])
            self.known = known(listed)
            while not self._stopping.is_set():
                self._watch()
        except (AssertionError, httpx.HTTPError, KeyError) as error:
            self.faults.append(repr(error))

    def _watch(self) -> None:
        params = {
            **self._params,
            "watch": "true",
            "resourceVersion": str(self.revision),
            "timeoutSeconds": "2",
            "allowWatchBookmarks": "true",
        }
        with self._client.http.stream("GET", self._path, params=params) as answer:
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        found = event["object"]
        revision = int(found["metadata"]["resourceVersion"])
        if revision < self.revision or (revision == self.revision and event["type"] != "BOOKMARK"):
            self.faults.append(f"{event['type']} {revision} after {self.revision}")
        self.revision = revision
        if event["type"] == "BOOKMARK":
            return
        key = (found["metadata"]["namespace"], found["metadata"]["name"])
        if (event["type"] == "ADDED") is (key in self.known):
            self.faults.append(f"{event['type']} of {key}, known: {key in self.known}")
        if event["type"] == "DELETED":
            self.known.pop(key, None)
        else:
            self.known[key] = (found["metadata"]["resourceVersion"], found.get("data"))


def known(listed: dict[str, Any]) -> Known:
    return {
        (each["metadata"]["namespace"], each["metadata"]["name"]): (
            each["metadata"]["resourceVersion"],
            each.get("data"),
        )
        for each in listed["items"]
    }


def write(url: str, token: str, seed: int, unexpected: list[str]) -> None:
    """Create, replace, patch, apply and delete at random; conflicts are part of it."""
    chance = random.Random(seed)
    with KubeClient(url, token) as client:
        for number in range(OPERATIONS):
            path = f"{CORE}/namespaces/{chance.choice(NAMESPACES)}/configmaps"
            name = chance.choice(NAMES)
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "labels": {"side": chance.choice("ab")}},
                "data": {f"key-{chance.randrange(3)}": f"{seed}-{number}"},
            }
            answer = one(chance, client, path, name, body, seed)
            if answer.status_code not in (200, 201, 404, 409):
                unexpected.append(f"{answer.request.method} {answer.status_code} {answer.text}")


def one(
    chance: random.Random,
    client: KubeClient,
    path: str,
    name: str,
    body: dict[str, Any],
    seed: int,
) -> httpx.Response:
    match chance.choice(("create", "create", "update", "merge", "strategic", "apply", "delete")):
        case "create":
            return client.post(path, body)
        case "update":
            current = client.get(f"{path}/{name}")
            if current.status_code != 200:
                return current
            wanted = current.json() | {"data": body["data"]}
            return client.put(f"{path}/{name}", wanted)
        case "merge":
            return client.patch(f"{path}/{name}", {"data": body["data"]})
        case "strategic":
            form = "application/strategic-merge-patch+json"
            labels = {"metadata": {"labels": body["metadata"]["labels"]}}
            return client.patch(f"{path}/{name}", labels, form)
        case "apply":
            form = "application/apply-patch+yaml"
            return client.patch(f"{path}/{name}", body, form, fieldManager=f"w{seed}", force="true")
    return client.delete(f"{path}/{name}")


def test_what_watchers_saw_is_what_is_there(server: Server) -> None:
    token = log_in(server.url)
    with KubeClient(server.url, token) as admin:
        for name in NAMESPACES:
            admin.make(f"{PROJECTS}/projectrequests", project(name))
        everything = f"{CORE}/configmaps"
        places: list[tuple[str, dict[str, str]]] = [
            (everything, {}),
            (f"{CORE}/namespaces/left/configmaps", {}),
            (everything, {"labelSelector": "side=a"}),
            (everything, {"fieldSelector": f"metadata.name={NAMES[0]}"}),
        ]
        watchers = [
            Watcher(server.url, token, *places[number % len(places)]) for number in range(WATCHERS)
        ]
        unexpected: list[str] = []
        writers = [
            threading.Thread(target=write, args=(server.url, token, seed, unexpected))
            for seed in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        late = [Watcher(server.url, token, *place) for place in places]
        for writer in writers:
            writer.join()
        assert not unexpected, unexpected[0]
        for watcher in (*watchers, *late):
            final = admin.read(watcher._path, **watcher._params)
            wait_until(
                lambda watcher=watcher, final=final: (  # type: ignore[misc]
                    watcher.faults or watcher.known == known(final)
                ),
                what="a watcher to see the final list",
            )
            watcher.stop()
            assert not watcher.faults, watcher.faults[:3]
            assert watcher.known == known(final)
        assert "Traceback" not in server.log, server.log
