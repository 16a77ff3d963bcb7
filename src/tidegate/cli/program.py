"""The `tidegate` program: its subcommands, and how a refusal ends."""

import sys

import typer

from tidegate import __version__
from tidegate.cli.check import check
from tidegate.cli.group import group
from tidegate.cli.refusal import Refused
from tidegate.cli.serve import serve
from tidegate.cli.settings import config
from tidegate.cli.user import user

program = typer.Typer(
    name="tidegate",
    help="An OCI registry with OpenShift's image management.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
program.command()(serve)
program.command()(config)
program.command()(check)
program.add_typer(user, name="user")
program.add_typer(group, name="group")


@program.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; a refusal is one line and exit status 2."""
    try:
        program()
    except Refused as refusal:
        sys.stderr.write(f"tidegate: {refusal}\n")
        sys.exit(2)
