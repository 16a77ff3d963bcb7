import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.store import Key
from tidegate.auth.accounts import StoredAccounts
from tidegate.auth.administrator import (
    change_password,
    first_administrator,
    generate_password,
)
from tidegate.auth.errors import InvalidCredentials, PasswordRefused
from tidegate.auth.keys import KeyRing, ensure_signing_key
from tidegate.auth.login import PasswordLogin
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.users import local
from tidegate.auth.users.groups import GroupIndex
from tidegate.metastore import keys, users
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import Documents
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

NOW = 1_767_323_045.25


class Store(NamedTuple):
    database: Database
    documents: Documents
    hashes: PasswordHashes

    @property
    def accounts(self) -> StoredAccounts:
        return StoredAccounts(self.database, self.documents, GroupIndex(self.documents))

    async def login(self, name: str, password: str) -> None:
        await PasswordLogin(self.accounts, self.hashes, lambda: NOW).login(name, password, "")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    database, hashes = await open_database(url), PasswordHashes()
    documents = Documents(database)
    await documents.start()
    try:
        yield Store(database, documents, hashes)
    finally:
        hashes.close()
        await documents.close()
        await database.close()


Run = Callable[[Callable[[Store], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a scenario on an empty store."""
    url = f"sqlite:///{tmp_path / 'metadata.db'}"
    migrate(url)

    def run(scenario: Callable[[Store], Awaitable[None]]) -> None:
        async def main() -> None:
            async with opened(url) as store:
                await scenario(store)

        asyncio.run(main())

    return run


def test_the_first_start_makes_an_administrator_with_a_generated_password(run: Run) -> None:
    async def scenario(store: Store) -> None:
        password = await first_administrator(store.database, store.hashes, "", NOW)
        assert password is not None
        await store.login("admin", password)
        account = await store.accounts.find("admin")
        assert account is not None
        binding = Key("clusterrolebindings.rbac.authorization.k8s.io", "", "cluster-admin-admin")
        assert await store.documents.get(binding) is not None
        assert password not in account.password_hash

    run(scenario)


def test_a_given_password_is_used_and_not_told_again(run: Run) -> None:
    async def scenario(store: Store) -> None:
        given = "given password"
        assert await first_administrator(store.database, store.hashes, given, NOW) is None
        await store.login("admin", given)

    run(scenario)


def test_a_store_with_users_gets_no_further_administrator_and_keeps_its_passwords(
    run: Run,
) -> None:
    async def scenario(store: Store) -> None:
        password = await first_administrator(store.database, store.hashes, "", NOW)
        assert password is not None
        for again in ("", "another password"):
            assert await first_administrator(store.database, store.hashes, again, NOW) is None
        await store.login("admin", password)

    run(scenario)


def test_processes_that_start_together_make_one_administrator(run: Run) -> None:
    async def scenario(store: Store) -> None:
        made = await asyncio.gather(
            *(first_administrator(store.database, store.hashes, "", NOW) for _ in range(4))
        )
        [password] = [each for each in made if each is not None]
        await store.login("admin", password)

    run(scenario)


def test_a_changed_password_is_another_generation_of_the_account(run: Run) -> None:
    async def scenario(store: Store) -> None:
        accounts = store.accounts
        await first_administrator(store.database, store.hashes, "first password", NOW)
        before = await accounts.find("admin")
        changed = await change_password(
            store.database, store.hashes, "admin", "second password", NOW + 1
        )
        after = await accounts.find("admin")
        assert changed
        assert before is not None
        assert after is not None
        assert after.generation != before.generation
        assert after.user == before.user
        await store.login("admin", "second password")
        with pytest.raises(InvalidCredentials):
            await store.login("admin", "first password")

    run(scenario)


def test_an_account_is_her_user_object_and_the_groups_that_name_her(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await first_administrator(store.database, store.hashes, "given password", NOW)
        accounts, key = store.accounts, Key("users.user.openshift.io", "", "admin")
        await store.documents.write(lambda tx: local.add_to_group(tx, "ops", ["admin"], NOW))
        account = await accounts.find("admin")
        document = await store.documents.get(key)
        assert account is not None
        assert document is not None
        groups = ("ops", "system:authenticated", "system:authenticated:oauth")
        assert account.user == User("admin", groups, document.uid)

    run(scenario)


def test_a_user_of_an_earlier_version_has_no_uid_until_she_is_adopted(run: Run) -> None:
    async def scenario(store: Store) -> None:
        row = users.User("old", "hash", admin=True, disabled=False, changed_at=NOW)
        await store.database.write(lambda tx: users.put(tx, row))
        before = await store.accounts.find("old")
        await store.documents.write(lambda tx: local.ensure_objects(tx, "old", NOW))
        after = await store.accounts.find("old")
        assert before is not None
        assert after is not None
        groups = ("system:authenticated", "system:authenticated:oauth")
        assert before.user == User("old", groups), "the column makes nobody an administrator"
        assert after.user.uid

    run(scenario)


def test_nobodys_password_cannot_be_changed(run: Run) -> None:
    async def scenario(store: Store) -> None:
        assert not await change_password(store.database, store.hashes, "ann", "a password", NOW)
        assert await users.find(store.database, "ann") is None

    run(scenario)


def test_a_disabled_user_has_no_account(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await first_administrator(store.database, store.hashes, "given password", NOW)

        def disable(tx: Transaction) -> None:
            user = users.get(tx, "admin")
            assert user is not None
            users.put(tx, user._replace(disabled=True, changed_at=NOW + 1))

        await store.database.write(disable)
        assert await store.accounts.find("admin") is None
        with pytest.raises(InvalidCredentials):
            await store.login("admin", "given password")

    run(scenario)


@pytest.mark.parametrize(
    "password", ["short", "x" * 1025, "é" * 513, "with\nnewline", "caf\udce9 x"]
)
def test_a_password_that_is_short_or_could_not_be_logged_in_with_is_refused(
    run: Run, password: str
) -> None:
    async def scenario(store: Store) -> None:
        with pytest.raises(PasswordRefused) as refusal:
            await first_administrator(store.database, store.hashes, password, NOW)
        assert password not in str(refusal.value)
        assert await users.names(store.database, "", 1) == []

    run(scenario)


@pytest.mark.parametrize("name", ["", "a:b", "system:admin", "a b", "-a", "a.", "é", "x" * 129])
def test_a_name_that_basic_or_kubernetes_cannot_have_is_refused(run: Run, name: str) -> None:
    async def scenario(store: Store) -> None:
        with pytest.raises(PasswordRefused):
            await change_password(store.database, store.hashes, name, "a password", NOW)

    run(scenario)


def test_generated_passwords_are_long_and_differ() -> None:
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(each) for each in made} == {23}


def test_processes_that_start_together_make_one_signing_key(run: Run) -> None:
    async def scenario(store: Store) -> None:
        for _ in range(2):
            await asyncio.gather(*(ensure_signing_key(store.database, NOW) for _ in range(4)))
        [key] = await keys.signing(store.database)
        ring = KeyRing(lambda: keys.signing(store.database))
        assert (await ring.keys(NOW)).signing == key

    run(scenario)
