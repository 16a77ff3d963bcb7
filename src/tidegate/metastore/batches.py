"""Many values in one statement, with few different statement texts.

Engines keep prepared statements by their text, so a list of values is cut into batches whose
sizes are powers of two and padded by repeating its last value, which `IN (...)` does not mind.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

V = TypeVar("V")

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def batches(values: Sequence[V]) -> Iterator[tuple[str, tuple[V, ...]]]:
    """Cut `values` into `(placeholders, parameters)` for `IN (...)`."""
    for start in range(0, len(values), _SIZES[-1]):
        part = tuple(values[start : start + _SIZES[-1]])
        size = next(size for size in _SIZES if size >= len(part))
        yield ",".join("?" * size), part + part[-1:] * (size - len(part))
