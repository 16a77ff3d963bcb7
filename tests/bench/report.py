"""From samples to the table: ratios of rounds, their medians, and where a bar is missed."""

import datetime as dt
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.load import Sample
from tests.bench.rows import Row

RESULTS, SCALE, API, STREAMS = "results", "scale", "api", "streams"
"""The places in a page that a run can fill, each between two comments of this name."""

MB = 1e6


@dataclass
class Comparison:
    """The samples of one row; a round is one position in each list."""

    row: Row
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)  # servers that did not do the work

    def rate(self, sample: Sample) -> float:
        if not self.row.counts_bytes:
            return sample.requests_a_second
        return sample.bytes_a_second

    def ratios(self, peer: str) -> list[float]:
        """Ours to the peer's, round by round."""
        pairs = zip(self.samples["tidegate"], self.samples[peer], strict=True)
        # a peer that ended no request in its time is counted as if it had ended one just then
        return [
            self.rate(ours) / (self.rate(theirs) or 1 / theirs.outcome.seconds)
            for ours, theirs in pairs
        ]


@dataclass(frozen=True)
class Figure:
    """Something measured of tidegate alone, or beside a peer, that is no rate."""

    name: str
    value: str
    bar: str
    met: bool | None  # None: there is no bar
    beside: str = ""  # the same of the registry


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """One line per row; every rate is a median, every ratio the median of the rounds'."""
    head = (
        "| work | tidegate | registry | ratio (rounds) | bar | to nginx (bar) "
        "| p99 ms, tidegate / registry | server CPU, tidegate / registry / nginx |"
    )
    lines = [head, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    lines += [_line(each) for each in comparisons]
    return "\n".join(lines)


def _line(each: Comparison) -> str:
    cells = [each.row.name]
    cells += [
        _rate(each, each.samples[peer]) if peer in each.samples else _absent(each, peer)
        for peer in ("tidegate", "registry")
    ]
    cells.append(_ratio(each, "registry", each.row.bar, spread=True))
    cells.append(f"{each.row.bar:g}")
    limit = f" ({each.row.limit:g})" if each.row.limit else ""
    cells.append(_ratio(each, "nginx", each.row.limit) + limit if "nginx" in each.samples else "")
    cells.append(_of_peers(each, _p99, ("tidegate", "registry")))
    cells.append(_of_peers(each, _cost, ("tidegate", "registry", "nginx")))
    return f"| {' | '.join(cells)} |"


def _rate(each: Comparison, samples: list[Sample]) -> str:
    rate = median(each.rate(sample) for sample in samples)
    return f"{rate / MB:,.0f} MB/s" if each.row.counts_bytes else f"{rate:,.0f}/s"


def _absent(each: Comparison, peer: str) -> str:
    return "**failed**" if peer in each.failed else ""


def _ratio(each: Comparison, peer: str, bar: float | None, *, spread: bool = False) -> str:
    if peer not in each.samples or "tidegate" not in each.samples:
        return ""
    ratios = each.ratios(peer)
    middle = median(ratios)
    text = f"{middle:.2f}" if bar is None or middle >= bar else f"**{middle:.2f}**"
    if spread and len(ratios) > 1:
        text += f" ({min(ratios):.2f} to {max(ratios):.2f})"
    return text


def _p99(each: Comparison, samples: list[Sample]) -> str:
    if min(sample.outcome.requests for sample in samples) < 100:
        return "-"  # too few to speak of one in a hundred
    return f"{1000 * median(sample.outcome.p99 for sample in samples):.1f}"


def _cost(each: Comparison, samples: list[Sample]) -> str:
    """Seconds of processor time per GB, or milliseconds per request."""
    costs = []
    for sample in samples:
        moved = sample.outcome.received + sample.outcome.sent
        work = moved / 1e9 if each.row.counts_bytes else sample.outcome.requests / 1e3
        costs.append(sample.server_seconds / work if work else 0.0)
    cost = median(costs)
    return f"{cost:.2f}" if cost >= 0.1 else f"{cost:.3f}"


def _of_peers(each: Comparison, cell: object, peers: tuple[str, ...]) -> str:
    assert callable(cell)
    texts = [str(cell(each, each.samples[peer])) for peer in peers if peer in each.samples]
    unit = ""
    if cell is _cost:
        unit = " s/GB" if each.row.counts_bytes else " ms"
    return " / ".join(texts) + unit


def cipher_suites(comparisons: Sequence[Comparison]) -> str:
    """What each server agreed on with a client that offers as Go's clients do."""
    agreed = {
        f"{peer}: {sample.outcome.cipher}"
        for each in comparisons
        for peer, samples in each.samples.items()
        for sample in samples
        if sample.outcome.cipher
    }
    return f"TLS: {'; '.join(sorted(agreed))}" if agreed else ""


def figure_table(figures: Sequence[Figure]) -> str:
    """What is no rate."""
    lines = ["| figure | tidegate | bar | met | registry |", "|---|---:|---:|---|---:|"]
    words = {True: "yes", False: "**no**", None: ""}
    for figure in figures:
        cells = (figure.name, figure.value, figure.bar, words[figure.met], figure.beside)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def machine(directory: Path, versions: Sequence[str], command: str, load: float) -> str:
    """Where, when and with what: without it no figure means anything. `load` is from before."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    model = found[1].strip() if found else platform.machine()
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"""\
- command: `{command}`
- date: {dt.datetime.now(dt.UTC):%Y-%m-%d}, commit: {_commit()}
- machine: {model}, {os.cpu_count()} cores shared by clients and servers, {gigabytes:.0f} GB of \
memory, load average {load:.1f} before the run
- system: {system}, data on {_file_system(directory)}
- servers: {"; ".join(versions)}"""


def save(path: Path, place: str, text: str) -> None:
    """Put the text between the two comments of a page that name the place."""
    opening, closing = f"<!-- {place}: begin -->", f"<!-- {place}: end -->"
    before, begin, rest = path.read_text("utf-8").partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"{path} has no place for this: {opening} … {closing}")
    path.write_text(f"{before}{opening}\n\n{text}\n\n{closing}{after}", "utf-8")


def _commit() -> str:
    project = Path(__file__).resolve().parents[2]
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "none"


def _file_system(directory: Path) -> str:
    said = subprocess.run(
        ["df", "--output=fstype", str(directory)], capture_output=True, text=True, check=False
    )
    return said.stdout.split()[-1] if said.stdout.split() else "an unknown file system"
