"""Which paths lead somewhere, and what the others answer."""

import pytest

from tests.unit.apimachinery.http.in_process import SECRETS, Api, Reviews
from tidegate.apimachinery.http.endpoints import Endpoints, Served
from tidegate.apimachinery.http.routes import Target, target_of, verb_of


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/secrets", Target("", "v1", "secrets")),
        ("/api/v1/namespaces/n/secrets", Target("", "v1", "secrets", "n")),
        ("/api/v1/namespaces/n/secrets/s", Target("", "v1", "secrets", "n", "s")),
        ("/api/v1/namespaces/n/secrets/s/x", Target("", "v1", "secrets", "n", "s", "x")),
        ("/api/v1/namespaces/n/secrets/s/x/y/z", Target("", "v1", "secrets", "n", "s", "x", "y/z")),
        ("/api/v1/namespaces", Target("", "v1", "namespaces")),
        ("/api/v1/namespaces/n", Target("", "v1", "namespaces", "n", "n")),
        ("/api/v1/namespaces/n/finalize", Target("", "v1", "namespaces", "n", "n", "finalize")),
        ("/apis/g.io/v1/roles/r", Target("g.io", "v1", "roles", "", "r")),
        ("/apis/g.io/v1/users/~", Target("g.io", "v1", "users", "", "~")),
        ("/apis/g.io/v1/roles/", Target("g.io", "v1", "roles")),
        ("/apis/g.io/v1", None),
        ("/apis/g.io", None),
        ("/api/v1", None),
        ("/version", None),
        ("/", None),
    ],
)
def test_a_path_is_read_as_kubernetes_reads_it(path: str, target: Target | None) -> None:
    assert target_of(path) == target


def test_a_get_without_a_name_is_a_list_or_a_watch() -> None:
    many, one = Target("", "v1", "secrets"), Target("", "v1", "secrets", "n", "s")
    assert verb_of("GET", many, watch=False) == "list"
    assert verb_of("GET", many, watch=True) == "watch"
    assert verb_of("GET", one, watch=True) == "get"
    assert verb_of("DELETE", many, watch=False) == "deletecollection"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/v1/things", 404),
        ("GET", "/api/v2/secrets", 404),
        ("GET", "/apis/none.io/v1/secrets", 404),
        ("GET", "/api/v1/namespaces/ns/secrets/s/nothing", 404),
        ("GET", "/api/v1/namespaces/ns/secrets/s/x/y", 404),
        ("GET", "/api/v1/secrets/s", 404),
        ("POST", "/apis/example.io/v1/widgets//token", 404),
        ("GET", "/apis/example.io/v1/namespaces/ns/widgets", 404),
        ("GET", "/api/v1/namespaces/ns/namespaces/other", 404),
        ("POST", "/api/v1/secrets", 405),
        ("POST", "/api/v1/namespaces/ns/secrets/s", 405),
        ("PUT", "/api/v1/namespaces/ns/secrets", 405),
        ("GET", "/apis/example.io/v1/reviews", 405),
        ("OPTIONS", "/api/v1/secrets", 405),
        ("POST", "/version", 405),
    ],
)
def test_paths_and_methods_that_lead_nowhere(api: Api, method: str, path: str, code: int) -> None:
    answer = api(method, path)
    assert answer.status_code == code
    assert (
        answer.json()["message"]
        == {
            404: "the server could not find the requested resource",
            405: "the server does not allow this method on the requested resource",
        }[code]
    )


def test_version(api: Api) -> None:
    assert api.ok("GET", "/version")["gitVersion"] == "v1.34.0"


def test_a_storage_that_lacks_a_verb_is_noticed_at_assembly() -> None:
    with pytest.raises(TypeError, match="what serves secrets cannot delete"):
        Endpoints([Served(SECRETS, Reviews())], lambda: 0.0)


@pytest.mark.parametrize(
    "path", ["/api/v1/namespaces/ns/secrets/a%00b", "/api/v1/namespaces/n%00s/secrets"]
)
def test_a_name_with_a_nul_leads_nowhere(api: Api, path: str) -> None:
    assert api("GET", path).status_code == 404


def test_a_field_selector_with_a_nul_is_a_bad_request(api: Api) -> None:
    path = "/api/v1/namespaces/ns/secrets?fieldSelector=metadata.name%3Da%00b"
    assert api("GET", path).status_code == 400
