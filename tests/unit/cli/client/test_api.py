"""Requests to a server that answers as a test says: what they ask, and how they fail."""

import json
from collections.abc import Callable

import httpx
import pytest

from tidegate.cli.client.api import Api, StatusFailed, project_of, warning_text
from tidegate.cli.client.kinds import discover, find
from tidegate.cli.client.oauth import challenge, request_token, token_name
from tidegate.cli.client.session import Login
from tidegate.cli.refusal import Failed

SERVER = "https://registry.example.com"
TOKEN = "sha256~very-secret"


def api(answer: Callable[[httpx.Request], httpx.Response], server: str = SERVER) -> Api:
    return Api(Login(server, TOKEN), httpx.MockTransport(answer))


def always(
    status: int, content: bytes, **headers: str
) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, content=content, headers=headers)


def test_the_message_of_a_status_is_the_failure() -> None:
    status = {"kind": "Status", "status": "Failure", "message": 'imagestreams "x" not found'}
    with (
        api(always(404, json.dumps(status).encode())) as server,
        pytest.raises(StatusFailed, match='imagestreams "x" not found') as caught,
    ):
        server.get("/x")
    assert caught.value.code == 404


def test_an_unknown_token_asks_for_a_login() -> None:
    with (
        api(always(401, b'{"message": "Unauthorized"}')) as server,
        pytest.raises(StatusFailed, match="log in again"),
    ):
        server.get("/x")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"", b"\xff\xfe", b'"x"'])
def test_an_answer_that_is_no_object_is_a_failure(content: bytes) -> None:
    with (
        api(always(200, content)) as server,
        pytest.raises(Failed, match="answered with something"),
    ):
        server.get("/x")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"message": 7}'])
def test_a_refusal_without_a_status_names_its_number(content: bytes) -> None:
    with api(always(502, content)) as server, pytest.raises(Failed, match="answered 502"):
        server.get("/x")


def test_a_failure_moves_no_cursor() -> None:
    content = json.dumps({"message": "a\x1b[2Jb\nc"}).encode()
    with api(always(400, content)) as server, pytest.raises(Failed) as caught:
        server.get("/x")
    assert str(caught.value) == "a\\x1b[2Jb\\nc"


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("[Errno 111] Connection refused"),
        httpx.ConnectError(
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: x (_ssl.c:1)"
        ),
        httpx.ReadTimeout(""),
        httpx.RemoteProtocolError("peer closed connection"),
    ],
)
def test_a_server_that_cannot_be_asked_is_named(error: httpx.HTTPError) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    with api(fail) as server, pytest.raises(Failed, match=r"registry\.example\.com") as caught:
        server.get("/x")
    assert "secret" not in str(caught.value)


def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"Location": "https://evil.example.com/"})

    with api(redirect) as server, pytest.raises(Failed, match="answered 302"):
        server.get("/x")
    assert asked == ["registry.example.com"]


def test_warnings_are_printed_once_each(capsys: pytest.CaptureFixture[str]) -> None:
    answer = always(200, b"{}", Warning='299 - "unknown field \\"spec.x\\""')
    with api(answer) as server:
        server.get("/x")
        server.get("/x")
    assert capsys.readouterr().err == 'Warning: unknown field "spec.x"\n'


@pytest.mark.parametrize("header", ["", '199 - "x"', "299 - x", "299"])
def test_other_warnings_are_left_alone(header: str) -> None:
    assert warning_text(header) == ""


def test_a_list_is_read_page_by_page() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("continue")
        assert request.url.params["limit"] == "500"
        if after is None:
            return httpx.Response(200, json={"metadata": {"continue": "2"}, "items": [{"a": 1}]})
        assert after == "2"
        return httpx.Response(200, json={"metadata": {}, "items": [{"a": 2}]})

    with api(page) as server:
        assert list(server.items("/x")) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("answer", [{}, {"items": None}, {"metadata": 7, "items": "x"}])
def test_a_list_of_another_shape_is_empty(answer: dict[str, object]) -> None:
    with api(always(200, json.dumps(answer).encode())) as server:
        assert list(server.items("/x")) == []


def test_a_watch_gives_events_until_the_server_ends_it() -> None:
    lines = b'{"type":"ADDED","object":{}}\n{"type":"DELETED","object":{}}\n'
    with api(always(200, lines)) as server:
        assert [each["type"] for each in server.events("/x", None)] == ["ADDED", "DELETED"]


def test_an_error_in_a_watch_is_a_failure() -> None:
    line = b'{"type":"ERROR","object":{"message":"too old resource version"}}\n'
    with api(always(200, line)) as server, pytest.raises(Failed, match="too old"):
        list(server.events("/x", None))


def test_without_a_project_a_command_says_how_to_choose_one() -> None:
    with api(always(200, b"{}")) as server:
        assert project_of(server, "team") == "team"
        with pytest.raises(Failed, match="tidegate project"):
            project_of(server, None)


def resource(name: str, kind: str, *short: str, scope: str = "Namespaced") -> dict[str, object]:
    return {
        "resource": name,
        "responseKind": {"kind": kind},
        "scope": scope,
        "singularResource": kind.lower(),
        "shortNames": list(short),
        "categories": ["all"] if name == "imagestreams" else [],
        "verbs": ["get", "list"],
    }


def discovery(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/api":
        groups = [("", "v1", [resource("secrets", "Secret")])]
    else:
        groups = [
            (
                "image.openshift.io",
                "v1",
                [
                    resource("imagestreams", "ImageStream", "is"),
                    resource("images", "Image", scope="Cluster"),
                ],
            ),
            ("config.openshift.io", "v1", [resource("images", "Image", scope="Cluster")]),
        ]
    items = [
        {"metadata": {"name": name}, "versions": [{"version": version, "resources": resources}]}
        for name, version, resources in groups
    ]
    return httpx.Response(200, json={"kind": "APIGroupDiscoveryList", "items": items})


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("is", "/apis/image.openshift.io/v1/namespaces/team/imagestreams/x"),
        ("ImageStream", "/apis/image.openshift.io/v1/namespaces/team/imagestreams/x"),
        (
            "imagestreams.image.openshift.io",
            "/apis/image.openshift.io/v1/namespaces/team/imagestreams/x",
        ),
        ("all", "/apis/image.openshift.io/v1/namespaces/team/imagestreams/x"),
        ("images", "/apis/image.openshift.io/v1/images/x"),
        ("images.config.openshift.io", "/apis/config.openshift.io/v1/images/x"),
        ("images.v1.config.openshift.io", "/apis/config.openshift.io/v1/images/x"),
        ("secret", "/api/v1/namespaces/team/secrets/x"),
    ],
)
def test_the_server_says_which_kind_a_word_means(word: str, path: str) -> None:
    with api(discovery) as server:
        (kind,) = find(discover(server), word)
    assert kind.path("team", "x") == path


def test_a_kind_that_the_server_lacks_is_named() -> None:
    with api(discovery) as server, pytest.raises(Failed, match="no kind 'pods'"):
        find(discover(server), "pods")


def test_names_are_one_segment_of_a_path() -> None:
    with api(discovery) as server:
        (kind,) = find(discover(server), "is")
    assert kind.path("a/b", "../x?y").endswith("/namespaces/a%2Fb/imagestreams/..%2Fx%3Fy")


def test_the_challenge_is_that_of_the_specification() -> None:
    # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_name_of_a_token_is_its_hash() -> None:
    # echo -n abc | sha256sum, in base64url without padding
    assert token_name("sha256~abc") == "sha256~ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"


def authorization(location: str) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        match request.url.path:
            case "/.well-known/oauth-authorization-server":
                return httpx.Response(
                    200,
                    json={
                        "issuer": SERVER,
                        "authorization_endpoint": f"{SERVER}/oauth/authorize",
                        "token_endpoint": f"{SERVER}/oauth/token",
                    },
                )
            case "/oauth/authorize":
                assert request.headers["X-CSRF-Token"]
                return httpx.Response(302, headers={"Location": location})
            case _:
                return httpx.Response(200, json={"access_token": "sha256~new"})

    return answer


def test_a_password_becomes_a_token() -> None:
    with api(authorization(f"{SERVER}/oauth/token/implicit?code=c&state=")) as server:
        assert request_token(server, "alice", "pässword") == "sha256~new"


@pytest.mark.parametrize(
    ("location", "said"),
    [
        (f"{SERVER}/oauth/token/implicit?error=access_denied&error_description=no", "no"),
        ("https://evil.example.com/?code=c", "no code"),
        (f"{SERVER}/oauth/token/implicit", "no code"),
    ],
)
def test_a_login_that_brings_no_code_is_a_failure(location: str, said: str) -> None:
    with api(authorization(location)) as server, pytest.raises(Failed, match=said):
        request_token(server, "alice", "password")


def test_a_password_for_a_server_with_tls_goes_nowhere_without() -> None:
    answer = always(
        200, json.dumps({"authorization_endpoint": "http://a/", "issuer": "x"}).encode()
    )
    with api(answer) as server, pytest.raises(Failed, match="no usable authorization_endpoint"):
        request_token(server, "alice", "password")
