"""Imports as a whole: looked for, written, told. What the API and the controllers call.

    look (network) ──> write (one unit of work) ──> audit
                         │ refused for some tags: again without them
                         └ over a limit: the tags say so

`Importer` is one per process; requests use it as they are (`storage`), and controllers by way of
`tag_imports`.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from tidegate.apimachinery.documents.beside import IN_LOOP, Beside
from tidegate.apimachinery.store import ObjectStore
from tidegate.images.imports import statuses
from tidegate.images.imports.applying import apply, note_refusal
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.fetching import Pool
from tidegate.images.imports.keyring import keyring_of
from tidegate.images.imports.looking import Caller, Looking
from tidegate.images.imports.orders import Applied, Import, Refusals
from tidegate.images.imports.picturing import Images, images_of
from tidegate.images.imports.planning import Outcome
from tidegate.images.streams.errors import LimitExceeded, QuotaExceeded
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.rendering import composed, heading
from tidegate.images.streams.stream import Actor
from tidegate.images.streams.unit_rendering import shown_in
from tidegate.images.tags.changing import run
from tidegate.metastore.database import Database, Transaction
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.timestamp import rfc3339, rfc3339_seconds
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec
from tidegate.remote.gateway import Gateway, Urgency

T = TypeVar("T")

_ROUNDS = 20
"""Times that a unit is done again, each time without some tags that rules keep from it."""


class Written(NamedTuple):
    """What a write came to: outcomes as they are told, and what the unit left behind."""

    outcomes: Sequence[Outcome]
    images: Mapping[int, Images]
    applied: Applied | None


class Importer:
    """Imports of one process."""

    def __init__(
        self,
        store: ObjectStore,
        database: Database,
        gateway: Gateway,
        hosts: Hosts,
        audit: Audit,
        clock: Callable[[], float] = time.time,
        own: Callable[[], Collection[str]] | None = None,
    ) -> None:
        """`own` gives every HOST[:PORT] of this registry, where `hosts` are not all."""
        self.store = store
        self.database = database
        self.clock = clock
        self._hosts = hosts
        self._own = own or (lambda: (hosts.internal, hosts.public))
        self._pool = Pool()
        self._beside = Beside(1, _WAITING)
        self._gateway = gateway
        self._audit = audit

    async def looking(self, project: str, urgency: Urgency) -> Looking:
        """A look at other registries with a project's credentials; enter it while it lasts."""
        keyring = await keyring_of(self.store, project)
        return Looking(self._gateway, Caller(keyring, urgency), self._pool, self._own())

    async def write(self, asked: Import, actor: Actor, *, dry_run: bool = False) -> Written:
        """Write what was found; raises `LimitExceeded`, `QuotaExceeded`, and what `apply` does.

        `asked.images` are made here.
        """
        asked = replace(asked, images=await self._images(asked.outcomes, actor.now))
        for _ in range(_ROUNDS):
            try:
                applied = await self._unit(asked, actor, dry_run=dry_run)
            except Refusals as refusals:
                asked = replace(asked, outcomes=_refused(asked.outcomes, refusals.why))
                continue
            return Written(asked.outcomes, asked.images, applied)
        failed = [
            replace(each, fetched=None, status=statuses.forbidden(each.wanted.source, _TOO_MANY))
            for each in asked.outcomes
        ]
        return Written(failed, asked.images, None)

    async def looked(self, outcomes: Sequence[Outcome]) -> Written:
        """What was found, for who only looks."""
        return Written(outcomes, await self._images(outcomes, self.clock()), None)

    async def _unit(self, asked: Import, actor: Actor, *, dry_run: bool) -> Applied | None:
        """One try; without what is about an image where that alone is too much."""

        def unit(tx: Transaction) -> Applied | None:
            applied = apply(tx, asked, actor)
            return self._rendered(tx, applied) if applied is not None and dry_run else applied

        if any(_is_attached(each) for each in asked.outcomes):
            try:
                return await run(self.database, unit, dry_run=dry_run)
            except (LimitExceeded, QuotaExceeded):
                asked = replace(asked, attached=False)
        return await run(self.database, unit, dry_run=dry_run)

    def _rendered(self, tx: Transaction, applied: Applied) -> Applied:
        """What a dry run shows: the stream as only its unit sees it."""
        header = heading(applied.document.body)
        shown = shown_in(tx, applied.stream.repository_id, header, self._hosts)
        body = composed(header, shown, self._hosts)
        return applied._replace(document=applied.document._replace(body=body))

    async def _images(self, outcomes: Sequence[Outcome], now: float) -> dict[int, Images]:
        """The Images of each outcome, made once for those that share them."""
        found: dict[int, Images] = {}
        made: dict[tuple[int, str], Images] = {}
        for number, each in enumerate(outcomes):
            fetched, source = each.fetched, each.wanted.spec
            if fetched is None or source is None:
                continue
            key = id(fetched), source.repository().exact()
            if key not in made:
                made[key] = await self._images_of(fetched, source, rfc3339_seconds(now))
            found[number] = made[key]
        return found

    async def _images_of(self, fetched: Fetched, source: PullSpec, created: str) -> Images:
        return await self.beside(weight_of(fetched), images_of, fetched, source, created)

    async def beside(self, weight: int, work: Callable[..., T], *args: Any) -> T:
        """Do work on so many bytes beside the event loop, if they are many."""
        return await self._beside.do(weight, work, *args) if weight > IN_LOOP else work(*args)

    async def note_refusal(self, asked: Import, error: Exception) -> None:
        """Let the tags say that the project's limits kept them from being imported."""
        status = statuses.forbidden(str(asked.name), str(error))
        now = self.clock()
        await self.database.write(lambda tx: note_refusal(tx, asked, status, now))

    def tell(
        self, name: RepositoryName, outcomes: Iterable[Outcome], actor: Actor, source: str = ""
    ) -> None:
        """An audit event for each: who imported what, and from where."""
        for outcome in outcomes:
            found = outcome.fetched
            self._audit.record(
                AuditEvent(
                    time=rfc3339(actor.now),
                    action="import",
                    user=actor.who,
                    source=source,
                    repository=name,
                    reference=outcome.wanted.to,
                    digest="" if found is None else found.digest,
                    status=outcome.status.code or 200,
                    bytes=0 if found is None else len(found.content),
                    detail=_told(outcome),
                )
            )


_WAITING = 1024 * 1024 * 1024
"""Bytes of content that may wait to be made Images of: as much as imports may bring."""

_TOO_MANY = "too many tags of this import are kept by rules of the project: import fewer at once"


def weight_of(fetched: Fetched) -> int:
    """Bytes of an image's manifests and configurations."""
    return sum(len(each.content) + len(each.config or b"") for each in fetched.members())


def _told(outcome: Outcome) -> str:
    """Where an image came from, or why it did not."""
    if outcome.fetched is None:
        return f"{outcome.wanted.source}: {outcome.status.message}"
    found = outcome.fetched
    origin = f"from {found.location.at(found.named or found.digest)}"
    return origin if found.mirror is None else f"{origin} by {found.mirror}"


def _refused(outcomes: Sequence[Outcome], why: Mapping[int, str]) -> list[Outcome]:
    return [
        each
        if number not in why
        else replace(each, fetched=None, status=statuses.forbidden(each.wanted.source, why[number]))
        for number, each in enumerate(outcomes)
    ]


def _is_attached(outcome: Outcome) -> bool:
    found = outcome.fetched
    return found is not None and bool(found.referrers or found.signatures)
