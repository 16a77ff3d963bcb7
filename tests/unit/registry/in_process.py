"""The registry in this process, with bytes in memory and an embedded database, over HTTP."""

import asyncio
import atexit
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx

from tests.authorizers import Rights
from tests.registry_client import RegistryClient
from tests.server import PASSWORD, USERNAME
from tidegate.apimachinery.authorizer import Judge, User
from tidegate.apimachinery.store import Key
from tidegate.auth.accounts import LocalLogins, StoredAccounts
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.keys import KeyRing
from tidegate.auth.login import PasswordLogin
from tidegate.auth.logins import Logins
from tidegate.auth.origin import Origins
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.provisioning import Provisioning
from tidegate.auth.token_endpoint import TokenEndpoint
from tidegate.auth.tokens import Tokens
from tidegate.auth.users.groups import GroupIndex
from tidegate.cli.setup import prepare
from tidegate.config import load
from tidegate.metastore import keys, users
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.metastore.open import open_database
from tidegate.observability.audit import AuditEvent
from tidegate.registry.access import SERVICE, TOKEN_PATH, Access
from tidegate.registry.request import Receive, Scope, Send
from tidegate.registry.service import Registry
from tidegate.registry.token import TokenService
from tidegate.storage.blobs import BlobStore
from tidegate.storage.driver import Driver
from tidegate.storage.memory import Memory


class Recorded(list[AuditEvent]):
    """An audit that keeps its events for the test to read."""

    def record(self, event: AuditEvent) -> None:
        self.append(event)

    def close(self) -> None:
        pass


class InProcess:
    """A running registry: clients of it, its audit, its store."""

    def __init__(self, runner: asyncio.Runner, application: Registry, token: TokenService) -> None:
        self._runner = runner
        self._registry = application
        self._token = token
        self.audit = Recorded()
        self.uploads = application.uploads

    def client(self, name: str | None = USERNAME, password: str = PASSWORD) -> RegistryClient:
        """A client with these credentials; None for nobody's."""
        credentials = (name, password) if name is not None else None
        return self._over(RegistryClient("http://registry.test", credentials=credentials))

    def bearer(self, token: str) -> RegistryClient:
        """A client with a bearer token."""
        return self._over(RegistryClient("http://registry.test", bearer=token))

    def token(self, *scopes: str, name: str = USERNAME, password: str = PASSWORD) -> str:
        """A token for `scopes` from the token endpoint."""
        answer = self.client(name, password).http.get(
            TOKEN_PATH, params={"service": SERVICE, "scope": list(scopes)}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def purge(self, before: float) -> int:
        return self._runner.run(self.uploads.purge(before))

    def _over(self, client: RegistryClient) -> RegistryClient:
        inner = client.http
        client.http = httpx.Client(
            base_url=inner.base_url,
            auth=inner.auth,
            headers=inner.headers,
            transport=_Transport(self._runner, self),
        )
        inner.close()
        return client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._token if scope["path"] == TOKEN_PATH else self._registry
        await handler(scope, receive, send)


class _Transport(httpx.BaseTransport):
    def __init__(self, runner: asyncio.Runner, application: InProcess) -> None:
        self._runner = runner
        self._inner = httpx.ASGITransport(application)  # type: ignore[arg-type]  # its messages are stricter

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request.stream, httpx.AsyncByteStream):
            request.stream = httpx.ByteStream(b"".join(request.stream))
        response = await self._inner.handle_async_request(request)
        content = await response.aread()
        headers = [pair for pair in response.headers.raw if pair[0] != b"content-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=content)


@contextmanager
def in_process(
    directory: Path,
    authorizer: Judge | None = None,
    more_users: tuple[str, ...] = (),
    *,
    sparse: bool = False,
    capacity: int | None = None,
    driver: Driver | None = None,
) -> Iterator[InProcess]:
    """A registry whose bytes are in memory, or in `driver`; `more_users` have the same password.

    It goes on with the metadata that an earlier one left in the directory.
    """
    url = f"sqlite:///{directory / 'metadata.db'}"
    if not (directory / "metadata.db").exists():
        shutil.copy(_prepared(), directory / "metadata.db")
    authorizer = authorizer or Rights()
    with asyncio.Runner() as runner:
        database = runner.run(open_database(url))
        hashes = PasswordHashes()
        for name in more_users:
            runner.run(_add(database, hashes, name))
        store = Documents(database)
        runner.run(store.start())
        accounts = StoredAccounts(database, store, GroupIndex(store))
        login = PasswordLogin(accounts, hashes, time.monotonic)
        ring = KeyRing(lambda: keys.signing(database))
        tokens = Tokens(ring, SERVICE)
        origins = Origins("", ())
        logins = Logins((LocalLogins(accounts),), time.monotonic)
        authenticator = Authenticator(login, logins, tokens, time.time)
        provisioning = Provisioning(store, authorizer, lambda _: True, _bare_project(store))
        access = Access(authenticator, provisioning, origins)
        audit = Recorded()
        registry = Registry(
            database,
            BlobStore(driver or Memory(capacity)),
            access,
            audit,
            provisioning,
            ring.keys,
            sparse=sparse,
        )
        token = TokenService(
            TokenEndpoint(authenticator, tokens, provisioning, SERVICE, time.time), origins, audit
        )
        running = InProcess(runner, registry, token)
        running.audit = audit
        try:
            yield running
        finally:
            hashes.close()
            runner.run(store.close())
            runner.run(database.close())


def _bare_project(store: Documents) -> Callable[[str, User], Awaitable[None]]:
    """Makes the namespaces that pushes go to, and nothing in them."""

    async def make(project: str, _user: User) -> None:
        def encode(_revision: int) -> bytes:
            return b'{"metadata":{"name":"%s"}}' % project.encode()

        await store.write(lambda tx: tx.put(Key("namespaces", "", project), project, encode))

    return make


@cache
def _prepared() -> Path:
    """A database with schema, administrator and signing key, made once and copied for each test."""
    path = Path(tempfile.mkdtemp(prefix="tidegate-test-")) / "metadata.db"
    atexit.register(shutil.rmtree, path.parent)
    settings = load({"data": path.parent, "admin_password": PASSWORD}, environment={}).settings
    asyncio.run(prepare(settings))
    return path


async def _add(database: Database, hashes: PasswordHashes, name: str) -> None:
    user = users.User(
        name, await hashes.hash(PASSWORD), admin=False, disabled=False, changed_at=1.0
    )
    await database.write(lambda tx: users.put(tx, user))
