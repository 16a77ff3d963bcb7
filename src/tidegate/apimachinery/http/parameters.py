"""The query parameters of the verbs, checked as Kubernetes checks its options objects."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.apimachinery.decoding.decoder import IGNORE, STRICT, WARN
from tidegate.apimachinery.errors import (
    BadRequest,
    FieldError,
    Qualified,
    forbidden,
    invalid,
    invalid_object,
    not_supported,
    required,
    too_long,
)
from tidegate.apimachinery.http.request import Request
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.selectors import Selection, parse_fields, parse_labels
from tidegate.apimachinery.storage import ListOptions, WatchOptions

MANAGER_LIMIT = 128
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
VERSION_LIMIT = 2**63
LIMIT = 2**31
"""Objects on one page."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")


def refuse(kind: str, faults: Sequence[FieldError]) -> None:
    """Raise when there are faults of an options object."""
    if faults:
        raise invalid_object(Qualified(kind, "meta.k8s.io"), "", faults)


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How to write: `manager` is never empty, but for a client without a User-Agent."""

    dry_run: bool
    manager: str
    validation: str
    force: bool = False


def write_options(request: Request, kind: str, *, apply: bool = False) -> WriteOptions:
    """CreateOptions, UpdateOptions or PatchOptions from the query."""
    manager, validation = request.parameter("fieldManager"), request.parameter("fieldValidation")
    force = boolean(request, "force")
    faults: list[FieldError] = []
    if kind == "PatchOptions":
        if apply and not manager:
            faults.append(required("fieldManager", "is required for apply patch"))
        if not apply and force is not None:
            faults.append(forbidden("force", "may not be specified for non-apply patch"))
    faults += _manager_faults(manager)
    faults += dry_run_faults(request.parameters("dryRun"))
    if validation not in ("", IGNORE, WARN, STRICT):
        faults.append(not_supported("fieldValidation", validation, ("", IGNORE, STRICT, WARN)))
    refuse(kind, faults)
    return WriteOptions(
        bool(request.parameters("dryRun")),
        manager or manager_from(request.header(b"user-agent")),
        validation or WARN,
        force=bool(force),
    )


def _manager_faults(manager: str) -> list[FieldError]:
    faults = []
    if len(manager.encode()) > MANAGER_LIMIT:
        faults.append(too_long("fieldManager", MANAGER_LIMIT))
    for place, each in enumerate(manager):
        if not each.isprintable():
            detail = f"invalid character U+{ord(each):04X} (at position {place})"
            faults.append(invalid("fieldManager", _printable(manager), detail))
    return faults


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())[:MANAGER_LIMIT]


def manager_from(user_agent: str) -> str:
    """The manager of a client that names none: its program, by User-Agent."""
    name = _printable(user_agent.partition("/")[0])
    return name.encode()[:MANAGER_LIMIT].decode("utf-8", "ignore")


def dry_run_faults(values: Sequence[str]) -> list[FieldError]:
    if all(each == "All" for each in values):
        return []
    shown = ",".join(f'"{_printable(each)}"' for each in values)
    return [
        FieldError(
            "FieldValueNotSupported",
            "dryRun",
            f'Unsupported value: [{shown}]: supported values: "All"',
        )
    ]


def boolean(request: Request, name: str) -> bool | None:
    """A yes or no as Go reads it: anything but false and 0 is yes; None when it is absent."""
    values = request.parameters(name)
    if not values:
        return None
    return values[0].lower() not in ("false", "0")


def integer(request: Request, name: str) -> int | None:
    """A number, None when it is absent; `BadRequest` for anything else."""
    values = request.parameters(name)
    if not values:
        return None
    if _INTEGER.fullmatch(values[0]) is None or abs(int(values[0])) >= VERSION_LIMIT:
        shown = _printable(values[0][:40])
        raise BadRequest(f'strconv.ParseInt: parsing "{shown}": invalid syntax')
    return int(values[0])


def revision(request: Request) -> int | None:
    """The resourceVersion parameter, None when it is absent or empty."""
    text = request.parameter("resourceVersion")
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < VERSION_LIMIT:
        return int(text)
    shown = _printable(text[:40])
    raise BadRequest(
        f'resourceVersion: Invalid value: "{shown}": strconv.ParseUint: parsing "{shown}": '
        "invalid syntax"
    )


def selection(request: Request, resource: Resource[Any]) -> Selection:
    """What the labelSelector and fieldSelector parameters select."""
    known = ("metadata.name", "metadata.namespace", *resource.fields)
    return Selection(
        parse_labels(request.parameter("labelSelector")),
        parse_fields(request.parameter("fieldSelector"), known),
    )


def list_options(request: Request, resource: Resource[Any]) -> ListOptions:
    """Which objects of a list, as of when."""
    refuse("ListOptions", _list_faults(request))
    match, token = request.parameter("resourceVersionMatch"), request.parameter("continue")
    limit, at = _limit(request), revision(request)
    if token and at:
        raise BadRequest("specifying resource version is not allowed when using continue")
    exact = match == EXACT or (not match and bool(at) and limit > 0)
    return ListOptions(
        selection=selection(request, resource),
        limit=limit,
        token=token,
        revision=at,
        exact=exact,
    )


def _limit(request: Request) -> int:
    """Objects of a page, 0 for all; no database counts as far as 64 bits and one more."""
    return min(max(integer(request, "limit") or 0, 0), LIMIT)


def _list_faults(request: Request) -> list[FieldError]:
    field, match = "resourceVersionMatch", request.parameter("resourceVersionMatch")
    version = request.parameter("resourceVersion")
    faults: list[FieldError] = []
    if match:
        if not version:
            faults.append(
                forbidden(field, f"{field} is forbidden unless resourceVersion is provided")
            )
        if request.parameter("continue"):
            faults.append(forbidden(field, f"{field} is forbidden when continue is provided"))
        if match not in (EXACT, NOT_OLDER):
            faults.append(not_supported(field, _printable(match), (EXACT, NOT_OLDER, "")))
        if match == EXACT and version == "0":
            faults.append(forbidden(field, f'{field} "exact" is forbidden for resourceVersion "0"'))
    if request.parameters("sendInitialEvents"):
        faults.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return faults


def watch_options(request: Request, resource: Resource[Any]) -> WatchOptions:
    """From where to watch, and what."""
    refuse("ListOptions", _watch_faults(request))
    return WatchOptions(
        selection=selection(request, resource),
        revision=revision(request),
        initial=bool(boolean(request, "sendInitialEvents")),
        bookmarks=bool(boolean(request, "allowWatchBookmarks")),
    )


def _watch_faults(request: Request) -> list[FieldError]:
    field, match = "resourceVersionMatch", request.parameter("resourceVersionMatch")
    sends = bool(request.parameters("sendInitialEvents"))
    faults: list[FieldError] = []
    if sends and match != NOT_OLDER:
        faults.append(
            forbidden(
                field, f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER}"
            )
        )
    if match:
        if not sends:
            faults.append(
                forbidden(
                    field, f"{field} is forbidden for watch unless sendInitialEvents is provided"
                )
            )
        if match != NOT_OLDER:
            faults.append(not_supported(field, _printable(match), (NOT_OLDER,)))
        if request.parameter("continue"):
            faults.append(forbidden(field, f"{field} is forbidden when continue is provided"))
    return faults
