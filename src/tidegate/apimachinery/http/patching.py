"""PATCH: four ways to say what shall be different.

The patch is read once; what it makes of the current object is made inside storage's `update`, and
again when somebody else wrote meanwhile. The result is held against the schema like any object.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.apimachinery.apply import apply
from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.decoding.decoder import (
    FAULTS_SHOWN,
    STRICTLY,
    Clean,
    media_type,
    parse_json,
    parse_yaml,
)
from tidegate.apimachinery.decoding.fields import repeated_fields
from tidegate.apimachinery.documents.beside import beside
from tidegate.apimachinery.errors import (
    ApiError,
    BadRequest,
    FieldError,
    Qualified,
    UnsupportedMediaType,
    invalid_object,
    missing,
)
from tidegate.apimachinery.http.exchange import Exchange
from tidegate.apimachinery.http.parameters import WriteOptions, write_options
from tidegate.apimachinery.http.reading import wanted_form
from tidegate.apimachinery.http.response import Answer
from tidegate.apimachinery.http.writing import IN_LOOP, check_name, place, tracked, write
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.patch import json_patch, merge_patch, strategic
from tidegate.apimachinery.patch.json_values import go_type
from tidegate.apimachinery.storage import Change
from tidegate.observability.timestamp import rfc3339_seconds

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
PATCHES = (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY)

_MEMBERS = ("op", "path", "from", "value")
"""What an operation of a JSON patch has."""


async def patch(exchange: Exchange, authorizer: Authorizer, clock: Callable[[], float]) -> Answer:
    """Change an object as its patch says; an applied one is made when there is none."""
    kind = media_type(exchange.request.header(b"content-type"))
    if kind not in PATCHES:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(PATCHES)
        )
    wanted_form(exchange.request)
    options = write_options(exchange.request, "PatchOptions", apply=kind == APPLY)
    sent = await _read(exchange, kind)
    if kind == APPLY:
        change = _applying(exchange, sent, options, clock)
        creates = not exchange.endpoint.subresource
        return await write(exchange, options, authorizer, change, creates=creates)
    change = _patching(exchange, kind, sent, options, clock)
    return await write(exchange, options, authorizer, change, creates=False)


class _Sent(NamedTuple):
    """A patch, and what is unknown or repeated in it, which fieldValidation judges."""

    said: Any
    faults: Sequence[str]


async def _read(exchange: Exchange, kind: str) -> _Sent:
    body = await exchange.request.body(exchange.endpoint.body_limit)

    def parse() -> _Sent:
        said = parse_yaml(body) if kind == APPLY else parse_json(body)
        return _Sent(said, _faults(kind, said))

    try:
        if len(body) > IN_LOOP[kind != APPLY]:
            return await beside(len(body), parse)
        return parse()
    except BadRequest as error:
        raise BadRequest(f"error decoding patch: {error}") from error


def _faults(kind: str, said: Any) -> list[str]:
    faults = [f'duplicate field "{each}"' for each in repeated_fields(said)]
    if kind != JSON_PATCH:
        return faults[:FAULTS_SHOWN]
    faults += [
        f'unknown field "[{index}].{name}"'
        for index, each in enumerate(said if isinstance(said, list) else ())
        for name in (each if isinstance(each, dict) else ())
        if name not in _MEMBERS
    ]
    return [f"json patch {each}" for each in faults[:FAULTS_SHOWN]]


def _patching(
    exchange: Exchange,
    kind: str,
    sent: _Sent,
    options: WriteOptions,
    clock: Callable[[], float],
) -> Change:
    endpoint = exchange.endpoint
    decoder = endpoint.decoder

    def patched(current: dict[str, Any]) -> Any:
        if kind == JSON_PATCH:
            return json_patch.apply(current, sent.said)
        if kind == MERGE_PATCH:
            return merge_patch.apply(current, sent.said)
        return strategic.apply(current, sent.said, decoder.schema)

    def change(current: Mapping[str, Any] | None) -> Object:
        if current is None:
            raise missing(endpoint.qualified, exchange.call.name)
        values = patched(dict(current))
        if not isinstance(values, dict):
            raise _unfit(f"json: cannot unmarshal {go_type(values)} into Go value of type struct")
        try:
            clean = decoder.clean(values)
            decoder.judge(_all(sent, clean), options.validation, exchange.call.warnings, _unfit)
            wanted = clean.values
            decoder.struct(wanted)
        except BadRequest as error:
            raise _unfit(str(error)) from error
        place(exchange, wanted)
        check_name(exchange, wanted)
        wanted = tracked(exchange, current, wanted, options, clock)
        return decoder.struct(wanted)  # type: ignore[no-any-return]  # the decoder of some kind

    return change


def _all(sent: _Sent, made: Clean) -> list[str]:
    """The faults of a patch and of what it made, each once."""
    return list(dict.fromkeys([*sent.faults, *made.faults]))


def _unfit(why: str) -> ApiError:
    """What a patch made cannot be an object. The original quotes all of it, secrets too."""
    fault = FieldError("FieldValueInvalid", "patch", f'Invalid value: "…": {why}')
    return invalid_object(Qualified(""), "", [fault])


def _strict(why: str) -> ApiError:
    return BadRequest("error strict decoding patch: " + why.removeprefix(STRICTLY))


def _applying(
    exchange: Exchange, sent: _Sent, options: WriteOptions, clock: Callable[[], float]
) -> Change:
    decoder, said = exchange.endpoint.decoder, sent.said
    if not isinstance(said, dict):
        raise BadRequest("error decoding patch: it is no object")
    decoder.check_kind(said)

    def change(current: Mapping[str, Any] | None) -> Object:
        values: dict[str, Any] = apply.apply(
            current,
            said,
            decoder.schema,
            options.manager,
            options.force,
            exchange.endpoint.resource.api_version,
            rfc3339_seconds(clock()),
            subresource=exchange.endpoint.subresource,
            ignored=exchange.endpoint.reset,
        )
        clean = decoder.clean(values)
        decoder.judge(_all(sent, clean), options.validation, exchange.call.warnings, _strict)
        wanted = clean.values
        decoder.struct(wanted)
        place(exchange, wanted)
        check_name(exchange, wanted)
        return decoder.struct(wanted)  # type: ignore[no-any-return]  # the decoder of some kind

    return change
