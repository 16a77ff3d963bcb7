"""What `tidegate mirror` tells while it works, and at its end.

A bar on a terminal, on standard error; a line for each image everywhere, so that a log of a pipe
says the same.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from tidegate.cli.client.tables import printable
from tidegate.delivery.mirrors.copying import ASSUMED, COPIED, MOUNTED, PRESENT, Copied
from tidegate.delivery.mirrors.receipt import Outcome, totals

_UNBOUNDED = 10_000


class Report:
    """Tells of a run; a meter for the engine at the same time."""

    def __init__(self, *, dry_run: bool, quiet: bool) -> None:
        terminal = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
        self._dry_run = dry_run
        self._quiet = quiet
        # lines go above the bar if both are on a terminal, and else where they can be searched
        self._lines = terminal
        if not (terminal.is_terminal and sys.stdout.isatty()):
            self._lines = Console(
                file=sys.stdout, soft_wrap=True, highlight=False, markup=False, width=_UNBOUNDED
            )
        self._failures = terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=terminal,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not terminal.is_terminal or dry_run,
        )
        self._task: TaskID | None = None
        self._total = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the bar while the block runs."""
        with self._bar:
            self._task = self._bar.add_task("copying", total=None)
            yield

    def expect(self, size: int) -> None:
        self._total += size
        if self._task is not None:
            self._bar.update(self._task, total=self._total)

    def advance(self, size: int) -> None:
        if self._task is not None:
            self._bar.advance(self._task, size)

    def done(self, outcome: Outcome) -> None:
        """A line for an image."""
        if outcome.copied is None:
            said = f"failed: {outcome.origin} -> {outcome.target}: {outcome.error}"
            self._failures.print(printable(said))
            return
        for warning in outcome.copied.warnings:
            self._failures.print(printable(f"warning: {outcome.origin}: {warning}"))
        if not self._quiet:
            line = image_line(outcome, outcome.copied, dry_run=self._dry_run)
            self._lines.print(printable(line))

    def end(self, outcomes: list[Outcome], receipt: str) -> None:
        """The last lines."""
        if self._quiet:
            return
        self._lines.print(last_line(outcomes, dry_run=self._dry_run))
        if receipt:
            self._lines.print(f"receipt: {receipt}")


def image_line(outcome: Outcome, copied: Copied, *, dry_run: bool) -> str:
    """What came of an image: `copied a -> b sha256:… (10 MB sent, 3 MB there)`."""
    verb = "would copy" if dry_run and outcome.result == "copied" else outcome.result
    sizes = _sizes(totals([outcome]), dry_run=dry_run)
    return f"{verb} {outcome.origin} -> {outcome.target} {copied.digest} ({sizes})"


def last_line(outcomes: list[Outcome], *, dry_run: bool) -> str:
    """How many images, and how many bytes how."""
    results = Counter(each.result for each in outcomes)
    if dry_run:
        results["to copy"] = results.pop("copied", 0)
    counts = ", ".join(f"{count} {result}" for result, count in results.items() if count)
    images = "1 image" if len(outcomes) == 1 else f"{len(outcomes)} images"
    return f"{images}: {counts or 'nothing to copy'} ({_sizes(totals(outcomes), dry_run=dry_run)})"


def _sizes(found: Counter[str], *, dry_run: bool) -> str:
    said = {
        COPIED: "to send" if dry_run else "sent",
        MOUNTED: "mounted",
        PRESENT: "there",
        ASSUMED: "left out as the receipt has it",
    }
    return (
        ", ".join(f"{decimal(found[how])} {word}" for how, word in said.items() if found[how])
        or "0 bytes"
    )
