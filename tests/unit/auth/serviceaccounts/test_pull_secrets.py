"""Names and annotations as OpenShift's internal-registry pull secret controllers write them."""

import base64
import json
from typing import Any

import msgspec
import pytest

from tests.unit.auth.serviceaccounts.world import HOSTS, World
from tidegate.apimachinery.documents.references import LocalObjectReference, ObjectReference
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import DeleteOptions
from tidegate.apimachinery.store import Key
from tidegate.auth.errors import TokenInvalid
from tidegate.auth.logins import REGISTRY_AUDIENCES
from tidegate.auth.secrets import SECRETS, Secret, value_of
from tidegate.auth.serviceaccounts.kinds import PULL_SECRET, SERVICE_ACCOUNTS, ServiceAccount
from tidegate.auth.serviceaccounts.pull_secrets import LIFETIME, ensure_pull_secret
from tidegate.auth.stored import put, put_new
from tidegate.metastore.keys import Key as SigningKey

DAY = 24 * 3600


def entries(secret: Secret) -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads(value_of(secret, ".dockercfg") or b"")
    return content


def token_of(secret: Secret) -> str:
    (token,) = {each["password"] for each in entries(secret).values()}
    return token


def ensure(world: World, name: str = "builder") -> bool:
    signer = world.signer()
    return world.run(world.store.write(lambda tx: ensure_pull_secret(tx, "shop", name, signer)))


def is_accepted(world: World, token: str) -> bool:
    try:
        login = world.run(world.tokens.authenticate(token, world.now, REGISTRY_AUDIENCES))
    except TokenInvalid:
        return False
    return login is not None


def test_an_account_is_made_with_a_pull_secret(world: World) -> None:
    account = world.make_account()
    name = account.metadata.annotations[PULL_SECRET]
    assert name.startswith("builder-dockercfg-")
    assert account.image_pull_secrets == [LocalObjectReference(name=name)]
    assert account.secrets == [ObjectReference(name=name)]
    secret = world.pull_secret()
    assert secret.type == "kubernetes.io/dockercfg"
    assert secret.metadata.annotations == {
        "openshift.io/internal-registry-auth-token.service-account": "builder",
        "openshift.io/internal-registry-auth-token.binding": "bound",
    }
    (owner,) = secret.metadata.owner_references
    assert (owner.kind, owner.name, owner.uid) == (
        "ServiceAccount",
        "builder",
        account.metadata.uid,
    )
    assert SECRETS.strategy.validate(secret, None) == []


def test_what_is_answered_is_what_is_stored(world: World) -> None:
    assert world.make_account() == world.account()


def test_it_holds_a_credential_for_every_name_of_the_registry(world: World) -> None:
    world.make_account()
    found = entries(world.pull_secret())
    assert tuple(found) == HOSTS
    for entry in found.values():
        assert entry["username"] == "<token>"
        assert entry["email"]
        assert base64.b64decode(entry["auth"]).decode() == f"<token>:{entry['password']}"


def test_its_token_is_for_the_registry_alone_and_lives_a_week(world: World) -> None:
    world.make_account()
    token = token_of(world.pull_secret())
    with pytest.raises(TokenInvalid, match="another audience"):
        world.run(world.tokens.authenticate(token, world.now))
    login = world.run(world.tokens.authenticate(token, world.now, REGISTRY_AUDIENCES))
    assert login is not None
    assert login.user.name == "system:serviceaccount:shop:builder"
    assert login.expires == world.now + 7 * DAY


def test_nothing_is_written_while_it_is_young(world: World) -> None:
    world.make_account()
    revision = world.store.newest
    assert not ensure(world)
    world.now += 0.6 * LIFETIME - 1
    assert not ensure(world)
    assert world.store.newest == revision


def test_it_is_renewed_in_place_and_the_token_before_stays_good(world: World) -> None:
    world.make_account()
    before = world.pull_secret()
    world.now += 0.6 * LIFETIME
    assert ensure(world)
    after = world.pull_secret()
    assert after.metadata.uid == before.metadata.uid
    assert token_of(after) != token_of(before)
    assert is_accepted(world, token_of(before))
    assert is_accepted(world, token_of(after))
    world.now += 0.4 * LIFETIME
    assert not is_accepted(world, token_of(before))
    assert is_accepted(world, token_of(after))


def test_it_is_renewed_when_its_key_is_gone(world: World) -> None:
    world.make_account()
    world.keys[:] = [SigningKey("k2", b"2" * 32, world.now - 1000)]
    world.now += 1
    assert ensure(world)
    assert is_accepted(world, token_of(world.pull_secret()))


def test_it_is_renewed_when_the_registry_has_another_name(world: World) -> None:
    world.make_account()
    signer = world.signer()
    renamed = type(signer)(signer.key, signer.kids, signer.now, signer.issuer, ("new.example",))
    world.run(world.store.write(lambda tx: ensure_pull_secret(tx, "shop", "builder", renamed)))
    assert tuple(entries(world.pull_secret())) == ("new.example",)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"h":{}}', b'{"h":1}', b'{"h":{"password":1}}'])
def test_it_is_renewed_when_somebody_broke_it(world: World, content: bytes) -> None:
    world.make_account()
    secret = world.pull_secret()
    secret.data = {".dockercfg": base64.b64encode(content).decode()}
    world.run(world.store.write(lambda tx: put(tx, SECRETS, secret)))
    assert ensure(world)
    assert is_accepted(world, token_of(world.pull_secret()))


def test_another_is_made_when_it_was_deleted(world: World) -> None:
    world.make_account()
    before = world.pull_secret()
    call = world.call("delete")
    world.run(world.secrets.delete(call, before.metadata.name, DeleteOptions()))
    assert ensure(world)
    after = world.pull_secret()
    assert after.metadata.name != before.metadata.name
    account = world.account()
    assert [each.name for each in account.secrets] == [after.metadata.name]
    assert [each.name for each in account.image_pull_secrets] == [after.metadata.name]
    world.now += 0.5
    assert not is_accepted(world, token_of(before))


def test_a_secret_of_somebody_else_is_never_written(world: World) -> None:
    account = world.make_account()
    other = Secret(
        type="kubernetes.io/dockercfg", metadata=ObjectMeta(name="mine", namespace="shop")
    )
    account.metadata.annotations[PULL_SECRET] = "mine"

    def unit(tx: Any) -> None:
        put_new(tx, SECRETS, other, world.now)
        put(tx, SERVICE_ACCOUNTS, account)

    world.run(world.store.write(unit))
    assert ensure(world)
    mine = world.find(SECRETS, "mine")
    assert mine is not None
    assert mine.data == {}
    assert world.account().metadata.annotations[PULL_SECRET] != "mine"


def test_an_account_without_one_gets_one(world: World) -> None:
    account = ServiceAccount(metadata=ObjectMeta(name="old", namespace="shop"))
    world.run(world.store.write(lambda tx: put_new(tx, SERVICE_ACCOUNTS, account, world.now)))
    assert ensure(world, "old")
    assert is_accepted(world, token_of(world.pull_secret("old")))
    assert not ensure(world, "ghost")


def test_an_account_that_is_going_gets_none(world: World) -> None:
    new = ServiceAccount(metadata=ObjectMeta(name="builder", finalizers=["example.com/wait"]))
    world.run(world.accounts.create(world.call("create"), new))
    world.run(world.accounts.delete(world.call("delete"), "builder", DeleteOptions()))
    name = world.account().metadata.annotations[PULL_SECRET]
    world.run(world.secrets.delete(world.call("delete"), name, DeleteOptions()))
    assert not ensure(world)


def test_a_client_cannot_name_the_pull_secret_herself(world: World) -> None:
    new = ServiceAccount(
        metadata=ObjectMeta(name="builder", annotations={PULL_SECRET: "victim"}),
        image_pull_secrets=[LocalObjectReference(name="mine")],
    )
    world.run(world.accounts.create(world.call("create"), new))
    account = world.account()
    name = account.metadata.annotations[PULL_SECRET]
    assert name.startswith("builder-dockercfg-")
    assert [each.name for each in account.image_pull_secrets] == ["mine", name]


def test_an_update_cannot_drop_or_change_it(world: World) -> None:
    name = world.make_account().metadata.annotations[PULL_SECRET]
    wanted = ServiceAccount(
        metadata=ObjectMeta(name="builder", annotations={PULL_SECRET: "victim"}),
        image_pull_secrets=[LocalObjectReference(name="mine")],
    )
    world.run(world.accounts.update(world.call("update"), "builder", lambda _: wanted))
    account = world.account()
    assert account.metadata.annotations[PULL_SECRET] == name
    assert [each.name for each in account.image_pull_secrets] == ["mine", name]
    assert [each.name for each in account.secrets] == [name]


def test_an_update_cannot_give_one_to_an_account_without(world: World) -> None:
    account = ServiceAccount(metadata=ObjectMeta(name="old", namespace="shop"))
    world.run(world.store.write(lambda tx: put_new(tx, SERVICE_ACCOUNTS, account, world.now)))
    wanted = ServiceAccount(metadata=ObjectMeta(name="old", annotations={PULL_SECRET: "victim"}))
    world.run(world.accounts.update(world.call("update"), "old", lambda _: wanted))
    assert world.account("old").metadata.annotations == {}


def test_deleting_the_account_deletes_it(world: World) -> None:
    world.make_account()
    secret = world.pull_secret()
    world.run(world.accounts.delete(world.call("delete"), "builder", DeleteOptions()))
    assert Key("secrets", "shop", secret.metadata.name) not in world.store.documents
    assert not is_accepted(world, token_of(secret))


def test_an_account_with_a_generated_name_has_one_too(world: World) -> None:
    new = ServiceAccount(metadata=ObjectMeta(generate_name="ci-"))
    body = world.run(world.accounts.create(world.call("create"), new))
    account = msgspec.json.decode(body, type=ServiceAccount)
    assert world.find(SECRETS, account.metadata.annotations[PULL_SECRET]) is not None
