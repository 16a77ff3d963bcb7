"""`tidegate get`: objects of any kind that the server has.

Tables are the server's: it says the columns and the cells. Objects are printed as they came, as
JSON or YAML.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import typer

from tidegate.cli.client.api import TABLE, Api, StatusFailed, connect, project_of
from tidegate.cli.client.completion import kinds_and_names, project_names
from tidegate.cli.client.kinds import Kind, discover, find
from tidegate.cli.client.shapes import at, entries, mapping, name_of, text
from tidegate.cli.client.tables import as_json, as_yaml, plain, printable, server_table, show
from tidegate.cli.refusal import Failed, Refused

Output = Literal["json", "yaml", "name", "wide"]
Project = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", help="the project [the current one]", autocompletion=project_names
    ),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Objects of one kind: those named, or (with no name) all."""

    kind: Kind
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """How the objects are chosen and shown."""

    namespace: str | None
    labels: str | None
    fields: str | None
    output: Output | None
    missing: list[str] = field(default_factory=list)  # what was named and is not there

    def selection(self) -> dict[str, str | None]:
        return {"labelSelector": self.labels, "fieldSelector": self.fields}


def get(
    what: Annotated[
        list[str],
        typer.Argument(
            help="KIND, KIND NAME..., KIND/NAME..., or KIND,KIND", autocompletion=kinds_and_names
        ),
    ],
    namespace: Project = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="of every project")
    ] = False,
    selector: Annotated[
        str | None, typer.Option("--selector", "-l", help="labels, such as app=web,tier!=db")
    ] = None,
    field_selector: Annotated[
        str | None, typer.Option(help="fields, such as metadata.name=web")
    ] = None,
    output: Annotated[Output | None, typer.Option("--output", "-o", help="the form")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="go on and print what changes")
    ] = False,
) -> None:
    """Print objects as a table, JSON or YAML."""
    with connect() as api:
        wanted = _wanted(discover(api), what)
        if any(each.names for each in wanted) and (selector or field_selector or all_namespaces):
            raise Refused("a name, or a choice among all: not both")
        in_project = not all_namespaces and any(each.kind.namespaced for each in wanted)
        asked = Asked(
            project_of(api, namespace) if in_project else None, selector, field_selector, output
        )
        if watch:
            _watch(api, wanted, asked)
        elif output in ("json", "yaml", "name"):
            _print_objects(api, wanted, asked)
        else:
            _print_tables(api, wanted, asked)
    if asked.missing:
        raise Failed("\ntidegate: ".join(asked.missing))


def _wanted(kinds: list[Kind], what: list[str]) -> list[Wanted]:
    """What the words ask for: `is web db`, `is/web istag/web:1`, or `is,istag`."""
    if "/" not in what[0]:
        named = [kind for word in what[0].split(",") for kind in find(kinds, word)]
        return [Wanted(kind, tuple(what[1:])) for kind in named]
    found = []
    for each in what:
        word, slash, name = each.partition("/")
        if not slash or not name:
            raise Refused(f"{each!r}: when one is KIND/NAME, all have to be")
        found += [Wanted(kind, (name,)) for kind in find(kinds, word)]
    return found


def _print_tables(api: Api, wanted: list[Wanted], asked: Asked) -> None:
    printed = 0
    for each in wanted:
        tables = list(_answers(api, each, asked, TABLE))
        shown = [_lines(table, each.kind, asked, several=len(wanted) > 1) for table in tables]
        rows = [row for _, rows in shown for row in rows]
        if rows:
            if printed:
                typer.echo()
            show(shown[0][0], rows)
            printed += 1
    if not printed and not asked.missing:
        place = f" in project {asked.namespace}" if asked.namespace else ""
        typer.echo(f"No objects found{place}.", err=True)


def _lines(
    table: dict[str, Any], kind: Kind, asked: Asked, *, several: bool
) -> tuple[list[str], list[list[str]]]:
    """The table's columns and rows; with the kind or the project where they tell objects apart."""
    if text(table, "kind") != "Table":  # a server may send plain objects instead
        objects = entries(table, "items") if "items" in table else [table]
        columns, rows = ["NAME"], [[printable(name_of(each))] for each in objects]
    else:
        objects = [mapping(row, "object") for row in entries(table, "rows")]
        columns, rows = server_table(table, wide=asked.output == "wide")
    if several:
        rows = [[f"{kind.qualified}/{name}", *others] for name, *others in rows]
    if kind.namespaced and asked.namespace is None:
        columns = ["NAMESPACE", *columns]
        spaces = [printable(text(each, "metadata", "namespace")) for each in objects]
        rows = [[space, *row] for space, row in zip(spaces, rows, strict=True)]
    return columns, rows


def _print_objects(api: Api, wanted: list[Wanted], asked: Asked) -> None:
    found: list[tuple[Kind, dict[str, Any]]] = []
    for each in wanted:
        for answer in _answers(api, each, asked, None):
            members = entries(answer, "items") if not each.names else [answer]
            found += [(each.kind, _typed(member, answer, each.kind)) for member in members]
    if asked.output == "name":
        for kind, thing in found:
            typer.echo(f"{kind.qualified}/{printable(name_of(thing))}")
        return
    if not found and asked.missing:
        return
    one = len(found) == 1 and len(wanted) == 1 and len(wanted[0].names) == 1
    things = [thing for _, thing in found]
    whole = things[0] if one else {"apiVersion": "v1", "kind": "List", "items": things}
    typer.echo(_written(whole, asked.output))


def _typed(member: dict[str, Any], answer: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """An object that says what it is; members of a list leave that to the list."""
    version = text(answer, "apiVersion")
    return {"apiVersion": version, "kind": kind.kind, **member}


def _answers(
    api: Api, wanted: Wanted, asked: Asked, accept: str | None
) -> Iterator[dict[str, Any]]:
    for name in wanted.names:
        try:
            yield api.get(wanted.kind.path(asked.namespace, name), accept)
        except StatusFailed as failure:
            if failure.code != 404:
                raise
            asked.missing.append(str(failure))
    if not wanted.names:
        yield from api.pages(wanted.kind.path(asked.namespace), accept, **asked.selection())


def _watch(api: Api, wanted: list[Wanted], asked: Asked) -> None:
    """Print what is there, and then every change until Ctrl-C or the server's end of the watch."""
    if len(wanted) != 1 or len(wanted[0].names) > 1:
        raise Refused("--watch takes one kind and at most one name")
    kind, names = wanted[0].kind, wanted[0].names
    accept = TABLE if asked.output in (None, "wide") else None
    selection = asked.selection()
    if names:
        selection["fieldSelector"] = f"metadata.name={names[0]}"
        api.get(kind.path(asked.namespace, names[0]))  # says at once when it is missing
    seen = _Watched(kind, asked)
    listed = api.get(kind.path(asked.namespace), accept, **selection)
    seen.print_all(listed)
    selection["resourceVersion"] = text(listed, "metadata", "resourceVersion")
    try:
        for event in api.events(kind.path(asked.namespace), accept, **selection):
            if text(event, "type") != "BOOKMARK":
                seen.print(mapping(event, "object"))
    except KeyboardInterrupt as stop:
        raise typer.Exit(130) from stop
    raise Failed("the server ended the watch")


class _Watched:
    """Prints what was listed, and then changed objects under the same columns."""

    def __init__(self, kind: Kind, asked: Asked) -> None:
        self._kind, self._asked = kind, asked
        self._definitions: Any = None
        self._widths: list[int] = []

    def print_all(self, listed: dict[str, Any]) -> None:
        if self._asked.output in ("json", "yaml", "name"):
            for each in entries(listed, "items"):
                self.print(_typed(each, listed, self._kind))
            return
        self._definitions = at(listed, "columnDefinitions")
        columns, rows = _lines(listed, self._kind, self._asked, several=False)
        self._widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        show(columns, rows)

    def print(self, thing: dict[str, Any]) -> None:
        if self._asked.output == "name":
            typer.echo(f"{self._kind.qualified}/{printable(name_of(thing))}")
        elif self._asked.output in ("json", "yaml"):
            typer.echo(_written(thing, self._asked.output))
        else:
            # the server says the columns once
            table = {**thing, "columnDefinitions": self._definitions}
            _, rows = _lines(table, self._kind, self._asked, several=False)
            typer.echo("\n".join(plain(rows, self._widths)))


def _written(thing: Any, output: str | None) -> str:
    return as_json(thing) if output == "json" else as_yaml(thing)
