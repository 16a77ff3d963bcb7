"""The OAuth server in process, and a client that follows nothing by itself."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.world import World, new_world
from tidegate.auth.oauth.application import OAuthApplication
from tidegate.auth.oauth.server import Exchange, OAuthServer
from tidegate.auth.oauth.tokens import AccessTokens
from tidegate.auth.origin import Origins
from tidegate.observability.audit import AuditEvent

HERE = "https://registry.example"
IMPLICIT = f"{HERE}/oauth/token/implicit"
DISPLAY = f"{HERE}/oauth/token/display"
VERIFIER = "v" * 43
S256 = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Recorded:
    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def record(self, event: AuditEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


@dataclass
class Site:
    """A server at `HERE` with the users of `world`."""

    world: World
    exchange: Exchange | None = None
    store: MemoryStore = field(default_factory=MemoryStore)
    audit: Recorded = field(default_factory=Recorded)
    origin: str = HERE

    def __post_init__(self) -> None:
        self.tokens = AccessTokens(self.store, self.world)
        self.world.accept(self.tokens)
        server = OAuthServer(self.store, self.world.login, self.exchange, self.world.clock)
        self.application = OAuthApplication(
            server, Origins("", ()), self.audit, exchanges=self.exchange is not None
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(cast("Any", self.application)), base_url=self.origin
        )

    def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self.world.run(self.client.request(method, url, **options))

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.send("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.send("POST", url, **options)

    def challenged(
        self,
        name: str = "ann",
        password: str = "correct horse",
        **changes: str | None,
    ) -> httpx.Response:
        """What `oc login -u` sends once it was challenged."""
        parameters: dict[str, str | None] = {
            "client_id": "openshift-challenging-client",
            "response_type": "code",
            "redirect_uri": IMPLICIT,
            "code_challenge": S256,
            "code_challenge_method": "S256",
            **changes,
        }
        return self.get(
            "/oauth/authorize",
            params={key: value for key, value in parameters.items() if value is not None},
            headers={"X-CSRF-Token": "1"},
            auth=(name, password),
        )

    def redeem(self, code: str, **changes: str | None) -> httpx.Response:
        """What `oc login` sends for a code."""
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": IMPLICIT,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.post(
            "/oauth/token",
            data={key: value for key, value in fields.items() if value is not None},
            auth=("openshift-challenging-client", ""),
        )

    def code(self, **changes: str | None) -> str:
        response = self.challenged(**changes)  # type: ignore[arg-type]
        assert response.status_code == 302, response.text
        return sent_on(response)["code"]

    def token(self) -> str:
        answer = self.redeem(self.code())
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


def sent_on(response: httpx.Response) -> dict[str, str]:
    """The parameters that a redirect carries."""
    parts = urlsplit(response.headers["location"])
    return {name: value for name, [value] in parse_qs(parts.query or parts.fragment).items()}


@contextmanager
def new_site(exchange: Exchange | None = None, origin: str = HERE) -> Iterator[Site]:
    with new_world() as world:
        site = Site(world, exchange, origin=origin)
        world.set_password("ann", "correct horse")
        yield site
        world.run(site.client.aclose())
