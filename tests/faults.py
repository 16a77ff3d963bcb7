"""What can go wrong between a client and a registry, as values; `tests/fault_proxy.py` does it.

A rule of the proxy pairs a predicate on an `Ask` with a fault, or with a function that chooses one
for each request (`Budget`, `Tokens`, `endless_tags`); a function that returns None leaves the
request to older rules, at last to the honest registry.
"""

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

TOKEN_PATH = "/fault-token"  # where `Tokens` gives them out
_TOKEN_NAMES = ("token", "auth", "fault-token")  # where realms use to be
_UPLOAD = re.compile("/v2/(.+)/blobs/uploads/([^/]*)")
_CONTENT = re.compile("/v2/(.+)/(manifests|blobs|tags|referrers)/([^/]+)")
_KINDS = {"manifests": "manifest", "blobs": "blob", "tags": "tags", "referrers": "referrers"}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it came; `kind` is manifest, blob, upload, tags, referrers, token, version
    (`/v2/` itself) or other, and `number` counts those of its kind from 1."""

    method: str
    target: str  # path and query, as sent
    headers: Mapping[str, str]  # lower-case names
    scheme: str
    kind: str
    repository: str = ""
    reference: str = ""  # a tag, a digest, or the name of an upload
    number: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def url(self) -> str:
        """Where the client thought that it went."""
        return f"{self.scheme}://{self.headers.get('host', '')}{self.target}"


def classify(target: str) -> tuple[str, str, str]:
    """Kind, repository and reference of a request target."""
    path = urlsplit(target).path
    if found := _UPLOAD.fullmatch(path):
        return "upload", found[1], found[2]
    if found := _CONTENT.fullmatch(path):
        return _KINDS[found[2]], found[1], found[3]
    if path in ("/v2", "/v2/"):
        return "version", "", ""
    return ("token" if path.rpartition("/")[2] in _TOKEN_NAMES else "other"), "", ""


@dataclass(frozen=True, slots=True)
class Pass:
    """What the registry says, but for these headers; None takes one away. The content-length
    goes out as it is written here, whatever the body has."""

    headers: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing more after so many bytes of the body (None: not even a head), until released."""

    after: int | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is reset after so many bytes of the body (None: before the head)."""

    after: int | None = None


@dataclass(frozen=True, slots=True)
class CutSent:
    """The connection is reset after so many bytes of the request's body reached the registry."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Corrupt:
    """One byte of the body is another."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class Drip:
    """The body comes in small pieces with a pause in seconds after each."""

    piece: int = 1
    pause: float = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of our own: the registry is not asked. A body that is no bytes goes out chunked
    for as long as the client takes it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


Fault = Pass | Hang | Cut | CutSent | Corrupt | Drip | Answer
Choice = Callable[[Ask], Fault | None]


def asks(kind: str = "", method: str = "", *, last: int | None = None) -> Callable[[Ask], bool]:
    """A predicate: requests of a kind, by a method, and no later than the `last` of the kind."""

    def matches(ask: Ask) -> bool:
        return (
            kind in ("", ask.kind)
            and method in ("", ask.method)
            and (last is None or ask.number <= last)
        )

    return matches


def redirect(to: str, status: int = 307) -> Choice:
    """To a URL in which `{target}` stands for path and query of the request."""
    return lambda ask: Answer(status, {"Location": to.replace("{target}", ask.target)})


def too_many(retry_after: str | int | None = None) -> Answer:
    """429, with Retry-After in seconds or as an HTTP date."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return _refusal(429, "TOOMANYREQUESTS", headers)


def wrong_digest(digest: str) -> Pass:
    """Another Docker-Content-Digest than that of the bytes."""
    return Pass({"docker-content-digest": digest})


def wrong_length(length: int) -> Pass:
    """Another Content-Length than that of the bytes."""
    return Pass({"content-length": str(length)})


def endless_tags(ask: Ask) -> Answer | None:
    """Pages of a hundred tags without an end."""
    if ask.kind != "tags":
        return None
    first = int(parse_qs(urlsplit(ask.target).query).get("last", ["t0"])[0].lstrip("t"))
    tags = [f"t{number}" for number in range(first + 1, first + 101)]
    body = json.dumps({"name": ask.repository, "tags": tags}).encode()
    link = f'<{ask.path}?n=100&last={tags[-1]}>; rel="next"'
    return Answer(200, {"Content-Type": "application/json", "Link": link}, body)


@dataclass
class Budget:
    """So many GETs of manifests and no more until `renew`, told in headers as Docker Hub does:
    a HEAD costs nothing and shows what is left."""

    allowance: int
    period: int = 21600  # seconds
    retry_after: int | None = None
    used: int = 0

    def renew(self) -> None:
        self.used = 0

    def __call__(self, ask: Ask) -> Fault | None:
        if ask.kind != "manifest" or ask.method not in ("GET", "HEAD"):
            return None
        if ask.method == "GET":
            self.used += 1
        left = max(self.allowance - self.used, 0)
        told = {
            "ratelimit-limit": f"{self.allowance};w={self.period}",
            "ratelimit-remaining": f"{left};w={self.period}",
        }
        if self.used <= self.allowance:
            return Pass(dict(told))
        answer = too_many(self.retry_after)
        return Answer(answer.status, {**answer.headers, **told}, answer.body)


@dataclass
class Tokens:
    """Bearer tokens of the proxy's own, each good for so many requests; given to anybody, or to
    one user with a password. The registry behind it is anonymous or the proxy has credentials."""

    uses: int = 1_000_000
    credentials: tuple[str, str] | None = None
    lifetime: int = 300  # seconds, as it is told
    realm: str = ""  # another server's, or our own
    scopes: list[str] = field(default_factory=list)  # for which tokens were given
    left: dict[str, int] = field(default_factory=dict)  # token -> uses

    def __call__(self, ask: Ask) -> Fault | None:
        if ask.path == TOKEN_PATH:
            return self._give(ask)
        token = ask.headers.get("authorization", "").removeprefix("Bearer ")
        if self.left.get(token, 0) > 0:
            self.left[token] -= 1
            return None
        realm = self.realm or f"{ask.scheme}://{ask.headers['host']}{TOKEN_PATH}"
        challenge = f'Bearer realm="{realm}",service="faulty"'
        if ask.repository:
            actions = "pull" if ask.method in ("GET", "HEAD") else "pull,push"
            challenge += f',scope="repository:{ask.repository}:{actions}"'
        if token:
            challenge += ',error="invalid_token"'
        return _refusal(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})

    def _give(self, ask: Ask) -> Answer:
        if self.credentials is not None:
            pair = base64.b64encode(":".join(self.credentials).encode()).decode()
            if ask.headers.get("authorization") != f"Basic {pair}":
                return _refusal(401, "UNAUTHORIZED", {})
        token = secrets.token_urlsafe(24)
        self.left[token] = self.uses
        self.scopes += parse_qs(urlsplit(ask.target).query).get("scope", [])
        body = json.dumps({"token": token, "expires_in": self.lifetime}).encode()
        return Answer(200, {"Content-Type": "application/json"}, body)


def _refusal(status: int, code: str, headers: Mapping[str, str]) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": "by the fault proxy"}]}).encode()
    return Answer(status, {"Content-Type": "application/json", **headers}, body)
