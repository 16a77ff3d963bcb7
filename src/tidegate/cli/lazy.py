"""Commands that are imported when they are used, and a group with a command that needs no name.

`tidegate get` need not load the server, nor `tidegate serve` an HTTP client; help and completion
show what is declared in the table and load nothing. Invariant: this module alone imports modules
by name.
"""

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


class Later(NamedTuple):
    """Where a command is, a function or a `typer.Typer`; its line in the help, and the panel."""

    module: str
    attribute: str
    help: str
    panel: str


class LazyGroup(TyperGroup):
    """Knows the commands in `later` by name, and loads the one that is called."""

    later: ClassVar[dict[str, Later]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, place in self.later.items():
            # a stand-in: enough for help, completion and suggestions
            self.commands[name] = TyperCommand(name, help=place.help, rich_help_panel=place.panel)

    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        if name in self.later:
            return name, load(name, self.later[name]), rest
        assert found is None or isinstance(found, TyperCommand | TyperGroup)  # noqa: S101  typer's
        return name, found, rest


def load(name: str, place: Later) -> TyperCommand | TyperGroup:
    """The command itself."""
    with _no_collections():
        found = getattr(importlib.import_module(place.module), place.attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    command = get_command(alone)
    assert isinstance(command, TyperCommand)  # noqa: S101  an application of one command is it
    return command


@contextmanager
def _no_collections() -> Iterator[None]:
    """What modules define stays: to look for cycles in it again and again is half of an import."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class FallbackGroup(TyperGroup):
    """A group whose `fallback` runs when the first word is not the name of a command of it.

    `tag history web:1` is the command history; `tag web:1 web:prod` and `tag -d web:1` are `set`.
    """

    fallback: ClassVar[str]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.fallback, *args]
        return super().parse_args(ctx, args)
