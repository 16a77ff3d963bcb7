"""A pace that all processes keep together: so much in a minute, whoever does it.

`free_at` is when the next one may begin if each had its place in time; what was not used for a
while is kept for a burst of some.
"""

from tidegate.metastore.database import Transaction


def step(tx: Transaction, name: str, now: float, spacing: float, burst: int) -> float:
    """Take the next turn at one in `spacing` seconds; where there is none, seconds to wait.

    Of turns that nobody took `burst` may be taken at once. With more than 0 none is taken.
    """
    rows = tx.fetch("SELECT free_at FROM paces WHERE name = ?", (name,))
    free = max(rows[0][0] if rows else 0.0, now - spacing * (burst - 1))
    if free > now:
        # a clock that was set back must not stop everything until it has caught up
        return float(min(free - now, spacing))
    tx.execute(
        "INSERT INTO paces (name, free_at) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET free_at = excluded.free_at",
        (name, free + spacing),
    )
    return 0.0
