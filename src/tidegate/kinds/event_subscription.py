"""EventSubscription: who is told, over HTTP, of what happens to the tags of a project.

A ClusterEventSubscription tells of every project. Only the declarations and what makes one valid;
`delivery.notifications` tells.
"""

from collections.abc import Sequence
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from msgspec import field

from tidegate.apimachinery.errors import FieldError, invalid, not_supported, required
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.kinds.automaton import PatternInvalid
from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.pattern import glob_of
from tidegate.kinds.urls import url_faults

CLOUD_EVENTS, DOCKER = "CloudEvents", "Docker"

HAPPENINGS = (
    "push",
    "tag",
    "import",
    "rollback",
    "undelete",
    "delete",
    "create-stream",
    "delete-stream",
)
"""What is told of: how a tag came to name an image, and its end; a stream's beginning and end."""

ENTRIES = 32
"""Entries of one list."""

SUBSCRIPTIONS = 32
"""EventSubscriptions of one project, each of which reads every event of it."""

ATTEMPTS, MOST_ATTEMPTS = 15, 100
"""Fifteen take about an hour: the pauses double, up to ten minutes."""


class EventSubscriptionSpec(Wire):
    """Who is told, of what, and how."""

    url: Annotated[str, doc("http or https URL to which each event is posted.")] = ""
    format: Annotated[
        str,
        doc(
            "CloudEvents (the default): structured mode of CloudEvents 1.0. Docker: the envelope "
            "of the distribution registry's notifications."
        ),
    ] = ""
    secret: Annotated[
        str,
        doc(
            "Secret whose key `secret` signs each message, as Standard Webhooks says, and whose "
            "key `authorization` is sent as the header of that name. In this project; of a "
            "ClusterEventSubscription as PROJECT/NAME."
        ),
    ] = ""
    events: Annotated[
        list[str],
        doc(f"What is told of: {', '.join(HAPPENINGS)}. None is all of it.", list_type="set"),
    ] = field(default_factory=list)
    streams: Annotated[
        list[str], doc("Globs of names of streams: web, web-*; none is all.", list_type="set")
    ] = field(default_factory=list)
    tags: Annotated[list[str], doc("Globs of tags: latest, v*; none is all.", list_type="set")] = (
        field(default_factory=list)
    )
    suspend: Annotated[
        bool, doc("Whether nothing is sent for now. What happens meanwhile is sent later.")
    ] = False
    max_attempts: Annotated[
        int,
        doc(
            "How often an event is tried before it is put aside as a dead letter, 15 by default: "
            "about an hour. Later ones wait for it until then."
        ),
    ] = 0


class ClusterEventSubscriptionSpec(EventSubscriptionSpec):
    """Who is told, of what, and how."""

    projects: Annotated[
        list[str], doc("Globs of names of projects; none is all.", list_type="set")
    ] = field(default_factory=list)


class EventSubscriptionStatus(Wire):
    """How the deliveries go; brought up to date every few seconds."""

    observed_generation: Annotated[int, doc("The generation that this is about.")] = 0
    delivered: Annotated[int, doc("Events that were delivered.")] = 0
    pending: Annotated[int, doc("Events that wait, counted to 10000.")] = 0
    dead_letters: Annotated[int, doc("Events that were tried in vain and put aside.")] = 0
    lost: Annotated[int, doc("Events that waited until they were too many or too old.")] = 0
    last_delivered: Annotated[Time, doc("When an event was last delivered.")] = ""
    last_error: Annotated[str, doc("What last went wrong, until an event is delivered.")] = ""
    conditions: Annotated[
        list[StatusCondition],
        doc("How the deliveries go.", merge_key="type"),
    ] = field(default_factory=list)


class EventSubscription(Object):
    """EventSubscription has a URL told of what happens to the tags of its project."""

    spec: Annotated[EventSubscriptionSpec, doc("Who is told, of what, and how.")] = field(
        default_factory=EventSubscriptionSpec
    )
    status: Annotated[EventSubscriptionStatus, doc("How it goes; set by the server.")] = field(
        default_factory=EventSubscriptionStatus
    )


class ClusterEventSubscription(Object):
    """ClusterEventSubscription has a URL told of what happens to the tags of every project."""

    spec: Annotated[ClusterEventSubscriptionSpec, doc("Who is told, of what, and how.")] = field(
        default_factory=ClusterEventSubscriptionSpec
    )
    status: Annotated[EventSubscriptionStatus, doc("How it goes; set by the server.")] = field(
        default_factory=EventSubscriptionStatus
    )


class Replay(Object):
    """Replay has dead letters of a subscription tried again."""

    letters: Annotated[list[int], doc("Their numbers; none is all.", list_type="set")] = field(
        default_factory=list
    )
    count: Annotated[int, doc("How many are tried; set by the server.")] = 0


class DeadLetter(Wire):
    """An event that could not be delivered."""

    number: Annotated[int, doc("By which it is replayed.")] = 0
    failed: Annotated[Time, doc("When it was put aside.")] = ""
    attempts: Annotated[int, doc("How often it was tried.")] = 0
    error: Annotated[str, doc("What was wrong.")] = ""
    replayed: Annotated[bool, doc("Whether it is about to be tried again.")] = False
    message: Annotated[str, doc("What was sent.")] = ""


class DeadLetters(Object):
    """DeadLetters are what a subscription could not be told, the oldest first, at most 500."""

    items: Annotated[list[DeadLetter], doc("The events.", list_type="atomic")] = field(
        default_factory=list
    )


def host_of(url: str) -> str:
    """The receiver's host and port, of a URL that was found valid."""
    return urlsplit(url).netloc.lower()


SUBSCRIPTION = (EventSubscription, ClusterEventSubscription)
Subscription = EventSubscription | ClusterEventSubscription
S = TypeVar("S", EventSubscription, ClusterEventSubscription)


def secret_of(subscription: Subscription) -> tuple[str, str]:
    """Project and name of the Secret that is used."""
    if isinstance(subscription, ClusterEventSubscription):
        project, _, name = subscription.spec.secret.partition("/")
        return project, name
    return subscription.metadata.namespace, subscription.spec.secret


def _prepare(new: S, old: S | None) -> None:
    new.status = EventSubscriptionStatus() if old is None else old.status
    new.spec.format = new.spec.format or CLOUD_EVENTS
    new.spec.max_attempts = new.spec.max_attempts or ATTEMPTS


def _validate(new: S, _old: S | None) -> Sequence[FieldError]:
    spec = new.spec
    faults = url_faults("spec.url", spec.url)
    if spec.format not in (CLOUD_EVENTS, DOCKER):
        faults.append(not_supported("spec.format", spec.format, (CLOUD_EVENTS, DOCKER)))
    for index, each in enumerate(spec.events[:ENTRIES]):
        if each not in HAPPENINGS:
            faults.append(not_supported(f"spec.events[{index}]", each, HAPPENINGS))
    if not 1 <= spec.max_attempts <= MOST_ATTEMPTS:
        why = f"must be between 1 and {MOST_ATTEMPTS}"
        faults.append(invalid("spec.maxAttempts", spec.max_attempts, why))
    globs = {"spec.streams": spec.streams, "spec.tags": spec.tags}
    if isinstance(spec, ClusterEventSubscriptionSpec):
        globs["spec.projects"] = spec.projects
        project, slash, name = spec.secret.partition("/")
        if spec.secret and not (project and slash and name):
            faults.append(invalid("spec.secret", spec.secret, "must be PROJECT/NAME"))
    for path, entries in globs.items():
        faults += _glob_faults(path, entries)
    if len(spec.events) > ENTRIES:
        faults.append(_too_many("spec.events", len(spec.events)))
    return faults


def _glob_faults(path: str, entries: Sequence[str]) -> list[FieldError]:
    if len(entries) > ENTRIES:
        return [_too_many(path, len(entries))]
    faults = []
    for index, each in enumerate(entries):
        where = f"{path}[{index}]"
        try:
            if not each:
                faults.append(required(where))
            else:
                glob_of(each)
        except PatternInvalid as error:
            faults.append(invalid(where, each, str(error)))
    return faults


def _too_many(path: str, count: int) -> FieldError:
    return invalid(path, count, f"may not have more than {ENTRIES} entries")


def _ready(each: Subscription) -> str:
    if each.spec.suspend:
        return "Suspended"
    found = next((one for one in each.status.conditions if one.type == "Ready"), None)
    return "Unknown" if found is None else found.reason


_COLUMNS = (
    Column("URL", lambda each, _now: each.spec.url, "Where events are posted."),
    Column("State", lambda each, _now: _ready(each), "How it goes."),
    Column("Delivered", lambda each, _now: each.status.delivered, "Events.", type="integer"),
    Column("Pending", lambda each, _now: each.status.pending, "Events.", type="integer"),
    Column("Dead", lambda each, _now: each.status.dead_letters, "Events.", type="integer"),
    Column(
        "Last Error",
        lambda each, _now: each.status.last_error,
        "What last went wrong.",
        priority=1,
    ),
)


def _subresource(verb: str, kind: type[Object]) -> Subresource:
    return Subresource(
        verbs=(verb,), kind=kind.__name__, type=kind, group="tidegate.io", version="v1"
    )


def _declared(kind: type[S], *, namespaced: bool, short: str) -> Resource[S]:
    """The two kinds differ in type and scope alone."""
    return Resource(
        group="tidegate.io",
        version="v1",
        kind=kind.__name__,
        plural=f"{kind.__name__.lower()}s",
        type=kind,
        namespaced=namespaced,
        short_names=(short,),
        columns=_COLUMNS,
        strategy=Strategy(prepare=_prepare, validate=_validate, counts_generation=True),
        subresources={
            "deadletters": _subresource("get", DeadLetters),
            "replay": _subresource("create", Replay),
        },
    )


EVENT_SUBSCRIPTIONS = _declared(EventSubscription, namespaced=True, short="evsub")
CLUSTER_EVENT_SUBSCRIPTIONS = _declared(ClusterEventSubscription, namespaced=False, short="cevsub")
