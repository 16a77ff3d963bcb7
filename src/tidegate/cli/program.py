"""The `tidegate` program: its subcommands, and how a refusal ends."""

import sys
from typing import Annotated, ClassVar, Literal

import typer

# typer declares nothing in there as public
from typer.completion import get_completion_script  # type: ignore[attr-defined]

from tidegate import __version__
from tidegate.cli.lazy import Later, LazyGroup
from tidegate.cli.refusal import Failed, Refused

NAME = "tidegate"
HERE = "On the machine of the server"
ANYWHERE = "From anywhere"


class Program(LazyGroup):
    """The commands by name: first those beside a server, then those of a client."""

    later: ClassVar[dict[str, Later]] = {
        "serve": Later(
            "tidegate.cli.serve", "serve", "Serve the registry until SIGTERM or Ctrl-C.", HERE
        ),
        "config": Later(
            "tidegate.cli.settings",
            "config",
            "Print the effective settings and where each comes from; secrets are hidden.",
            HERE,
        ),
        "check": Later(
            "tidegate.cli.check", "check", "Hash what is stored and say what does not match.", HERE
        ),
        "user": Later("tidegate.cli.user", "user", "Local users.", HERE),
        "group": Later("tidegate.cli.group", "group", "Groups of users.", HERE),
        "login": Later("tidegate.cli.client.login", "login", "Log in to a server.", ANYWHERE),
        "logout": Later(
            "tidegate.cli.client.login",
            "logout",
            "End the login; its token is void afterwards.",
            ANYWHERE,
        ),
        "whoami": Later(
            "tidegate.cli.client.login",
            "whoami",
            "Print the user that the server knows you as.",
            ANYWHERE,
        ),
        "project": Later(
            "tidegate.cli.client.project",
            "project",
            "Print the current project, or change to another one.",
            ANYWHERE,
        ),
        "projects": Later(
            "tidegate.cli.client.project",
            "projects",
            "Print the projects that you may see.",
            ANYWHERE,
        ),
        "get": Later(
            "tidegate.cli.client.get", "get", "Print objects as a table, JSON or YAML.", ANYWHERE
        ),
        "describe": Later(
            "tidegate.cli.client.describe",
            "describe",
            "Print all about image streams, their tags, or images.",
            ANYWHERE,
        ),
        "tag": Later(
            "tidegate.cli.client.tag",
            "tag",
            "Tags of image streams: set, history, rollback.",
            ANYWHERE,
        ),
        "mirror": Later(
            "tidegate.cli.mirror",
            "mirror",
            "Copy images with all that belongs to them, between registries and files.",
            ANYWHERE,
        ),
        "top": Later(
            "tidegate.cli.client.top",
            "top",
            "What images and image streams take of the storage.",
            ANYWHERE,
        ),
    }


program = typer.Typer(
    name=NAME,
    cls=Program,
    help="An OCI registry with OpenShift's image management.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@program.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@program.command()
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="your shell")],
) -> None:
    """Print the script that lets a shell complete words of this program."""
    typer.echo(
        get_completion_script(prog_name=NAME, complete_var="_TIDEGATE_COMPLETE", shell=shell)
    )


def main() -> None:
    """Run the command line; a refusal is one line and exit status 2, a server's no is 1."""
    try:
        program()
    except Refused as refusal:
        _end(refusal, 2)
    except Failed as failure:
        _end(failure, 1)


def _end(reason: Exception, status: int) -> None:
    sys.stderr.write(f"{NAME}: {reason}\n")
    sys.exit(status)
