"""Cutting many values into few statement texts."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.metastore.batches import batches


@given(st.integers(0, 1500))
def test_every_value_is_in_a_batch_and_nothing_else_is(count: int) -> None:
    found = [value for _, values in batches(range(count)) for value in values]
    assert set(found) == set(range(count))


@given(st.integers(0, 1500))
def test_there_are_as_many_placeholders_as_values_and_few_different_texts(count: int) -> None:
    for marks, values in batches(range(count)):
        assert marks == ",".join("?" * len(values))
        assert len(values) in (1, 2, 4, 8, 16, 32, 64, 128, 256)
