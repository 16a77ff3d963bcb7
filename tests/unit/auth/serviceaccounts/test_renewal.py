from tests.unit.auth.serviceaccounts.world import World
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import DeleteOptions
from tidegate.apimachinery.store import DocumentTransaction
from tidegate.auth.serviceaccounts.kinds import SERVICE_ACCOUNTS, ServiceAccount
from tidegate.auth.serviceaccounts.pull_secrets import LIFETIME, account_of_body, ensure_pull_secret
from tidegate.auth.serviceaccounts.renewal import Account, due_accounts, mend
from tidegate.auth.stored import put_new


def due(world: World) -> list[Account]:
    signer = world.signer()

    async def look() -> list[Account]:
        return [each async for each in due_accounts(world.store, signer)]

    return world.run(look())


def test_accounts_are_due_when_their_secret_is_of_age_or_gone(world: World) -> None:
    world.make_account("aa")
    world.make_account("bb")
    assert due(world) == []
    name = world.pull_secret("bb").metadata.name
    world.run(world.secrets.delete(world.call("delete"), name, DeleteOptions()))
    assert due(world) == [Account("shop", "bb")]
    world.now += LIFETIME * 0.6
    assert due(world) == [Account("shop", "aa"), Account("shop", "bb")]
    assert world.run(mend(world.store, due(world), world.signer())) == 2
    assert due(world) == []
    assert world.run(mend(world.store, [Account("shop", "aa")], world.signer())) == 0


def test_every_page_of_accounts_is_looked_at(world: World) -> None:
    def unit(tx: DocumentTransaction) -> None:
        for number in range(105):
            account = ServiceAccount(metadata=ObjectMeta(name=f"a{number:03}", namespace="shop"))
            put_new(tx, SERVICE_ACCOUNTS, account, world.now)

    world.run(world.store.write(unit))
    assert len(due(world)) == 105
    assert world.run(mend(world.store, due(world), world.signer())) == 105


def test_an_account_that_is_going_is_not_due(world: World) -> None:
    new = ServiceAccount(metadata=ObjectMeta(name="aa", finalizers=["example.com/wait"]))
    world.run(world.accounts.create(world.call("create"), new))
    world.run(world.accounts.delete(world.call("delete"), "aa", DeleteOptions()))
    world.now += LIFETIME
    assert due(world) == []


def test_nothing_is_made_in_a_namespace_that_is_not_there(world: World) -> None:
    account = ServiceAccount(metadata=ObjectMeta(name="aa", namespace="ghost"))

    def unit(tx: DocumentTransaction) -> bool:
        put_new(tx, SERVICE_ACCOUNTS, account, world.now)
        return ensure_pull_secret(tx, "ghost", "aa", signer)

    signer = world.signer()
    assert not world.run(world.store.write(unit))


def test_a_secret_says_whose_pull_secret_it_is(world: World) -> None:
    world.make_account("aa")
    secrets = [
        each.body for key, each in world.store.documents.items() if key.resource == "secrets"
    ]
    assert [account_of_body(each) for each in secrets] == ["aa"]
    assert account_of_body(b'{"metadata":{}}') == ""
