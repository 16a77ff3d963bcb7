"""JSON patch (RFC 6902): operations on one document, carried out in order or not at all."""

from collections.abc import Callable
from typing import Any

from tidegate.apimachinery.errors import BadRequest, Invalid, RequestTooLarge
from tidegate.apimachinery.patch.json_values import DEPTH, bounded, copied, equal, go_type

OPERATIONS = 10_000
"""Most operations in one patch, as in the Kubernetes API server."""

COPIED = 3 * 1024 * 1024
"""Bytes that `copy` operations may add, about: copying a document into itself doubles it each time.
The Kubernetes API server's limit."""

DECODING = "error decoding patch: json: cannot unmarshal"


class Impossible(Invalid):
    """An operation that cannot be carried out: no such path, or a test that failed."""

    def __init__(self) -> None:
        super().__init__("the server rejected our request due to an error in our request")


def apply(document: Any, operations: Any) -> Any:
    """`document` after all of `operations`."""
    _check_shape(operations)
    session = _Session(copied(document))
    try:
        for each in operations:
            session.perform(each)
    except RecursionError:  # moves can nest one level deeper each, and cost nothing to send
        raise Impossible from None
    return bounded(session.document)


def _check_shape(operations: Any) -> None:
    if not isinstance(operations, list):
        raise BadRequest(f"{DECODING} {go_type(operations)} into Go value of type []jsonPatchOp")
    if len(operations) > OPERATIONS:
        raise RequestTooLarge(
            "Request entity too large: The allowed maximum operations in a JSON patch is"
            f" {OPERATIONS}, got {len(operations)}"
        )
    bounded(operations)
    for each in operations:
        if not isinstance(each, dict):
            raise BadRequest(f"{DECODING} {go_type(each)} into Go value of type jsonPatchOp")
        for name in ("op", "path", "from"):
            if not isinstance(each.get(name, ""), str):
                raise BadRequest(
                    f"{DECODING} {go_type(each[name])} into Go struct field jsonPatchOp.{name}"
                    " of type string"
                )


class _Session:
    """One document while it is patched, and how much has been copied within it."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self._copied = 0

    def perform(self, operation: dict[str, Any]) -> None:
        perform = _OPERATIONS.get(operation.get("op", ""))
        if perform is None or "path" not in operation:
            raise Impossible
        perform(self, operation, _tokens(operation["path"]))

    def add(self, operation: dict[str, Any], path: list[str]) -> None:
        self._insert(path, copied(_member(operation, "value")))

    def remove(self, _operation: dict[str, Any], path: list[str]) -> None:
        self._take(path)

    def replace(self, operation: dict[str, Any], path: list[str]) -> None:
        value = copied(_member(operation, "value"))
        if not path:
            self.document = value
            return
        parent = self._find(path[:-1])
        parent[_existing(parent, path[-1])] = value

    def move(self, operation: dict[str, Any], path: list[str]) -> None:
        source = _tokens(_member(operation, "from"))
        if source == path:
            self._find(source)
            return
        if path[: len(source)] == source:
            raise Impossible  # into its own child
        self._insert(path, self._take(source))

    def copy(self, operation: dict[str, Any], path: list[str]) -> None:
        value = self._find(_tokens(_member(operation, "from")))
        self._copied += _size(value, COPIED - self._copied)
        if self._copied > COPIED:
            raise Impossible
        self._insert(path, copied(value))

    def test(self, operation: dict[str, Any], path: list[str]) -> None:
        if not equal(self._find(path), _member(operation, "value")):
            raise Impossible

    def _find(self, path: list[str]) -> Any:
        value = self.document
        for token in path:
            value = value[_existing(value, token)]
        return value

    def _insert(self, path: list[str], value: Any) -> None:
        if not path:
            self.document = value
            return
        parent, last = self._find(path[:-1]), path[-1]
        if isinstance(parent, list):
            parent.insert(len(parent) if last == "-" else _index(last, len(parent)), value)
        elif isinstance(parent, dict):
            parent[last] = value
        else:
            raise Impossible

    def _take(self, path: list[str]) -> Any:
        if not path:
            taken, self.document = self.document, None
            return taken
        parent = self._find(path[:-1])
        last = _existing(parent, path[-1])  # before `pop` is looked up: a scalar has none
        return parent.pop(last)


_OPERATIONS: dict[str, Callable[[_Session, dict[str, Any], list[str]], None]] = {
    "add": _Session.add,
    "remove": _Session.remove,
    "replace": _Session.replace,
    "move": _Session.move,
    "copy": _Session.copy,
    "test": _Session.test,
}


def _tokens(pointer: str) -> list[str]:
    """A JSON pointer's steps (RFC 6901); none for the whole document."""
    if not pointer:
        return []
    if not pointer.startswith("/") or pointer.count("/") > DEPTH:
        raise Impossible  # deeper than any document goes
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer[1:].split("/")]


def _member(operation: dict[str, Any], name: str) -> Any:
    if name not in operation:
        raise Impossible
    return operation[name]


def _existing(container: Any, token: str) -> Any:
    """The key or index by which `token` is found in `container`."""
    if isinstance(container, list):
        return _index(token, len(container) - 1)
    if not isinstance(container, dict) or token not in container:
        raise Impossible
    return token


def _index(token: str, highest: int) -> int:
    """An array index: digits without a leading zero (RFC 6901, section 4)."""
    if not (token.isascii() and token.isdigit()) or (token[0] == "0" and len(token) > 1):
        raise Impossible
    if len(token) > len(str(highest)) or int(token) > highest:
        raise Impossible
    return int(token)


def _size(value: Any, enough: int) -> int:
    """About the length of a value as JSON; counting ends once it is more than `enough`."""
    size, waiting = 0, [value]
    while waiting and size <= enough:
        each = waiting.pop()
        if isinstance(each, dict):
            size += 2 + sum(len(name) + 4 for name in each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            size += 2 + len(each)
            waiting.extend(each)
        else:
            size += len(each) + 2 if isinstance(each, str) else 4
    return size
