"""The Rollouts of docs/rollouts.md can be copied as they are."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from tidegate.kinds.rollout import MOST, ROLLOUTS, STEPS, Rollout
from tidegate.kinds.rollout_gates import GATES
from tidegate.kinds.rollout_traffic import ANNOTATION, FINALIZER, HEAVIEST, HTTP_ROUTE, ROUTE

TEXT = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid_and_nothing_of_it_is_ignored(example: str) -> None:
    written = yaml.safe_load(example)
    rollout = msgspec.convert(written, Rollout)
    assert (rollout.api_version, rollout.kind) == (ROLLOUTS.api_version, ROLLOUTS.kind)
    assert msgspec.to_builtins(rollout) == {**written, "status": {}}
    ROLLOUTS.strategy.prepare(rollout, None)
    assert list(ROLLOUTS.strategy.validate(rollout, None)) == []


def test_the_bounds_that_are_told_are_those_in_force() -> None:
    assert len(EXAMPLES) == 3
    for text in (ANNOTATION, FINALIZER, f"of a Route 0 to {HEAVIEST[ROUTE]}"):
        assert text in TEXT
    assert f"Weights are 0 to {HEAVIEST[HTTP_ROUTE]:,}" in TEXT
    assert f"At most {MOST} in a project, {STEPS} steps and {GATES} gates each" in TEXT
