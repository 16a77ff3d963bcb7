"""Words that a shell completes: the kinds of the server, its projects, the names of objects.

Invariant: whatever goes wrong, nothing is completed and nothing printed; and a server that does not
answer soon is not waited for.
"""

from collections.abc import Callable, Iterable

import typer

from tidegate.cli.client.api import PROJECTS, Api
from tidegate.cli.client.kinds import discover, find
from tidegate.cli.client.session import load_session, session_file
from tidegate.cli.client.shapes import entries, name_of
from tidegate.cli.refusal import Failed

_PATIENCE = 2.0
_LIMIT = 200  # names; nobody looks through more


def project_names(incomplete: str) -> list[str]:
    """The projects that one may see."""
    return _answered(lambda api: map(name_of, entries(api.get(PROJECTS), "items")), incomplete)


def kinds_and_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """A kind, and after it names of objects of that kind."""
    before = [each for each in ctx.params.get("what") or () if each != incomplete]
    if not before:
        return _answered(
            lambda api: (each.plural for each in discover(api) if "get" in each.verbs), incomplete
        )
    given = ctx.params.get("namespace")
    return _answered(lambda api: _names(api, before[0], given or api.login.project), incomplete)


def _names(api: Api, word: str, namespace: str) -> Iterable[str]:
    kind = find(discover(api), word)[0]
    return map(name_of, entries(api.get(kind.path(namespace), limit=_LIMIT), "items"))


def _answered(ask: Callable[[Api], Iterable[str]], incomplete: str) -> list[str]:
    """What the current server says, as far as it begins with what is typed already."""
    try:
        with Api(load_session(session_file()).login(), patience=_PATIENCE) as api:
            return [each for each in ask(api) if each.startswith(incomplete)]
    except Failed:
        return []
