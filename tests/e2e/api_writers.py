"""Clients that write objects while the server is being killed, and remember what it acknowledged.

Each has objects of its own, so that it knows what may be there: what the last answer said, or what
the one request makes of it that got no answer. Anything else is a loss.
"""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.kube_client import CORE, PROJECTS, KubeClient, project
from tests.server import Server

PATIENCE = 120.0  # seconds that a client keeps trying to reach a server that is being restarted

Content = str | None
"""What an object says; None where there is none."""


@dataclass
class Ledger:
    """What the server told one writer, and what it left open."""

    faults: list[str] = field(default_factory=list)
    interrupted: int = 0
    written: int = 0
    projects: list[str] = field(default_factory=list)  # acknowledged, and not deleted since
    doubtful: list[str] = field(default_factory=list)  # asked for without an answer
    deleted: list[str] = field(default_factory=list)  # whose deletion was acknowledged


class Writer(threading.Thread):
    """Creates, replaces, patches and deletes at random, `rounds` times."""

    def __init__(self, server: Server, token: str, namespace: str, seed: int, rounds: int) -> None:
        super().__init__()
        self._server = server
        self._client = KubeClient(server.url, token)
        self._path = f"{CORE}/namespaces/{namespace}/configmaps"
        self._seed, self._rounds = seed, rounds
        self._random = random.Random(seed)
        self._names = [f"w{seed}-{number}" for number in range(5)]
        self.possible: dict[str, set[Content]] = {name: {None} for name in self._names}
        self.ledger = Ledger()

    def run(self) -> None:
        try:
            for number in range(self._rounds):
                if number % 6 == 5:
                    self._project(f"p{self._seed}-{number}")
                else:
                    self._write(self._random.choice(self._names), f"{self._seed}-{number}")
        except Exception as error:  # noqa: BLE001  reported by the test
            self.ledger.faults.append(repr(error))

    def verify(self) -> None:
        """Every object says what it may say."""
        for name in self._names:
            self._read(name)
        self._client.http.close()

    def _write(self, name: str, text: str) -> None:
        (now,) = self.possible[name]
        body: dict[str, Any] = {"metadata": {"name": name}, "data": {"text": text}}
        then: Content
        if now is None:
            request, then = ("POST", self._path, body), text
        else:
            choice = self._random.choice(("PUT", "PATCH", "PATCH", "DELETE"))
            then = None if choice == "DELETE" else text
            request = (choice, f"{self._path}/{name}", body)
        self.possible[name] = {now, then}
        answer = self._ask(*request)
        if answer is None:
            self._wait_for_the_server()
            self._read(name)
        elif answer.status_code in (200, 201):
            self.possible[name] = {then}
            self.ledger.written += 1
        else:
            self.ledger.faults.append(f"{request} {answer.status_code} {answer.text}")

    def _read(self, name: str) -> None:
        while (answer := self._ask("GET", f"{self._path}/{name}", None)) is None:
            self._wait_for_the_server()
        found = answer.json()["data"]["text"] if answer.status_code == 200 else None
        if answer.status_code not in (200, 404) or found not in self.possible[name]:
            wanted = self.possible[name]
            self.ledger.faults.append(f"{name} is {found}, not {wanted}: {answer.status_code}")
        self.possible[name] = {found}

    def _project(self, name: str) -> None:
        answer = self._ask("POST", f"{PROJECTS}/projectrequests", project(name))
        if answer is None:
            self.ledger.doubtful.append(name)
            self._wait_for_the_server()
            return
        if answer.status_code != 201:
            self.ledger.faults.append(f"{name}: {answer.status_code} {answer.text}")
            return
        self.ledger.written += 1
        if self._random.random() < 0.5:
            self.ledger.projects.append(name)
            return
        content = {"metadata": {"name": "content", "finalizers": []}}
        self._ask("POST", f"{CORE}/namespaces/{name}/configmaps", content)
        answer = self._ask("DELETE", f"{PROJECTS}/projects/{name}", None)
        if answer is not None and answer.status_code == 200:
            self.ledger.deleted.append(name)
        else:
            self.ledger.doubtful.append(name)
            self._wait_for_the_server()

    def _ask(self, method: str, path: str, body: Any) -> httpx.Response | None:
        """The answer; None when none came, or one that says that it is not known."""
        form = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            answer = self._client.http.request(
                method, path, json=body, headers={"Content-Type": form}
            )
        except httpx.TransportError:
            self.ledger.interrupted += 1
            return None
        if answer.status_code == 503:
            self.ledger.interrupted += 1
            return None
        return answer

    def _wait_for_the_server(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._server.ready() and time.monotonic() < deadline:
            time.sleep(0.05)
