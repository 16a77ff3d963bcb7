"""Imports as a whole: looked for, written, told. What the API and the controllers call.

    look (network) ──> write (one unit of work) ──> audit
                         │ refused for some tags: again without them
                         └ over a limit: the tags say so

`Importer` is one per process. A controller calls `import_tags` with the tags of a stream that are
to be imported; what they come from, how and with whose credentials is read from the project.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tidegate.apimachinery.documents.beside import IN_LOOP, Beside
from tidegate.apimachinery.store import ObjectStore
from tidegate.images.imports import statuses
from tidegate.images.imports.applying import Applied, Import, Moved, Refusals, apply, note_refusal
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.keyring import keyring_of
from tidegate.images.imports.looking import Caller, Looking
from tidegate.images.imports.picturing import Images, images_of
from tidegate.images.imports.planning import Outcome, Wanted, of_tag
from tidegate.images.streams.errors import LimitExceeded, QuotaExceeded
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.rendering import composed, heading
from tidegate.images.streams.stream import IMPORT, Actor
from tidegate.images.streams.unit_rendering import shown_in
from tidegate.images.tags.changing import run
from tidegate.images.tags.names import TagName
from tidegate.images.tags.reading import Reads
from tidegate.images.tags.rendering import View
from tidegate.metastore import tag_checks
from tidegate.metastore.database import Database, Transaction
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.timestamp import rfc3339, rfc3339_seconds
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec, is_digest
from tidegate.remote.errors import RemoteError
from tidegate.remote.gateway import Gateway, Urgency

_ROUNDS = 20
"""Times that a unit is done again, each time without some tags that rules keep from it."""


class TagResult(NamedTuple):
    """What became of one tag: whether it names something else now, what, and else why not.

    `later` is in how many seconds it may be tried, where another registry allows no more now;
    `digest` is what the tag names over there.
    """

    tag: str
    moved: bool = False
    digest: str = ""
    error: str = ""
    later: float | None = None


@dataclass(frozen=True, slots=True)
class Written:
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
    ) -> None:
        self.store = store
        self.database = database
        self.clock = clock
        self._hosts = hosts
        self._beside = Beside(1, _WAITING)
        self._gateway = gateway
        self._audit = audit
        self._reads = Reads(database, store)

    async def looking(self, project: str, urgency: Urgency, *, attached: bool = True) -> Looking:
        """A look at other registries with a project's credentials."""
        keyring = await keyring_of(self.store, project)
        return Looking(self._gateway, Caller(keyring, urgency), attached=attached)

    async def import_tags(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]:
        """Import these tags of a stream as its spec says; in order, without those not to import.

        With `Urgency.BACKGROUND` a tag is only looked at as long as it is what it was; a request
        that another registry does not allow now fails no tag then. Raises what the metastore does.
        """
        views = [await self._reads.view(TagName(name, tag)) for tag in tags]
        looking = await self.looking(name.project, urgency)
        results: dict[str, TagResult] = {}
        wanted: list[Wanted] = []
        for view in views:
            found = None if view is None or view.spec is None else of_tag(view.spec)
            if view is None or found is None:
                continue
            same = urgency == Urgency.BACKGROUND and await self._unchanged(looking, view, found)
            if same:
                results[found.to] = same
            else:
                results[found.to] = TagResult(found.to)
                wanted.append(found)
        outcomes = await looking.all(wanted)
        if urgency == Urgency.BACKGROUND:
            results |= {
                each.wanted.to: _result(each, ()) for each in outcomes if each.later is not None
            }
            outcomes = [each for each in outcomes if each.later is None]
        if outcomes:
            results |= await self._write_tags(name, outcomes, Actor(who, IMPORT, self.clock()))
        return list(results.values())

    async def _unchanged(self, looking: Looking, view: View, wanted: Wanted) -> TagResult | None:
        """What to say of a tag that is over there what it was; None for one to fetch."""
        sought, spec, event = wanted.sought, view.spec, view.named
        if sought is None or spec is None or event is None or view.conditions:
            return None
        if spec.generation is None or spec.generation > event.generation:
            return None
        if is_digest(sought.reference):
            return TagResult(wanted.to, digest=sought.reference)
        stream, tag = view.name
        check = await tag_checks.find(self.database, stream, tag)
        if check is None or check.upstream != str(sought) or not check.digest:
            return None
        try:
            found = await looking.head(sought)
        except RemoteError:
            return None  # which the fetch then finds, too
        if found != check.digest:
            return None
        now = self.clock()
        await tag_checks.note_seen(self.database, stream, tag, str(sought), found, now)
        return TagResult(tag, digest=found)

    async def _write_tags(
        self, name: RepositoryName, outcomes: Sequence[Outcome], actor: Actor
    ) -> dict[str, TagResult]:
        asked = Import(name, outcomes, {}, str(uuid.uuid4()), only_wanted=True)
        try:
            written = await self.write(asked, actor)
        except (LimitExceeded, QuotaExceeded) as error:
            told = statuses.forbidden(str(name), str(error))
            failed = [replace(each, fetched=None, status=told) for each in outcomes]
            written = await self.write(replace(asked, outcomes=failed), actor)
        moved = () if written.applied is None else written.applied.moved
        self.tell(name, [each for each in written.outcomes if _is_news(each, moved)], actor)
        return {each.wanted.to: _result(each, moved) for each in written.outcomes}

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
        weight = sum(len(e.content) + len(e.config or b"") for e in fetched.members())
        if weight <= IN_LOOP:
            return images_of(fetched, source, created)
        return await self._beside.do(weight, images_of, fetched, source, created)

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


def _told(outcome: Outcome) -> str:
    """Where an image came from, or why it did not."""
    if outcome.fetched is None:
        return f"{outcome.wanted.source}: {outcome.status.message}"
    origin = outcome.fetched.location
    return f"from {origin.at(outcome.fetched.named or outcome.fetched.digest)}"


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


def _is_news(outcome: Outcome, moved: Sequence[Moved]) -> bool:
    return outcome.fetched is None or any(each.tag == outcome.wanted.to for each in moved)


def _result(outcome: Outcome, moved: Sequence[Moved]) -> TagResult:
    found, tag = outcome.fetched, outcome.wanted.to
    return TagResult(
        tag,
        any(each.tag == tag for each in moved),
        "" if found is None else found.named or found.digest,
        outcome.status.message if found is None else "",
        outcome.later,
    )
