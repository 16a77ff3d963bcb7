"""GET of an object and of a list."""

import asyncio

from tidegate.apimachinery.http.encoding import is_heavy
from tidegate.apimachinery.http.exchange import Exchange
from tidegate.apimachinery.http.negotiation import Form, negotiate
from tidegate.apimachinery.http.parameters import list_options, revision
from tidegate.apimachinery.http.request import Request
from tidegate.apimachinery.http.response import Answer
from tidegate.apimachinery.storage import Page


def wanted_form(request: Request) -> Form:
    """The form that an answer to this request has."""
    return negotiate(request.header(b"accept"), request.parameter("includeObject"))


async def get(exchange: Exchange) -> Answer:
    """One object: always the newest, which satisfies every resourceVersion that was given out."""
    form = wanted_form(exchange.request)
    endpoint, call = exchange.endpoint, exchange.call
    if endpoint.paged:
        options = list_options(exchange.request, endpoint.resource)
        body = await endpoint.storage.get_page(call, call.name, options)
    else:
        revision(exchange.request)
        body = await endpoint.storage.get(call, call.name)
    return Answer(200, endpoint.encoding.object(form, body), form.content_type)


async def list_objects(exchange: Exchange) -> Answer:
    """A page of a list."""
    form = wanted_form(exchange.request)
    options = list_options(exchange.request, exchange.endpoint.resource)
    page = await exchange.endpoint.storage.list(exchange.call, options)
    return await list_answer(exchange, form, page)


async def list_answer(exchange: Exchange, form: Form, page: Page) -> Answer:
    """A page in the form asked for; a large one that has to be converted is made in a thread."""
    encode = exchange.endpoint.encoding.list
    if is_heavy(form, len(page.bodies), sum(map(len, page.bodies))):
        body = await asyncio.to_thread(encode, form, page)
    else:
        body = encode(form, page)
    return Answer(200, body, form.content_type)
