"""What is imported, and when: image-api sections 9.1 and 9.2."""

from typing import Any

import msgspec
import pytest

from tidegate.images.imports.needs import Need, Schedule, interval_of, need, schedule
from tidegate.images.kinds.image_stream import ImageStream, ImageStreamSpec
from tidegate.metastore.wanted_tags import WantedTag
from tidegate.remote.location import Location

CHECKED = {"openshift.io/image.dockerRepositoryCheck": "2026-01-02T03:04:05Z"}
FAILED = {"type": "ImportSuccess", "status": "False"}


def stream(repository: str = "", *, checked: bool = True) -> ImageStream:
    made = ImageStream(spec=ImageStreamSpec(docker_image_repository=repository))
    made.metadata.annotations = dict(CHECKED) if checked else {}
    return made


def tag(
    name: str = "1.0",
    source: str | None = "quay.io/app/web:1.0",
    *,
    seen: int | None = None,
    failed: int | None = None,
    kind: str = "DockerImage",
    scheduled: bool = False,
    **fields: Any,
) -> WantedTag:
    """A tag of generation 5 unless `fields` say otherwise, seen to as of other ones."""
    spec = {"name": name, "generation": 5, "importPolicy": {"scheduled": scheduled}, **fields}
    if source is not None:
        spec["from"] = {"kind": kind, "name": source}
    conditions = None if failed is None else [{**FAILED, "generation": failed}]
    return WantedTag(
        name,
        msgspec.json.encode(spec).decode(),
        None if conditions is None else msgspec.json.encode(conditions).decode(),
        seen,
    )


@pytest.mark.parametrize(
    ("wanted", "needed"),
    [
        (tag(), True),
        (tag(seen=4), True),
        (tag(seen=5), False),
        (tag(seen=6), False),
        (tag(failed=5), False),
        (tag(seen=3, failed=5), False),
        (tag(seen=3, failed=4), True),
        (tag(generation=None, seen=9), True),
        (tag(source=None), False),
        (tag(reference=True), False),
        (tag(source="web:1.0", kind="ImageStreamTag"), False),
        (WantedTag("gone", None, None, None), False),
    ],
)
def test_a_tag_is_imported_once_for_each_generation(wanted: WantedTag, *, needed: bool) -> None:
    assert need(stream(), [wanted]) == Need((wanted.name,) if needed else ())
    assert bool(need(stream(), [wanted])) is needed


def test_a_stream_without_the_mark_is_imported_whole_if_it_names_a_repository() -> None:
    tags = [tag("new"), tag("old", seen=5), tag("pushed", source=None)]
    whole = need(stream("quay.io/app/web", checked=False), tags)
    assert whole == Need(("new", "old"), full=True)
    assert need(stream("quay.io/app/web"), tags) == Need(("new",))
    assert need(stream(checked=False), tags) == Need(("new",))
    assert need(stream("quay.io/app/web", checked=False), []) == Need(full=True)


def test_who_takes_the_mark_away_has_what_failed_tried_again() -> None:
    tags = [tag("failed", failed=5), tag("old", seen=5)]
    assert need(stream(), tags) == Need()
    assert need(stream(checked=False), tags) == Need(("failed",))


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        (tag(scheduled=True), Location("quay.io", "app/web")),
        (tag(source="nginx", scheduled=True), Location("docker.io", "library/nginx")),
        (
            tag(source="registry.example:5000/a/b:c", scheduled=True),
            Location("registry.example:5000", "a/b"),
        ),
        (tag(), None),
        (tag(source=f"quay.io/app/web@sha256:{'a' * 64}", scheduled=True), None),
        (tag(scheduled=True, reference=True), None),
    ],
)
def test_scheduled_are_tags_of_other_registries_that_can_move(
    wanted: WantedTag, location: Location | None
) -> None:
    found = schedule(wanted, {}, 900, 10)
    assert found == (None if location is None else Schedule("1.0", location, 900))


@pytest.mark.parametrize(
    ("own", "project", "interval"),
    [
        ("", "", 900),
        ("30s", "", 30),
        ("", "1h", 3600),
        ("30s", "1h", 30),
        ("1s", "", 10),
        ("0s", "", 10),
        ("soon", "2m", 120),
        ("-5s", "never", 900),
    ],
)
def test_the_period_is_the_tags_else_the_projects_else_the_usual(
    own: str, project: str, interval: float
) -> None:
    of_tag, of_project = (
        {"tidegate.io/import-interval": text} if text else {} for text in (own, project)
    )
    assert interval_of(of_tag, of_project, 900, 10) == interval
    found = schedule(tag(scheduled=True, annotations=of_tag), of_project, 900, 10)
    assert found is not None
    assert found.interval == interval


def test_the_usual_period_is_never_shorter_than_the_shortest() -> None:
    assert interval_of({}, {}, 1, 10) == 10
