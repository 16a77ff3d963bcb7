"""Telling an applier whose fields it would change: the texts that kubectl shows and parses."""

import json
from collections.abc import Sequence
from itertools import groupby

from tidegate.apimachinery.apply.fieldset import shown
from tidegate.apimachinery.apply.managers import UPDATE, Manager
from tidegate.apimachinery.apply.ownership import Clash
from tidegate.apimachinery.errors import FieldError, UpdateConflict


class ApplyConflict(UpdateConflict):
    """Other managers own fields that are applied with other values."""

    def __init__(self, clashes: Sequence[Clash]) -> None:
        causes = [
            FieldError(
                "FieldManagerConflict",
                shown(each.path),
                f"conflict with {_described(each.manager)}",
            )
            for each in clashes
        ]
        super().__init__(_message(clashes), causes=causes)


def _message(clashes: Sequence[Clash]) -> str:
    if len(clashes) == 1:
        only = clashes[0]
        return (
            f"Apply failed with 1 conflict: conflict with {_described(only.manager)}:"
            f" {shown(only.path)}"
        )
    lines = []
    for manager, group in groupby(clashes, lambda each: each.manager):
        lines.append(f"conflicts with {_described(manager)}:")
        lines += [f"- {shown(each.path)}" for each in group]
    return f"Apply failed with {len(clashes)} conflicts: " + "\n".join(lines)


def _described(manager: Manager) -> str:
    text = json.dumps(manager.name, ensure_ascii=False)
    if manager.subresource:
        text += f" with subresource {json.dumps(manager.subresource)}"
    return f"{text} using {manager.api_version}" if manager.operation == UPDATE else text
