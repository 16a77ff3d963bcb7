"""One run of a Mirror: what its spec means now, copied.

    read the sides -> tags of the source -> orders -> copy -> delete what is extra -> receipt

Acts for the Mirror's project and nobody else: with the project's Secrets, on the project's streams,
by its limits and policies, and within what the administrator allows for imports. Knows neither jobs
nor how a run is shown.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

import msgspec

from tidegate import __version__
from tidegate.apimachinery.store import Key, ObjectStore
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.auth.projects.proxy import proxy_of
from tidegate.auth.secrets import (
    DOCKER_CONFIG_JSON,
    DOCKER_CONFIG_JSON_KEY,
    DOCKERCFG,
    DOCKERCFG_KEY,
    SECRETS,
    Secret,
    value_of,
)
from tidegate.delivery.mirrors import receipt
from tidegate.delivery.mirrors.closure import Wanted
from tidegate.delivery.mirrors.copying import Copier, Meter, Order
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.local_place import LocalPlace, LocalTarget
from tidegate.delivery.mirrors.local_upload import Local
from tidegate.delivery.mirrors.places import Place, Target
from tidegate.delivery.mirrors.receipt import Outcome
from tidegate.delivery.mirrors.registry_place import RegistryPlace, RegistryTarget
from tidegate.delivery.mirrors.running import FAILURES, Done, run
from tidegate.delivery.mirrors.selection import Selection
from tidegate.delivery.mirrors.sessions import Sessions
from tidegate.images.imports.keyring import keyring_of
from tidegate.kinds.mirror import Mirror, MirrorSide
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec
from tidegate.remote.credentials import Keyring
from tidegate.remote.gateway import Gateway, Registries, Urgency
from tidegate.remote.location import Location


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Project(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)

    @property
    def annotations(self) -> dict[str, str]:
        return self.metadata.annotations or {}


_PROJECT = msgspec.json.Decoder(_Project)
_SECRET = msgspec.json.Decoder(Secret)
_KEYS = {DOCKERCFG: DOCKERCFG_KEY, DOCKER_CONFIG_JSON: DOCKER_CONFIG_JSON_KEY}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run came to."""

    outcomes: list[Outcome]
    deleted: int = 0
    warnings: list[str] = field(default_factory=list)
    receipt: str = ""

    @property
    def failed(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.copied is None]


@dataclass(frozen=True, slots=True)
class Mirroring:
    """Runs Mirrors. `own` gives the hosts that this registry is known by."""

    store: ObjectStore
    local: Local
    gateway: Gateway
    policy: Callable[[], ImportPolicy]
    own: Callable[[], Collection[str]]
    clock: Callable[[], float] = time.time

    async def run(self, mirror: Mirror, sessions: Sessions, meter: Meter, done: Done) -> Ran:
        """Copy what is to be copied; raises what places raise, where nothing could begin."""
        started = self.clock()
        spec = mirror.spec
        source = await self._source(mirror, spec.source)
        target = await self._target(mirror, spec.target, sessions)
        selection = Selection.of(spec.tags, spec.versions)
        tags = await source.tags()
        chosen = selection.choose(tags)
        known = frozenset(tags)
        orders = [
            (
                Order(source, tag, target, tag, _called(spec.source, mirror, tag), known),
                _called(spec.target, mirror, tag),
            )
            for tag in chosen
        ]
        wanted = Wanted(spec.platforms, referrers=not spec.without_referrers)
        copier = Copier(wanted, meter)
        outcomes = await run(copier, orders, done)
        deleted, warnings = 0, list[str]()
        if spec.delete_extra and isinstance(target, LocalTarget):
            failed = any(each.copied is None for each in outcomes)
            if chosen and not failed:
                deleted, warnings = await _delete_extra(target, selection, chosen)
        document = receipt.receipt(
            receipt.Run(
                f"tidegate {__version__}", rfc3339_seconds(started), rfc3339_seconds(self.clock())
            ),
            outcomes,
        )
        return Ran(outcomes, deleted, warnings, document["digest"])

    def lane(self, mirror: Mirror) -> str:
        """What a run competes for: the registry that it asks."""
        for side in (mirror.spec.source, mirror.spec.target):
            if side.repository:
                return _location(side).host
        return ""

    async def _source(self, mirror: Mirror, side: MirrorSide) -> Place:
        if side.stream:
            keyring = await keyring_of(self.store, mirror.metadata.namespace)
            upstream = partial(self._upstream, keyring)
            return LocalPlace(self.local, _stream(mirror, side), upstream)
        location = self._checked(side)
        fault = self.policy().import_fault(PullSpec.parse(side.repository), insecure=side.insecure)
        if fault:
            raise NotCopied(fault)
        return RegistryPlace(await self._registries(mirror, side, mirrors=True), location)

    async def _target(self, mirror: Mirror, side: MirrorSide, sessions: Sessions) -> Target:
        if side.stream:
            await self._check_project(mirror.metadata.namespace)
            return LocalTarget(self.local, _stream(mirror, side), _who(mirror))
        location = self._checked(side)
        registries = await self._registries(mirror, side, mirrors=False)
        return RegistryTarget(registries, location, sessions)

    async def _check_project(self, project: str) -> None:
        """Nothing is pushed into a project that is itself the mirror of a registry."""
        document = await self.store.get(Key(NAMESPACES.key, "", project))
        proxy = None if document is None else proxy_of(_PROJECT.decode(document.body).annotations)
        if proxy is not None:
            raise NotCopied(f"project {project} mirrors {proxy.host}: copy into another project")

    def _checked(self, side: MirrorSide) -> Location:
        """The repository, which is not one of this registry's: rights count for those."""
        location = _location(side)
        if location.host in self.own():
            raise NotCopied(
                f"{side.repository} is in this registry: name a stream of this project instead"
            )
        return location

    async def _registries(self, mirror: Mirror, side: MirrorSide, *, mirrors: bool) -> Registries:
        return self.gateway.registries(
            await self._keyring(mirror.metadata.namespace, side.secret),
            insecure=side.insecure,
            urgency=Urgency.BACKGROUND,
            mirrors=mirrors,
        )

    def _upstream(self, keyring: Keyring, insecure: bool) -> Registries:
        """The registries that a stream's imported images came from."""
        return self.gateway.registries(keyring, insecure=insecure, urgency=Urgency.BACKGROUND)

    async def _keyring(self, project: str, name: str) -> Keyring:
        if not name:
            return await keyring_of(self.store, project)
        document = await self.store.get(Key(SECRETS.key, project, name))
        if document is None:
            raise NotCopied(f"there is no Secret {name} in project {project}")
        secret = _SECRET.decode(document.body)
        key = _KEYS.get(secret.type)
        value = None if key is None else value_of(secret, key)
        if value is None:
            raise NotCopied(f"Secret {name} holds no logins: make it of type {DOCKER_CONFIG_JSON}")
        return Keyring.of([value])


async def _delete_extra(
    target: LocalTarget, selection: Selection, chosen: Collection[str]
) -> tuple[int, list[str]]:
    """Delete tags that would have been copied, and that the source does not have."""
    deleted, warnings = 0, []
    for tag in selection.choose(await target.tags()):
        if tag in chosen:
            continue
        try:
            deleted += await target.drop_tag(tag)
        except FAILURES as error:
            warnings.append(f"{tag} was not deleted: {error}")
    return deleted, warnings


def _who(mirror: Mirror) -> str:
    """As whom it is told in histories that the Mirror was there."""
    return f"system:mirror:{mirror.metadata.namespace}:{mirror.metadata.name}"


def _stream(mirror: Mirror, side: MirrorSide) -> RepositoryName:
    return RepositoryName.parse(f"{mirror.metadata.namespace}/{side.stream}")


def _location(side: MirrorSide) -> Location:
    return Location.of(PullSpec.parse(side.repository))


def _called(side: MirrorSide, mirror: Mirror, tag: str) -> str:
    """What an image is called at a side."""
    if side.stream:
        return f"{mirror.metadata.namespace}/{side.stream}:{tag}"
    return _location(side).at(tag)
