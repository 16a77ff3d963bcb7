"""What a Mirror may say, and what is shown of it."""

from typing import Any

import msgspec
import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.mirror import (
    ENTRIES,
    MIRROR,
    Mirror,
    MirrorProgress,
    MirrorSpec,
    MirrorStatus,
)

QUAY = {"repository": "quay.io/org/app"}
WEB = {"stream": "web"}


def mirror(**spec: Any) -> Mirror:
    read = msgspec.convert({"source": QUAY, "target": WEB, **spec}, MirrorSpec)
    return Mirror(metadata=ObjectMeta(name="m", namespace="shop"), spec=read)


def faults(**spec: Any) -> list[str]:
    return [str(each.field) for each in MIRROR.strategy.validate(mirror(**spec), None)]


def test_it_is_a_kind_of_the_projects() -> None:
    assert MIRROR.key == "mirrors.tidegate.io"
    assert MIRROR.namespaced


def test_one_side_may_be_a_stream_and_both_may_be_elsewhere() -> None:
    assert faults() == []
    assert faults(source=WEB, target=QUAY) == []
    assert faults(source=QUAY, target={"repository": "registry.example.com/a/b"}) == []
    assert faults(source=WEB, target={"stream": "other"}) == []
    assert mirror().direction == "Pull"
    assert mirror(source=WEB, target=QUAY).direction == "Push"
    assert mirror(target={"repository": "r.example.com/a"}).direction == "Relay"


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"source": {}}, ["spec.source.stream"]),
        ({"source": {"stream": "other", **QUAY}}, ["spec.source.repository"]),
        ({"target": {"stream": "Web"}}, ["spec.target.stream"]),
        ({"target": {"stream": "other/web"}}, ["spec.target.stream"]),
        ({"source": {"repository": "app"}}, ["spec.source.repository"]),
        ({"source": {"repository": "org/app"}}, ["spec.source.repository"]),
        ({"source": {"repository": "quay.io/org/app:1"}}, ["spec.source.repository"]),
        ({"source": {"repository": "https://quay.io/a"}}, ["spec.source.repository"]),
        ({"source": WEB, "target": WEB}, ["spec.target.stream"]),
        ({"target": {**WEB, "secret": "x"}}, ["spec.target.secret"]),
        ({"target": {**WEB, "insecure": True}}, ["spec.target.insecure"]),
        ({"source": WEB, "target": QUAY, "deleteExtra": True}, ["spec.deleteExtra"]),
        ({"tags": ["v[", ""]}, ["spec.tags[0]", "spec.tags[1]"]),
        ({"tags": ["x"] * (ENTRIES + 1)}, ["spec.tags"]),
        ({"versions": "x y"}, ["spec.versions"]),
        (
            {"platforms": ["arm", "linux/amd64", "linux/"]},
            ["spec.platforms[0]", "spec.platforms[2]"],
        ),
        ({"platforms": ["linux/amd64"] * (ENTRIES + 1)}, ["spec.platforms"]),
        ({"every": "6 hours"}, ["spec.every"]),
        ({"every": "59s"}, ["spec.every"]),
        ({"every": "400d"}, ["spec.every"]),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(
    spec: dict[str, Any], where: list[str]
) -> None:
    assert faults(**spec) == where


def test_whoever_writes_one_does_not_write_its_status() -> None:
    told = MirrorStatus(last_success="2026-01-01T00:00:00Z")
    new, old = mirror(), mirror()
    new.status = told
    MIRROR.strategy.prepare(new, None)
    assert new.status == MirrorStatus()
    old.status = told
    MIRROR.strategy.prepare(new, old)
    assert new.status == told


def test_a_list_shows_how_it_goes() -> None:
    def state(each: Mirror) -> object:
        return next(one for one in MIRROR.columns if one.name == "State").cell(each, 0.0)

    assert state(mirror()) == "Waiting"
    assert state(mirror(suspend=True)) == "Suspended"
    running = mirror()
    running.status.progress = MirrorProgress(done=30, total=120)
    assert state(running) == "Running 25%"
    running.status.progress = MirrorProgress()
    assert state(running) == "Running"
    done = mirror()
    done.status.conditions = [StatusCondition(type="Ready", reason="Copied")]
    assert state(done) == "Copied"
