"""Tables, objects and words from a server, on the terminal.

Knows nothing of HTTP or of any kind. Invariant: nothing that a server sent moves the cursor or
changes the terminal's state; other clients may have written it.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
import yaml
from rich.table import Table
from rich.text import Text

from tidegate.cli.client.shapes import at, entries
from tidegate.cli.console import console

_DRAWN = 1000  # rows that Rich lays out in a third of a second; longer ones are plain columns
_GAP = 3

Row = Sequence[str]


def show(columns: Sequence[str], rows: Sequence[Row], *, heading: bool = True) -> None:
    """Print a table: drawn for a terminal, and as plain columns for a pipe or a long list."""
    if not sys.stdout.isatty() or len(rows) > _DRAWN:
        typer.echo("\n".join(plain([columns, *rows] if heading else rows)))
        return
    table = Table(box=None, pad_edge=False, show_header=heading, padding=(0, _GAP, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def plain(rows: Sequence[Row], widths: Sequence[int] = ()) -> list[str]:
    """Lines whose columns stand under each other, or are as wide as said; no blanks at the end."""
    widths = widths or [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "".join(cell.ljust(width + _GAP) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def server_table(table: dict[str, Any], *, wide: bool) -> tuple[list[str], list[list[str]]]:
    """The columns and rows of a `meta.k8s.io` Table; those of lower priority only if `wide`."""
    defined = entries(table, "columnDefinitions")
    shown = [number for number, each in enumerate(defined) if wide or not each.get("priority")]
    columns = [str(defined[number].get("name", "")).upper() for number in shown]
    found = [at(row, "cells") or [] for row in entries(table, "rows")]
    return columns, [
        [cell(cells[number]) if number < len(cells) else "" for number in shown] for cells in found
    ]


def cell(value: Any) -> str:
    """A cell's text: of several lines the first."""
    if value is None:
        return "<none>"
    if isinstance(value, bool):
        return "true" if value else "false"
    first, *more = str(value).splitlines() or [""]
    return printable(first) + ("..." if more else "")


def printable(text: str) -> str:
    """`text` on one line, with what a terminal would obey shown as an escape."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def as_json(thing: Any) -> str:
    """The object as `-o json` prints it."""
    return json.dumps(thing, indent=4)


def as_yaml(thing: Any) -> str:
    """The object as `-o yaml` prints it."""
    text: str = yaml.safe_dump(thing, sort_keys=False, default_flow_style=False, width=100)
    return text.rstrip("\n")


def fields(pairs: Iterable[tuple[str, str]], indent: int = 0) -> list[str]:
    """Lines `Name:   value`, values under each other; those without a value are left out."""
    kept = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in kept), default=0) + 2
    return [" " * indent + f"{name}:".ljust(width) + value for name, value in kept]


def binary_size(count: float) -> str:
    """Bytes with four digits and a binary unit, as `oc adm top` writes them: 1.5KiB."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:.4g}{unit}"
        count /= 1024
    return f"{count:.4g}PiB"
