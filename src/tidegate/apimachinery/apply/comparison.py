"""Which fields a value has, and which of them differ between two values of one schema."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tidegate.apimachinery.apply.fieldset import (
    NOTHING,
    FieldSet,
    Path,
    is_named,
    schema_below,
)
from tidegate.apimachinery.apply.shape import (
    ABSENT,
    EMPTIED,
    Form,
    form_of,
    has_parts,
    parts_of,
)
from tidegate.apimachinery.patch.json_values import equal
from tidegate.apimachinery.schema import Schema


def fields_of(value: Any, schema: Schema | None) -> FieldSet:
    """Every field that is set: leaves, entries of maps, elements of lists.

    A struct's field that has fields of its own is no member; an empty one is.
    """
    paths: list[Path] = []
    _collect((), value, schema, paths)
    return FieldSet.of(paths)


def _collect(path: Path, value: Any, schema: Schema | None, paths: list[Path]) -> None:
    form = form_of(value, schema)
    if form is Form.WHOLE:
        paths.append(path)
        return
    parts = parts_of(value, form, schema)
    times = Counter(element for element, _each in parts)
    for element, each in parts:
        here = (*path, element)
        if times[element] == 1:  # of duplicates it is only known that they are there
            _collect(here, each, schema_below(schema, element), paths)
        if each in (None, {}, EMPTIED) or not is_named(schema, element):
            paths.append(here)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change did to the fields of a value: no field is in two of the first three sets.

    `zeros` are the fields of structs added with a value that means the same as none (0, an empty
    map): such a value is not stored.
    """

    removed: FieldSet
    modified: FieldSet
    added: FieldSet
    zeros: FieldSet = NOTHING

    def without(self, fields: FieldSet) -> "Comparison":
        """The comparison where `fields` and everything below them had not been looked at."""
        return Comparison(
            self.removed.recursive_difference(fields),
            self.modified.recursive_difference(fields),
            self.added.recursive_difference(fields),
            self.zeros.recursive_difference(fields),
        )

    def written(self) -> FieldSet:
        """What has a new value."""
        return self.modified.union(self.added)

    def overwritten(self) -> FieldSet:
        """What has another value than anybody can have given it before."""
        return self.written().difference(self.zeros)


def compare(old: Any, new: Any, schema: Schema | None) -> Comparison:
    """What became of `old` in `new`."""
    walk = _Walk()
    walk.compare((), old, new, schema)
    return Comparison(
        FieldSet.of(walk.removed),
        FieldSet.of(walk.modified),
        FieldSet.of(walk.added),
        FieldSet.of(walk.zeros),
    )


@dataclass(slots=True)
class _Walk:
    """Two values side by side, and what was found so far."""

    removed: list[Path] = field(default_factory=list)
    modified: list[Path] = field(default_factory=list)
    added: list[Path] = field(default_factory=list)
    zeros: list[Path] = field(default_factory=list)

    def compare(self, path: Path, old: Any, new: Any, schema: Schema | None) -> None:
        old_form, new_form = form_of(old, schema), form_of(new, schema)
        if old is ABSENT:
            old_form = new_form
        elif new is ABSENT:
            new_form = old_form
        if old_form is not new_form:
            self._parts(path, old, ABSENT, old_form, schema)
            self._parts(path, ABSENT, new, new_form, schema)
            self.modified.append(path)
        elif old_form is Form.WHOLE or not (has_parts(old) or has_parts(new)):
            self._whole(path, old, new)
        else:
            self._parts(path, old, new, old_form, schema)
            if old is ABSENT or new is ABSENT:
                self._whole(path, old, new)

    def _whole(self, path: Path, old: Any, new: Any) -> None:
        if old is ABSENT:
            self.added.append(path)
        elif new is ABSENT:
            self.removed.append(path)
        elif not equal(old, new):
            self.modified.append(path)

    def _parts(self, path: Path, old: Any, new: Any, form: Form, schema: Schema | None) -> None:
        before, after = _grouped(old, form, schema), _grouped(new, form, schema)
        for element in before | after:
            here, below = (*path, element), schema_below(schema, element)
            left, right = before.get(element, []), after.get(element, [])
            if len(left) < 2 and len(right) < 2:
                self.compare(here, _only(left), _only(right), below)
                if not left and not any(right) and is_named(schema, element):
                    self.zeros.append(here)
            else:
                self._duplicates(here, left, right, below)

    def _duplicates(
        self, path: Path, left: list[Any], right: list[Any], schema: Schema | None
    ) -> None:
        """Elements that cannot be told apart are one field; it comes and goes as a whole."""
        if len(left) > 1 and len(right) > 1:
            if not equal(left, right):
                self.modified.append(path)
        elif len(left) > 1:
            if right:
                self.compare(path, ABSENT, right[0], schema)
            self.removed.append(path)
        else:
            if left:
                self.compare(path, left[0], ABSENT, schema)
            self.added.append(path)


def _grouped(value: Any, form: Form, schema: Schema | None) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for element, each in parts_of(value, form, schema):
        groups.setdefault(element, []).append(each)
    return groups


def _only(values: list[Any]) -> Any:
    return values[0] if values else ABSENT
