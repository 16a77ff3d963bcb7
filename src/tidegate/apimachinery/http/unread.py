"""What answers hold in memory until their readers have taken it, bounded for each user and all.

A client that asks for large lists and reads none of them costs nothing but a connection; here it
would cost the lists, until it is given up for stalling. Knows no transport: who holds something
lets go of it when it has been written. Small answers are not counted: connections are bounded.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tidegate.apimachinery.errors import TooManyRequests

LARGE = 256 * 1024
"""Bytes from which an answer counts; what is written of one at a time."""

OF_ONE, OF_ALL = 64 * 1024 * 1024, 256 * 1024 * 1024
"""Bytes that one user's answers may hold, and all answers of a process: twice the memory of an idle
process. Somebody's only answer may be larger than her share."""


class Unread:
    """The bytes held by the answers of a process."""

    def __init__(self, of_one: int = OF_ONE, of_all: int = OF_ALL) -> None:
        self._of_one = of_one
        self._of_all = of_all
        self._held: Counter[str] = Counter()
        self._all = 0

    def check(self, user: str, size: int) -> None:
        """`TooManyRequests` when the user's answers would hold too much with this one."""
        held = self._held.get(user, 0)
        if held and (held + size > self._of_one or self._all + size > self._of_all):
            raise TooManyRequests(
                "too many large answers have not been read yet, please try again later",
                retry_after=1,
            )

    @contextmanager
    def held(self, user: str, size: int) -> Iterator[None]:
        """Count so many bytes while they are written; raises as `check` does."""
        self.check(user, size)
        self._held[user] += size
        self._all += size
        try:
            yield
        finally:
            self._all -= size
            self._held[user] -= size
            if not self._held[user]:
                del self._held[user]
