"""JSON values as patches compare and copy them, and how deep they may go.

Python takes True for 1 and JSON does not; Python's stack is shallower than what a body can nest,
so that nothing here may be given to a recursive function before `bounded` has seen it.
"""

import sys
from typing import Any

from tidegate.apimachinery.errors import BadRequest, RequestTooLarge

DEPTH = 100
"""Objects and arrays inside one another in what a client sends: several times what any kind has,
and little enough for functions that recurse four deep per level under Python's limit of 1000."""

VALUES = 65_536
"""Values in one body. Each costs up to 0.3 ms and some KB while it is merged and its managers are
noted; with those, an object of more would not fit into the 1.5 MB that etcd takes."""


def bounded(value: Any, values: int = sys.maxsize) -> Any:
    """The value itself, unless it nests deeper than `DEPTH` or holds more than `values`."""
    level, held = [value], 0
    for _ in range(DEPTH + 1):
        level = [child for each in level for child in _children(each)]
        if not level:
            return value
        held += len(level)
        if held > values:
            raise RequestTooLarge(f"Request entity too large: limit is {values} values")
    raise BadRequest("exceeded max depth")  # encoding/json's words


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def copied(value: Any) -> Any:
    """A copy that shares nothing which could be changed."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    if isinstance(value, list):
        return [copied(each) for each in value]
    return value


def equal(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            equal(each, right[name]) for name, each in left.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def go_type(value: Any) -> str:
    """What Go calls a value that its JSON decoder refuses."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "string"


def go_text(value: Any) -> str:
    """A value as Go's `%v` prints it, but for its texts: `map[name:… ports:[80]]`.

    What is in an error is kept in logs, and a text may be a Secret's.
    """
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_text(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, str):
        return "…"
    return str(value).lower() if isinstance(value, bool) else str(value)
