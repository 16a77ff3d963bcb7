"""Prometheus' text format: families of samples as lines."""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Type(StrEnum):
    """How the values of a family are to be read."""

    GAUGE = "gauge"
    COUNTER = "counter"


Sample = tuple[Mapping[str, str], float]
"""Labels and a value."""


def family(name: str, type_: Type, meaning: str, samples: Iterable[Sample]) -> list[str]:
    """The lines of one family, which may have no samples."""
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} {type_}"]
    for labels, value in samples:
        text = ",".join(f'{label}="{_escaped(each)}"' for label, each in labels.items())
        lines.append(f"{name}{{{text}}} {value}" if text else f"{name} {value}")
    return lines


def _escaped(value: str) -> str:
    """A label's value: what stands in one is said by who named the registry."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
