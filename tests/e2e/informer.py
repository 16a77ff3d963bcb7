"""Keeps a copy of a resource as client-go's informers do: lists once, then watches from there.

A watch that breaks off is begun again at the last version seen, never with a new list. So whatever
the server loses or tells twice, across its own death too, is a fault in here or a wrong copy.
"""

import json
import threading
from typing import Any

import httpx

from tests.kube_client import KubeClient, hang_up

Known = dict[tuple[str, str], tuple[str, Any]]
"""(namespace, name) -> (resourceVersion, data)."""


class Informer:
    """Runs in a thread of its own until `stop`."""

    def __init__(self, client: KubeClient, path: str, timeout: int = 5) -> None:
        self._client = client
        self._path = path
        self._timeout = timeout
        self._stopping = threading.Event()
        self._answer: httpx.Response | None = None  # the watch that is read
        self.broken = 0  # watches that ended by an error of the connection or a 503
        self.faults: list[str] = []
        listed = client.read(path)
        self.revision = int(listed["metadata"]["resourceVersion"])
        self.known = known(listed)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> "Informer":
        return self

    def __exit__(self, *ignored: object) -> None:
        self._stopping.set()
        if self._answer is not None:
            hang_up(self._answer)
        self._thread.join(60)

    def stop(self) -> None:
        """End it, and fail with what was wrong with the events."""
        self.__exit__()
        assert not self._thread.is_alive()
        assert not self.faults, self.faults[:3]

    def agrees(self) -> bool:
        """Whether the copy is what a list shows; true at once where there are faults to report."""
        return bool(self.faults) or self.known == known(self._client.read(self._path))

    def _run(self) -> None:
        while not self._stopping.is_set() and not self.faults:
            try:
                self._watch()
            except httpx.TransportError:
                if not self._stopping.wait(0.1):
                    self.broken += 1
            except (KeyError, ValueError) as error:
                self.faults.append(repr(error))

    def _watch(self) -> None:
        params = {
            "watch": "true",
            "resourceVersion": str(self.revision),
            "timeoutSeconds": str(self._timeout),
            "allowWatchBookmarks": "true",
        }
        with self._client.http.stream("GET", self._path, params=params) as answer:
            self._answer = answer
            if self._stopping.is_set():
                return
            if answer.status_code == 503:
                self.broken += 1
                self._stopping.wait(0.1)
                return
            if answer.status_code != 200:
                self.faults.append(f"{answer.status_code} {answer.read()!r}")
                return
            for line in answer.iter_lines():
                self._take(json.loads(line))
                if self._stopping.is_set() or self.faults:
                    return

    def _take(self, event: dict[str, Any]) -> None:
        found = event["object"]
        if event["type"] == "ERROR" and found["code"] == 503:
            return  # the database is away: the watch ends, and is begun again
        revision = int(found["metadata"]["resourceVersion"])
        if revision < self.revision or (revision == self.revision and event["type"] != "BOOKMARK"):
            self.faults.append(f"{event['type']} {revision} after {self.revision}")
        self.revision = revision
        if event["type"] == "BOOKMARK":
            return
        key = (found["metadata"].get("namespace", ""), found["metadata"]["name"])
        if (event["type"] == "ADDED") is (key in self.known):
            self.faults.append(f"{event['type']} of {key}, known: {key in self.known}")
        if event["type"] == "DELETED":
            self.known.pop(key, None)
        else:
            self.known[key] = (found["metadata"]["resourceVersion"], found.get("data"))


def known(listed: dict[str, Any]) -> Known:
    return {
        (each["metadata"].get("namespace", ""), each["metadata"]["name"]): (
            each["metadata"]["resourceVersion"],
            each.get("data"),
        )
        for each in listed["items"]
    }
