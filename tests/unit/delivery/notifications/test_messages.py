"""What is sent of an event: as CloudEvents, Docker's envelope and Standard Webhooks have it."""

import base64
import hmac
import json
from typing import Any

import pytest

from tidegate.delivery.notifications.messages import (
    TYPES,
    Described,
    cloud_event,
    docker_event,
    happening,
    message_id,
)
from tidegate.delivery.notifications.selecting import selector
from tidegate.delivery.notifications.signing import SecretInvalid, headers
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.event_subscription import (
    HAPPENINGS,
    ClusterEventSubscriptionSpec,
    EventSubscriptionSpec,
)
from tidegate.metastore.outbox import Noted

HOSTS = Hosts("registry.internal:5000", "registry.example")
DIGEST, BEFORE = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PUSH = Noted(
    7, "shop", "shop/web", "v1", 3, 1_790_000_000.25, DIGEST, BEFORE, f"/shop/web@{DIGEST}",
    "push", "ann", None,
)  # fmt: skip
DELETE = PUSH._replace(how="delete", image="", reference="", previous=DIGEST)
GONE = Noted(9, "shop", "shop/web", "", 0, 0.0, "", "", "", "delete", "", "uid-1")


def cloud(event: Noted) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cloud_event(event, HOSTS, "https://registry.example"))
    return found


def test_a_push_as_a_cloud_event_says_what_happened_to_what() -> None:
    assert cloud(PUSH) == {
        "specversion": "1.0",
        "id": "shop/web:v1/3",
        "source": "https://registry.example/apis/image.openshift.io/v1/namespaces/shop"
        "/imagestreams/web",
        "type": "io.tidegate.tag.pushed",
        "subject": "shop/web:v1",
        "time": "2026-09-21T14:13:20.250Z",
        "datacontenttype": "application/json",
        "data": {
            "project": "shop",
            "stream": "web",
            "how": "push",
            "tag": "v1",
            "event": 3,
            "digest": DIGEST,
            "image": f"registry.internal:5000/shop/web@{DIGEST}",
            "previousDigest": BEFORE,
            "user": "ann",
        },
    }


def test_the_required_attributes_are_there_whatever_happened() -> None:
    # CloudEvents 1.0, "Required Attributes": none may be empty
    for event in (PUSH, DELETE, GONE):
        found = cloud(event)
        assert all(found[name] for name in ("specversion", "id", "source", "type"))
        assert found["type"] in TYPES.values()


def test_a_time_that_is_not_known_is_left_out() -> None:
    assert "time" not in cloud(GONE)
    assert cloud(GONE)["data"] == {"project": "shop", "stream": "web", "how": "delete"}


def test_where_an_image_comes_from_is_said() -> None:
    event = PUSH._replace(how="tag", detail="dev/web:v1")
    assert cloud(event)["data"]["from"] == "dev/web:v1"
    event = PUSH._replace(how="import", reference=f"quay.io/a/b@{DIGEST}")
    assert cloud(event)["data"]["image"] == f"quay.io/a/b@{DIGEST}"


def test_every_happening_has_a_type_and_an_id_of_its_own() -> None:
    assert set(TYPES) == set(HAPPENINGS)
    assert happening(GONE) == "delete-stream"
    assert happening(GONE._replace(how="create")) == "create-stream"
    ids = {message_id(each) for each in (PUSH, PUSH._replace(number=4), GONE)}
    assert len(ids) == 3
    assert message_id(PUSH) == message_id(PUSH._replace(id=99))


def docker(event: Noted, described: Described = Described("type", 42)) -> dict[str, Any]:  # noqa: B008
    body = docker_event(event, described, "https://registry.example")
    assert body is not None
    (found,) = json.loads(body)["events"]
    return dict(found)


def test_a_push_in_the_envelope_of_the_distribution_registry() -> None:
    assert docker(PUSH) == {
        "id": "shop/web:v1/3",
        "timestamp": "2026-09-21T14:13:20.250Z",
        "action": "push",
        "target": {
            "mediaType": "type",
            "size": 42,
            "digest": DIGEST,
            "length": 42,
            "repository": "shop/web",
            "url": f"https://registry.example/v2/shop/web/manifests/{DIGEST}",
            "tag": "v1",
        },
        "request": {},
        "actor": {"name": "ann"},
        "source": {"addr": "registry.example"},
    }


def test_a_delete_in_the_envelope_names_what_the_tag_named() -> None:
    found = docker(DELETE)
    assert found["action"] == "delete"
    assert found["target"] == {"repository": "shop/web", "tag": "v1", "digest": DIGEST}


def test_streams_have_no_envelope() -> None:
    assert docker_event(GONE, Described(), "") is None


def test_a_message_is_signed_as_standard_webhooks_says() -> None:
    key = bytes(range(32))
    secret = b"whsec_" + base64.b64encode(key)
    found = headers(secret, "msg", 1_790_000_000.9, b'{"a":1}')
    signed = hmac.digest(key, b'msg.1790000000.{"a":1}', "sha256")
    assert found == {
        "webhook-id": "msg",
        "webhook-timestamp": "1790000000",
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
    assert headers(key, "msg", 1_790_000_000.9, b'{"a":1}') == found


def test_the_signature_of_the_specification_is_made() -> None:
    # the example of the Standard Webhooks specification
    secret = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    found = headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_is_none_is_not_told() -> None:
    with pytest.raises(SecretInvalid) as raised:
        headers(b"whsec_not base64!", "msg", 0, b"")
    assert "not base64" not in str(raised.value)


@pytest.mark.parametrize(
    ("spec", "selected"),
    [
        ({}, [True, True, True]),
        ({"events": ["push"]}, [True, False, False]),
        ({"events": ["delete", "delete-stream"]}, [False, True, True]),
        ({"streams": ["w*"]}, [True, True, True]),
        ({"streams": ["api"]}, [False, False, False]),
        ({"tags": ["v*"]}, [True, True, False]),
        ({"tags": ["latest", "v1"]}, [True, True, False]),
        ({"streams": ["web"], "tags": ["x"]}, [False, False, False]),
    ],
)
def test_a_subscription_selects_what_it_names(spec: dict[str, Any], selected: list[bool]) -> None:
    selects = selector(EventSubscriptionSpec(url="http://x.example", **spec))
    assert [selects(each) for each in (PUSH, DELETE, GONE)] == selected


def test_one_of_the_cluster_selects_projects_too() -> None:
    for globs, selected in ((["sh*"], True), (["dev"], False), ([], True)):
        spec = ClusterEventSubscriptionSpec(url="http://x.example", projects=globs)
        assert selector(spec)(PUSH) is selected
