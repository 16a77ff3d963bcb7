import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tidegate.apimachinery import storage as api
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.errors import NotFound, UpdateConflict
from tidegate.apimachinery.selectors import EVERYTHING
from tidegate.apimachinery.storage import Call, DeleteOptions, ListOptions
from tidegate.apimachinery.store import Key
from tidegate.auth.oauth.kinds import ACCESS_TOKENS, OAuthAccessToken
from tidegate.auth.oauth.tokens import issue, new_secret
from tidegate.auth.rbac.resources import CLUSTER_ROLE_BINDINGS
from tidegate.auth.users import local
from tidegate.auth.users.kinds import GROUPS, IDENTITIES, USERS
from tidegate.auth.users.storage import UserStorage
from tidegate.metastore import users
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents, DocumentUnit
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

NOW = 1_767_323_045.25


class Store:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.documents = Documents(database)
        self.storage = UserStorage(self.documents, database)

    async def add(self, name: str) -> None:
        assert await self.database.write(lambda tx: local.create(tx, name, "hash", NOW))

    async def token(self, name: str) -> None:
        token = OAuthAccessToken(user_name=name)
        await self.documents.write(lambda tx: issue(tx, new_secret(), token, NOW))

    async def tokens(self) -> list[str]:
        found = await self.documents.list(ACCESS_TOKENS.key)
        return sorted(
            msgspec.json.decode(each.body, type=OAuthAccessToken).user_name
            for each in found.documents
        )

    async def has(self, resource: str, name: str) -> bool:
        return await self.documents.get(Key(resource, "", name)) is not None


Run = Callable[[Callable[[Store], Awaitable[None]]], None]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    database = await open_database(url)
    store = Store(database)
    await store.documents.start()
    try:
        yield store
    finally:
        await store.documents.close()
        await database.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    url = f"sqlite:///{tmp_path / 'metadata.db'}"
    migrate(url)

    def run(scenario: Callable[[Store], Awaitable[None]]) -> None:
        async def main() -> None:
            async with opened(url) as store:
                await scenario(store)

        asyncio.run(main())

    return run


def call(name: str, verb: str = "get", groups: tuple[str, ...] = (), uid: str = "") -> Call:
    return Call(user=User(name, groups, uid), verb=verb)


def test_a_local_user_has_a_user_and_an_identity_that_name_each_other(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await store.add("ann")
        user = json.loads(await store.storage.get(call("eve"), "ann"))
        assert (user["apiVersion"], user["kind"]) == ("user.openshift.io/v1", "User")
        assert user["identities"] == ["local:ann"]
        document = await store.documents.get(Key(IDENTITIES.key, "", "local:ann"))
        assert document is not None
        identity = json.loads(document.body)
        assert identity["user"] == {"name": "ann", "uid": user["metadata"]["uid"]}
        assert identity["metadata"]["creationTimestamp"] == "2026-01-02T03:04:05Z"
        assert identity["metadata"]["resourceVersion"] == str(document.revision)

    run(scenario)


def test_a_second_user_of_a_name_is_not_made(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await store.add("ann")
        assert not await store.database.write(lambda tx: local.create(tx, "ann", "other", NOW))
        row = await users.find(store.database, "ann")
        assert row is not None
        assert row.password_hash == "hash"

    run(scenario)


def test_a_user_who_was_there_before_her_password_keeps_her_uid(run: Run) -> None:
    async def scenario(store: Store) -> None:
        def adopt(tx: object) -> str:
            return local.ensure_objects(tx, "ann", NOW)  # type: ignore[arg-type]

        first = await store.documents.write(adopt)
        assert await store.documents.write(adopt) == first
        await store.add("ann")
        user = json.loads(await store.storage.get(call("ann"), "ann"))
        assert user["metadata"]["uid"] == first
        assert user["identities"] == ["local:ann"]

    run(scenario)


@pytest.mark.parametrize("change", ["password", "disable", "remove", "delete"])
def test_what_ends_a_login_ends_every_access_token_of_hers_and_no_others(
    run: Run, change: str
) -> None:
    async def scenario(store: Store) -> None:
        for name in ("ann", "eve"):
            await store.add(name)
            await store.token(name)
            await store.token(name)
        write = store.database.write
        if change == "password":
            assert await write(lambda tx: local.set_password(tx, "ann", "new", NOW + 1))
        elif change == "disable":
            assert await write(lambda tx: local.set_disabled(tx, "ann", NOW + 1, disabled=True))
        elif change == "remove":
            assert await write(lambda tx: local.remove(tx, "ann"))
        else:
            await store.storage.delete(call("root", "delete"), "ann", DeleteOptions())
        assert await store.tokens() == ["eve", "eve"]

    run(scenario)


def test_nothing_is_done_to_users_that_are_not_there(run: Run) -> None:
    async def scenario(store: Store) -> None:
        write = store.database.write
        assert not await write(lambda tx: local.set_password(tx, "ann", "new", NOW))
        assert not await write(lambda tx: local.set_disabled(tx, "ann", NOW, disabled=True))
        assert not await write(lambda tx: local.remove(tx, "ann"))

    run(scenario)


def test_a_disabled_user_is_let_in_again_with_another_generation(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await store.add("ann")

        async def switch(when: float, *, disabled: bool) -> None:
            await store.database.write(
                lambda tx: local.set_disabled(tx, "ann", when, disabled=disabled)
            )

        await switch(NOW + 1, disabled=True)
        await switch(NOW + 2, disabled=True)
        await switch(NOW + 3, disabled=False)
        row = await users.find(store.database, "ann")
        assert row is not None
        assert (row.disabled, row.changed_at) == (False, NOW + 3)

    run(scenario)


@pytest.mark.parametrize("by_api", [True, False])
def test_a_removed_user_leaves_nothing_for_the_next_of_her_name(run: Run, by_api: bool) -> None:
    async def scenario(store: Store) -> None:
        await store.add("ann")
        await store.documents.write(lambda tx: local.add_to_group(tx, "ops", ["ann", "eve"], NOW))
        if by_api:
            await store.storage.delete(call("root", "delete"), "ann", DeleteOptions())
        else:
            assert await store.database.write(lambda tx: local.remove(tx, "ann"))
        assert await users.find(store.database, "ann") is None
        assert not await store.has(USERS.key, "ann")
        assert not await store.has(IDENTITIES.key, "local:ann")
        group = await store.documents.get(Key(GROUPS.key, "", "ops"))
        assert group is not None
        assert json.loads(group.body)["users"] == ["eve"]

    run(scenario)


def test_deleting_a_user_object_removes_her_password_in_the_same_unit(run: Run) -> None:
    async def scenario(store: Store) -> None:
        for name in ("ann", "eve", "joe"):
            await store.add(name)
        await store.storage.delete(call("root", "delete"), "ann", DeleteOptions())
        assert await users.find(store.database, "ann") is None
        assert not await store.has(IDENTITIES.key, "local:ann")
        selected = ListOptions(selection=EVERYTHING)
        await store.storage.delete_collection(
            call("root", "deletecollection"), selected, DeleteOptions()
        )
        assert await users.names(store.database, "", 10) == []

    run(scenario)


def test_a_refused_delete_leaves_the_password(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await store.add("ann")
        with pytest.raises(UpdateConflict, match="UID in the precondition"):
            await store.storage.delete(call("root"), "ann", DeleteOptions(uid="other"))
        assert await users.find(store.database, "ann") is not None

    run(scenario)


def test_tilde_is_the_caller_with_her_groups(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await store.add("ann")
        me = json.loads(await store.storage.get(call("ann", groups=("ops", "devs")), "~"))
        assert me["metadata"]["name"] == "ann"
        assert me["groups"] == ["devs", "ops"]
        assert me["identities"] == ["local:ann"]

    run(scenario)


@pytest.mark.parametrize("name", ["corp:eve", "system:serviceaccount:shop:builder"])
def test_tilde_of_somebody_without_an_object_is_made_up(run: Run, name: str) -> None:
    async def scenario(store: Store) -> None:
        me = json.loads(await store.storage.get(call(name, groups=("g",), uid="u-9"), "~"))
        assert me == {
            "apiVersion": "user.openshift.io/v1",
            "kind": "User",
            "metadata": {"name": name, "uid": "u-9"},
            "groups": ["g"],
        }
        with pytest.raises(NotFound):
            await store.storage.get(call(name), "nobody")

    run(scenario)


def test_groups_are_made_filled_and_emptied(run: Run) -> None:
    async def scenario(store: Store) -> None:
        write = store.documents.write
        await write(lambda tx: local.add_to_group(tx, "ops", ["ann"], NOW))
        await write(lambda tx: local.add_to_group(tx, "ops", ["ann", "eve"], NOW))
        group = await store.documents.get(Key(GROUPS.key, "", "ops"))
        assert group is not None
        assert json.loads(group.body)["users"] == ["ann", "eve"]
        assert await write(lambda tx: local.remove_from_group(tx, "ops", ["ann", "joe"]))
        group = await store.documents.get(Key(GROUPS.key, "", "ops"))
        assert group is not None
        assert json.loads(group.body)["users"] == ["eve"]
        assert not await write(lambda tx: local.remove_from_group(tx, "none", ["ann"]))

    run(scenario)


def test_users_are_listed_watched_and_changed_as_any_document(run: Run) -> None:
    async def scenario(store: Store) -> None:
        await store.add("ann")
        page = await store.storage.list(call("root", "list"), ListOptions(selection=EVERYTHING))
        assert [json.loads(each)["metadata"]["name"] for each in page.bodies] == ["ann"]
        watch = await store.storage.watch(
            call("root", "watch"), api.WatchOptions(selection=EVERYTHING, revision=page.revision)
        )
        await store.database.write(
            lambda tx: DocumentUnit(tx).delete(Key(USERS.key, "", "ann")) and None
        )
        [event] = await watch.next(5.0)
        assert event.kind == "DELETED"
        watch.close()

    run(scenario)


def test_an_administrators_binding_goes_with_her(run: Run) -> None:
    async def scenario(store: Store) -> None:
        write, binding = store.database.write, (CLUSTER_ROLE_BINDINGS.key, "cluster-admin-ann")
        for end in ("remove", "delete"):
            assert await write(lambda tx: local.create(tx, "ann", "hash", NOW, admin=True))
            document = await store.documents.get(Key(binding[0], "", binding[1]))
            assert document is not None
            role = json.loads(document.body)
            assert role["roleRef"]["name"] == "cluster-admin"
            assert [each["name"] for each in role["subjects"]] == ["ann"]
            if end == "remove":
                await write(lambda tx: local.remove(tx, "ann"))
            else:
                await store.storage.delete(call("root"), "ann", DeleteOptions())
            assert not await store.has(*binding)

    run(scenario)
