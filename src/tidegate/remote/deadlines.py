"""How long anything may take, in seconds; a test has less time than a pull."""

from typing import NamedTuple

from tidegate.remote.budgets import Urgency


class Deadlines(NamedTuple):
    """What a server is given for each step, and somebody who waits for the whole."""

    connect: float = 5.0
    """For a name to resolve, a connection to be made, and TLS to be agreed on."""
    answer: float = 30.0
    """From the end of a request to the end of the answer's head, unless a call says otherwise."""
    stall: float = 30.0
    """Without a byte of a body, or with less than `http.calls.SLOWEST` bytes a second."""
    small: tuple[float, float, float] = (20.0, 45.0, 60.0)
    """For something small, repeats included, by urgency."""
    pause: float = 0.3
    """Before the second attempt, at most; twice as long before the next."""

    def patience(self, urgency: Urgency) -> float:
        """For something small, repeats included."""
        return self.small[urgency]


DEADLINES = Deadlines()
