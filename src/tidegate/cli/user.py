"""`tidegate user`: local users and their passwords; works while the server runs."""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from tidegate.auth import administrator
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.users import local
from tidegate.auth.users.roster import Entry, roster
from tidegate.cli.console import console
from tidegate.cli.database import visit
from tidegate.cli.refusal import Refused
from tidegate.cli.settings import ConfigFile, DataDirectory, effective
from tidegate.metastore.database import Database

T = TypeVar("T")

Password = Annotated[
    str | None,
    typer.Option("--password", help="the password; other users of this machine may see it"),
]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="read the password from standard input")
]

user = typer.Typer(help="Local users.", no_args_is_help=True)


@user.command()
def add(
    name: str,
    password: Password = None,
    password_stdin: FromInput = False,
    admin: Annotated[bool, typer.Option("--admin", help="let her do everything")] = False,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Make a user; without --admin she may do what everybody who is logged in may."""
    settings = effective(config, data=data).settings
    given = _password(password, from_input=password_stdin)
    made = visit(
        settings,
        _hashing(
            lambda database, hashes: administrator.add_user(
                database, hashes, name, given, time.time(), admin=admin
            )
        ),
    )
    if not made:
        raise Refused(f"there is a user {name!r} already")


@user.command()
def passwd(
    name: str,
    password: Password = None,
    password_stdin: FromInput = False,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Give a user a new password; whatever she logged in with before is void."""
    settings = effective(config, data=data).settings
    given = _password(password, from_input=password_stdin)
    found = visit(
        settings,
        _hashing(
            lambda database, hashes: administrator.change_password(
                database, hashes, name, given, time.time()
            )
        ),
    )
    _require(name, found=found)


@user.command()
def disable(name: str, data: DataDirectory = None, config: ConfigFile = None) -> None:
    """Let a user in no more; what she is logged in with is void within a second."""
    _switch(name, data, config, disabled=True)


@user.command()
def enable(name: str, data: DataDirectory = None, config: ConfigFile = None) -> None:
    """Let a disabled user in again."""
    _switch(name, data, config, disabled=False)


@user.command()
def delete(name: str, data: DataDirectory = None, config: ConfigFile = None) -> None:
    """Remove a user, her tokens and her places in groups; role bindings that name her stay."""
    settings = effective(config, data=data).settings
    found = visit(settings, lambda database: database.write(lambda tx: local.remove(tx, name)))
    _require(name, found=found)


@user.command("list")
def list_users(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Print the local users and the groups that name them."""
    entries = visit(effective(config, data=data).settings, roster)
    if as_json:
        typer.echo(json.dumps([_described(each) for each in entries], indent=2))
        return
    table = Table("name", "disabled", "changed", "groups", box=None, pad_edge=False)
    for each in entries:
        shown = _described(each)
        table.add_row(
            each.name, "yes" if each.disabled else "", str(shown["changed"]), ", ".join(each.groups)
        )
    console().print(table)


def _described(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "uid": entry.uid,
        "disabled": entry.disabled,
        "changed": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.changed_at)),
        "groups": list(entry.groups),
    }


def _switch(name: str, data: DataDirectory, config: ConfigFile, *, disabled: bool) -> None:
    settings = effective(config, data=data).settings
    found = visit(
        settings,
        lambda database: database.write(
            lambda tx: local.set_disabled(tx, name, time.time(), disabled=disabled)
        ),
    )
    _require(name, found=found)


def _require(name: str, *, found: bool) -> None:
    if not found:
        raise Refused(f"there is no user {name!r}")


def _password(given: str | None, *, from_input: bool) -> str:
    if given is not None and from_input:
        raise Refused("--password or --password-stdin, not both")
    if given is not None:
        return given
    if from_input:
        return sys.stdin.readline().rstrip("\n")
    prompted: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return prompted


def _hashing(
    work: Callable[[Database, PasswordHashes], Awaitable[T]],
) -> Callable[[Database], Awaitable[T]]:
    """`work` with what makes hashes."""

    async def run(database: Database) -> T:
        hashes = PasswordHashes()
        try:
            return await work(database, hashes)
        finally:
            hashes.close()

    return run
