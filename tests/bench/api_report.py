"""The table of a run of the API: no peer and no ratio, so what counts is how it was before."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    work: str
    figure: str
    latencies: str = ""  # milliseconds: median / p99
    processor: str = ""  # of the server


def table(lines: Sequence[Line]) -> str:
    """All of them."""
    head = "| work | tidegate | ms, p50 / p99 | server CPU |\n|---|---:|---:|---:|"
    rows = [
        f"| {each.work} | {each.figure} | {each.latencies} | {each.processor} |" for each in lines
    ]
    return "\n".join([head, *rows])


def percentile(ordered: Sequence[float], part: float) -> float:
    """Of numbers in order, the one that `part` of them do not exceed."""
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def milliseconds(ordered: Sequence[float]) -> str:
    """Median and p99 of seconds in order."""
    return f"{1000 * percentile(ordered, 0.5):.1f} / {1000 * percentile(ordered, 0.99):.1f}"
