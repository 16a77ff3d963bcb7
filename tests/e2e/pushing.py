"""Clients that push while the server is being killed, and remember what it acknowledged.

What a client was told is there has to be there afterwards. What it was not told may be there or
not, but never half; and an upload it had begun has to go on from what the server says it has.
"""

import itertools
import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from tests.images import Content, Pushable, digest_of, image, layer
from tests.registry_client import RegistryClient, client_of
from tests.server import Server

CHUNK = 1 << 20
PATIENCE = 120.0  # seconds that a client keeps trying to reach a server that is being restarted


@dataclass(frozen=True)
class Interrupted:
    """An upload whose last request got no answer."""

    repository: str
    location: str
    content: Content
    acknowledged: int  # bytes that an answer spoke of
    closing: bool  # whether the unanswered request was the one that ends the upload


@dataclass
class Ledger:
    """What the server acknowledged to all clients, and what it left open."""

    blobs: list[tuple[str, Content]] = field(default_factory=list)
    manifests: list[tuple[str, str, Content]] = field(default_factory=list)
    interrupted: list[Interrupted] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # answers that no client should get


class NoAnswer(Exception):
    """The connection broke before an answer came."""


class Pusher:
    """One client that pushes images, some small, some of several megabytes in chunks."""

    def __init__(self, server: Server, ledger: Ledger, seed: int) -> None:
        self._server = server
        self._ledger = ledger
        self._random = random.Random(seed)

    def push(self, number: int) -> None:
        """Push one image; a broken connection leaves an entry in the ledger and ends the push."""
        repository = f"kill/r{number % 7}"
        size = 3 * CHUNK + 12345 if number % 8 == 0 else self._random.randint(1, 20_000)
        pushable = image(layer({f"file-{number}": self._random.randbytes(size)}))
        with client_of(self._server) as client:
            try:
                for blob in pushable.blobs:
                    self._push_blob(client, repository, blob)
                self._push_manifest(client, repository, f"t{number}", pushable)
            except NoAnswer:
                self._wait_for_the_server()

    def _push_blob(self, client: RegistryClient, repository: str, blob: Content) -> None:
        opened = self._ask(client, "POST", f"/v2/{repository}/blobs/uploads/")
        location, sent = opened.headers["location"], 0
        try:
            if len(blob.data) > CHUNK:
                for begin in range(0, len(blob.data), CHUNK):
                    chunk = blob.data[begin : begin + CHUNK]
                    headers = {"Content-Range": f"{begin}-{begin + len(chunk) - 1}"}
                    answer = self._ask(client, "PATCH", location, chunk, headers)
                    location, sent = answer.headers["location"], begin + len(chunk)
        except NoAnswer:
            self._interrupted(repository, location, blob, sent, closing=False)
            raise
        target = f"{location}{'&' if '?' in location else '?'}digest={blob.digest}"
        try:
            self._ask(client, "PUT", target, blob.data[sent:])
        except NoAnswer:
            self._interrupted(repository, location, blob, sent, closing=True)
            raise
        self._ledger.blobs.append((repository, blob))

    def _push_manifest(
        self, client: RegistryClient, repository: str, tag: str, pushable: Pushable
    ) -> None:
        path = f"/v2/{repository}/manifests/{tag}"
        headers = {"Content-Type": pushable.manifest.media_type}
        self._ask(client, "PUT", path, pushable.manifest.data, headers)
        self._ledger.manifests.append((repository, tag, pushable.manifest))

    def _ask(
        self,
        client: RegistryClient,
        method: str,
        target: str,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            answer = client.http.request(method, target, content=content, headers=headers)
        except httpx.TransportError as error:
            raise NoAnswer from error
        if answer.status_code == 503:  # a server that drains may say so
            raise NoAnswer
        if answer.status_code not in (201, 202):
            self._ledger.refused.append(f"{method} {target}: {answer.status_code} {answer.text}")
            raise NoAnswer
        return answer

    def _interrupted(
        self, repository: str, location: str, blob: Content, sent: int, *, closing: bool
    ) -> None:
        self._ledger.interrupted.append(Interrupted(repository, location, blob, sent, closing))

    def _wait_for_the_server(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._server.ready() and time.monotonic() < deadline:
            time.sleep(0.05)


class Crowd:
    """Several pushers that share a number of pushes."""

    def __init__(self, server: Server, pushes: int, clients: int = 4, seed: int = 1) -> None:
        self.ledger = Ledger()
        self.begun = 0  # pushes that were begun until now
        self._pushes = pushes
        self._numbers = itertools.count()
        self._pushers = [Pusher(server, self.ledger, seed + number) for number in range(clients)]
        self._work: list[Future[None]] = []

    @property
    def working(self) -> bool:
        return not all(each.done() for each in self._work)

    def start(self) -> None:
        pool = ThreadPoolExecutor(len(self._pushers))
        self._work = [pool.submit(self._push_on, pusher) for pusher in self._pushers]
        pool.shutdown(wait=False)

    def join(self, seconds: float = 300.0) -> None:
        """Wait for the last push; what a pusher raised is raised here."""
        for each in self._work:
            each.result(seconds)

    def _push_on(self, pusher: Pusher) -> None:
        while (number := next(self._numbers)) < self._pushes:
            self.begun = number + 1
            pusher.push(number)


def verify(client: RegistryClient, ledger: Ledger) -> None:
    """Every acknowledged blob and manifest is there, byte for byte."""
    for repository, blob in ledger.blobs:
        answer = client.blob(repository, blob.digest)
        assert answer.status_code == 200, f"lost blob {blob.digest} of {repository}"
        assert digest_of(answer.content) == blob.digest
    for repository, tag, manifest in ledger.manifests:
        answer = client.manifest(repository, tag)
        assert answer.status_code == 200, f"lost {repository}:{tag}"
        assert answer.content == manifest.data


def resume(client: RegistryClient, upload: Interrupted) -> None:
    """Go on with an upload from where the server says it stands, to its end."""
    status = client.status(upload.location)
    if status.status_code == 404 and upload.closing:
        # it had been ended, only the answer was lost: then the blob is there
        assert client.has_blob(upload.repository, upload.content.digest), upload
        return
    assert status.status_code == 204, f"{status.status_code}: lost {upload}"
    held = int(status.headers["range"].partition("-")[2])
    offset = held + 1 if held or upload.acknowledged else 0  # `0-0`: nothing
    assert offset >= upload.acknowledged, f"lost bytes of {upload}: {status.headers['range']}"
    data = upload.content.data
    location = status.headers["location"]
    if offset < len(data):
        appended = client.append(location, data[offset:], f"{offset}-{len(data) - 1}")
        assert appended.status_code == 202, appended.text
        location = appended.headers["location"]
    closed = client.close_upload(location, upload.content.digest)
    assert closed.status_code == 201, closed.text
    assert client.blob(upload.repository, upload.content.digest).content == data
