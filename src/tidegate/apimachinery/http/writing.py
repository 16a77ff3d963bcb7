"""POST and PUT: a whole object, read strictly, checked against its URL, given to storage."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from tidegate.apimachinery.apply import managed
from tidegate.apimachinery.apply.managers import entries_of
from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.decoding.decoder import BODY_LIMIT, JSON, Clean, media_type
from tidegate.apimachinery.documents.beside import beside, weighed
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.http.access import refusal
from tidegate.apimachinery.http.exchange import Exchange
from tidegate.apimachinery.http.parameters import WriteOptions, write_options
from tidegate.apimachinery.http.reading import wanted_form
from tidegate.apimachinery.http.response import Answer
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call, Change, Updated
from tidegate.observability.timestamp import rfc3339_seconds

IN_LOOP = {True: 128 * 1024, False: 8 * 1024}
"""Bytes of JSON (True) and of YAML that are read in the event loop; more are read in a thread."""

_SYSTEM = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "selfLink",
    "uid",
)
"""Metadata that nobody brings along into a new object."""


async def create(exchange: Exchange, clock: Callable[[], float]) -> Answer:
    """A new object, or a review or token that is answered and not kept."""
    form = wanted_form(exchange.request)
    endpoint, options = exchange.endpoint, write_options(exchange.request, "CreateOptions")
    values = await _read(exchange, options)
    metadata = _metadata(values)
    for name in _SYSTEM:
        metadata.pop(name, None)
    place(exchange, values)
    call = _told(exchange, options)
    if endpoint.tracks_managers and not endpoint.subresource:
        values = await weighed(call.weight, tracked, exchange, None, values, options, clock)
    body = await endpoint.storage.create(call, endpoint.decoder.struct(values))
    made = "" if exchange.call.name else named(body)
    return Answer(201, endpoint.encoding.object(form, body), form.content_type, made=made)


async def update(exchange: Exchange, authorizer: Authorizer, clock: Callable[[], float]) -> Answer:
    """The whole object anew; one that does not exist is made where its kind allows it."""
    endpoint, options = exchange.endpoint, write_options(exchange.request, "UpdateOptions")
    wanted_form(exchange.request)
    wanted = await _read(exchange, options)
    place(exchange, wanted)
    check_name(exchange, wanted)

    def change(current: Mapping[str, Any] | None) -> Object:
        values = tracked(exchange, current, wanted, options, clock)
        return endpoint.decoder.struct(values)  # type: ignore[no-any-return]  # of some kind

    creates = endpoint.update_creates
    return await write(exchange, options, authorizer, change, creates=creates)


async def write(
    exchange: Exchange,
    options: WriteOptions,
    authorizer: Authorizer,
    change: Change,
    *,
    creates: bool,
) -> Answer:
    """Have storage make the change; one that makes an object needs the right to create, too."""
    form, endpoint = wanted_form(exchange.request), exchange.endpoint
    asked = replace(exchange.asked, verb="create")
    may_create = creates and await authorizer.authorize(exchange.call.user, asked)

    def judged(current: Mapping[str, Any] | None) -> Object:
        if current is None and creates and not may_create:
            raise refusal(exchange.call.user, asked)
        return change(current)

    call = _told(exchange, options)
    updated: Updated = await endpoint.storage.update(call, call.name, judged, creates=creates)
    body = endpoint.encoding.object(form, updated.body)
    return Answer(201 if updated.created else 200, body, form.content_type)


def _told(exchange: Exchange, options: WriteOptions) -> Call:
    """What storage is told of a write."""
    return replace(
        exchange.call,
        dry_run=options.dry_run,
        manager=options.manager,
        weight=exchange.request.size,
    )


async def _read(exchange: Exchange, options: WriteOptions) -> dict[str, Any]:
    """The object in the body, as strictly as fieldValidation wants."""
    request, decoder = exchange.request, exchange.endpoint.decoder
    body = await request.body(exchange.endpoint.body_limit)
    content_type = request.header(b"content-type")
    if len(body) > IN_LOOP[media_type(content_type) == JSON]:
        clean: Clean = await beside(len(body), decoder.read, body, content_type)
    else:
        clean = decoder.read(body, content_type)
    decoder.struct(clean.values)  # what looks into the values meets the right types
    decoder.judge(clean.faults, options.validation, exchange.call.warnings)
    return clean.values


def tracked(
    exchange: Exchange,
    current: Mapping[str, Any] | None,
    wanted: dict[str, Any],
    options: WriteOptions,
    clock: Callable[[], float],
) -> dict[str, Any]:
    """The object with the writer noted as the manager of what she changed.

    What is not stored nobody manages: an empty map changes nothing, and is no change of managers.
    """
    decoder = exchange.endpoint.decoder
    settled = decoder.settled(wanted)
    if exchange.request.size > BODY_LIMIT:  # of the few that may be so large; it would take minutes
        return settled
    said = entries_of(wanted)
    if said is not None:  # an empty list means something here
        settled["metadata"] = {**settled.get("metadata", {}), "managedFields": said}
    return managed.track_update(
        current,
        settled,
        decoder.schema,
        options.manager,
        exchange.endpoint.resource.api_version,
        rfc3339_seconds(clock()),
        subresource=exchange.endpoint.subresource,
        ignored=exchange.endpoint.reset,
    )


class _Named(msgspec.Struct):
    name: str = ""


class _Made(msgspec.Struct):
    metadata: _Named = msgspec.field(default_factory=_Named)


_MADE = msgspec.json.Decoder(_Made)


def named(body: bytes) -> str:
    """The name of a stored object."""
    return _MADE.decode(body).metadata.name


def place(exchange: Exchange, values: dict[str, Any]) -> None:
    """Put the object into the namespace of the URL; one that says another is refused."""
    metadata = _metadata(values)
    namespace = exchange.call.namespace
    if namespace and metadata.get("namespace") not in (None, "", namespace):
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if namespace:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)


def check_name(exchange: Exchange, values: dict[str, Any]) -> None:
    """`BadRequest` for an object that is not called as its URL says."""
    name, said = exchange.call.name, _metadata(values).get("name")
    if not said:
        raise BadRequest(
            f"the name of the object ({name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if said != name:
        raise BadRequest(
            f"the name of the object ({said}) does not match the name on the URL ({name})"
        )


def _metadata(values: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = values.setdefault("metadata", {})
    return metadata
