"""`tidegate project` and `tidegate projects`: which project commands are about."""

from dataclasses import replace
from typing import Annotated

import typer

from tidegate.cli.client.api import PROJECTS, StatusFailed, connect, segment
from tidegate.cli.client.completion import project_names
from tidegate.cli.client.session import load_session, save_session, session_file
from tidegate.cli.client.shapes import at, name_of, text
from tidegate.cli.client.tables import printable, show
from tidegate.cli.refusal import Failed

_DISPLAY_NAME = "openshift.io/display-name"


def project(
    name: Annotated[
        str | None, typer.Argument(help="the project to change to", autocompletion=project_names)
    ] = None,
    short: Annotated[bool, typer.Option("--short", "-q", help="print the name alone")] = False,
) -> None:
    """Print the current project, or change to another one."""
    path = session_file()
    session = load_session(path)
    current = session.login()
    if name is None:
        if not current.project:
            raise Failed("no project is chosen: `tidegate project NAME`")
        typer.echo(
            current.project if short else f"Using project {current.project} on {current.server}."
        )
        return
    with connect() as api:
        try:
            api.get(f"{PROJECTS}/{segment(name)}")
        except StatusFailed as failure:
            if failure.code in (403, 404):
                raise Failed(
                    f"there is no project {printable(name)!r} that you may see; "
                    "`tidegate projects` prints those"
                ) from failure
            raise
    save_session(path, session.remember(replace(current, project=name)))
    typer.echo(name if short else f"Now using project {name} on {current.server}.")


def projects(
    short: Annotated[bool, typer.Option("--short", "-q", help="print the names alone")] = False,
) -> None:
    """Print the projects that you may see; the current one has a star."""
    with connect() as api:
        found = list(api.items(PROJECTS))
        current = api.login.project
    if not found:
        typer.echo("You see no project.", err=True)
        return
    if short:
        typer.echo("\n".join(map(name_of, found)))
        return
    rows = [
        (
            "*" if name_of(each) == current else "",
            name_of(each),
            printable(text(at(each, "metadata", "annotations"), _DISPLAY_NAME)),
            text(each, "status", "phase"),
        )
        for each in found
    ]
    show(("", "NAME", "DISPLAY NAME", "STATUS"), rows)
