"""How long a registry is waited for, by the clock of the test."""

import pytest

from tidegate.registry.pull_through.hearing import ANSWERS, ENOUGH, RECENT, SILENT, Hearing

HOST = "quay.io"
LONGEST, SLACK = 3.0, 0.075


class Told:
    """A hearing and its clock."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.hearing = Hearing(lambda: self.now)

    def usually(self, *seconds: float) -> None:
        for each in seconds:
            self.hearing.answered(HOST, each)

    def patience(self, overdue: float = 1.0, asked: float | None = None) -> float:
        return self.hearing.patience(HOST, overdue, asked)


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_registry_of_which_little_is_known_is_given_the_longest(told: Told) -> None:
    assert told.patience() == LONGEST
    told.usually(*[0.02] * (ENOUGH - 1))
    assert told.patience() == LONGEST
    told.usually(0.02)
    assert told.patience() == pytest.approx(0.02 + SLACK)
    assert told.hearing.patience("other.io", 1.0) == LONGEST


def test_what_a_registry_usually_takes_is_what_nineteen_of_twenty_answers_took(told: Told) -> None:
    told.usually(*[0.02] * 95, *[1.0] * 5)
    assert told.patience() == pytest.approx(0.02 + SLACK)
    told.usually(1.0)  # one of the quick ones is forgotten
    assert told.patience() == pytest.approx(1.0 + SLACK)
    told.usually(*[0.01] * ANSWERS)
    assert told.patience() == pytest.approx(0.01 + SLACK)
    told.usually(*[17.0] * ANSWERS)
    assert told.patience() == LONGEST


def test_what_is_due_for_long_is_waited_for_the_longest(told: Told) -> None:
    told.usually(*[0.02] * ENOUGH)
    assert told.patience(RECENT) < LONGEST
    assert told.patience(RECENT + 1) == LONGEST


def test_once_a_registry_did_not_answer_nobody_waits_for_what_is_due_for_minutes(
    told: Told,
) -> None:
    told.usually(*[0.02] * ENOUGH)
    told.hearing.unanswered(HOST, told.now)
    assert told.patience() == 0
    told.now += SILENT
    assert told.patience() > 0


def test_what_is_due_for_long_is_waited_for_until_the_silence_is_long(told: Told) -> None:
    """A registry that is but slower than usual, for others, is not silent for these."""
    told.hearing.unanswered(HOST, told.now)
    told.now += 1
    told.hearing.unanswered(HOST, told.now)  # noticed again: it began before
    assert told.patience(RECENT + 1) == LONGEST - 1
    told.now += 2
    assert told.patience(RECENT + 1) == 0
    told.hearing.answered(HOST)
    assert told.patience(RECENT + 1) == LONGEST


def test_a_failure_is_silence_that_nobody_has_to_wait_for(told: Told) -> None:
    told.hearing.failed(HOST)
    assert (told.patience(), told.patience(RECENT + 1)) == (0, 0)
    told.hearing.answered(HOST)
    assert told.patience() == LONGEST


def test_what_is_being_asked_already_is_not_waited_for_anew(told: Told) -> None:
    asked = told.now
    told.now += 1
    assert told.patience(asked=asked) == 0
    assert told.patience(RECENT + 1, asked) == LONGEST - 1
