"""In which order the tags of a repository are imported, if not all are (image-api 7.2).

    latest | 1.10, v1.9, 1.9-rc1: two numbers | 1.2.3, v1.2.3-rc.1: three numbers | all others

Versions are in descending order, the others in that of the alphabet.
"""

import re
from collections.abc import Iterable

from tidegate.kinds.versions import Version

LATEST = "latest"

_MINOR = re.compile(r"(v?[0-9]{1,9}\.[0-9]{1,9})(-[0-9A-Za-z.-]+)?", re.ASCII)


def ordered(tags: Iterable[str]) -> list[str]:
    """The tags, each once, the most important first."""
    minor: list[tuple[Version, str]] = []
    full: list[tuple[Version, str]] = []
    others: list[str] = []
    distinct = sorted(set(tags))
    for tag in distinct:
        if tag == LATEST:
            continue
        if (version := _of_two_numbers(tag)) is not None:
            minor.append((version, tag))
        elif (version := Version.of(tag)) is not None:
            full.append((version, tag))
        else:
            others.append(tag)
    first = [LATEST] if LATEST in distinct else []
    return [*first, *_descending(minor), *_descending(full), *others]


def _of_two_numbers(tag: str) -> Version | None:
    parts = _MINOR.fullmatch(tag)
    return None if parts is None else Version.of(f"{parts[1]}.0{parts[2] or ''}")


def _descending(versions: list[tuple[Version, str]]) -> list[str]:
    found = sorted(versions, key=lambda each: each[1])
    found.sort(key=lambda each: each[0], reverse=True)
    return [tag for _, tag in found]
