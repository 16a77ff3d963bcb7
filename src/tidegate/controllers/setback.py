"""What a loop says of a turn that failed: a line while the database cannot serve, else all of it.

A database that is away, full or overloaded fails every turn of every loop, as often as they try;
a traceback of each would bury the one line that says why. Knows no loop.
"""

import logging

from tidegate.metastore.errors import OUTAGES


def log_setback(log: logging.Logger, what: str, error: Exception) -> None:
    """Log that `what` failed; it is tried again at the next turn."""
    cause = None if isinstance(error, (*OUTAGES, TimeoutError)) else error
    level = logging.ERROR if cause else logging.WARNING
    said = str(error) or "it took too long"
    log.log(level, "%s failed, will try again: %s", what, said, exc_info=cause)
