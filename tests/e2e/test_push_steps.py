"""A push killed, or failing, at every step of its commit leaves all of it or nothing.

At each statement that its units run (BEGIN and COMMIT among them) and at each call that changes a
file, on the real database and file system. `tidegate check` agrees, and a second push goes well.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest


def outcomes(directory: Path, *arguments: str) -> Sequence[dict[str, Any]]:
    words = [sys.executable, "-m", "tests.e2e.push_steps", str(directory), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("push", ["first", "next"])
def test_a_push_killed_at_any_step_is_there_or_not_at_all(tmp_path: Path, push: str) -> None:
    steps = outcomes(tmp_path, "kill", push)
    assert len(steps) > 20, "the unit of a push has more statements"
    assert {step["found"] for step in steps[:-1]} == {"nothing", "all"}
    everything_agrees(steps)


@pytest.mark.parametrize("push", ["first", "next"])
def test_a_push_of_which_any_step_fails_is_there_or_not_at_all(tmp_path: Path, push: str) -> None:
    steps = outcomes(tmp_path, "fail", push)
    assert len(steps) > 20, "the unit of a push has more statements"
    everything_agrees(steps)
    for step in steps:
        assert step["acknowledged"] or step["found"] == "nothing", step


def everything_agrees(steps: Sequence[dict[str, Any]]) -> None:
    for step in steps:
        assert step["said"] == "", step
        assert step["found"] in ("all", "nothing"), step
        assert step["found"] == "all" or not step["acknowledged"], step
        assert (step["again"], step["then"]) == ("pushed", "all"), step
