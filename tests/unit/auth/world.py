"""A directory of accounts, a ring of keys and a clock, all in memory, and what is built on them."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.authorizers import MASTERS
from tidegate.apimachinery.authorizer import User
from tidegate.auth.accounts import Account, LocalLogins
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.keys import KeyRing
from tidegate.auth.login import PasswordLogin
from tidegate.auth.logins import LoginKind, Logins
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.tokens import Tokens
from tidegate.auth.users.groups import AUTHENTICATED
from tidegate.metastore.keys import Key

T = TypeVar("T")


class CountedHashes(PasswordHashes):
    """Counts the passwords that are checked."""

    checked = 0

    async def matches(self, encoded: str | None, password: str) -> bool:
        self.checked += 1
        return await super().matches(encoded, password)


@dataclass
class World:
    """What authentication works on; `run` drives a coroutine to its end."""

    runner: asyncio.Runner
    hashes: CountedHashes
    now: float = 1_767_323_045.5
    accounts: dict[str, Account] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    look_ups: int = 0

    def __post_init__(self) -> None:
        self.keys.append(Key("k1", b"1" * 32, self.now - 1000))
        self.login = PasswordLogin(self, self.hashes, self.clock)
        self.tokens = Tokens(KeyRing(self.read_keys), "tidegate")
        self.accept()

    def accept(self, *kinds: LoginKind) -> None:
        """Let tokens of further kinds in, beside passwords."""
        self.logins = Logins((LocalLogins(self), *kinds), self.clock)
        self.authenticator = Authenticator(self.login, self.logins, self.tokens, self.clock)

    def clock(self) -> float:
        return self.now

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    async def find(self, name: str) -> Account | None:
        self.look_ups += 1
        return self.accounts.get(name)

    async def read_keys(self) -> list[Key]:
        return self.keys

    def set_password(self, name: str, password: str, *, admin: bool = False) -> None:
        groups = (AUTHENTICATED, MASTERS) if admin else (AUTHENTICATED,)
        encoded = self.run(self.hashes.hash(password))
        self.accounts[name] = Account(User(name, groups), encoded, self.now)


@contextmanager
def new_world() -> Iterator[World]:
    """A world in which there is one key and nobody."""
    with asyncio.Runner() as runner:
        hashes = CountedHashes(queue=8)
        yield World(runner, hashes)
        hashes.close()
