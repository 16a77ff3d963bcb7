"""The client process: reads a `Job` from standard input, puts the load on, prints the `Outcome`.

It is a process of its own, so that its processor time is not taken for the server's, and one
thread, so that the server finds at least the rest of the machine.
"""

import json
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import cycle

from tests.bench.content import CHUNK, FRAME, Source, unique
from tests.bench.http_clients import Clients, Connection, Refused, Response, Turns, Waiting
from tests.bench.jobs import Job, Kind, Outcome

PATIENCE = 180.0  # seconds after the time is up in which pushes under way may end


@dataclass
class Tally:
    """What the clients of this process did so far."""

    until: float = 0.0
    requests: int = 0
    sent: int = 0
    ended: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def going_on(self) -> bool:
        return time.perf_counter() < self.until

    def count(self, began: float, sent: int = 0) -> None:
        """One request or push that began then has ended now."""
        self.ended = time.perf_counter()
        self.latencies.append(self.ended - began)
        self.requests += 1
        self.sent += sent


class Client:
    """One client: its connection and the verbs it knows."""

    def __init__(self, job: Job, connection: Connection, tally: Tally) -> None:
        self.job = job
        self.connection = connection
        self.tally = tally
        fields = {"Host": f"127.0.0.1:{job.port}", "User-Agent": "tidegate-bench", **job.headers}
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    def request(self, method: str, path: str, *fields: str) -> bytes:
        """A request header; `fields` are whole lines."""
        lines = "".join(f"{line}\r\n" for line in fields)
        return f"{method} {path} HTTP/1.1\r\n{self._fields}{lines}\r\n".encode()

    def pull(self) -> Turns:
        """GET: bodies are dropped as they come."""
        known: dict[str, int] = {}
        for path in cycle(self.job.paths):
            if not self.tally.going_on():
                return
            began = time.perf_counter()
            yield from self.connection.send(self.request("GET", path))
            if self.job.tls and path in known:
                yield from self.connection.discard_response(known[path])
            else:
                response = yield from self.answer(200)
                known[path] = response.length
                yield from self.connection.discard(response.length)
            self.tally.count(began)

    def ask(self) -> Turns:
        """HEAD."""
        for path in cycle(self.job.paths):
            if not self.tally.going_on():
                return
            began = time.perf_counter()
            yield from self.connection.send(self.request("HEAD", path))
            yield from self.answer(200)
            self.tally.count(began)

    def push(self, source: Source) -> Turns:
        """Blobs that nobody has seen before, with Content-Length."""
        while self.tally.going_on():
            began = time.perf_counter()
            digest, tail = source.blob()
            location = yield from self.open_upload()
            yield from self.connection.send(
                self.request(
                    "PUT", _with_digest(location, digest), f"Content-Length: {self.job.size}"
                )
            )
            yield from self.connection.send_file(source.plain, source.prefix)
            yield from self.connection.send(tail)
            yield from self.answer(201)
            self.tally.count(began, self.job.size)

    def push_chunked(self, source: Source) -> Turns:
        """Blobs that nobody has seen before, in chunks of 32 KB as Go's clients send them."""
        while self.tally.going_on():
            began = time.perf_counter()
            digest, tail = source.blob()
            location = yield from self.open_upload()
            yield from self.connection.send(
                self.request(
                    "PATCH",
                    location,
                    "Content-Type: application/octet-stream",
                    "Transfer-Encoding: chunked",
                )
            )
            yield from self.connection.send_file(source.framed, source.prefix // CHUNK * FRAME)
            yield from self.connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(tail), tail))
            location = (yield from self.answer(202)).field("Location")
            path = _with_digest(_path(location), digest)
            yield from self.connection.send(self.request("PUT", path, "Content-Length: 0"))
            yield from self.answer(201)
            self.tally.count(began, self.job.size)

    def push_image(self, source: Source) -> Turns:
        """A small image: configuration and layer, each asked for first, and the manifest."""
        while self.tally.going_on():
            began = time.perf_counter()
            pushed = []
            for _ in range(2):
                digest, content = source.blob()
                path = f"/v2/{self.job.repository}/blobs/{digest}"
                yield from self.connection.send(self.request("HEAD", path))
                yield from self.answer(404)
                location = yield from self.open_upload()
                path = _with_digest(location, digest)
                length = f"Content-Length: {len(content)}"
                yield from self.connection.send(self.request("PUT", path, length) + content)
                yield from self.answer(201)
                pushed.append({"digest": digest, "size": len(content)})
            kind = "application/vnd.oci.image"
            manifest = {
                "schemaVersion": 2,
                "mediaType": f"{kind}.manifest.v1+json",
                "config": {"mediaType": f"{kind}.config.v1+json", **pushed[0]},
                "layers": [{"mediaType": f"{kind}.layer.v1.tar+gzip", **pushed[1]}],
            }
            yield from self.put_manifest(manifest)
            self.tally.count(began, 2 * self.job.size)

    def push_tag(self) -> Turns:
        """A manifest that nobody has seen before, of content that is there, under a new tag."""
        manifest = json.loads(self.job.manifest)
        while self.tally.going_on():
            began = time.perf_counter()
            manifest["annotations"] = {"org.opencontainers.image.version": unique()}
            yield from self.put_manifest(manifest)
            self.tally.count(began)

    def put_manifest(self, manifest: dict[str, object]) -> Turns:
        content = json.dumps(manifest).encode()
        path = f"/v2/{self.job.repository}/manifests/pushed-{unique()}"
        header = self.request(
            "PUT", path, f"Content-Type: {manifest['mediaType']}", f"Content-Length: {len(content)}"
        )
        yield from self.connection.send(header + content)
        yield from self.answer(201)

    def open_upload(self) -> Waiting[str]:
        """The path of a new upload session."""
        path = f"/v2/{self.job.repository}/blobs/uploads/"
        yield from self.connection.send(self.request("POST", path, "Content-Length: 0"))
        response = yield from self.answer(202)
        return _path(response.field("Location"))

    def answer(self, expected: int) -> Waiting[Response]:
        """The next response, which has to have this status; a body of 200 is left to be received.

        A 404 is expected of a HEAD only, which has no body, whatever length it states.
        """
        response = yield from self.connection.response()
        if response.status != expected:
            said = response.header.split(b"\r\n")[0].decode()
            if self.job.kind is not Kind.HEAD:
                said += f" {(yield from self.connection.body(response.length))[:500]!r}"
            raise Refused(f"{self.job.kind}: expected {expected}, got {said}")
        if expected in {201, 202}:
            yield from self.connection.body(response.length)
        return response


def _path(location: str) -> str:
    """The path of an absolute or relative Location."""
    return "/" + location.split("/", 3)[3] if "://" in location else location


def _with_digest(location: str, digest: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificates are made for the run
    context.verify_mode = ssl.CERT_NONE
    return context


def _verbs(client: Client, source: Source | None) -> Turns:
    kind = client.job.kind
    plain: dict[Kind, Callable[[], Turns]] = {
        Kind.GET: client.pull,
        Kind.HEAD: client.ask,
        Kind.TAG: client.push_tag,
    }
    if kind in plain:
        return plain[kind]()
    assert source is not None
    pushes: dict[Kind, Callable[[Source], Turns]] = {
        Kind.PUSH: client.push,
        Kind.PUSH_CHUNKED: client.push_chunked,
        Kind.IMAGE: client.push_image,
    }
    return pushes[kind](source)


def run(job: Job) -> Outcome:
    """Put the load on and wait until it has ended."""
    clients, tally = Clients(), Tally()
    source = Source(job.content, job.framed, job.size) if job.content else None
    tls = _context() if job.tls else None
    connections = [Connection(clients, ("127.0.0.1", job.port), tls) for _ in range(job.clients)]
    spent = time.process_time()
    began = time.perf_counter()
    tally.until = began + job.seconds
    for connection in connections:
        clients.add(connection, _verbs(Client(job, connection, tally), source))
    limit = tally.until if job.kind is Kind.GET else tally.until + PATIENCE
    while clients.step(min(0.1, job.seconds)) and time.perf_counter() < limit:
        pass
    stopped = time.perf_counter()
    whole = job.kind is Kind.GET or not tally.requests
    latencies = sorted(tally.latencies) or [0.0]
    return Outcome(
        requests=tally.requests,
        received=clients.received,
        sent=tally.sent,
        seconds=(stopped if whole else tally.ended) - began,
        median=latencies[len(latencies) // 2],
        p99=latencies[len(latencies) * 99 // 100],
        client_seconds=time.process_time() - spent,
        cipher=connections[0].cipher,
    )


def main() -> None:
    given = json.load(sys.stdin)
    given["kind"], given["paths"] = Kind(given["kind"]), tuple(given["paths"])
    try:
        outcome = run(Job(**given))
    except (Refused, OSError) as error:
        sys.exit(str(error))
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
