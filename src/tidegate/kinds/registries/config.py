"""The configuration of other registries as of now, for whoever asks, in every process.

It follows the objects and compiles them anew at each change: what another process wrote is in
force some milliseconds later. Whoever must not decide by less than what is committed awaits
`current` first. Invariant: what is in force is whole, of one moment; if changes were missed, it
stays until all has been read again.
"""

import asyncio
import contextlib
import logging

from tidegate.apimachinery.store import Change, Key, ObjectStore
from tidegate.kinds.config_map import CONFIG_MAPS
from tidegate.kinds.registries.compiling import IMAGE_KEY, InForce, compiled
from tidegate.kinds.registries.image_config import CONFIG_NAMESPACE, IMAGE_CONFIGS
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.kinds.registries.in_force import Ignored
from tidegate.kinds.registries.mirror_sets import (
    IMAGE_CONTENT_SOURCE_POLICIES,
    IMAGE_DIGEST_MIRROR_SETS,
    IMAGE_TAG_MIRROR_SETS,
)
from tidegate.remote.rules import RegistryRules

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0

_WHOLE = (
    IMAGE_CONFIGS.key,
    IMAGE_DIGEST_MIRROR_SETS.key,
    IMAGE_TAG_MIRROR_SETS.key,
    IMAGE_CONTENT_SOURCE_POLICIES.key,
)
_FOLLOWED = (*_WHOLE, CONFIG_MAPS.key)


class RegistryConfig:
    """See the module; `internal` is our own HOST[:PORT], which is always allowed.

    Await `start` before asking anything, and `close` in the end.
    """

    def __init__(self, store: ObjectStore, internal: str = "") -> None:
        self._store = store
        self._internal = internal
        self._documents: dict[Key, bytes] = {}
        self._in_force = InForce()
        self._pending: list[Change] | None = []  # while all is to be read
        self._missed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read all of it and follow what becomes of it."""
        self._store.follow(_FOLLOWED, self._follow, self._reset)
        await self._read()
        self._keeper = asyncio.create_task(self._keep(), name="registry-config")

    async def close(self) -> None:
        """Follow no more."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def current(self) -> "RegistryConfig":
        """Wait until everything that is committed now is in force; itself, to ask it then."""
        await self._store.catch_up()
        await self._read()
        return self

    def in_force(self) -> InForce:
        """All of it, of one moment."""
        return self._in_force

    def rules(self) -> RegistryRules:
        """Which registries may be asked, in which order, and how they are trusted."""
        return self._in_force.rules

    def imports(self) -> ImportPolicy:
        """Which registries users may import from."""
        return self._in_force.imports

    def import_mode(self) -> str:
        """importMode of new tags that say none: Legacy or PreserveOriginal."""
        return self._in_force.import_mode

    def external_hostnames(self) -> tuple[str, ...]:
        """HOST[:PORT] under which everybody reaches this registry; none when nobody said."""
        return self._in_force.external

    def _follow(self, change: Change) -> None:
        if not _counts(change.key):
            return
        if self._pending is not None:
            self._pending.append(change)
        else:
            _apply(self._documents, change)
            self._compile()

    def _reset(self) -> None:
        self._pending = []
        self._missed.set()

    async def _keep(self) -> None:
        """Read all anew whenever changes were missed."""
        while True:
            await self._missed.wait()
            try:
                await self._read()
            except Exception:  # the top of a loop: logged, and tried again
                log.exception("reading the configuration of registries failed, will try again")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if self._pending is None:
                    self._missed.clear()

    async def _read(self) -> None:
        """Read every object, with what changes meanwhile, unless they are at hand."""
        async with self._reading:
            while (pending := self._pending) is not None:
                found = await self._listed()
                if self._pending is not pending:
                    continue  # missed again meanwhile
                for change in pending:
                    _apply(found, change)
                self._documents, self._pending = found, None
                self._compile()

    async def _listed(self) -> dict[Key, bytes]:
        found: dict[Key, bytes] = {}
        for resource in _WHOLE:
            listing = await self._store.list(resource)
            found |= {each.key: each.body for each in listing.documents if _counts(each.key)}
        listing = await self._store.list(CONFIG_MAPS.key, CONFIG_NAMESPACE)
        found |= {each.key: each.body for each in listing.documents}
        return found

    def _compile(self) -> None:
        before = self._in_force.ignored
        self._in_force = compiled(self._documents, self._internal)
        if self._in_force.ignored != before:
            _tell(self._in_force.ignored)


def _counts(key: Key) -> bool:
    """Whether an object is of those that say something."""
    if key.resource == CONFIG_MAPS.key:
        return key.namespace == CONFIG_NAMESPACE
    return key.resource != IMAGE_CONFIGS.key or key == IMAGE_KEY


def _apply(documents: dict[Key, bytes], change: Change) -> None:
    if change.after is None:
        documents.pop(change.key, None)
    else:
        documents[change.key] = change.after


def _tell(ignored: tuple[Ignored, ...]) -> None:
    for each in ignored:
        log.warning(
            "configuration of registries: %s: %r is ignored: %s",
            each.object,
            each.entry,
            each.reason,
        )
