"""Pages about the API: caching and who may read them."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.unit.apimachinery.http.in_process import SECRETS, WIDGETS, Api
from tidegate.apimachinery.discovery import Discovery
from tidegate.apimachinery.http.pages import discovery_pages, page_of, schema_pages
from tidegate.apimachinery.openapi.openapi import OpenApi

RESOURCES = (SECRETS, WIDGETS)


@pytest.fixture
def documented() -> Iterator[Api]:
    pages = {
        **discovery_pages(Discovery(RESOURCES), RESOURCES),
        **schema_pages(OpenApi(RESOURCES, "tidegate", "1"), RESOURCES),
        "/gone": page_of(lambda _: None),
    }
    with asyncio.Runner() as runner:
        yield Api(runner, pages)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api", "APIVersions"),
        ("/api/", "APIVersions"),
        ("/api/v1", "APIResourceList"),
        ("/apis", "APIGroupList"),
        ("/apis/example.io", "APIGroup"),
        ("/apis/example.io/v1", "APIResourceList"),
    ],
)
def test_discovery_has_a_page_for_each_group_and_version(
    documented: Api, path: str, kind: str
) -> None:
    assert documented.ok("GET", path)["kind"] == kind


@pytest.mark.parametrize(
    "path", ["/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/openapi/v3/apis/example.io/v1"]
)
def test_schemas_have_pages(documented: Api, path: str) -> None:
    assert documented("GET", f"{path}?hash=1").status_code == 200


def test_a_page_that_is_held_already_is_not_sent_again(documented: Api) -> None:
    first = documented("GET", "/apis")
    assert first.headers["vary"] == "Accept"
    again = documented("GET", "/apis", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_pages_are_non_resource_paths_to_the_authorizer(documented: Api) -> None:
    assert documented("GET", "/apis", user="u").status_code == 403
    documented.rights.grant("u", "get", "/apis")
    assert documented("GET", "/apis", user="u").status_code == 200
    assert documented("HEAD", "/apis", user="u").status_code == 200


def test_a_page_without_a_document_is_404(documented: Api) -> None:
    assert documented("GET", "/gone").status_code == 404
    assert documented("GET", "/apis/none.io/v1").status_code == 404
