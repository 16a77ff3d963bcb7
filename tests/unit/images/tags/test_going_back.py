"""The past of a tag: its whole history, rollback and undelete."""

import base64
import json
from typing import Any

import pytest

from tests.unit.images.tags.tag_api import (
    APP,
    HOST,
    NOW,
    WEB,
    WEEK,
    TagApi,
    digest,
    docker,
    istag,
    wanted,
)
from tidegate.metastore import manifests
from tidegate.metastore.database import Transaction

HISTORY, ROLLBACK, UNDELETE = (
    f"{istag('v1')}/{each}" for each in ("history", "rollback", "undelete")
)


def image(api: TagApi, tag: str = "v1") -> str:
    name: str = api.ok("GET", istag(tag))["image"]["metadata"]["name"]
    return name.removeprefix("sha256:")[:1]


def push_all(api: TagApi, letters: str, name: Any = WEB) -> None:
    """Push images under `v1`, a minute between them."""
    for letter in letters:
        api.push(letter, "v1", name)
        api.now += 60


def hows(api: TagApi, query: str = "") -> list[str]:
    return [each["how"] for each in api.ok("GET", HISTORY + query)["items"]]


# History.


def test_the_history_says_who_did_what_and_what_is_shown(api: TagApi) -> None:
    push_all(api, "d")
    api.ok("DELETE", istag("v1"))
    push_all(api, "e")
    items = api.ok("GET", HISTORY)["items"]
    assert items[0] == {
        "number": 3,
        "created": "2026-01-02T03:05:05Z",
        "dockerImageReference": f"{HOST}/shop/web@{digest('e')}",
        "image": digest("e"),
        "generation": 1,
        "how": "push",
        "who": "ann",
        "hidden": False,
    }
    told = [(each["number"], each["how"], each["who"], each["hidden"]) for each in items[1:]]
    assert told == [(2, "delete", "root", True), (1, "push", "ann", True)]


def test_a_history_comes_in_pages(api: TagApi) -> None:
    push_all(api, "abcde")
    found, token = [], ""
    for _ in range(3):
        page = api.ok("GET", f"{HISTORY}?limit=2&continue={token}")
        found += [each["number"] for each in page["items"]]
        token = page["metadata"].get("continue", "")
    assert (found, token) == ([5, 4, 3, 2, 1], "")
    token = api.ok("GET", f"{HISTORY}?limit=2")["metadata"]["continue"]
    other = HISTORY.replace("v1", "v2")
    api.refused(400, "GET", f"{other}?continue={token}")
    api.refused(400, "GET", f"{HISTORY}?continue=nonsense")
    forged = json.dumps(["tidegate/v1", "imagestreamtags/history", "shop", "web:v1", 10**30])
    token = base64.urlsafe_b64encode(forged.encode()).rstrip(b"=").decode()
    assert len(hows(api, f"?continue={token}")) == 5


def test_a_tag_that_never_was_has_no_history(api: TagApi) -> None:
    assert api.refused(404, "GET", HISTORY)["details"]["name"] == "web:v1"
    path = HISTORY.replace("web", "none")
    assert api.refused(404, "GET", path)["details"]["name"] == "none"
    api.ok("PUT", istag("v1"), wanted("v1", docker("docker.io/x")))
    assert hows(api) == []


# Rollback.


def test_a_rollback_goes_to_what_was_named_before_and_back(api: TagApi) -> None:
    push_all(api, "de")
    answer = api("POST", ROLLBACK, {})
    assert answer.status_code == 201
    assert answer.json()["kind"] == "ImageStreamTag"
    assert image(api) == "d"
    api.ok("POST", ROLLBACK, {})
    assert image(api) == "e"
    assert hows(api) == ["rollback", "rollback", "push", "push"]
    item = api.ok("GET", HISTORY)["items"][0]
    assert (item["who"], item["image"]) == ("root", digest("e"))


@pytest.mark.parametrize(
    ("to", "letter"),
    [
        ({"number": 1}, "a"),
        ({"image": "bbb"}, "b"),
        ({"image": digest("b")}, "b"),
        ({"time": "2026-01-02T03:05:05Z"}, "b"),
        ({"time": "2026-01-02T03:05:04Z"}, "a"),
    ],
)
def test_a_rollback_goes_to_the_event_that_is_named(
    api: TagApi, to: dict[str, Any], letter: str
) -> None:
    push_all(api, "abc")
    api.ok("POST", ROLLBACK, {"to": to})
    assert image(api) == letter


@pytest.mark.parametrize(
    "to",
    [
        {"number": 9},
        {"image": "abc"},
        {"image": "a\0"},
        {"time": "2026-01-01T00:00:00Z"},
        {"time": "yesterday"},
        {"number": 1, "image": "a"},
        {},
    ],
)
def test_a_rollback_to_nothing_is_invalid(api: TagApi, to: dict[str, Any]) -> None:
    push_all(api, "a")
    assert api("POST", ROLLBACK, {"to": to}).status_code in (400, 422)
    assert hows(api) == ["push"]


def test_a_rollback_to_one_of_several_images_is_invalid(api: TagApi) -> None:
    api.push("a", "v1")
    change = (
        "UPDATE tag_events SET image = ? WHERE number = 1",
        ("sha256:b" + "a" * 63,),
    )
    api.write(lambda tx: tx.execute(*change))
    api.push("b", "v1")
    status = api.refused(422, "POST", ROLLBACK, {"to": {"image": "b"}})
    assert "multiple images match the prefix" in status["message"]


def test_a_rollback_needs_a_tag_that_is_there(api: TagApi) -> None:
    api.refused(404, "POST", ROLLBACK, {})
    push_all(api, "de")
    api.ok("DELETE", istag("v1"))
    api.refused(404, "POST", ROLLBACK, {})
    api.refused(404, "POST", ROLLBACK.replace("web", "none"), {})


def test_a_rollback_to_an_image_that_is_gone_is_refused(api: TagApi) -> None:
    push_all(api, "de")
    api.write(lambda tx: manifests.delete(tx, WEB, digest("d"), NOW))
    assert "no longer here" in api.refused(422, "POST", ROLLBACK, {})["message"]
    assert image(api) == "e"


def test_a_rollback_of_an_immutable_tag_is_refused(api: TagApi) -> None:
    api.stream(APP, annotations={"tidegate.io/immutable-tags": "v*"})
    api.push("d", "v1", APP)
    move = "UPDATE tag_events SET number = 2 WHERE image = ?"
    api.write(lambda tx: tx.execute(move, (digest("d"),)))
    api.write(lambda tx: tx.execute("UPDATE stream_tags SET current = 2, newest = 2"))
    insert = (
        "INSERT INTO tag_events SELECT repository_id, tag, 1, created_at, recorded_at, reference,"
        " ?, generation, how, who, removed_at, detail FROM tag_events"
    )
    api.write(lambda tx: tx.execute(insert, (digest("e"),)))
    record = manifests.Manifest(digest("e"), "x", b"e")
    api.write(lambda tx: manifests.put(tx, APP, record, [], NOW))
    path = "/namespaces/prod/imagestreamtags/app:v1/rollback"
    assert "immutable" in api.refused(422, "POST", path, {})["message"]


def test_a_rollback_pins_a_tag_that_something_would_move_forward(api: TagApi) -> None:
    for letter in "de":
        api.push(letter, "source")
        api.ok("PUT", istag("v1"), wanted("v1", {"kind": "ImageStreamTag", "name": "source"}))
    made = api.ok("POST", ROLLBACK, {})
    origin = {"kind": "ImageStreamImage", "name": f"web@{digest('d')}"}
    assert made["tag"]["from"] == origin
    api.push("f", "source")
    assert image(api) == "d"


def test_a_rollback_of_a_pull_spec_pins_it(api: TagApi) -> None:
    for name in ("docker.io/x:1", "docker.io/x:2"):
        api.ok("PUT", istag("v1"), wanted("v1", docker(name), reference=True))
    made = api.ok("POST", ROLLBACK, {})
    assert made["tag"]["from"] == docker("docker.io/x:1")
    assert made["tag"]["reference"] is True
    history = api.ok("GET", "/namespaces/shop/imagetags/web:v1")["status"]["items"]
    assert [each["dockerImageReference"] for each in history] == [
        "docker.io/x:1",
        "docker.io/x:2",
        "docker.io/x:1",
    ]


def test_a_dry_run_moves_nothing(api: TagApi) -> None:
    push_all(api, "de")
    made = api.ok("POST", f"{ROLLBACK}?dryRun=All", {})
    assert made["image"]["metadata"]["name"] == digest("d")
    assert image(api) == "e"


def test_a_moment_after_an_undelete_is_what_came_back(api: TagApi) -> None:
    push_all(api, "d")
    api.ok("DELETE", istag("v1"))
    api.now += 60
    api.ok("POST", UNDELETE, {})
    api.now += 60
    push_all(api, "e")
    deleted, back = "2026-01-02T03:04:06Z", "2026-01-02T03:06:30Z"
    api.refused(422, "POST", ROLLBACK, {"to": {"time": "2026-01-02T03:05:30Z"}})
    for time in (back, deleted):
        api.ok("POST", ROLLBACK, {"to": {"time": time}})
        assert image(api) == "d"


def test_a_rollback_to_an_imported_image_that_is_gone_is_refused(api: TagApi) -> None:
    for letter in "de":
        mapping = {
            "metadata": {"name": "web"},
            "tag": "v1",
            "image": {
                "metadata": {"name": digest(letter)},
                "dockerImageReference": f"docker.io/x@{digest(letter)}",
            },
        }
        api.ok("POST", "/namespaces/shop/imagestreammappings", mapping)
    assert api("POST", f"{ROLLBACK}?dryRun=All", {}).status_code == 201
    api.write(lambda tx: tx.execute("DELETE FROM documents WHERE name = ?", (digest("d"),)))
    assert "no longer here" in api.refused(422, "POST", ROLLBACK, {})["message"]


# Undelete.


def test_a_deleted_tag_comes_back_as_it_was(api: TagApi) -> None:
    push_all(api, "de")
    api.ok("PUT", istag("v1"), wanted("v1", docker("docker.io/x")))
    api.ok("DELETE", istag("v1"))
    answer = api("POST", UNDELETE, {})
    assert answer.status_code == 201
    assert answer.json()["tag"]["from"] == docker("docker.io/x")
    assert image(api) == "e"
    assert hows(api) == ["undelete", "delete", "push", "push"]
    hidden = [each["hidden"] for each in api.ok("GET", HISTORY)["items"]]
    assert hidden == [True, True, False, False]
    assert api.refused(409, "POST", UNDELETE, {})["reason"] == "AlreadyExists"


def test_what_was_deleted_with_the_tag_can_be_pulled_again(api: TagApi) -> None:
    push_all(api, "d")
    api.ok("DELETE", istag("v1"))
    api.write(lambda tx: manifests.delete(tx, WEB, digest("d"), NOW))
    api.ok("POST", UNDELETE, {})
    assert api.write(lambda tx: manifests.known(tx, WEB, [digest("d")])) == {digest("d")}


def test_the_images_of_an_index_come_back_with_it(api: TagApi) -> None:
    push_all(api, "c")
    children = manifests.Manifest(digest("d"), "index", b"index", children=(digest("c"),))
    api.push("d", "v1")
    api.write(lambda tx: manifests.put(tx, WEB, children, [], NOW))
    api.ok("DELETE", istag("v1"))

    def delete(tx: Transaction) -> None:
        for letter in "dc":
            manifests.delete(tx, WEB, digest(letter), NOW)

    api.write(delete)
    api.ok("POST", UNDELETE, {})
    both = [digest("c"), digest("d")]
    assert api.write(lambda tx: manifests.known(tx, WEB, both)) == set(both)


def test_what_was_never_deleted_does_not_come_back(api: TagApi) -> None:
    assert api.refused(404, "POST", UNDELETE, {})["details"]["name"] == "web:v1"
    path = UNDELETE.replace("web", "none")
    assert api.refused(404, "POST", path, {})["details"]["name"] == "none"


def test_what_was_deleted_too_long_ago_does_not_come_back(api: TagApi) -> None:
    push_all(api, "d")
    api.ok("DELETE", istag("v1"))
    api.now += WEEK + 1
    api.refused(404, "POST", UNDELETE, {})
