"""`tidegate check`: verify what is stored against its digests; works while the server runs.

Exit status: 0 all is well, 1 something was wrong (repaired or not), 2 it could not be checked.
"""

import asyncio
import contextlib
import json
import os
import random
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from tidegate.cli.console import console
from tidegate.cli.refusal import Refused
from tidegate.cli.settings import ConfigFile, DataDirectory, effective
from tidegate.config import Settings
from tidegate.metastore.errors import MetastoreError
from tidegate.metastore.open import open_database
from tidegate.registry.copy_verification import CopyVerification
from tidegate.registry.findings import Findings, Order
from tidegate.registry.verification import Verification
from tidegate.storage.blobs import BlobStore
from tidegate.storage.cache import BlobCache
from tidegate.storage.errors import StorageError
from tidegate.storage.filesystem import Filesystem

_NICENESS = 10
"""Serving comes first where there are fewer cores than work."""
_SHOWN = 50
"""Problems in the table for people; the JSON has all."""


def check(
    data: DataDirectory = None,
    config: ConfigFile = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="set corrupt bytes aside, answer 404 for what is lost, so that a push restores it",
        ),
    ] = False,
    sample: Annotated[
        float, typer.Option(min=0, max=100, help="percent of the blobs to hash, chosen at random")
    ] = 100.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Hash what is stored and say what does not match; 0 all is well, 1 not, 2 not checked."""
    settings = effective(config, data=data).settings
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    order = Order(
        repair=repair,
        sample=sample,
        stale_before=time.time() - settings.upload_expiry,
        sparse=settings.sparse_manifests,
    )
    try:
        findings = asyncio.run(_verify(settings, order))
    except (MetastoreError, StorageError) as error:
        raise Refused(f"cannot check {settings.data}: {error}") from error
    if as_json:
        typer.echo(json.dumps(_document(findings), indent=2))
    else:
        _print(findings, repair=repair)
    raise typer.Exit(1 if findings.problems else 0)


async def _verify(settings: Settings, order: Order) -> Findings:
    if not settings.data.is_dir():
        raise Refused(f"there is no data directory {settings.data}")
    database = await open_database(settings.database_url)
    driver = Filesystem(settings.data)
    try:
        with _bar() as bar:
            progress = _Bar(bar)
            chance = random.Random()  # noqa: S311  a sample
            store = BlobStore(driver)
            findings = await Verification(database, store, order, progress, chance).run()
            cache = BlobCache(driver)
            await CopyVerification(database, cache, order, progress, chance).run(findings)
            cache.close()
            return findings
    finally:
        driver.close()
        await database.close()


class _Bar:
    """The progress of a verification on a terminal."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def begin(self, step: str, total: int) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(step, total=total)

    def advance(self, count: int) -> None:
        if self._task is not None:
            self._bar.advance(self._task, count)


def _bar() -> Progress:
    """On standard error, so that the result can be piped; silent where that is no terminal."""
    terminal = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal)


def _document(findings: Findings) -> dict[str, Any]:
    """The result for programs; sizes in bytes."""
    return {
        "blobs": {
            "count": findings.blobs,
            "bytes": findings.bytes,
            "hashed": findings.hashed_blobs,
            "hashedBytes": findings.hashed_bytes,
        },
        "manifests": {"count": findings.manifests, "incomplete": findings.incomplete},
        "unlinked": {"count": findings.unlinked_blobs, "bytes": findings.unlinked_bytes},
        "staleUploads": {"count": findings.stale_uploads, "bytes": findings.stale_bytes},
        "copies": {"count": findings.copies, "bytes": findings.copy_bytes},
        "problems": [
            {
                "fault": str(problem.fault),
                "digest": problem.digest,
                "detail": problem.detail,
                "repaired": problem.repaired,
            }
            for problem in findings.problems
        ],
    }


def _print(findings: Findings, *, repair: bool) -> None:
    out = console()
    if findings.problems:
        table = Table("fault", box=None, pad_edge=False)
        table.add_column("digest", overflow="fold")  # never cut: it is copied into other commands
        table.add_column("detail")
        table.add_column("repaired")
        for problem in findings.problems[:_SHOWN]:
            repaired = "yes" if problem.repaired else "no"
            table.add_row(problem.fault, problem.digest or "-", problem.detail, repaired)
        out.print(table)
        if len(findings.problems) > _SHOWN:
            out.print(f"… and {len(findings.problems) - _SHOWN} more, see --json")
    hashed = f"{findings.hashed_blobs} of them hashed; {findings.manifests} manifests, all hashed"
    out.print(f"{findings.blobs} blobs, {decimal(findings.bytes)}, {hashed}")
    if findings.copies:
        size = decimal(findings.copy_bytes)
        out.print(f"{findings.copies} copies ({size}) of blobs of other registries")
    if findings.unlinked_blobs:
        size = decimal(findings.unlinked_bytes)
        out.print(f"{findings.unlinked_blobs} blobs ({size}) belong to no repository")
    if findings.stale_uploads:
        size = decimal(findings.stale_bytes)
        verb = "removed" if repair else "can be removed with --repair"
        out.print(f"{findings.stale_uploads} abandoned uploads ({size}) {verb}")
    out.print(_verdict(findings, repair=repair))


def _verdict(findings: Findings, *, repair: bool) -> str:
    count = len(findings.problems)
    if not count:
        return "no problem found"
    repaired = sum(problem.repaired for problem in findings.problems)
    if repair:
        return f"{count} problems found, {repaired} repaired"
    return f"{count} problems found; --repair sets aside and marks what can be pushed again"
