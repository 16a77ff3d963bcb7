"""What `tidegate tag` sends, and how it shows a history."""

import json
from typing import Any

import httpx
import pytest

from tidegate.cli.client import tag
from tidegate.cli.client.api import Api
from tidegate.cli.client.references import parse_source, parse_stream_tag
from tidegate.cli.client.session import Login
from tidegate.cli.client.tag import Wishes, history_table, spec_tag
from tidegate.cli.refusal import Failed

DIGEST = "sha256:" + "ab" * 32
PLAIN = Wishes(False, False, False, False, "source", "Legacy")


def sent(source: str, target: str, wishes: Wishes = PLAIN, project: str = "team") -> dict[str, Any]:
    written = parse_source(source, None)
    body: dict[str, Any] = spec_tag(parse_stream_tag(target, project), written, wishes, project)
    assert body["kind"] == "ImageStreamTag"
    assert "resourceVersion" not in body["metadata"]  # oc replaces whatever was there
    tagged: dict[str, Any] = body["tag"]
    return tagged


def test_a_copy_names_the_image_of_the_stream() -> None:
    assert sent(f"web@{DIGEST}", "web:prod") == {
        "name": "prod",
        "from": {"kind": "ImageStreamImage", "name": f"web@{DIGEST}"},
        "reference": False,
        "importPolicy": {"importMode": "Legacy"},
        "referencePolicy": {"type": "Source"},
        "generation": None,
    }


def test_an_import_is_asked_for_by_generation_zero() -> None:
    wishes = Wishes(False, True, True, True, "local", "PreserveOriginal")
    assert sent("quay.io/team/web:1", "web:up", wishes) == {
        "name": "up",
        "from": {"kind": "DockerImage", "name": "quay.io/team/web:1"},
        "reference": True,
        "importPolicy": {"importMode": "PreserveOriginal", "scheduled": True, "insecure": True},
        "referencePolicy": {"type": "Local"},
        "generation": 0,
    }


def test_a_source_of_another_project_says_which() -> None:
    assert sent(f"dev/web@{DIGEST}", "web:1")["from"]["namespace"] == "dev"
    assert sent(f"web@{DIGEST}", "prod/web:1")["from"]["namespace"] == "team"
    assert "namespace" not in sent(f"web@{DIGEST}", "team/web:1")["from"]


def server(*answers: int | dict[str, Any]) -> tuple[Api, list[str]]:
    """A server that gives these answers, and the requests that it got."""
    asked: list[str] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path.partition('namespaces/')[2]}")
        given = left.pop(0)
        if isinstance(given, int):
            return httpx.Response(given, content=json.dumps({"message": f"status {given}"}))
        return httpx.Response(200, json=given)

    return Api(Login("https://a"), httpx.MockTransport(answer)), asked


def test_a_tag_is_replaced_whatever_it_was() -> None:
    api, asked = server(409, 409, {})
    tag._set(api, parse_stream_tag("web:1", "team"), {})
    assert asked == ["PUT team/imagestreamtags/web:1"] * 3


def test_a_tag_is_made_where_replacing_makes_none() -> None:
    api, asked = server(404, {})
    tag._set(api, parse_stream_tag("web:1", "team"), {})
    assert asked == ["PUT team/imagestreamtags/web:1", "POST team/imagestreamtags"]


def test_a_conflict_that_stays_is_a_failure() -> None:
    api, _ = server(*[409] * 5)
    with pytest.raises(Failed, match="status 409"):
        tag._set(api, parse_stream_tag("web:1", "team"), {})


def resolved(items: list[dict[str, Any]]) -> Any:
    api, _ = server({"status": {"tags": [{"tag": "1", "items": items}]}})
    return tag._resolved(api, parse_source("web:1", None), "team")


def test_a_tag_is_copied_as_the_image_that_it_points_to() -> None:
    source = resolved([{"image": DIGEST}, {"image": "sha256:older"}])
    assert (source.kind, source.named()) == ("ImageStreamImage", f"web@{DIGEST}")


def test_a_reference_is_copied_as_its_pull_spec() -> None:
    source = resolved([{"image": "", "dockerImageReference": "quay.io/team/web:1"}])
    assert (source.kind, source.named()) == ("DockerImage", "quay.io/team/web:1")


def test_a_tag_without_an_image_cannot_be_copied() -> None:
    with pytest.raises(Failed, match='"web:1" is not currently pointing to an image'):
        resolved([])


def test_a_history_is_read_as_far_as_asked() -> None:
    target = parse_stream_tag("web:1", "team")
    pages = ({"metadata": {"continue": "x"}, "items": [{"number": 3}, {"number": 2}]},)
    api, asked = server(*pages, {"items": [{"number": 1}]})
    assert tag._events(api, target, None) == ([{"number": 3}, {"number": 2}, {"number": 1}], False)
    assert asked == ["GET team/imagestreamtags/web:1/history"] * 2
    api, _ = server(*pages)
    assert tag._events(api, target, 2) == ([{"number": 3}, {"number": 2}], True)


def test_the_current_event_has_a_star_and_a_hidden_one_a_dash() -> None:
    events = [
        {"number": 3, "created": "2027", "image": DIGEST, "how": "push", "who": "alice"},
        {"number": 2, "image": DIGEST, "how": "tag", "from": "dev/web:1"},
        {"number": 1, "image": DIGEST, "how": "push", "hidden": True},
    ]
    columns, rows = history_table(events, wide=False)
    assert columns == ["", "NUMBER", "CREATED", "IMAGE", "HOW", "WHO", "FROM"]
    assert rows == [
        ["*", "3", "2027", "sha256:abababababab", "push", "alice", ""],
        ["", "2", "", "sha256:abababababab", "tag", "", "dev/web:1"],
        ["-", "1", "", "sha256:abababababab", "push", "", ""],
    ]


def test_a_tag_that_was_brought_back_points_to_what_it_was_before() -> None:
    events = [
        {"number": 3, "how": "undelete", "hidden": True},
        {"number": 2, "how": "delete", "hidden": True},
        {"number": 1, "image": DIGEST, "how": "push"},
    ]
    _, rows = history_table(events, wide=False)
    assert [row[0] for row in rows] == ["-", "-", "*"]


def test_a_deleted_tag_has_no_current_event() -> None:
    _, rows = history_table([{"number": 2, "how": "delete"}], wide=True)
    assert rows == [["", "2", "", "<none>", "delete", "", ""]]
