"""DELETE of an object and of a collection, with DeleteOptions in the body or the query."""

from dataclasses import replace
from typing import Any

import msgspec

from tidegate.apimachinery.decoding.decoder import parse
from tidegate.apimachinery.documents.bodies import header
from tidegate.apimachinery.errors import BadRequest, FieldError, invalid, not_supported
from tidegate.apimachinery.http.exchange import Exchange
from tidegate.apimachinery.http.parameters import (
    boolean,
    dry_run_faults,
    integer,
    list_options,
    refuse,
)
from tidegate.apimachinery.http.reading import list_answer, wanted_form
from tidegate.apimachinery.http.request import Request
from tidegate.apimachinery.http.response import Answer, json_answer
from tidegate.apimachinery.meta import Wire
from tidegate.apimachinery.storage import DeleteOptions

POLICIES = ("Foreground", "Background", "Orphan")


class _Preconditions(Wire):
    uid: str | None = None
    resource_version: str | None = None


class _Options(Wire):
    """DeleteOptions as they are sent."""

    kind: str = ""
    grace_period_seconds: int | None = None
    preconditions: _Preconditions | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = None
    dry_run: list[str] | None = None


async def delete(exchange: Exchange) -> Answer:
    """A Status when the object is gone, the object itself while finalizers hold it."""
    form = wanted_form(exchange.request)
    sent = await _sent(exchange.request)
    call = replace(exchange.call, dry_run=bool(sent.dry_run))
    deleted = await exchange.endpoint.storage.delete(call, call.name, _options(sent))
    if deleted.gone:
        return json_answer(200, _gone(exchange, deleted.body))
    status = 202 if sent.orphan_dependents is False else 200
    body = exchange.endpoint.encoding.object(form, deleted.body)
    return Answer(status, body, form.content_type)


async def delete_collection(exchange: Exchange) -> Answer:
    """The objects that were selected, as a list."""
    form = wanted_form(exchange.request)
    selected = list_options(exchange.request, exchange.endpoint.resource)
    sent = await _sent(exchange.request)
    call = replace(exchange.call, dry_run=bool(sent.dry_run))
    page = await exchange.endpoint.storage.delete_collection(call, selected, _options(sent))
    return await list_answer(exchange, form, page)


def _gone(exchange: Exchange, body: bytes) -> dict[str, Any]:
    """What tells that an object is no more; `kind` is the resource, as Kubernetes has it."""
    resource = exchange.endpoint.resource
    details = {
        "name": exchange.call.name,
        "group": resource.group,
        "kind": resource.plural,
        "uid": header(body).uid if body else "",
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {name: value for name, value in details.items() if value},
    }


async def _sent(request: Request) -> _Options:
    """The options of a request, checked; those in a body make the query's void."""
    body = await request.body()
    options = _read(body, request.header(b"content-type")) if body else _in_query(request)
    faults: list[FieldError] = []
    policy = options.propagation_policy
    if options.orphan_dependents is not None and policy is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        faults.append(invalid("propagationPolicy", policy, detail))
    if policy is not None and policy not in POLICIES:
        faults.append(not_supported("propagationPolicy", policy, (*POLICIES, "nil")))
    faults += dry_run_faults(options.dry_run or ())
    refuse("DeleteOptions", faults)
    return options


def _read(body: bytes, content_type: str) -> _Options:
    try:
        options = msgspec.convert(parse(body, content_type), _Options)
    except msgspec.ValidationError as error:
        raise BadRequest(f"DeleteOptions cannot be read: {error}") from error
    if options.kind not in ("", "DeleteOptions"):
        raise BadRequest("decoded object cannot be converted to DeleteOptions")
    return options


def _in_query(request: Request) -> _Options:
    return _Options(
        grace_period_seconds=integer(request, "gracePeriodSeconds"),
        orphan_dependents=boolean(request, "orphanDependents"),
        propagation_policy=request.parameter("propagationPolicy") or None,
        dry_run=request.parameters("dryRun"),
    )


def _options(sent: _Options) -> DeleteOptions:
    before = sent.preconditions or _Preconditions()
    propagation = sent.propagation_policy or ""
    if sent.orphan_dependents is not None:
        propagation = "Orphan" if sent.orphan_dependents else "Background"
    return DeleteOptions(
        uid=before.uid or "",
        resource_version=before.resource_version or "",
        propagation=propagation,
        grace_period=sent.grace_period_seconds,
    )
