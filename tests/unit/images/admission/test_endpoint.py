"""The webhook as HTTP: who is answered, and what becomes of bodies that no API server sends."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.images.admission.cluster import (
    APP,
    HOST,
    PATH,
    SECRET,
    UID,
    Cluster,
    Streams,
    container,
    exchange,
    pod,
    review,
)
from tidegate.images.admission import endpoint
from tidegate.images.admission.endpoint import AdmissionWebhook
from tidegate.images.admission.resolution import Found
from tidegate.metastore.errors import MetastoreError

ASKED = json.dumps(review(pod(container("web", "app")))).encode()


def test_the_answer_is_one_json_patch_over_the_object_as_it_came() -> None:
    status, _, body = Cluster().post(ASKED)
    assert status == 200
    answer = json.loads(body)
    patch = json.loads(base64.b64decode(answer["response"].pop("patch")))
    assert answer == {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "response": {"uid": UID, "allowed": True, "patchType": "JSONPatch"},
    }
    assert patch == [
        {"op": "replace", "path": "/spec/containers/0/image", "value": f"{HOST}/shop/app@{APP}"}
    ]


def test_a_review_of_the_older_version_is_answered_in_it() -> None:
    admitted = Cluster().admit(pod(container("web", "app")), version="v1beta1")
    assert admitted["spec"]["containers"][0]["image"] == f"{HOST}/shop/app@{APP}"


@pytest.mark.parametrize(
    "path",
    [
        f"/admission/{SECRET[:-1]}/workloads",
        f"/admission/{SECRET}x/workloads",
        f"/admission/{SECRET}/",
        f"/admission/{SECRET}/workloads/",
        "/admission//workloads",
        "/admission/\udcff/workloads",
    ],
)
def test_without_the_secret_there_is_nothing(path: str) -> None:
    streams = Streams({})
    assert Cluster(streams).post(ASKED, path)[0] == 404
    assert Cluster(streams).post(ASKED, path, "GET")[0] == 404
    assert streams.asked == []


def test_without_a_secret_in_the_settings_there_is_nothing() -> None:
    async def none(_: str) -> Mapping[str, str]:
        return {}

    webhook = AdmissionWebhook(Streams({}), none, "", [])
    for path in (PATH, "/admission//workloads", ""):
        assert asyncio.run(exchange(webhook, ASKED, path, "POST"))[0] == 404


def test_only_posts_are_answered() -> None:
    status, headers, _ = Cluster().post(b"", method="GET")
    assert (status, headers[b"allow"]) == (405, b"POST")


def changed(**request: Any) -> bytes:
    return json.dumps(review(pod(container("web", "app")), **request)).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"AdmissionReview"',
        b"\xff\xfe",
        b"k8s\x00\n\x0a",
        b"[" * 200_000,
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}',
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}',
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{}}',
        ASKED.replace(b'"AdmissionReview"', b'"Status"'),
        ASKED.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v2"),
        ASKED + b"x",
        changed(uid=""),
        changed(uid="u" * 257),
        changed(uid=7),
        changed(resource="pods"),
        changed(object=None),
        changed(object=[]),
        changed(object={"metadata": []}),
        changed(object={"metadata": {"annotations": {"a": 1}}}),
        changed(object={"spec": {"containers": {}}}),
        changed(object={"spec": {"containers": [{"image": 1}]}}),
        changed(operation="UPDATE", oldObject=None),
        changed(operation="UPDATE", oldObject={"spec": "x"}),
        changed(object=0).replace(b'"object": 0', b'"object": ' + b'{"spec":' * 100_000),
        changed(object=0).replace(
            b'"object": 0', b'"object": {"spec": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
        ),
    ],
)
def test_a_body_that_no_api_server_sends_is_a_bad_request(body: bytes) -> None:
    status, headers, text = Cluster().post(body)
    assert status == 400, text
    assert headers[b"content-type"].startswith(b"text/plain")
    assert len(text) < 500


def test_a_build_whose_fields_have_other_types_is_a_bad_request() -> None:
    asked = {"kind": "Build", "metadata": {"name": "b"}, "spec": {"source": {"images": 1}}}
    assert Cluster().post(json.dumps(review(asked)).encode())[0] == 400


def test_a_body_over_the_limit_is_too_large() -> None:
    status, _, text = Cluster().post(b" " * (endpoint.REVIEW_LIMIT + 1))
    assert (status, text) == (413, b"Request entity too large: limit is 7340032")


def test_an_update_of_the_largest_objects_is_read() -> None:
    large = pod(container("web", "app"), annotations={"filler": "x" * (3 * 1024 * 1024 - 4096)})
    assert Cluster().admit(large, large) == large


class Failing(Streams):
    async def lookup(self, namespace: str, stream: str, tag: str) -> Found | None:
        raise MetastoreError("gone")


class Hanging(Streams):
    async def lookup(self, namespace: str, stream: str, tag: str) -> Found | None:
        await asyncio.Event().wait()
        return None


def test_a_failure_of_ours_is_left_to_the_failure_policy_of_the_cluster() -> None:
    assert Cluster(Failing({})).post(ASKED)[0] == 503


def test_a_verdict_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "DEADLINE", 0.01)
    assert Cluster(Hanging({})).post(ASKED)[0] == 504
