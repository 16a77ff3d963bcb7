"""Word of what triggers did and of what they wait for: audit, events, ImageChanges, webhooks.

An ImageChange is there of a workload as long as something is held back, and says what was told of
it, so that a process that takes over tells nothing a second time. A webhook is told of a proposal
once; should this server die between the answer and the note of it, once more, under the same
Idempotency-Key.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

import msgspec

from tidegate.apimachinery.documents.bodies import is_terminating
from tidegate.apimachinery.store import DocumentTransaction, Key, ObjectStore
from tidegate.auth.secrets import SECRETS, value_of
from tidegate.auth.stored import put, put_new, read
from tidegate.delivery.triggers import proposals
from tidegate.delivery.triggers.decision import REPORTED
from tidegate.delivery.triggers.planning import REFUSALS, Change, Plan
from tidegate.delivery.triggers.targets import Note, Targets
from tidegate.delivery.triggers.workload import Workload, WorkloadKey
from tidegate.kinds.image_change import (
    IMAGE_CHANGES,
    PROPOSED,
    REFUSED,
    WAITING,
    ChangedWorkload,
    ContainerChange,
    ImageChange,
    ImageChangeStatus,
)
from tidegate.kinds.trigger_policy import TriggerWebhook
from tidegate.observability.audit import Audit, AuditEvent
from tidegate.observability.timestamp import rfc3339, rfc3339_seconds
from tidegate.remote.errors import RemoteError

_LOG = logging.getLogger(__name__)

USER = "system:tidegate:triggers"
MANAGER = "tidegate-triggers"
"""Who it is that changes workloads: in the audit log, and as a field manager."""

SECRET_KEY = "secret"  # noqa: S105  a name
_NAME_LIMIT = 253

NOTES = 10_000
"""Events that wait to be recorded; those that come then are missing."""

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Posts a body to a URL; gives the status, raises RemoteError."""


class ReportFailed(Exception):
    """The webhook was not told: to be tried again."""


async def nowhere(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """Where webhooks go of a server that calls nobody."""
    del url, headers, body
    raise RemoteError("this server calls no webhooks")


class Telling:
    """Tells; `known` are the ImageChanges that there are, which `load` reads."""

    def __init__(
        self, store: ObjectStore, audit: Audit, clock: Callable[[], float], post: Post = nowhere
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._post = post
        self._known: dict[Key, ImageChangeStatus] = {}
        self._notes: asyncio.Queue[tuple[Targets, Workload, Note]] = asyncio.Queue(NOTES)

    async def load(self) -> None:
        """Read what was told before."""
        listing = await self._store.list(IMAGE_CHANGES.key)
        self._known = {each.key: read(IMAGE_CHANGES, each).status for each in listing.documents}

    def reasons(self, workload: WorkloadKey) -> Sequence[str]:
        """What holds a workload back, as it was last said."""
        known = self._known.get(key_of(workload))
        return () if known is None else known.reasons

    async def drop_others(self, kind: str, workloads: Collection[WorkloadKey]) -> None:
        """Forget the ImageChanges of workloads of a kind that are not among these."""
        kept = {key_of(each) for each in workloads}
        others = [key for key, each in self._known.items() if each.workload.kind == kind]
        for key in others:
            if key not in kept:
                await self._drop(key)

    async def note_all(self) -> None:
        """Record events about workloads, one after the other, until cancelled.

        So they wait for what changes workloads, not the other way round.
        """
        while True:
            targets, workload, note = await self._notes.get()
            try:
                await targets.note(workload, note)
            except Exception as error:  # noqa: BLE001  the top of a loop: logged, an event may be missing
                _LOG.warning("no event about %s: %s", workload.key, error)

    def _note(self, targets: Targets, workload: Workload, note: Note) -> None:
        try:
            self._notes.put_nowait((targets, workload, note))
        except asyncio.QueueFull:
            _LOG.warning("no event about %s: too many wait", workload.key)

    def made(self, targets: Targets, workload: Workload, changes: Sequence[Change]) -> None:
        """A workload was changed, or a build of it begun."""
        for change in changes:
            self._record(workload, change, 200, _approved(change))
        self._note(targets, workload, Note("ImageChanged", "; ".join(map(_made, changes))))

    def refused(self, workload: Workload, changes: Sequence[Change], status: int, why: str) -> None:
        """A workload could not be changed."""
        for change in changes:
            self._record(workload, change, status, why)

    def _record(self, workload: Workload, change: Change, status: int, more: str) -> None:
        what = f"container {change.container}" if change.container else "build"
        detail = f"{what} from {change.running or '(nothing)'} to {change.wanted}"
        self._audit.record(
            AuditEvent(
                time=rfc3339(self._clock()),
                action="trigger",
                user=USER,
                repository=change.source.stream,
                reference=f"{change.source.tag} {workload.key}",
                digest=change.wanted.partition("@")[2],
                status=status,
                detail=f"{detail}, {more}" if more else detail,
            )
        )

    async def gone(self, workload: WorkloadKey) -> None:
        """A workload is gone, or has no triggers any more."""
        await self._drop(key_of(workload))

    async def settle(
        self, targets: Targets, workload: Workload, plan: Plan, webhook: TriggerWebhook | None
    ) -> None:
        """Say what holds a workload back, or that nothing does; raises ReportFailed."""
        key = key_of(workload.key)
        if not plan.held:
            await self._drop(key)
            return
        wanted, before = status_of(workload, plan), self._known.get(key)
        said = wanted.message
        if before is not None and _same_proposal(before, wanted):
            wanted.reported = before.reported
            if not before.reported:  # which may say why the webhook was not told
                wanted.message = before.message
        await self._keep(key, wanted)
        if before is None or _headline(before) != _headline(wanted):
            self._note(targets, workload, _note(wanted))
        if wanted.state == PROPOSED and webhook is not None and not wanted.reported:
            try:
                wanted.reported = await self._report(workload, plan, webhook)
                wanted.message = said
            except ReportFailed as failure:
                wanted.message = f"{said}; {failure}"
                await self._keep(key, wanted)
                raise
            await self._keep(key, wanted)

    async def _report(self, workload: Workload, plan: Plan, webhook: TriggerWebhook) -> str:
        """Tell the webhook of a proposal; what tells it from others."""
        body = msgspec.json.encode(proposals.notice(workload, plan.waiting))
        token = hashlib.sha256(body).hexdigest()
        headers = {"Content-Type": "application/json", "Idempotency-Key": token}
        if webhook.secret:
            secret = await self._secret(workload.namespace, webhook.secret)
            signature = hmac.new(secret, body, "sha256").hexdigest()
            headers["X-Tidegate-Signature-256"] = f"sha256={signature}"
        try:
            code = await self._post(webhook.url, headers, body)
        except RemoteError as error:
            raise ReportFailed(f"the webhook was not told: {error}") from error
        if not 200 <= code < 300:
            raise ReportFailed(f"the webhook answered {code}")
        return token

    async def _secret(self, namespace: str, name: str) -> bytes:
        document = await self._store.get(Key(SECRETS.key, namespace, name))
        value = None if document is None else value_of(read(SECRETS, document), SECRET_KEY)
        if not value:
            raise ReportFailed(f"there is no Secret {name} with a key {SECRET_KEY!r}")
        return value

    async def _keep(self, key: Key, status: ImageChangeStatus) -> None:
        """Write an ImageChange as it is now, where there is a project for it."""
        status = msgspec.structs.replace(status)
        if self._known.get(key) == status:
            return
        there = await self._store.write(partial(_written, key, status, self._clock()))
        self._known[key] = status
        if not there:
            _LOG.info("%s: %s (there is no project %s)", key.name, status.message, key.namespace)

    async def _drop(self, key: Key) -> None:
        if self._known.pop(key, None) is not None:
            await self._store.write(lambda tx: tx.delete(key))


def _written(key: Key, status: ImageChangeStatus, now: float, tx: DocumentTransaction) -> bool:
    namespace = tx.get(Key("namespaces", "", key.namespace))
    if namespace is None or is_terminating(namespace.body):
        return False
    document = tx.get(key)
    if document is None:
        change = ImageChange(status=status)
        change.metadata.name, change.metadata.namespace = key.name, key.namespace
        put_new(tx, IMAGE_CHANGES, change, now)
        return True
    change = read(IMAGE_CHANGES, document)
    change.status = status
    put(tx, IMAGE_CHANGES, change)
    return True


def key_of(workload: WorkloadKey) -> Key:
    """Where the ImageChange of a workload is: KIND.NAME, shortened where that is too long."""
    plural = workload.resource.partition(".")[0]
    name = f"{plural.removesuffix('s')}.{workload.name}"
    if len(name) > _NAME_LIMIT:
        mark = hashlib.sha256(name.encode()).hexdigest()[:16]
        name = f"{name[: _NAME_LIMIT - len(mark) - 1].rstrip('.-')}-{mark}"
    return Key(IMAGE_CHANGES.key, workload.namespace, name)


def status_of(workload: Workload, plan: Plan) -> ImageChangeStatus:
    """What is said of a workload with something held back."""
    reasons = list(dict.fromkeys(each.reason for each in plan.held))
    proposed = reasons == [REPORTED]
    again = plan.again_at
    return ImageChangeStatus(
        workload=ChangedWorkload(
            api_version=workload.api_version,
            kind=workload.kind,
            name=workload.name,
            uid=workload.uid,
        ),
        state=PROPOSED if proposed else REFUSED if REFUSALS & set(reasons) else WAITING,
        reasons=reasons,
        message="; ".join(dict.fromkeys(each.message for each in plan.held)),
        until="" if again is None else rfc3339_seconds(again),
        changes=[
            ContainerChange(
                container=each.container,
                from_=str(each.source),
                running=each.running,
                wanted=each.wanted,
            )
            for each in plan.waiting
        ],
        patch=proposals.patch(plan.waiting),
        kustomization=proposals.kustomization(plan.waiting) if plan.waiting else "",
    )


def _same_proposal(one: ImageChangeStatus, other: ImageChangeStatus) -> bool:
    return one.state == other.state and one.changes == other.changes


def _headline(status: ImageChangeStatus) -> object:
    """What an event is made of: the times in a message change without anything happening."""
    wanted = [(each.container, each.wanted) for each in status.changes]
    return status.state, tuple(status.reasons), wanted


def _note(status: ImageChangeStatus) -> Note:
    images = ", ".join(f"{each.container or 'build'}: {each.wanted}" for each in status.changes)
    text = f"{images}: {status.message}" if images else status.message
    names = {WAITING: "ImageChangeWaits", PROPOSED: "ImageChangeProposed"}
    reason = names.get(status.state, "ImageChangeRefused")
    return Note(reason, text, warns=status.state == REFUSED)


def _made(change: Change) -> str:
    what = f"container {change.container}" if change.container else "a build"
    approved = _approved(change)
    return f"{what} gets {change.wanted} of {change.source}" + (f", {approved}" if approved else "")


def _approved(change: Change) -> str:
    return "" if change.approved_by is None else f"approved by {change.approved_by}"
