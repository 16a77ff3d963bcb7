"""The annotation of client-side apply, from which `kubectl apply --server-side` takes over.

An object may have been made by client-side apply, which keeps what it applied in an annotation. The
manager `kubectl` may overwrite what that says and what has not changed since, without a conflict;
and while the annotation is there it is kept in step, so that going back works.
"""

import json
from collections.abc import Mapping
from typing import Any

from tidegate.apimachinery.apply.comparison import compare, fields_of
from tidegate.apimachinery.apply.fieldset import NOTHING, FieldSet, compact
from tidegate.apimachinery.apply.shape import Unidentified
from tidegate.apimachinery.apply.validation import check_typed
from tidegate.apimachinery.errors import BadRequest
from tidegate.apimachinery.patch.json_values import bounded
from tidegate.apimachinery.schema import Schema

KUBECTL = "kubectl"
ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"

ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes of all annotations of an object, names and values."""


def annotated(values: Mapping[str, Any]) -> str:
    """What the annotation holds, empty where there is none."""
    held = _annotations(values).get(ANNOTATION)
    return held if isinstance(held, str) else ""


def unchanged_since(live: Mapping[str, Any], schema: Schema, api_version: str) -> FieldSet:
    """The fields that client-side apply set and that have still that value."""
    try:
        last = bounded(json.loads(annotated(live)))
        if not isinstance(last, dict) or last.get("apiVersion") != api_version:
            return NOTHING
        check_typed(last, schema)
        comparison = compare(last, live, schema)
    except (ValueError, RecursionError, BadRequest, Unidentified):
        return NOTHING  # it is the user's text, and may be anything
    fields = fields_of(last, schema)
    return fields.difference(comparison.written()).difference(comparison.removed)


def in_step(values: dict[str, Any], applied: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the annotation saying `applied`; without it where that is too large."""
    annotations = {**_annotations(values), ANNOTATION: _text(applied)}
    size = sum(len(name.encode()) + len(str(each).encode()) for name, each in annotations.items())
    if size > ANNOTATIONS_LIMIT:
        del annotations[ANNOTATION]
    return {**values, "metadata": {**values["metadata"], "annotations": annotations}}


def _annotations(values: Mapping[str, Any]) -> dict[str, Any]:
    metadata = values.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return annotations if isinstance(annotations, dict) else {}


def _text(applied: Mapping[str, Any]) -> str:
    """JSON as Go writes it: sorted, `<`, `>` and `&` escaped, a line."""
    plain = dict(applied)
    annotations = _annotations(applied)
    if ANNOTATION in annotations:
        kept = {name: each for name, each in annotations.items() if name != ANNOTATION}
        plain["metadata"] = {**applied["metadata"], "annotations": kept}
    text = compact(json.loads(json.dumps(plain, sort_keys=True)))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n"
