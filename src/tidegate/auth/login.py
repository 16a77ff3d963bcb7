"""Checking a user's password, at a price that the server can pay.

In order: a success of the last minute passes at once; the throttle may refuse; equal checks that
run at the same time (fifty CI jobs of one user) share one hash; then argon2 decides. Invariant: no
outcome, and no time that it takes, tells an unknown or disabled user from a wrong password.
"""

import asyncio
from collections.abc import Callable

from tidegate.auth.accounts import Account, AccountDirectory
from tidegate.auth.credentials import check_password_login
from tidegate.auth.errors import InvalidCredentials, Throttled
from tidegate.auth.logins import looks_like_token
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.remembered import RememberedLogins
from tidegate.auth.throttle import Attempt, Throttle, network_of


class PasswordLogin:
    """Lets users of `accounts` in; `clock` counts seconds and never goes back."""

    def __init__(
        self, accounts: AccountDirectory, hashes: PasswordHashes, clock: Callable[[], float]
    ) -> None:
        self._accounts = accounts
        self._hashes = hashes
        self._remembered = RememberedLogins(clock)
        self._throttle = Throttle(clock)
        self._running: dict[tuple[bytes, str], asyncio.Task[bool]] = {}

    async def login(self, name: str, password: str, client: str) -> Account:
        """The account of `name`; `InvalidCredentials` or `Throttled` otherwise.

        `client` is the address that the attempt comes from.
        """
        check_password_login(name, password)
        account = await self._accounts.find(name)
        encoded = account.password_hash if account else None
        mark = self._remembered.mark(name, encoded or "", password)
        if account is not None and self._remembered.holds(mark):
            return account
        check = self._running.get((mark, network_of(client)))
        if check is None:
            attempt = self._enter(name, client)
            check = self._begin((mark, network_of(client)), encoded, password, attempt)
        if not await asyncio.shield(check) or account is None:  # others may wait for the same
            raise InvalidCredentials(user=_claimed(name))
        return account

    async def stands(self, account: Account) -> bool:
        """Whether a login of a moment ago would still be one.

        Asked once what it brings is stored: checking a password takes a while, in which it may
        have lost its word, and whatever took it away ended only what was there by then.
        """
        current = await self._accounts.find(account.user.name)
        return current is not None and current.login.reference == account.login.reference

    def count_failed_token(self, client: str) -> None:
        """A token that was sent in a password's place did not hold.

        It counts as a failed password from its network does, and raises `Throttled` where there
        were too many. Tokens are checked before this, so that one that holds is never delayed by
        those that do not: it cannot be guessed, and checking it costs little.
        """
        self._throttle.enter("", client).failed()

    def _enter(self, name: str, client: str) -> Attempt:
        try:
            return self._throttle.enter(name, client)
        except Throttled as error:
            error.user = _claimed(name)
            raise

    def _begin(
        self, key: tuple[bytes, str], encoded: str | None, password: str, attempt: Attempt
    ) -> asyncio.Task[bool]:
        def end(task: asyncio.Task[bool]) -> None:
            del self._running[key]
            if task.cancelled() or task.exception() is not None:
                attempt.abandoned()
            elif task.result():
                attempt.succeeded()
                self._remembered.add(key[0])
            else:
                attempt.failed()

        check = asyncio.create_task(self._hashes.matches(encoded, password))
        self._running[key] = check
        check.add_done_callback(end)
        return check


def _claimed(name: str) -> str:
    """The name for the audit log, empty for a token that somebody put in a name's place."""
    return "" if looks_like_token(name) else name
