"""`tidegate group`: which users a group names; works while the server runs."""

import json
import time
from typing import Annotated

import typer
from rich.table import Table

from tidegate.auth.users import local
from tidegate.auth.users.roster import groups
from tidegate.cli.console import console
from tidegate.cli.database import visit
from tidegate.cli.refusal import Refused
from tidegate.cli.settings import ConfigFile, DataDirectory, effective
from tidegate.metastore.documents import DocumentUnit

group = typer.Typer(help="Groups of users.", no_args_is_help=True)


@group.command("add-users")
def add_users(
    name: str, users: list[str], data: DataDirectory = None, config: ConfigFile = None
) -> None:
    """Add users to a group; it is made if need be."""
    if fault := local.membership_fault(name, users):
        raise Refused(fault)
    visit(
        effective(config, data=data).settings,
        lambda database: database.write(
            lambda tx: local.add_to_group(DocumentUnit(tx), name, users, time.time())
        ),
    )


@group.command("remove-users")
def remove_users(
    name: str, users: list[str], data: DataDirectory = None, config: ConfigFile = None
) -> None:
    """Remove users from a group."""
    found = visit(
        effective(config, data=data).settings,
        lambda database: database.write(
            lambda tx: local.remove_from_group(DocumentUnit(tx), name, users)
        ),
    )
    if not found:
        raise Refused(f"there is no group {name!r}")


@group.command("list")
def list_groups(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Print the groups and the users that they name."""
    found = visit(effective(config, data=data).settings, groups)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table("name", "users", box=None, pad_edge=False)
    for name, members in found.items():
        table.add_row(name, ", ".join(members))
    console().print(table)
