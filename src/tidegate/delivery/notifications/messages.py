"""From an event to what is sent: CloudEvents 1.0, or the distribution registry's notifications.

Plain functions on values. The same event makes the same message whenever it is sent, so that a
receiver knows one that comes twice by its id.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from tidegate.images.streams.hosts import Hosts
from tidegate.metastore.outbox import Noted
from tidegate.observability.timestamp import rfc3339

CLOUD_EVENT_TYPE = "application/cloudevents+json"
DOCKER_TYPE = "application/vnd.docker.distribution.events.v1+json"

_STREAM = {"create": "create-stream", "delete": "delete-stream"}

TYPES = {
    "push": "io.tidegate.tag.pushed",
    "tag": "io.tidegate.tag.tagged",
    "import": "io.tidegate.tag.imported",
    "rollback": "io.tidegate.tag.rolledback",
    "undelete": "io.tidegate.tag.undeleted",
    "delete": "io.tidegate.tag.deleted",
    "create-stream": "io.tidegate.stream.created",
    "delete-stream": "io.tidegate.stream.deleted",
}
"""CloudEvents' `type` of each happening."""


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of the manifest that an event names; empty of one that is gone by now."""

    media_type: str = ""
    size: int = 0


def happening(event: Noted) -> str:
    """What happened, in the word by which subscriptions select it."""
    return event.how if event.tag else _STREAM.get(event.how, event.how)


def message_id(event: Noted) -> str:
    """The id of an event, the same whenever and to whomever it is sent."""
    if event.tag:
        return f"{event.repository}:{event.tag}/{event.number}"
    return f"{event.repository}/{event.how}/{event.detail}"


def cloud_event(event: Noted, hosts: Hosts, server: str) -> bytes:
    """Structured mode, in JSON. `server` is the registry's URL, or its name."""
    stream = event.repository.partition("/")[2]
    what: dict[str, Any] = {"project": event.project, "stream": stream, "how": event.how}
    if event.tag:
        what |= {"tag": event.tag, "event": event.number}
    if event.image:
        what |= {"digest": event.image}
    if event.reference:
        what |= {"image": hosts.shown(event.reference)}
    if event.previous:
        what |= {"previousDigest": event.previous}
    if event.who:
        what |= {"user": event.who}
    if event.tag and event.detail:
        what |= {"from": event.detail}
    path = f"/apis/image.openshift.io/v1/namespaces/{event.project}/imagestreams/{stream}"
    sent: dict[str, Any] = {
        "specversion": "1.0",
        "id": message_id(event),
        "source": f"{server}{path}",
        "type": TYPES[happening(event)],
        "subject": f"{event.repository}:{event.tag}" if event.tag else event.repository,
        "datacontenttype": "application/json",
        "data": what,
    }
    if event.recorded_at:
        sent["time"] = rfc3339(event.recorded_at)
    return msgspec.json.encode(sent)


def docker_event(event: Noted, described: Described, server: str) -> bytes | None:
    """The envelope with one event; None of what that registry has no word for: streams."""
    if not event.tag:
        return None
    digest = event.image
    target: dict[str, Any] = {"repository": event.repository, "tag": event.tag}
    if event.how == "delete":
        digest = event.previous
    elif digest:
        target |= {
            "mediaType": described.media_type,
            "size": described.size,
            "length": described.size,
            "url": f"{server}/v2/{event.repository}/manifests/{digest}",
        }
    if digest:
        target["digest"] = digest
    sent: dict[str, Any] = {
        "id": message_id(event),
        "timestamp": rfc3339(event.recorded_at),
        "action": "delete" if event.how == "delete" else "push",
        "target": target,
        "request": {},
        "actor": {"name": event.who},
        "source": {"addr": server.partition("://")[2] or server},
    }
    return msgspec.json.encode({"events": [sent]})
