"""Imports that nobody waits for: tags of a stream, as its spec says. What the controllers call.

What tags come from, how and with whose credentials is read from the stream and its project. A tag
whose spec was changed while it was looked for is left as it is: whoever changed it has it imported
anew. `Urgency.BACKGROUND` is for scheduled imports.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.images.imports import statuses
from tidegate.images.imports.importing import Importer
from tidegate.images.imports.looking import Looking
from tidegate.images.imports.orders import Import, Moved
from tidegate.images.imports.planning import Outcome, Wanted, of_repository, of_tag
from tidegate.images.kinds.group import INSECURE_REPOSITORY
from tidegate.images.kinds.image_stream_import import RepositoryImportSpec
from tidegate.images.kinds.tag_reference import (
    DOCKER_IMAGE,
    LEGACY,
    TagImportPolicy,
    TagReference,
)
from tidegate.images.streams.errors import LimitExceeded, QuotaExceeded
from tidegate.images.streams.stream import IMPORT, Actor
from tidegate.images.tags.names import TagName
from tidegate.images.tags.reading import Reads
from tidegate.images.tags.rendering import View
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.metastore import stream_tags, tag_checks
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import PullSpec, is_digest
from tidegate.remote.errors import RemoteError
from tidegate.remote.gateway import Urgency
from tidegate.remote.location import Location


class TagResult(NamedTuple):
    """What became of one tag: whether it names something else now, what, and else why not.

    `digest` is what the tag names at its `registry`; `reason` is one word for `error`. `later` is
    in how many seconds it may be tried, where the registry allows no more now. Without a tag it
    tells of a repository.
    """

    tag: str
    registry: str = ""
    moved: bool = False
    digest: str = ""
    error: str = ""
    reason: str = ""
    later: float | None = None


def everything() -> ImportPolicy:
    """The policy that keeps nothing out."""
    return ImportPolicy()


class TagImports:
    """See the module.

    As of now, `mode` is the import mode of a repository's tags, and `policy` says what may be
    imported: what an administrator once imported in spite of it does not go on by itself.
    """

    def __init__(
        self,
        importer: Importer,
        mode: Callable[[], str] = lambda: LEGACY,
        policy: Callable[[], ImportPolicy] = everything,
    ) -> None:
        self._importer = importer
        self._mode = mode
        self._policy = policy
        self._reads = Reads(importer.database, importer.store)

    async def import_tags(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]:
        """Import these tags of a stream as its spec says; in order, without those not to import.

        With `Urgency.BACKGROUND` a tag is only looked at as long as it is what it was; a request
        that another registry does not allow now fails no tag then. Raises what the metastore does.
        """
        with await self._importer.looking(name.project, urgency) as looking:
            return await self._import(name, await self._of_tags(name, tags), looking, who)

    async def import_repository(
        self, name: RepositoryName, tags: Iterable[str], who: str, urgency: Urgency
    ) -> list[TagResult]:
        """Import the repository that a stream's spec names (dockerImageRepository), and these tags.

        A tag that comes from elsewhere stays as it is. With neither it is noted that the stream was
        looked at.
        """
        with await self._importer.looking(name.project, urgency) as looking:
            found = await self._of_tags(name, tags)
            whole, failures = await self._of_repository(name, looking)
            asked = {each.to for each, _ in found}
            found += [(each, None) for each in whole if each.to not in asked]
            return [*failures, *await self._import(name, found, looking, who)]

    async def _of_repository(
        self, name: RepositoryName, looking: Looking
    ) -> tuple[list[Wanted], list[TagResult]]:
        """What the repository that a stream's spec names wants, and why it could not be listed."""
        header = await self._reads.header(name)
        source = "" if header is None else header.spec.docker_image_repository
        if header is None or not source:
            return [], []
        insecure = header.metadata.annotations.get(INSECURE_REPOSITORY) == "true"
        if why := self._kept_out(PullSpec.parse(source), insecure=insecure):
            status, host = statuses.forbidden(source, why), Location.of(PullSpec.parse(source)).host
            return [], [TagResult("", host, error=status.message, reason=status.reason)]
        try:
            listed = await looking.tags(source, insecure=insecure)
        except RemoteError as error:
            location = Location.of(PullSpec.parse(source))
            status = statuses.failed(str(location), location, error)
            return [], [TagResult("", location.host, error=status.message, reason=status.reason)]
        repository = RepositoryImportSpec(
            from_=ObjectReference(kind=DOCKER_IMAGE, name=source),
            import_policy=TagImportPolicy(insecure=insecure, import_mode=self._mode()),
        )
        return await self._not_elsewhere(name, of_repository(repository, listed)[0]), []

    async def _of_tags(
        self, name: RepositoryName, tags: Iterable[str]
    ) -> list[tuple[Wanted, View | None]]:
        """What those of the tags want that are imported, and how they were read."""
        views = [await self._reads.view(TagName(name, tag)) for tag in tags]
        found = [(view, view.spec) for view in views if view is not None]
        return [
            (wanted, view)
            for view, spec in found
            if spec is not None and (wanted := of_tag(spec)) is not None
        ]

    async def _not_elsewhere(self, name: RepositoryName, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Those whose tags the stream has not, or has from there."""
        specs = await stream_tags.read_specs(
            self._importer.database, name, [each.to for each in wanted]
        )
        found = []
        for each in wanted:
            if each.to not in specs:
                found.append(each)
                continue
            now = of_tag(msgspec.json.decode(specs[each.to], type=TagReference))
            if now is not None and now.source == each.source:
                found.append(now)
        return found

    async def _import(
        self,
        name: RepositoryName,
        asked: Sequence[tuple[Wanted, View | None]],
        looking: Looking,
        who: str,
    ) -> list[TagResult]:
        background = looking.urgency == Urgency.BACKGROUND
        results: dict[str, TagResult] = {}
        wanted: list[Wanted] = []
        refused: list[Outcome] = []
        for each, view in asked:
            results[each.to] = TagResult(each.to)
            spec = each.spec
            why = spec and self._kept_out(spec, insecure=each.import_policy.insecure)
            if why:
                refused.append(Outcome(each, statuses.forbidden(each.source, why)))
                continue
            same = None
            if background and view is not None:
                same = await self._unchanged(looking, view, each)
            results[each.to] = same or results[each.to]
            wanted += [] if same else [each]
        outcomes = [*refused, *await looking.all(wanted)]
        if background:
            waiting = [each for each in outcomes if each.later is not None]
            results |= {each.wanted.to: _result(each, ()) for each in waiting}
            outcomes = [each for each in outcomes if each.later is None]
        if outcomes or not asked:
            results |= await self._write_tags(
                name, outcomes, Actor(who, IMPORT, self._importer.clock())
            )
        return list(results.values())

    def _kept_out(self, spec: PullSpec, *, insecure: bool) -> str:
        """Why nothing may be imported from there; empty when it may."""
        return self._policy().import_fault(spec, insecure=insecure)

    async def _unchanged(self, looking: Looking, view: View, wanted: Wanted) -> TagResult | None:
        """What to say of a tag that is over there what it was; None for one to fetch."""
        sought, spec, event = wanted.sought, view.spec, view.named
        if sought is None or spec is None or event is None or view.conditions:
            return None
        if spec.generation is None or spec.generation > event.generation:
            return None
        registry = sought.location.host
        if is_digest(sought.reference):
            return TagResult(wanted.to, registry, digest=sought.reference)
        stream, tag = view.name
        check = await tag_checks.find(self._importer.database, stream, tag)
        if check is None or check.upstream != str(sought) or not check.digest:
            return None
        try:
            found = await looking.head(sought)
        except RemoteError:
            return None  # which the fetch then finds, too
        if found != check.digest:
            return None
        now = self._importer.clock()
        await tag_checks.note_seen(self._importer.database, stream, tag, str(sought), found, now)
        return TagResult(tag, registry, digest=found)

    async def _write_tags(
        self, name: RepositoryName, outcomes: Sequence[Outcome], actor: Actor
    ) -> dict[str, TagResult]:
        asked = Import(name, outcomes, {}, str(uuid.uuid4()), only_wanted=True)
        try:
            written = await self._importer.write(asked, actor)
        except (LimitExceeded, QuotaExceeded) as error:
            told = statuses.forbidden(str(name), str(error))
            failed = [replace(each, fetched=None, status=told) for each in outcomes]
            written = await self._importer.write(replace(asked, outcomes=failed), actor)
        applied = written.applied
        moved, changed = ((), ()) if applied is None else (applied.moved, applied.changed)
        self._importer.tell(
            name, [each for each in written.outcomes if each.wanted.to in changed], actor
        )
        return {each.wanted.to: _result(each, moved) for each in written.outcomes}


def _result(outcome: Outcome, moved: Sequence[Moved]) -> TagResult:
    found, wanted, sought = outcome.fetched, outcome.wanted, outcome.wanted.sought
    registry = "" if sought is None else sought.location.host
    if found is None:
        told = outcome.status
        return TagResult(
            wanted.to, registry, error=told.message, reason=told.reason, later=outcome.later
        )
    is_moved = any(each.tag == wanted.to for each in moved)
    return TagResult(wanted.to, registry, is_moved, found.named or found.digest)
