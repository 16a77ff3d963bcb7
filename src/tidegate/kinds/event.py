"""Event: what happened to an object, for people to read.

Written by controllers and clients; nothing is decided from one. The rules are the lenient ones of
core/v1: an event from before `eventTime` existed is still taken.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.durations import epoch_seconds, since
from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import MicroTime, Object, Time, Wire, doc
from tidegate.apimachinery.names import qualified_name_faults
from tidegate.apimachinery.resource import Column, Resource, Strategy

_SHORT, _NOTE = 128, 1024
"""Characters of a reason, action or instance, and of a message."""


class EventSource(Wire):
    """Who reports an event."""

    component: Annotated[str, doc("Component that the event is from.")] = ""
    host: Annotated[str, doc("Node that the event is from.")] = ""


class EventSeries(Wire):
    """That an event happened again and again."""

    count: Annotated[int, doc("How often so far.", format="int32")] = 0
    last_observed_time: Annotated[MicroTime, doc("When it was seen last.")] = ""


class Event(Object):
    """Event is a report of something that happened to an object.

    Events are kept for a limited time. They inform, nothing more: a reason may change its meaning
    and an event may be missing.
    """

    involved_object: Annotated[
        ObjectReference, doc("The object that this event is about.", atomic=True)
    ] = field(default_factory=ObjectReference)
    reason: Annotated[str, doc("Why, in one word for programs: Created, FailedImport.")] = ""
    message: Annotated[str, doc("What happened, for people.")] = ""
    source: Annotated[EventSource, doc("The component that reports the event.")] = field(
        default_factory=EventSource
    )
    first_timestamp: Annotated[Time, doc("When it was recorded first.")] = ""
    last_timestamp: Annotated[Time, doc("When it was recorded last.")] = ""
    count: Annotated[int, doc("How often it happened.", format="int32")] = 0
    type: Annotated[str, doc("Normal or Warning; others may come.")] = ""
    event_time: Annotated[MicroTime, doc("When it was observed first.")] = ""
    series: Annotated[
        EventSeries | None, doc("Set when this event stands for a series of them.")
    ] = None
    action: Annotated[str, doc("What was done or failed, in one word.")] = ""
    related: Annotated[
        ObjectReference | None, doc("A second object that has to do with it.", atomic=True)
    ] = None
    reporting_controller: Annotated[
        str, doc("Name of the controller that reports it, such as tidegate.io/importer.")
    ] = field(name="reportingComponent", default="")
    reporting_instance: Annotated[str, doc("Which instance of that controller.")] = ""


def _validate(new: Event, _old: Event | None) -> Sequence[FieldError]:
    return [*_times(new), *(_placed(new) if new.event_time else _placed_as_before(new))]


def _times(new: Event) -> list[FieldError]:
    return [
        invalid(name, text, "must be an RFC 3339 time")
        for name, text in (
            ("firstTimestamp", new.first_timestamp),
            ("lastTimestamp", new.last_timestamp),
            ("eventTime", new.event_time),
            ("series.lastObservedTime", new.series.last_observed_time if new.series else ""),
        )
        if text and not _is_time(text)
    ]


def _is_time(text: str) -> bool:
    try:
        epoch_seconds(text)
    except ValueError:
        return False
    return True


def _placed_as_before(new: Event) -> list[FieldError]:
    about = new.involved_object.namespace
    if about == new.metadata.namespace or (not about and new.metadata.namespace == "default"):
        return []
    return [invalid("involvedObject.namespace", about, "does not match event.namespace")]


def _placed(new: Event) -> list[FieldError]:
    faults = []
    about = new.involved_object.namespace
    if not about and new.metadata.namespace not in ("default", "kube-system"):
        faults.append(invalid("involvedObject.namespace", about, "does not match event.namespace"))
    if not new.reporting_controller:
        faults.append(required("reportingController"))
    faults += [
        invalid("reportingController", new.reporting_controller, why)
        for why in qualified_name_faults(new.reporting_controller)
    ]
    for name, text in (
        ("reportingInstance", new.reporting_instance),
        ("action", new.action),
        ("reason", new.reason),
    ):
        if not text:
            faults.append(required(name))
        elif len(text) > _SHORT:
            faults.append(invalid(name, "", f"can have at most {_SHORT} characters"))
    if len(new.message) > _NOTE:
        faults.append(invalid("message", "", f"can have at most {_NOTE} characters"))
    return faults


def _first_seen(event: Event, now: float) -> str:
    return since(event.first_timestamp or event.event_time, now)


def _last_seen(event: Event, now: float) -> str:
    if event.series is not None:
        return since(event.series.last_observed_time, now)
    return since(event.last_timestamp, now) if event.last_timestamp else _first_seen(event, now)


def _count(event: Event, _now: float) -> str:
    return str(event.series.count if event.series is not None else event.count or 1)


def _object(event: Event, _now: float) -> str:
    about = event.involved_object
    return f"{about.kind.lower()}/{about.name}" if about.name else about.kind.lower()


def _source(event: Event, _now: float) -> str:
    if event.source.component:
        parts = (event.source.component, event.source.host)
    else:
        parts = (event.reporting_controller, event.reporting_instance)
    return ", ".join(parts) if parts[1] else parts[0]


_FIELDS: dict[str, Callable[[Event], str]] = {
    "involvedObject.kind": lambda each: each.involved_object.kind,
    "involvedObject.namespace": lambda each: each.involved_object.namespace,
    "involvedObject.name": lambda each: each.involved_object.name,
    "involvedObject.uid": lambda each: each.involved_object.uid,
    "involvedObject.apiVersion": lambda each: each.involved_object.api_version,
    "involvedObject.resourceVersion": lambda each: each.involved_object.resource_version,
    "involvedObject.fieldPath": lambda each: each.involved_object.field_path,
    "reason": lambda each: each.reason,
    "reportingComponent": lambda each: each.reporting_controller,
    "source": lambda each: each.source.component or each.reporting_controller,
    "type": lambda each: each.type,
}

EVENTS = Resource(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    type=Event,
    namespaced=True,
    short_names=("ev",),
    named=False,
    age=False,
    columns=(
        Column("Last Seen", _last_seen, "When it was recorded last."),
        Column("Type", lambda each, _now: each.type, "Normal or Warning."),
        Column("Reason", lambda each, _now: each.reason, "Why, in one word."),
        Column("Object", _object, "What it is about."),
        Column(
            "Subobject",
            lambda each, _now: each.involved_object.field_path,
            "The piece of the object that is meant.",
            priority=1,
        ),
        Column("Source", _source, "Who reports it.", priority=1),
        Column("Message", lambda each, _now: each.message.strip(), "What happened."),
        Column("First Seen", _first_seen, "When it was recorded first.", priority=1),
        Column("Count", _count, "How often it happened.", priority=1),
        Column(
            "Name",
            lambda each, _now: each.metadata.name,
            "Name of the event.",
            format="name",
            priority=1,
        ),
    ),
    fields=_FIELDS,
    strategy=Strategy(validate=_validate),
)
