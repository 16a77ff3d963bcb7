"""Empties namespaces that are to go, and gives the others back what everybody finds in one."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

from tidegate.apimachinery.documents.bodies import is_terminating
from tidegate.apimachinery.store import Change, ObjectStore
from tidegate.auth.projects.defaults import WATCHED, lacking, loses_default, restore_all
from tidegate.auth.projects.ending import Ending
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.auth.serviceaccounts.tokens import Signer
from tidegate.controllers.noticed import Noticed
from tidegate.controllers.setback import log_setback

LOOK_EVERYWHERE = 600.0
"""Seconds between looks at every namespace; what is seen happening is seen to at once."""

_LOG = logging.getLogger(__name__)

Signing = Callable[[float], Awaitable[Signer]]
"""What signs in a unit of work that begins soon: `ServiceAccountTokens.signer`."""


class Work(NamedTuple):
    """A namespace that has to end, or to get something back."""

    namespace: str
    ends: bool


async def keep_namespaces(
    store: ObjectStore,
    ending: Ending,
    signer: Signing,
    interval: float,
    clock: Callable[[], float] = time.time,
) -> None:
    """End and restore namespaces at once, and go on every `interval` seconds; until cancelled.

    Each worker runs it: all of it is harmless twice, and a killed worker leaves nothing undone.
    """
    noticed = Noticed(store, [NAMESPACES.key, *WATCHED], work_of)
    looked = float("-inf")
    while True:
        try:
            if noticed.look_everywhere or clock() - looked >= LOOK_EVERYWHERE:
                noticed.look_everywhere, looked = False, clock()
                await find_work(store, ending, noticed)
            work = noticed.take()
            await restore_namespaces(store, signer, work, clock)
            noticed.add(await end_namespaces(ending, work, clock))
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "keeping namespaces", error)
            noticed.look_everywhere = True
            await asyncio.sleep(random.uniform(0, min(interval, 1)))  # noqa: S311  no secret
        await noticed.wait(interval)


def work_of(change: Change) -> Work | None:
    """What a change leaves to be done."""
    if loses_default(change):
        return Work(change.key.namespace, ends=False)
    if change.key.resource != NAMESPACES.key or change.after is None:
        return None
    begins = change.before is None or not is_terminating(change.before)
    if begins and is_terminating(change.after):
        return Work(change.key.name, ends=True)
    return None


async def find_work(store: ObjectStore, ending: Ending, noticed: Noticed[Work]) -> None:
    """Look at every namespace."""
    noticed.add([Work(name, ends=True) for name in await ending.terminating()])
    noticed.add([Work(name, ends=False) async for name in lacking(store)])


async def restore_namespaces(
    store: ObjectStore, signer: Signing, work: Collection[Work], clock: Callable[[], float]
) -> None:
    """Give namespaces back what they lack."""
    names = sorted(each.namespace for each in work if not each.ends)
    if not names:
        return
    restored = await restore_all(store, names, await signer(clock()))
    if restored:
        _LOG.info("restored the defaults of %d namespaces", restored)


async def end_namespaces(
    ending: Ending, work: Collection[Work], clock: Callable[[], float]
) -> list[Work]:
    """Take every namespace that is to go as far as it can go; those that are not gone yet."""
    left = []
    for each in sorted(each for each in work if each.ends):
        gone = False
        try:
            gone = await ending.end(each.namespace, clock())
        except Exception as error:  # noqa: BLE001  one namespace's trouble does not hold up the others
            log_setback(_LOG, f"ending namespace {each.namespace}", error)
        if gone:
            _LOG.info("namespace %s is gone", each.namespace)
        else:
            left.append(each)
    return left
