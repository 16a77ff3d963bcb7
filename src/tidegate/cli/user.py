"""`tidegate user`: passwords of local users; works while the server runs."""

import asyncio
import sys
from typing import Annotated

import typer

from tidegate.auth.errors import PasswordRefused
from tidegate.cli import setup
from tidegate.cli.refusal import Refused
from tidegate.cli.settings import ConfigFile, DataDirectory, effective
from tidegate.metastore.errors import MetastoreError

user = typer.Typer(help="Local users.", no_args_is_help=True)


@user.callback()
def _group() -> None:
    """Keeps `passwd` a subcommand while it is the only one."""


@user.command()
def passwd(
    name: str,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="read it from standard input")
    ] = False,
    data: DataDirectory = None,
    config: ConfigFile = None,
) -> None:
    """Give a user a new password; what was remembered of the old one is dropped at once."""
    settings = effective(config, data=data).settings
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    try:
        found = asyncio.run(setup.change_password(settings, name, password))
    except (PasswordRefused, MetastoreError) as error:
        raise Refused(str(error)) from error
    if not found:
        raise Refused(f"there is no user {name!r}")
