import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.registry.routes import Endpoint, Route, match

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2/", Route(Endpoint.ROOT)),
        ("/v2", Route(Endpoint.ROOT)),
        ("/v2/_catalog", Route(Endpoint.CATALOG)),
        ("/v2/a/b/tags/list", Route(Endpoint.TAGS, "a/b")),
        ("/v2/a/b/manifests/latest", Route(Endpoint.MANIFEST, "a/b", "latest")),
        (f"/v2/a/b/manifests/{DIGEST}", Route(Endpoint.MANIFEST, "a/b", DIGEST)),
        (f"/v2/a/b/blobs/{DIGEST}", Route(Endpoint.BLOB, "a/b", DIGEST)),
        (f"/v2/a/b/referrers/{DIGEST}", Route(Endpoint.REFERRERS, "a/b", DIGEST)),
        ("/v2/a/b/blobs/uploads/", Route(Endpoint.UPLOADS, "a/b")),
        ("/v2/a/b/blobs/uploads", Route(Endpoint.UPLOADS, "a/b")),
        ("/v2/a/b/blobs/uploads/0a1b", Route(Endpoint.UPLOAD, "a/b", "0a1b")),
    ],
)
def test_each_endpoint_of_the_specification_has_its_path(path: str, route: Route) -> None:
    assert match(path) == route


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v2/blobs/uploads/manifests/latest", "blobs/uploads"),
        ("/v2/manifests/tags/tags/list", "manifests/tags"),
        ("/v2/a/b/c/manifests/latest", "a/b/c"),
        ("/v2/a%2fb/c/manifests/latest", "a%2fb/c"),
        ("/v2/../../etc/manifests/latest", "../../etc"),
    ],
)
def test_a_name_is_what_stands_before_the_endpoint_as_it_was_sent(path: str, name: str) -> None:
    assert match(path) == Route(Endpoint.MANIFEST, name, "latest") or (
        match(path).repository == name
    )


@pytest.mark.parametrize(
    "path", ["/v2/a", "/v2/a/b", "/v2/a/b/c", "/v2/manifests/latest", "/v2/a/b/manifests/", "/v2//"]
)
def test_other_paths_name_no_endpoint(path: str) -> None:
    assert match(path).endpoint is Endpoint.NOWHERE


def test_an_encoded_colon_is_a_colon_but_an_encoded_slash_no_slash() -> None:
    encoded = "sha256%3A" + "a" * 64
    assert match(f"/v2/a/b/blobs/{encoded}").reference == DIGEST
    assert match("/v2/a/b/manifests/x%2f..%2fy").reference == "x%2f..%2fy"


@given(st.text(alphabet="/abv2%_.manifestsblobsuploadstagslistreferrers", max_size=60))
def test_any_path_has_exactly_one_route(path: str) -> None:
    assert match("/v2/" + path).endpoint in Endpoint
