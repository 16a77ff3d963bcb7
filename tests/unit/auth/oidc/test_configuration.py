import asyncio
import tomllib
from pathlib import Path

import httpx
import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.oidc.provider import ISSUER, NOW, Provider
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.keys import KeyRing, new_key
from tidegate.auth.oidc.configuration import Issuers, ci_issuers, oidc_issuers
from tidegate.auth.users.groups import GroupIndex
from tidegate.metastore import users
from tidegate.metastore.keys import Key
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

SETTINGS = f"""
[[oidc]]
name = "corp"
issuer = "{ISSUER}"
client_id = "tidegate"
username_claim = "sub"
username_prefix = "-"
groups_claim = "groups"

[[ci]]
name = "gitlab"
issuer = "{ISSUER}"
audience = "https://registry.example"
subject = "project:{{project_path}}"
groups = ["{{namespace_path}}"]
require.namespace_path = "shop"
lifetime = 600
"""


def test_issuers_are_read_from_the_settings_file() -> None:
    tables = tomllib.loads(SETTINGS)
    [corp], [gitlab] = oidc_issuers(tables["oidc"]), ci_issuers(tables["ci"])
    assert (corp.name, corp.user_prefix, corp.group_prefix) == ("corp", "", "corp:")
    assert (gitlab.require, gitlab.lifetime) == ({"namespace_path": "shop"}, 600)
    assert gitlab.groups == ("{namespace_path}",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('audience = "https://registry.example"', "audience"),
        ("require.namespace_path", "requires.namespace_path"),
        ("lifetime = 600", 'lifetime = "long"'),
        ("lifetime = 600", "lifetime = 9999"),
        ('client_id = "tidegate"', "client"),
        ('groups_claim = "groups"', 'group_claim = "groups"'),
    ],
)
def test_a_setting_that_is_wrong_missing_or_misspelt_is_refused(change: str, reason: str) -> None:
    replacement = reason if "=" in reason or "." in reason else ""
    tables = tomllib.loads(SETTINGS.replace(change, replacement))
    with pytest.raises(ValueError, match="issuer"):
        oidc_issuers(tables["oidc"]) + ci_issuers(tables["ci"])


def test_what_is_configured_lets_people_and_jobs_in(tmp_path: Path) -> None:
    provider, url = Provider(), f"sqlite:///{tmp_path / 'metadata.db'}"
    tables = tomllib.loads(SETTINGS)
    key = new_key(NOW)

    async def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=await provider.fetch(str(request.url)))

    async def read_keys() -> list[Key]:
        return [key]

    async def scenario() -> None:
        database, groups = await open_database(url), GroupIndex(MemoryStore())
        issuers = Issuers.open(
            oidc_issuers(tables["oidc"]), ci_issuers(tables["ci"]), httpx.MockTransport(serve)
        )
        try:
            logins = issuers.logins(database, groups)
            login = await logins.authenticate(provider.token(sub="ann"), NOW)
            assert login is not None
            assert login.user.name == "ann"
            ann = users.User("ann", "hash", admin=False, disabled=True, changed_at=NOW)
            await database.write(lambda tx: users.put(tx, ann))
            with pytest.raises(TokenInvalid, match="local user"):
                await logins.authenticate(provider.token(sub="ann"), NOW)
            job = provider.token(
                aud="https://registry.example", project_path="shop/web", namespace_path="shop"
            )
            fields = {
                "subject_token": [job],
                "subject_token_type": ["urn:ietf:params:oauth:token-type:jwt"],
            }
            granted = await issuers.tokens(KeyRing(read_keys), groups).exchange(fields, NOW)
            assert granted.user == "ci:gitlab:project:shop/web"
        finally:
            await issuers.close()
            await database.close()

    migrate(url)
    asyncio.run(scenario())
