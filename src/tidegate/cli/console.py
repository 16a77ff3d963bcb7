"""Printing tables: as wide as the terminal, or as their content where there is none."""

import sys

from rich.console import Console

_UNBOUNDED = 10_000


def console() -> Console:
    """Standard output; on a pipe nothing is cut or wrapped, so that lines can be searched."""
    return Console(
        soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else _UNBOUNDED
    )
