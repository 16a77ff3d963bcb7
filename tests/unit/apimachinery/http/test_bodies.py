"""Bodies of requests: types, limits, strictness."""

import pytest

from tests.unit.apimachinery.http.in_process import Api

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
    ["application/vnd.kubernetes.protobuf", "application/cbor", "text/plain", "image/png"],
)
def test_other_types_of_body_are_415(api: Api, content_type: str) -> None:
    answer = api("POST", SECRETS, content=b"x", headers={"content-type": content_type})
    assert answer.status_code == 415
    assert answer.json()["reason"] == "UnsupportedMediaType"


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
