"""Bodies of requests: types, limits, strictness."""

import asyncio
from typing import Any

import pytest

from tests.unit.apimachinery.http.in_process import Api
from tidegate.apimachinery.http import request
from tidegate.apimachinery.http.request import Receive

SECRETS = "/api/v1/namespaces/ns/secrets"
WIDGETS = "/apis/example.io/v1/widgets"


def test_field_validation_decides_about_unknown_and_repeated_fields(api: Api) -> None:
    body = '{"metadata":{"name":"w"},"spec":{"ports":[{"nmae":"x"}],"size":1,"size":2},"x":null}'

    def made(query: str) -> tuple[int, list[str], str]:
        answer = api("POST", f"{WIDGETS}?dryRun=All{query}", content=body)
        message = answer.json().get("message", "")
        return answer.status_code, answer.headers.get_list("warning"), message

    warnings = [
        '299 - "duplicate field \\"spec.size\\""',
        '299 - "unknown field \\"spec.ports[0].nmae\\""',
        '299 - "unknown field \\"x\\""',
    ]
    assert made("") == (201, warnings, "")
    assert made("&fieldValidation=Warn") == (201, warnings, "")
    assert made("&fieldValidation=Ignore") == (201, [], "")
    assert made("&fieldValidation=Strict") == (
        400,
        [],
        (
            'Widget in version "v1" cannot be handled as a Widget: strict decoding error: '
            'duplicate field "spec.size", unknown field "spec.ports[0].nmae", unknown field "x"'
        ),
    )


@pytest.mark.parametrize(
    "content_type",
    ["application/cbor", "text/plain", "image/png"],
)
def test_other_types_of_body_are_415(api: Api, content_type: str) -> None:
    answer = api("POST", SECRETS, content=b"x", headers={"content-type": content_type})
    assert answer.status_code == 415
    assert answer.json()["reason"] == "UnsupportedMediaType"


def test_what_go_programs_send_as_protobuf_is_read(api: Api) -> None:
    content = {"content-type": "application/vnd.kubernetes.protobuf"}
    metadata = b"\x0a\x01s"  # ObjectMeta: 1 name
    secret = b"\x0a\x03" + metadata + b"\x1a\x01x"  # Secret: 1 metadata, 3 type
    meta = b"\x0a\x0c" + b"\x0a\x02v1" + b"\x12\x06Secret"  # Unknown: 1 TypeMeta
    body = b"k8s\0" + meta + b"\x12" + bytes([len(secret)]) + secret
    answer = api("POST", SECRETS, content=body, headers=content)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["metadata"]["name"], answer.json()["type"]) == ("s", "x")
    assert api("POST", SECRETS, content=b"k8s\0\xff", headers=content).status_code == 400


def test_a_body_over_3_mib_is_413(api: Api) -> None:
    big = b'{"type":"' + b"x" * (3 * 1024 * 1024) + b'"}'

    answer = api("POST", SECRETS, content=big)
    assert answer.status_code == 413
    assert answer.json()["message"] == "Request entity too large: limit is 3145728"


def test_a_large_body_is_read(api: Api) -> None:
    big = {"metadata": {"name": "s"}, "data": {"a": "YWFh" * 50_000}}
    assert api("POST", f"{SECRETS}?dryRun=All", json=big).status_code == 201
    patched = api(
        "PATCH",
        f"{SECRETS}/s?dryRun=All&fieldManager=m",
        json={**big, "apiVersion": "v1", "kind": "Secret"},
        headers={"content-type": "application/apply-patch+yaml"},
    )
    assert patched.status_code == 201


def test_warnings_are_kept_short(api: Api) -> None:
    body = {"metadata": {"name": "s"}, **{"x" * 60 + str(each): 1 for each in range(200)}}
    answer = api("POST", SECRETS, json=body)
    assert answer.status_code == 201
    assert 0 < sum(len(each) for each in answer.headers.get_list("warning")) <= 4096


def test_too_many_parameters_are_refused(api: Api) -> None:
    assert api("GET", f"{SECRETS}?" + "&".join(["a=1"] * 201)).status_code == 400


def asked(api: Api, receive: Receive) -> list[Any]:
    """What the application sends to a POST whose body comes from `receive`."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": SECRETS,
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer root")],
        "client": ("192.0.2.1", 1),
    }
    sent: list[Any] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    api.run(api.application(scope, receive, send))
    return sent


def test_a_client_that_leaves_within_its_body_gets_no_answer(api: Api) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert asked(api, receive) == []
    assert [(each.action, each.status) for each in api.audit.events] == [("create", 499)]
    assert api.audit.events[0].detail == "the client went away"


def test_a_body_that_stops_arriving_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "BODY_PATIENCE", 0.01)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(20)
        return {}

    start, _ = asked(api, receive)
    assert start["status"] == 504


def test_a_body_that_comes_a_byte_at_a_time_is_given_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a request could be kept open until long after its right is gone."""
    monkeypatch.setattr(request, "BODY_PATIENCE", 0.1)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    start, _ = asked(api, receive)
    assert start["status"] == 504


def test_a_body_without_a_length_is_limited_too(api: Api) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b" " * 1_000_000, "more_body": True}

    start, _ = asked(api, receive)
    assert start["status"] == 413
