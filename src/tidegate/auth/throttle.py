"""How often a password may be guessed.

Failures are counted under three keys, each with its own patience:

    user and network   a person who mistypes, or a guesser who aims at one user
    network            a guesser who tries one password on many users
    user               many networks that guess one user's password together

Beyond its free failures a key admits one attempt at a time and waits longer after each failure. The
third only slows, and none of the shared two binds a user on a network where she logged in before:
so nobody can lock somebody else out by failing in her name from elsewhere. Attempts under way
count, so that guessing in parallel gains nothing. Memory is bounded; the counters are per process
and die with it, so N workers admit N times as much.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tidegate.auth.errors import Throttled

CAPACITY = 10_000
"""Keys kept of each sort, the longest untouched forgotten first: about 3 MB in all."""

FORGOTTEN_AFTER = 900.0
"""Seconds without an attempt after which failures count no more."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`free` failures cost nothing; then 1, 2, 4 ... seconds, up to `longest`."""

    free: int
    longest: float

    def delay(self, failures: int) -> float:
        return min(self.longest, 2.0 ** min(failures - self.free, 30))


PER_USER_AND_NETWORK = Patience(free=5, longest=60.0)
PER_NETWORK = Patience(free=50, longest=300.0)
"""Wide, because a company's clients share an address, and start together after an outage."""
PER_USER = Patience(free=20, longest=30.0)


class Throttle:
    """Admits or refuses attempts; `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._pairs = _Counts(PER_USER_AND_NETWORK, capacity)
        self._networks = _Counts(PER_NETWORK, capacity)
        self._users = _Counts(PER_USER, capacity)
        self._known: OrderedDict[str, None] = OrderedDict()  # pairs that logged in

    def enter(self, name: str, client: str) -> "Attempt":
        """Begin an attempt of `name` from the address `client`, or raise `Throttled`.

        An empty name is nobody's in particular: it counts for the network alone.
        """
        now = self._clock()
        network = network_of(client)
        pair = f"{network} {name}"
        shared = self._networks.of(network, now)
        is_known = pair in self._known
        if not is_known and (wait := shared.wait(now)) > 0:
            # Before anything is kept of the name: who is refused anyway must not push out, by
            # names that she makes up, what is counted of others.
            raise Throttled(wait, name)
        counted = [self._pairs.of(pair, now), shared]
        if name:
            counted.append(self._users.of(name, now))
        binding = counted[:1] if is_known else counted
        wait = max(count.wait(now) for count in binding)
        if wait > 0:
            raise Throttled(wait, name)
        for count in counted:
            count.pending += 1
        return Attempt(self, pair, counted)

    def settle(self, attempt: "Attempt", *, failed: bool) -> None:
        """Count the outcome of an attempt."""
        now = self._clock()
        for count in attempt.counted:
            count.pending -= 1
            if failed:
                count.failures += 1
                count.last = now
        if not failed:
            attempt.counted[0].failures = 0
            self._known[attempt.pair] = None
            self._known.move_to_end(attempt.pair)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)


class Attempt:
    """An attempt under way; exactly one of its methods is called, once."""

    __slots__ = ("_throttle", "counted", "pair")

    def __init__(self, throttle: Throttle, pair: str, counted: "list[_Count]") -> None:
        self._throttle = throttle
        self.pair = pair
        self.counted = counted

    def succeeded(self) -> None:
        self._throttle.settle(self, failed=False)

    def failed(self) -> None:
        self._throttle.settle(self, failed=True)

    def abandoned(self) -> None:
        """It was never tried."""
        for count in self.counted:
            count.pending -= 1


@lru_cache(maxsize=1024)
def network_of(client: str) -> str:
    """Whose failures count together: an IPv4 address, an IPv6 /64 (what one subscriber gets)."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client  # a Unix socket has no address
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(address), 64), strict=False))
        return str(address.ipv4_mapped)
    return str(address)


class _Count:
    __slots__ = ("_patience", "failures", "last", "pending")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.failures = 0
        self.pending = 0
        self.last = 0.0

    def wait(self, now: float) -> float:
        """Seconds until an attempt is admitted."""
        if self.failures + self.pending < self._patience.free:
            return 0.0
        if self.pending:
            return 1.0
        return self.last + self._patience.delay(self.failures) - now


class _Counts:
    def __init__(self, patience: Patience, capacity: int) -> None:
        self._patience = patience
        self._capacity = capacity
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def of(self, key: str, now: float) -> _Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(self._patience)
            if len(self._counts) > self._capacity:
                self._counts.popitem(last=False)
            return count
        self._counts.move_to_end(key)
        if now - count.last > FORGOTTEN_AFTER:
            count.failures = 0
        return count
