"""A person and a CI job log in with what a real OpenID Connect provider gives them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.clients.oidc import Issuer, People, issuing
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.keys import KeyRing, ensure_signing_key
from tidegate.auth.logins import Logins
from tidegate.auth.oidc.configuration import Issuers, ci_issuers, oidc_issuers
from tidegate.auth.oidc.exchange import CiTokens
from tidegate.auth.oidc.keys import ASKED_EVERY
from tidegate.auth.users.groups import GroupIndex
from tidegate.metastore import keys
from tidegate.metastore.documents import Documents
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

PEOPLE: People = {
    "ann": {"groups": ["devs", "system:masters"], "email": "ann@x.org", "email_verified": True},
    "eve": {"groups": [], "email": "eve@x.org", "email_verified": False},
    "job": {"project_path": "shop/web", "ref": "main"},
    "imposter": {"project_path": "shop/web:ref:main", "ref": "x"},
    "stranger": {"project_path": "elsewhere/web", "ref": "main"},
}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with issuing(PEOPLE, tmp_path_factory.mktemp("issuer")) as running:
        yield running


@asynccontextmanager
async def accepting(issuer: Issuer, directory: Path) -> AsyncIterator[tuple[Logins, CiTokens]]:
    """What a server configured with this issuer accepts."""
    url = f"sqlite:///{directory / 'metadata.db'}"
    await asyncio.to_thread(migrate, url)
    database = await open_database(url)
    store = Documents(database)
    await store.start()
    await ensure_signing_key(database, time.time())
    issuers = Issuers.open(
        oidc_issuers(
            [
                {
                    "name": "corp",
                    "issuer": issuer.url,
                    "client_id": "tidegate",
                    "username_claim": "email",
                    "groups_claim": "groups",
                }
            ]
        ),
        ci_issuers(
            [
                {
                    "name": "ci",
                    "issuer": issuer.url,
                    "audience": "tidegate-ci",
                    "subject": "project:{project_path}:ref:{ref}",
                    "require": {"project_path": "shop/**"},
                }
            ]
        ),
    )
    groups = GroupIndex(store)
    tokens = issuers.tokens(KeyRing(lambda: keys.signing(database)), groups)
    try:
        yield Logins((issuers.logins(database, groups), tokens), time.monotonic), tokens
    finally:
        await issuers.close()
        await store.close()
        await database.close()


def test_a_person_logs_in_with_an_id_token_and_rotation_of_keys_is_followed(
    issuer: Issuer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with accepting(issuer, tmp_path) as (logins, _):
            now = time.time()
            token = await asyncio.to_thread(issuer.id_token, "ann")
            user = (await logins.authenticate(token, now)).user
            assert user.name == "ann@x.org"
            assert user.groups == ("corp:devs", "corp:system:masters", "system:authenticated")
            await asyncio.to_thread(issuer.rotate)
            newer = await asyncio.to_thread(issuer.id_token, "ann")
            later = now + ASKED_EVERY
            assert (await logins.authenticate(newer, later)).user == user
            assert (await logins.authenticate(token, later)).user == user
            await asyncio.to_thread(issuer.rotate)
            await asyncio.to_thread(issuer.withdraw)
            newest = await asyncio.to_thread(issuer.id_token, "ann")
            assert (await logins.authenticate(newest, later + ASKED_EVERY)).user == user
            for withdrawn in (token, newer):
                with pytest.raises(TokenInvalid):
                    await logins.authenticate(withdrawn, later + ASKED_EVERY)

    asyncio.run(scenario())


@pytest.mark.parametrize(("user", "client"), [("eve", "tidegate"), ("ann", "another")])
def test_an_unverified_address_or_another_clients_token_lets_nobody_in(
    issuer: Issuer, tmp_path: Path, user: str, client: str
) -> None:
    async def scenario() -> None:
        async with accepting(issuer, tmp_path) as (logins, _):
            token = await asyncio.to_thread(issuer.id_token, user, client)
            with pytest.raises(TokenInvalid):
                await logins.authenticate(token, time.time())

    asyncio.run(scenario())


def test_a_ci_jobs_token_is_exchanged_and_a_hostile_ones_is_not(
    issuer: Issuer, tmp_path: Path
) -> None:
    def fields(token: str) -> dict[str, list[str]]:
        kind = "urn:ietf:params:oauth:token-type:id_token"
        return {"subject_token": [token], "subject_token_type": [kind]}

    async def scenario() -> None:
        async with accepting(issuer, tmp_path) as (logins, tokens):
            job = await asyncio.to_thread(issuer.id_token, "job", "tidegate-ci")
            granted = await tokens.exchange(fields(job), time.time())
            assert 0 < granted.answer.expires_in <= 300
            login = await logins.authenticate(granted.answer.access_token, time.time())
            assert login.user.name == "ci:ci:project:shop/web:ref:main"
            for user, client in (("imposter", "tidegate-ci"), ("stranger", "tidegate-ci"),
                                 ("job", "tidegate")):  # fmt: skip
                token = await asyncio.to_thread(issuer.id_token, user, client)
                with pytest.raises(TokenInvalid):
                    await tokens.exchange(fields(token), time.time())

    asyncio.run(scenario())
