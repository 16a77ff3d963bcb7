"""Looking for images in other registries: everything that is wanted, each distinct thing once.

Failures are outcomes, never exceptions: whatever another registry does, the request that asked is
answered image by image. Nothing is written here.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tidegate.images.imports import statuses
from tidegate.images.imports.attached import Attached
from tidegate.images.imports.errors import OwnImage
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.fetching import Allowance, Pool, fetch
from tidegate.images.imports.planning import Outcome, Sought, Wanted, distinct
from tidegate.oci.pull_spec import DOCKER_HUB, PullSpec
from tidegate.remote.credentials import NO_KEYS, Keyring
from tidegate.remote.errors import (
    AccessDenied,
    LeftAlone,
    RateLimited,
    RemoteError,
    SourcesFailed,
    Unavailable,
)
from tidegate.remote.gateway import Gateway, Registries, Urgency
from tidegate.remote.location import Location

AT_ONCE = 4
"""Images that are fetched at a time for one import."""

PATIENCE = 600.0
"""Seconds for all images of one import; what has not come by then has failed."""

HUB_WARNING = (
    f"{DOCKER_HUB} is asked without credentials, which it allows only a few times an hour for all"
    " who share this server's address: add a pull secret for it to the project, or import from"
    " another registry or a mirror"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who looks: with which credentials, and how urgently."""

    keyring: Keyring = NO_KEYS
    urgency: Urgency = Urgency.ASKED


class Looking:
    """One import's looks at other registries; `warnings` are for whoever asked for it.

    `own` are the hosts of this registry, which is none. What was found is held until the block
    ends.
    """

    def __init__(
        self, gateway: Gateway, caller: Caller, pool: Pool, own: Collection[str] = ()
    ) -> None:
        self._gateway = gateway
        self._caller = caller
        self._own = own
        self._allowance = Allowance(pool=pool)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._ends = time.monotonic() + PATIENCE
        self.warnings: list[str] = []

    def __enter__(self) -> "Looking":
        return self

    def __exit__(self, *_: object) -> None:
        self._allowance.release()

    @property
    def urgency(self) -> Urgency:
        """How urgently it looks."""
        return self._caller.urgency

    async def all(self, wanted: Sequence[Wanted]) -> list[Outcome]:
        """What became of each, in order."""
        async with asyncio.TaskGroup() as group:
            tasks = {each: group.create_task(self._one(each)) for each in distinct(wanted)}
        found = {each: task.result() for each, task in tasks.items()}
        if any(self._is_hub_alone(*each) for each in found.items()):
            self.warnings.append(HUB_WARNING)
        return [_outcome(each, found) for each in wanted]

    async def head(self, sought: Sought) -> str:
        """The digest that is there now; raises `RemoteError`."""
        registries = self._registries(sought.insecure)
        return (await registries.head(sought.location, sought.reference)).digest

    async def tags(self, source: str, *, insecure: bool) -> list[str]:
        """The tags of a repository; raises `RemoteError`."""
        location = Location.of(PullSpec.parse(source))
        self._check_other(location)
        try:
            return await self._registries(insecure).tags(location)
        except AccessDenied as error:
            if error.anonymous:
                raise
            try:
                return await self._registries(insecure, NO_KEYS).tags(location)
            except RemoteError:
                raise error from None

    async def _one(self, sought: Sought) -> Fetched | RemoteError:
        async with self._turns:
            try:
                async with asyncio.timeout(self._ends - time.monotonic()):
                    return await self._fetched(sought)
            except TimeoutError:
                return Unavailable(f"the import took more than {PATIENCE:.0f} seconds")
            except RemoteError as error:
                return error

    async def _fetched(self, sought: Sought) -> Fetched:
        """The image, without credentials if those of the project are not believed."""
        self._check_other(sought.location)
        registries = self._registries(sought.insecure)
        try:
            return await self._whole(registries, sought)
        except AccessDenied as error:
            if error.anonymous:
                raise
            try:
                return await self._whole(self._registries(sought.insecure, NO_KEYS), sought)
            except RemoteError:
                raise error from None

    async def _whole(self, registries: Registries, sought: Sought) -> Fetched:
        location, reference, mode, prefer, _ = sought
        fetched = await fetch(
            registries, location, reference, mode, prefer, allowance=self._allowance
        )
        attached = Attached(registries, location, self._allowance)
        fetched = await attached.of(fetched)
        self.warnings += attached.faults
        return fetched

    def _check_other(self, location: Location) -> None:
        if location.host in self._own:
            raise OwnImage(f"{location} is in this registry")

    def _registries(self, insecure: bool, keyring: Keyring | None = None) -> Registries:
        keys = self._caller.keyring if keyring is None else keyring
        return self._gateway.registries(keys, insecure=insecure, urgency=self._caller.urgency)

    def _is_hub_alone(self, sought: Sought, found: Fetched | RemoteError) -> bool:
        """Whether Docker Hub itself was asked, for nobody that it knows."""
        if sought.location.host != DOCKER_HUB or self._caller.keyring.find(sought.location):
            return False
        return isinstance(found, RemoteError) or found.mirror is None


def _outcome(wanted: Wanted, found: dict[Sought, Fetched | RemoteError]) -> Outcome:
    sought = wanted.sought
    if sought is None:
        return Outcome(wanted, statuses.not_found(wanted.source))
    result = found[sought]
    if isinstance(result, Fetched):
        return Outcome(wanted, statuses.SUCCESS, result)
    reference = sought.location.at(sought.reference)
    status = statuses.failed(reference, sought.location, result)
    return Outcome(wanted, status, later=_later(result))


def _later(error: RemoteError) -> float | None:
    """In how many seconds the registry itself may be asked, where it was not; None if it was."""
    last = error.errors[-1] if isinstance(error, SourcesFailed) else error
    return last.retry_after if isinstance(last, (LeftAlone, RateLimited)) else None
