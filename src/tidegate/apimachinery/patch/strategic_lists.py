"""Lists in a strategic merge patch: joined by merge key or as sets, and put in order.

Both sides are lists of objects with one merge key, or of scalars; mixtures, lists of lists and
objects without the key are refused. The order of a result: the patch's elements as the patch (or
its `$setElementOrder`) has them, the others as they were, and the two interleaved so that an
element which was before another stays before it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.patch.json_patch import Impossible
from tidegate.apimachinery.patch.json_values import go_text

PATCH = "$patch"

Key = tuple[type, Any]
"""An element's identity. The type tells true from 1, which are one key to Python."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one list is merged: whether at all, by which key, and how its elements are."""

    merged: bool
    key: str  # "" for scalars
    merge_elements: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
    kept: Callable[[Any], Any]  # an element of the patch that is new


def merge_lists(current: list[Any], patch: list[Any], rules: Rules) -> list[Any]:
    """A list after the patch's list of the same field."""
    if not rules.merged:
        kept: list[Any] = rules.kept(patch)
        return kept
    if not current and not patch:
        return current
    if not _are_objects([*current, *patch]):
        merged = list({_key(each, ""): each for each in [*current, *patch]}.values())
        return _in_order(merged, patch, current, "")
    if not rules.key:
        raise BadRequest("cannot merge lists without merge key for map")
    current, patch = _without_directives(current, patch, rules.key)
    merged = _merge_objects(current, patch, rules)
    return _in_order(merged, patch, current, rules.key)


def reorder(
    current: list[Any] | None, patch: list[Any] | None, order: list[Any], rules: Rules
) -> list[Any]:
    """A list after the patch's, if there is one, in the order of `$setElementOrder`."""
    _check_order(patch or [], order, rules.key)
    if current is None:
        merged = rules.kept(patch or [])
    elif patch is None:
        merged = current
    else:
        merged = merge_lists(current, patch, rules)
    if not merged:
        return list(merged)
    if not _are_objects(merged):
        return _in_order(merged, order, current or [], "")
    before = _places_taken(current or [], patch or [], rules.key)
    return _in_order(merged, order, before, rules.key)


def _places_taken(current: list[Any], patch: list[Any], merge_key: str) -> list[Any]:
    """What was there before, where new elements stand in for as many as the patch deletes.

    The Kubernetes API server orders so (it writes them into the same array), hence an element that
    the patch does not know precedes the new ones then, and follows them otherwise.
    """
    left, added = _without_directives(current, patch, merge_key)
    known = _places(left, merge_key)
    new = [each for each in added if _key(each, merge_key) not in known]
    return left + new[: len(current) - len(left)]


def remove_scalars(current: list[Any], values: list[Any]) -> list[Any]:
    """A list of scalars without some."""
    if _are_objects([*current, *values]):
        raise BadRequest("invalid patch format of primitive list")
    gone = {_key(each, "") for each in values}
    return [each for each in current if _key(each, "") not in gone]


def _are_objects(elements: list[Any]) -> bool:
    """Whether the elements are objects; otherwise they are scalars of one type."""
    kinds = {_kind(each) for each in elements}
    if list in kinds:
        raise Impossible  # lists of lists are not supported
    if len(kinds) > 1:
        raise BadRequest(f"list element types are not identical: {go_text(elements)}")
    return dict in kinds


def _kind(element: Any) -> type:
    return float if type(element) is int else type(element)  # both are JSON's number


def _key(element: Any, merge_key: str) -> Key:
    if merge_key:
        if not isinstance(element, dict):
            received = go_text(element)
            raise BadRequest(f"expected a map[string]interface {{}}, but received {received}")
        if merge_key not in element:
            raise BadRequest(
                f"map: {go_text(element)} does not contain declared merge key: {merge_key}"
            )
        element = element[merge_key]
    if isinstance(element, dict | list):
        raise BadRequest(f"{go_text(element)} is no value of a merge key")
    return _kind(element), element


def _without_directives(
    current: list[Any], patch: list[Any], merge_key: str
) -> tuple[list[Any], list[Any]]:
    """What the `$patch` elements leave of the current list, and the other elements."""
    deleted: set[Key] = set()
    plain: list[Any] = []
    replaced = False
    for each in patch:
        match each.get(PATCH):
            case None:
                plain.append(each)
            case "delete":
                deleted.add(_key(each, merge_key))
            case "replace":
                replaced = True
            case "merge":
                raise BadRequest("merging lists cannot yet be specified in the patch")
            case other:
                raise BadRequest(f"unknown patch type: {go_text(other)} in map: {go_text(each)}")
    if replaced:
        return [], plain
    if not deleted:
        return current, plain
    return [e for e in current if merge_key not in e or _key(e, merge_key) not in deleted], plain


def _merge_objects(current: list[Any], patch: list[Any], rules: Rules) -> list[Any]:
    merged = list(current)
    places = _places(merged, rules.key)
    for each in patch:
        key = _key(each, rules.key)
        if key in places:
            merged[places[key]] = rules.merge_elements(merged[places[key]], each)
        else:
            places[key] = len(merged)
            merged.append(rules.kept(each))
    return merged


def _places(elements: Iterable[Any], merge_key: str) -> dict[Key, int]:
    """Where each key is first found."""
    places: dict[Key, int] = {}
    for place, each in enumerate(elements):
        places.setdefault(_key(each, merge_key), place)
    return places


def _check_order(patch: list[Any], order: list[Any], merge_key: str) -> None:
    """Refuses an order that lacks elements of the patch, or has them another way round."""
    if not patch or not order:
        return
    remaining = iter([_key(each, merge_key) for each in order])
    for each in patch:
        if isinstance(each, dict) and PATCH in each:
            continue
        if _key(each, merge_key) not in remaining:  # which moves on to what follows the key
            raise BadRequest(
                f"The order in patch list:\n{go_text(patch)}\n"
                f" doesn't match $setElementOrder list:\n{go_text(order)}\n"
            )


def _in_order(merged: list[Any], wanted: list[Any], before: list[Any], merge_key: str) -> list[Any]:
    """The elements that `wanted` names in its order, among the others as they were `before`."""
    order, old = _places(wanted, merge_key), _places(before, merge_key)
    named = [each for each in merged if _key(each, merge_key) in order]
    named.sort(key=lambda each: order[_key(each, merge_key)])
    others = [each for each in merged if _key(each, merge_key) not in order]
    others.sort(key=lambda each: old.get(_key(each, merge_key), len(old)))
    return _interleaved(others, named, old, merge_key)


def _interleaved(
    others: list[Any], named: list[Any], old: Mapping[Key, int], merge_key: str
) -> list[Any]:
    result: list[Any] = []
    waiting = list(reversed(others))
    for each in named:
        place = old.get(_key(each, merge_key))
        while waiting and place is not None:
            other = old.get(_key(waiting[-1], merge_key))
            if other is None or other >= place:
                break
            result.append(waiting.pop())
        result.append(each)
    return result + waiting[::-1]
