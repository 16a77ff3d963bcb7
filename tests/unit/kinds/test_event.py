"""Rules of Kubernetes' legacyValidateEvent; cells of its printEvent."""

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.kinds.event import EVENTS, Event, EventSeries, EventSource

NOW = 1_000_000.0  # 1970-01-12T13:46:40Z


def event(namespace: str = "shop", **fields: object) -> Event:
    made = Event(
        metadata=ObjectMeta(name="web.1", namespace=namespace),
        involved_object=ObjectReference(kind="ImageStream", name="web", namespace=namespace),
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def faults(new: Event) -> list[str]:
    return [str(each) for each in EVENTS.strategy.validate(new, None)]


def cells(new: Event) -> dict[str, object]:
    return {each.name: each.cell(new, NOW) for each in EVENTS.columns}


def test_an_event_is_in_the_namespace_of_what_it_is_about() -> None:
    assert faults(event()) == []
    assert faults(event(involved_object=ObjectReference(namespace="other"))) == [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
    ]


def test_an_event_about_the_cluster_is_in_default() -> None:
    assert faults(event("default", involved_object=ObjectReference(kind="Namespace"))) == []
    assert faults(event(involved_object=ObjectReference(kind="Namespace"))) == [
        'involvedObject.namespace: Invalid value: "": does not match event.namespace'
    ]


def test_an_event_with_a_time_names_its_reporter_action_and_reason() -> None:
    found = faults(event(event_time="1970-01-12T13:46:00.000000Z", message="x" * 1025))
    assert found[0] == "reportingController: Required value"
    assert "reportingInstance: Required value" in found
    assert "action: Required value" in found
    assert "reason: Required value" in found
    assert found[-1] == 'message: Invalid value: "": can have at most 1024 characters'


def test_an_event_with_a_time_and_all_that_belongs_to_it_is_taken() -> None:
    new = event(
        event_time="1970-01-12T13:46:00.000000Z",
        reporting_controller="tidegate.io/importer",
        reporting_instance="x",
        action="Import",
        reason="Imported",
    )
    assert faults(new) == []
    new.action = "x" * 129
    assert faults(new) == ['action: Invalid value: "": can have at most 128 characters']


def test_an_event_about_the_cluster_with_a_time_may_be_in_kube_system() -> None:
    new = event(
        "kube-system",
        involved_object=ObjectReference(kind="Namespace"),
        event_time="1970-01-12T13:46:00.000000Z",
        reporting_controller="a",
        reporting_instance="x",
        action="Import",
        reason="Imported",
    )
    assert faults(new) == []
    new.metadata.namespace = "shop"
    assert len(faults(new)) == 1


def test_a_time_that_is_none_is_refused() -> None:
    assert faults(event(first_timestamp="noon")) == [
        'firstTimestamp: Invalid value: "noon": must be an RFC 3339 time'
    ]


def test_a_table_begins_with_when_and_ends_with_the_name() -> None:
    assert not EVENTS.named
    assert not EVENTS.age
    assert [each.name for each in EVENTS.columns if each.priority == 0] == [
        "Last Seen",
        "Type",
        "Reason",
        "Object",
        "Message",
    ]
    assert [each.name for each in EVENTS.columns] == [
        "Last Seen",
        "Type",
        "Reason",
        "Object",
        "Subobject",
        "Source",
        "Message",
        "First Seen",
        "Count",
        "Name",
    ]


def test_a_row_says_what_happened_when() -> None:
    new = event(
        type="Warning",
        reason="Failed",
        message=" no such image \n",
        source=EventSource(component="importer", host="n1"),
        first_timestamp="1970-01-12T13:36:40Z",
        last_timestamp="1970-01-12T13:46:00Z",
    )
    assert cells(new) == {
        "Last Seen": "40s",
        "Type": "Warning",
        "Reason": "Failed",
        "Object": "imagestream/web",
        "Subobject": "",
        "Source": "importer, n1",
        "Message": "no such image",
        "First Seen": "10m",
        "Count": "1",
        "Name": "web.1",
    }


def test_a_series_is_seen_last_when_it_was_observed_last() -> None:
    new = event(
        event_time="1970-01-12T13:36:40.000000Z",
        series=EventSeries(count=7, last_observed_time="1970-01-12T13:46:30.000000Z"),
        reporting_controller="importer",
        involved_object=ObjectReference(kind="Namespace"),
    )
    found = cells(new)
    assert (found["Last Seen"], found["First Seen"], found["Count"]) == ("10s", "10m", "7")
    assert (found["Source"], found["Object"]) == ("importer", "namespace")


def test_an_event_seen_once_was_seen_last_when_it_was_seen_first() -> None:
    assert cells(event(first_timestamp="1970-01-12T13:36:40Z"))["Last Seen"] == "10m"
    assert cells(event())["Last Seen"] == "<unknown>"


def test_events_are_selected_by_what_they_are_about_and_who_reports_them() -> None:
    new = event(type="Normal", reason="Pushed", reporting_controller="importer")
    read = {name: field(new) for name, field in EVENTS.fields.items()}
    assert read == {
        "involvedObject.kind": "ImageStream",
        "involvedObject.namespace": "shop",
        "involvedObject.name": "web",
        "involvedObject.uid": "",
        "involvedObject.apiVersion": "",
        "involvedObject.resourceVersion": "",
        "involvedObject.fieldPath": "",
        "reason": "Pushed",
        "reportingComponent": "importer",
        "source": "importer",
        "type": "Normal",
    }
