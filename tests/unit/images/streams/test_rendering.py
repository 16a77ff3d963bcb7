"""A stream as clients see it: what is put together, in which order, and what is left out."""

import json

import msgspec

from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.rendering import (
    HISTORY_OMITTED,
    TAGS_OMITTED,
    Piece,
    Shown,
    composed,
    fitting,
    heading,
    pieces_of,
)
from tidegate.metastore.stream_tags import ShownTag, TagRow
from tidegate.metastore.tag_events import TagEvent

IMAGE = "sha256:" + "d" * 64
HOSTS = Hosts("registry:5000", "images.example.com")
HEADER = heading(
    b'{"kind":"ImageStream","metadata":{"name":"web","namespace":"shop","resourceVersion":"7"},'
    b'"spec":{"lookupPolicy":{"local":false},"dockerImageRepository":"docker.io/me/web"}}'
)


def event(number: int, reference: str) -> TagEvent:
    return TagEvent(number, 1.9, 2.0, reference, IMAGE, 3, "push", "ann")


def shown(*tags: ShownTag, hosts: Hosts = HOSTS) -> Shown:
    return Shown(pieces_of(tags, hosts))


def test_tags_are_in_the_order_of_their_names_whatever_order_they_were_read_in() -> None:
    tags = [
        ShownTag(TagRow(name, spec=f'{{"name":"{name}"}}'), [event(1, "docker.io/x:1")])
        for name in ("v2", "latest", "v10")
    ]
    found = json.loads(composed(HEADER, shown(*tags), HOSTS))
    assert [each["name"] for each in found["spec"]["tags"]] == ["latest", "v10", "v2"]
    assert [each["tag"] for each in found["status"]["tags"]] == ["latest", "v10", "v2"]


def test_events_come_newest_first_with_the_host_before_what_is_here() -> None:
    conditions = '[{"type":"ImportSuccess","status":"False"}]'
    row = TagRow("v1", conditions=conditions, newest=2, current=2)
    tag = ShownTag(row, [event(2, f"/shop/web@{IMAGE}"), event(1, "docker.io/x:1")])
    (history,) = json.loads(composed(HEADER, shown(tag), HOSTS))["status"]["tags"]
    assert history == {
        "tag": "v1",
        "items": [
            {
                "created": "1970-01-01T00:00:01Z",
                "dockerImageReference": f"registry:5000/shop/web@{IMAGE}",
                "image": IMAGE,
                "generation": 3,
            },
            {
                "created": "1970-01-01T00:00:01Z",
                "dockerImageReference": "docker.io/x:1",
                "image": IMAGE,
                "generation": 3,
            },
        ],
        "conditions": json.loads(conditions),
    }


def test_a_tag_that_only_failed_is_read_by_the_kind_as_it_is_shown() -> None:
    row = TagRow("v1", conditions='[{"type":"ImportSuccess","status":"False"}]')
    body = composed(HEADER, shown(ShownTag(row, [])), HOSTS)
    (history,) = msgspec.json.decode(body, type=ImageStream).status.tags
    assert (history.items, len(history.conditions)) == ([], 1)


def test_repositories_are_those_of_the_hosts_and_without_them_what_is_imported_whole() -> None:
    status = json.loads(composed(HEADER, Shown([]), HOSTS))["status"]
    assert status == {
        "dockerImageRepository": "registry:5000/shop/web",
        "publicDockerImageRepository": "images.example.com/shop/web",
    }
    status = json.loads(composed(HEADER, Shown([]), Hosts()))["status"]
    assert status == {"dockerImageRepository": "docker.io/me/web"}


def test_a_tag_that_is_only_wanted_has_no_history_and_the_other_way_round() -> None:
    wanted = ShownTag(TagRow("a", spec='{"name":"a"}'), [])
    pushed = ShownTag(TagRow("b"), [event(1, "docker.io/x:1")])
    found = json.loads(composed(HEADER, shown(wanted, pushed), HOSTS))
    assert [each["name"] for each in found["spec"]["tags"]] == ["a"]
    assert [each["tag"] for each in found["status"]["tags"]] == ["b"]


def test_what_is_left_out_is_said_and_else_nothing_is() -> None:
    assert "annotations" not in json.loads(composed(HEADER, Shown([]), HOSTS))["metadata"]
    found = json.loads(composed(HEADER, Shown([], 5, 12), HOSTS))
    assert found["metadata"]["annotations"] == {TAGS_OMITTED: "5", HISTORY_OMITTED: "12"}


def test_pieces_fit_as_long_as_there_is_room() -> None:
    pieces = [Piece("a", b"12345678", None), Piece("b", None, b"12345678")]  # 10 bytes each
    assert fitting(pieces, 20) == (2, 0)
    assert fitting(pieces, 19) == (1, 9)
    assert fitting(pieces, 9) == (0, 9)
