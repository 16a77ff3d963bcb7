"""What a server costs: processor time and memory of a process and its descendants, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """Proportional set sizes in bytes: pages shared by forked workers are counted once."""

    total: int
    largest: int  # of the processes, the one that holds most
    processes: int


def tree(root: int) -> list[int]:
    """The process and all its descendants that live now."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        words = _stat(int(status.parent.name))
        if words:
            children.setdefault(int(words[1]), []).append(int(status.parent.name))
    found = [root]
    for process in found:  # grows while it is walked
        found.extend(children.get(process, ()))
    return found


def processor_seconds(root: int) -> float:
    """User and system time of the tree so far, ended and waited-for children included."""
    ticks = 0
    for process in tree(root):
        words = _stat(process)
        # proc(5): utime, stime, cutime, cstime are fields 14 to 17; ours start at field 3
        ticks += sum(int(word) for word in words[11:15])
    return ticks / _TICKS


def memory(root: int) -> Memory:
    """What the tree holds in memory now."""
    sizes = [_proportional(process) for process in tree(root)]
    return Memory(sum(sizes), max(sizes), len(sizes))


def _stat(process: int) -> list[str]:
    try:
        # "pid (name) state parent ...": the name may hold blanks and brackets
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended while we looked
        return []


def _proportional(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
