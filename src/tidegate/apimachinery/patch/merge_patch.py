"""Merge patch (RFC 7386): objects are merged, null removes, everything else replaces."""

from typing import Any

from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.patch.json_values import bounded, go_type


def apply(document: dict[str, Any], patch: Any) -> dict[str, Any]:
    """`document` after `patch`, which has to be an object: no API object is anything else."""
    if patch is None:
        raise BadRequest("Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {go_type(patch)}"
            " into Go value of type map[string]interface {}"
        )
    merged: dict[str, Any] = merge(document, bounded(patch))
    return merged


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2: any value merged with any other."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
