"""Many images: one that fails keeps no other, and a side that failed is not asked for ever."""

from pathlib import Path

import pytest

from tests.images import small_image
from tests.unit.delivery.mirrors.world import Shelf, run
from tidegate.delivery.mirrors.copying import Copier, Order
from tidegate.delivery.mirrors.layout_place import LayoutPlace
from tidegate.delivery.mirrors.places import Held
from tidegate.delivery.mirrors.receipt import Outcome
from tidegate.delivery.mirrors.running import GIVE_UP
from tidegate.delivery.mirrors.running import run as run_all
from tidegate.oci.digest import Digest
from tidegate.remote.errors import AccessDenied, RateLimited


class Refusing(LayoutPlace):
    """A source that refuses some tags, and counts how often it was asked."""

    def __init__(self, shelf: Shelf, refused: str, wait: float | None = None) -> None:
        """With `wait` it asks for some patience the first three times, instead of refusing."""
        inner = shelf.place()
        super().__init__(inner.name, inner._files)
        self._refused = refused
        self._wait = wait
        self.asked = 0

    async def head(self, reference: str) -> Digest | None:
        self.asked += 1
        if self._wait is not None and self.asked < 4:
            raise RateLimited("not now", self._wait)
        if self._wait is None and reference.startswith(self._refused):
            raise AccessDenied("who are you?", anonymous=True)
        return await super().head(reference)

    async def manifest(self, reference: str) -> Held | None:
        return await super().manifest(reference)


def outcomes(
    shelf: Shelf, source: LayoutPlace, tags: list[str], slept: list[float] | None = None
) -> list[Outcome]:
    target = shelf.target()
    done: list[Outcome] = []
    orders = [(Order(source, tag, target, tag, tag), tag) for tag in tags]

    async def sleep(seconds: float) -> None:
        assert slept is not None
        slept.append(seconds)

    found = run(run_all(Copier(), orders, done.append, sleep))
    assert sorted(each.origin for each in done) == sorted(tags)
    return found


@pytest.fixture
def here(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "here")
    for tag in ("1", "2"):
        shelf.put(small_image(tag), tag)
    return shelf


def test_one_that_fails_keeps_no_other_from_being_copied(here: Shelf, tmp_path: Path) -> None:
    there = Shelf(tmp_path / "there")
    found = outcomes(there, here.place(), ["1", "none", "2"])
    assert [each.result for each in found] == ["copied", "failed", "copied"]
    assert found[1].error.endswith("has no none")
    assert sorted(there.names()) == ["1", "2"]


def test_a_side_that_refuses_everything_is_not_asked_for_everything(
    here: Shelf, tmp_path: Path
) -> None:
    source = Refusing(here, "x")
    found = outcomes(Shelf(tmp_path / "there"), source, [f"x{each}" for each in range(50)])
    assert source.asked < 2 * GIVE_UP
    assert found[-1].error == "not tried any more: who are you?"
    assert all(each.result == "failed" for each in found)


def test_failures_with_successes_between_them_end_nothing(here: Shelf, tmp_path: Path) -> None:
    source = Refusing(here, "x")
    tags = [tag for each in range(10) for tag in (f"x{each}", "1")]
    found = outcomes(Shelf(tmp_path / "there"), source, list(dict.fromkeys(tags)))
    assert found[1].result == "copied"
    lone = outcomes(Shelf(tmp_path / "other"), Refusing(here, "1"), ["1", "2"])
    assert [each.result for each in lone] == ["failed", "copied"]


def test_a_registry_that_asks_to_wait_a_moment_is_waited_for(here: Shelf, tmp_path: Path) -> None:
    slept: list[float] = []
    there = Shelf(tmp_path / "there")
    (found,) = outcomes(there, Refusing(here, "", wait=20.0), ["1"], slept)
    assert found.result == "copied"
    assert [20 <= each <= 21 for each in slept] == [True, True, True]


def test_one_that_asks_to_wait_for_hours_is_left_alone(here: Shelf, tmp_path: Path) -> None:
    (found,) = outcomes(Shelf(tmp_path / "there"), Refusing(here, "", wait=3600.0), ["1"])
    assert found.error == "not now; it asks to wait 1h"
