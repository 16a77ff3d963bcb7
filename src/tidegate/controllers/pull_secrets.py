"""Renews pull secrets before they expire, and makes those anew that somebody deleted."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from tidegate.apimachinery.store import Change, ObjectStore
from tidegate.auth.secrets import SECRETS
from tidegate.auth.serviceaccounts.pull_secrets import account_of_body
from tidegate.auth.serviceaccounts.renewal import Account, due_accounts, mend
from tidegate.auth.serviceaccounts.tokens import Signer
from tidegate.controllers.noticed import Noticed
from tidegate.controllers.setback import log_setback

_LOG = logging.getLogger(__name__)

Signing = Callable[[float], Awaitable[Signer]]
"""What signs in a unit of work that begins soon: `ServiceAccountTokens.signer`."""


async def renew_pull_secrets(
    store: ObjectStore,
    signer: Signing,
    interval: float,
    clock: Callable[[], float] = time.time,
) -> None:
    """Mend an account whose Secret went at once, all every `interval` seconds; until cancelled.

    Each worker runs it: what one has renewed is young to the others. They start at odds, so that
    they seldom meet.
    """
    noticed = Noticed(store, [SECRETS.key], work_of)
    await asyncio.sleep(random.uniform(0, min(interval, 5.0)))  # noqa: S311  no secret
    looked = float("-inf")
    while True:
        try:
            everywhere = noticed.look_everywhere or clock() - looked >= interval
            if everywhere:
                noticed.look_everywhere, looked = False, clock()
            await mend_pull_secrets(store, signer, noticed, clock, everywhere=everywhere)
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "renewing pull secrets", error)
            noticed.look_everywhere = True
            await asyncio.sleep(random.uniform(0, min(interval, 60)))  # noqa: S311  no secret
        else:
            await noticed.wait(interval)


def work_of(change: Change) -> Account | None:
    """The account that a change took its pull secret from."""
    if change.after is not None or change.before is None:
        return None
    name = account_of_body(change.before)
    return Account(change.key.namespace, name) if name else None


async def mend_pull_secrets(
    store: ObjectStore,
    signer: Signing,
    noticed: Noticed[Account],
    clock: Callable[[], float],
    *,
    everywhere: bool,
) -> None:
    """See to the accounts that were noticed, and with `everywhere` to all that need it."""
    signing = await signer(clock())
    if everywhere:
        noticed.add([each async for each in due_accounts(store, signing)])
    written = await mend(store, sorted(noticed.take()), signing)
    if written:
        _LOG.info("made or renewed %d pull secrets", written)
