"""Reading what a server sent without trusting its shape: what is not there is empty.

Knows JSON and nothing of kinds.
"""

from typing import Any


def at(thing: Any, *path: str) -> Any:
    """The value at a path of names, or None."""
    for name in path:
        if not isinstance(thing, dict):
            return None
        thing = thing.get(name)
    return thing


def text(thing: Any, *path: str) -> str:
    """The text at a path; "" for anything else."""
    found = at(thing, *path)
    return found if isinstance(found, str) else ""


def number(thing: Any, *path: str) -> int:
    """The number at a path; 0 for anything else."""
    found = at(thing, *path)
    return int(found) if isinstance(found, int | float) else 0


def mapping(thing: Any, *path: str) -> dict[str, Any]:
    """The object at a path; an empty one for anything else."""
    found = at(thing, *path)
    return found if isinstance(found, dict) else {}


def entries(thing: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of the list at a path."""
    found = at(thing, *path)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def words(thing: Any, *path: str) -> list[str]:
    """The texts of the list at a path."""
    found = at(thing, *path)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def name_of(thing: Any) -> str:
    """The name of an object."""
    return text(thing, "metadata", "name")
