"""What one question to the authorizer costs, among 5,000 bindings and in this process."""

import asyncio
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median

from tests.bench.api_report import Line
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import DocumentTransaction
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.bootstrap import cluster_role_ref, group, user
from tidegate.auth.rbac.kinds import ClusterRoleBinding, RoleBinding
from tidegate.auth.rbac.reconciliation import bind_namespace, reconcile
from tidegate.auth.rbac.resources import CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS
from tidegate.auth.stored import put_new
from tidegate.metastore.documents import Documents
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database

NAMESPACES, TEAMS, EVERYWHERE = 1_000, 300, 1_700
"""Each namespace has its three default bindings; so many have a team; so many bind cluster-wide."""

ASKER = User(
    "developer",
    ("system:authenticated", "system:authenticated:oauth", "team-0", "team-1", "team-2"),
)
QUESTIONS, ROUNDS = 2_000, 9

Ask = Callable[[int], Attributes]


def measure(directory: Path) -> list[Line]:
    """The rows of the table; each is the median of the rounds."""
    url = f"sqlite:///{directory / 'decisions.db'}"
    migrate(url)
    return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Line]:
    database = await open_database(url)
    store = Documents(database)
    try:
        await store.start()
        await store.write(_bind)
        authorizer = RbacAuthorizer(store, time.monotonic)
        began = time.perf_counter()
        await authorizer.start()
        loaded = time.perf_counter() - began
        asked: list[tuple[str, bool, Ask]] = [
            ("allow, asked before", True, lambda _: _push("ns-0001", "app")),
            ("allow, new", True, lambda number: _push("ns-0001", f"app-{number}")),
            ("deny, asked before", False, lambda _: _push("ns-0999", "app")),
            ("deny, new", False, lambda number: _push("ns-0999", f"app-{number}")),
        ]
        lines = [Line("load 5,000 bindings and the roles", f"{1000 * loaded:.0f} ms")]
        for words, expected, ask in asked:
            microseconds = await _median(authorizer, ask, expected=expected)
            lines.append(Line(f"decision among 5,000 bindings: {words}", f"{microseconds:.1f} µs"))
        return lines
    finally:
        await store.close()
        await database.close()


async def _median(authorizer: RbacAuthorizer, ask: Ask, *, expected: bool) -> float:
    """Microseconds of one question, as the median of rounds of many."""
    numbers, rounds = count(), []
    for _ in range(ROUNDS):
        questions = [ask(next(numbers)) for _ in range(QUESTIONS)]
        began = time.perf_counter()
        answers = [await authorizer.authorize(ASKER, each) for each in questions]
        rounds.append((time.perf_counter() - began) / QUESTIONS)
        if answers != [expected] * QUESTIONS:
            raise ValueError(f"wrong answers: {answers[:10]}")
    return median(rounds) * 1e6


def _push(namespace: str, name: str) -> Attributes:
    return Attributes("update", "imagestreams/layers", namespace, name)


def _bind(tx: DocumentTransaction) -> None:
    now = time.time()
    reconcile(tx, now)
    for number in range(NAMESPACES):
        bind_namespace(tx, f"ns-{number:04d}", now)
    for number in range(TEAMS):
        binding = RoleBinding(
            metadata=ObjectMeta(name="team", namespace=f"ns-{number:04d}"),
            subjects=[group(f"team-{number % 3}"), user(f"user-{number}")],
            role_ref=cluster_role_ref("edit"),
        )
        put_new(tx, ROLE_BINDINGS, binding, now)
    for number in range(EVERYWHERE):
        # one in a hundred is the asker's, and grants her nothing that she asks for
        who = group("team-0") if number % 100 == 0 else user(f"user-{number}")
        everywhere = ClusterRoleBinding(
            metadata=ObjectMeta(name=f"everywhere-{number}"),
            subjects=[who],
            role_ref=cluster_role_ref("view"),
        )
        put_new(tx, CLUSTER_ROLE_BINDINGS, everywhere, now)
