"""`tidegate config`, and the options through which every command gets its settings."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from tidegate.cli.console import console
from tidegate.cli.refusal import Refused
from tidegate.config import Configuration, SettingInvalid, load

DataDirectory = Annotated[
    Path | None, typer.Option("--data", help="data directory [./tidegate-data]")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="settings file, TOML")]


def effective(config: Path | None, **flags: Any) -> Configuration:
    """The settings in force; `Refused` says which one is wrong."""
    try:
        return load(flags, config)
    except SettingInvalid as error:
        raise Refused(str(error)) from error


def config(
    data: DataDirectory = None,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print the effective settings and where each comes from; secrets are hidden."""
    rows = effective(config, data=data).table()
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2))
        return
    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, (row.name, row.value, row.origin, row.meaning)))
    console().print(table)
