"""Documents about the API itself as pages: discovery and schemas, with their ETags."""

from collections.abc import Callable, Sequence
from typing import Any

from tidegate.apimachinery.discovery import Discovery
from tidegate.apimachinery.errors import PathNotFound
from tidegate.apimachinery.http.request import Request
from tidegate.apimachinery.http.response import Answer
from tidegate.apimachinery.openapi.openapi import OpenApi
from tidegate.apimachinery.published import Published
from tidegate.apimachinery.resource import Resource

Page = Callable[[Request], Answer]
"""Answers a path that is no resource."""

Lookup = Callable[[str], Published | None]
"""The document for an Accept header; None when there is none."""


def page_of(lookup: Lookup) -> Page:
    """A page that answers 304 to a client whose copy is still right."""

    def page(request: Request) -> Answer:
        found = lookup(request.header(b"accept"))
        if found is None:
            raise PathNotFound
        headers = [(b"etag", found.etag.encode()), (b"vary", b"Accept")]
        if found.held(request.header(b"if-none-match")):
            return Answer(304, content_type=found.content_type, headers=headers)
        return Answer(200, found.body, found.content_type, headers)

    return page


def discovery_pages(discovery: Discovery, resources: Sequence[Resource[Any]]) -> dict[str, Page]:
    """/api, /apis and what is under them, for these resources."""
    pages = {"/api": page_of(discovery.api), "/apis": page_of(discovery.apis)}
    for each in resources:
        pages[_path(each)] = _resources_page(discovery, each.group, each.version)
        if each.group:
            pages[f"/apis/{each.group}"] = _group_page(discovery, each.group)
    return pages


def schema_pages(openapi: OpenApi, resources: Sequence[Resource[Any]]) -> dict[str, Page]:
    """/openapi/v2, /openapi/v3 and the document of each group and version."""
    pages = {
        "/openapi/v2": page_of(openapi.v2),
        "/openapi/v3": page_of(openapi.v3_index),
    }
    for each in resources:
        path = _path(each)
        pages[f"/openapi/v3{path}"] = _schema_page(openapi, path.removeprefix("/"))
    return pages


def _schema_page(openapi: OpenApi, path: str) -> Page:
    return page_of(lambda accept: openapi.v3(path, accept))


def _path(resource: Resource[Any]) -> str:
    prefix = f"/apis/{resource.group}" if resource.group else "/api"
    return f"{prefix}/{resource.version}"


def _resources_page(discovery: Discovery, group: str, version: str) -> Page:
    return page_of(lambda accept: discovery.resources(group, version, accept))


def _group_page(discovery: Discovery, name: str) -> Page:
    return page_of(lambda accept: discovery.group(name, accept))
