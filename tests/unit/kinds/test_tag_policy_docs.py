"""The policies of docs/naming.md can be copied as they are."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from tidegate.kinds.automaton import PLACES, TEXT_LIMIT
from tidegate.kinds.pattern import PATTERN_LIMIT
from tidegate.kinds.tag_policy import ENTRIES, POLICIES, POLICY_PLACES, TAG_POLICIES, TagPolicy

TEXT = (Path(__file__).parents[3] / "docs" / "naming.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_valid_policy_and_nothing_of_it_is_ignored(example: str) -> None:
    written = yaml.safe_load(example)
    policy = msgspec.convert(written, TagPolicy)
    assert (policy.api_version, policy.kind) == (TAG_POLICIES.api_version, TAG_POLICIES.kind)
    assert msgspec.to_builtins(policy) == written
    TAG_POLICIES.strategy.prepare(policy, None)
    assert list(TAG_POLICIES.strategy.validate(policy, None)) == []


def test_the_bounds_that_are_told_are_those_in_force() -> None:
    assert len(EXAMPLES) == 3
    assert f"A list may have {ENTRIES} entries, a pattern {PATTERN_LIMIT} characters" in TEXT
    assert f"written out, {PLACES} places" in TEXT
    assert f"may have {POLICY_PLACES} places together, and a project {POLICIES} policies" in TEXT
    assert f"values over {TEXT_LIMIT} characters never do" in TEXT
