"""Reading and changing stored wire JSON without decoding all of it into its kind.

Lists, watches and cascading deletions meet documents of any kind by the thousand; what they need
of one is its metadata.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.apimachinery.meta import Wire

Body = dict[str, Any]
"""An object as JSON values."""


class Header(Wire):
    """What selectors and preconditions ask of metadata; all else is skipped while decoding."""

    labels: dict[str, str] = msgspec.field(default_factory=dict)
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str = ""


class _Phase(Wire):
    phase: str = ""


class _Partial(Wire):
    metadata: Header = msgspec.field(default_factory=Header)


class _Namespace(Wire):
    metadata: Header = msgspec.field(default_factory=Header)
    status: _Phase = msgspec.field(default_factory=_Phase)


_PARTIAL = msgspec.json.Decoder(_Partial)
_NAMESPACE = msgspec.json.Decoder(_Namespace)


def header(body: bytes) -> Header:
    """The part of an object's metadata that is asked for most."""
    return _PARTIAL.decode(body).metadata


def is_terminating(namespace: bytes) -> bool:
    """Whether a Namespace takes no new content any more."""
    read = _NAMESPACE.decode(namespace)
    return bool(read.metadata.deletion_timestamp) or read.status.phase == "Terminating"


def decoded(body: bytes) -> Body:
    """An object as JSON values, which the caller may change."""
    values: Body = msgspec.json.decode(body)
    return values


def restamped(body: bytes, revision: str) -> bytes:
    """The same object with another metadata.resourceVersion, with "" none."""
    values = decoded(body)
    stamp(values, revision)
    return msgspec.json.encode(values)


def stamp(values: Body, revision: str) -> None:
    metadata = values.setdefault("metadata", {})
    if revision:
        metadata["resourceVersion"] = revision
    else:
        metadata.pop("resourceVersion", None)


def same_content(new: Body, old: Body) -> bool:
    """Whether a write would change nothing but its own traces.

    Those are the version, and the times at which managers last set their fields.
    """
    return _content(new) == _content(old)


def same_desire(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether nothing outside metadata and status differs: what metadata.generation counts."""
    return _desire(new) == _desire(old)


def _content(values: Body) -> Body:
    metadata = {
        key: value for key, value in values.get("metadata", {}).items() if key != "resourceVersion"
    }
    if "managedFields" in metadata:
        metadata["managedFields"] = [
            {key: value for key, value in entry.items() if key != "time"}
            for entry in metadata["managedFields"]
        ]
    return {**values, "metadata": metadata}


def _desire(values: Mapping[str, Any]) -> Body:
    return {key: value for key, value in values.items() if key not in ("metadata", "status")}
