"""What one client may take from the server: bytes, seconds and connections.

Knows no protocol. Values only; `connection.py` and `head.py` apply them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one connection, and on how many there may be. Times are in seconds."""

    target_bytes: int = 16 * 1024
    """Request target (path and query); beyond it 414."""
    header_bytes: int = 64 * 1024
    """Request line and header fields together; beyond it 431."""
    header_fields: int = 128
    """Number of header fields; beyond it 431. Each costs about 200 bytes once parsed."""
    headers_timeout: float = 10.0
    """From a request's first byte, or a connection's start, to the end of the headers; then 408."""
    idle_timeout: float = 75.0
    """Between two requests of a connection."""
    stall_timeout: float = 60.0
    """Without a byte of the body arriving, or of the answer leaving."""
    linger_timeout: float = 5.0
    """After an early answer: how long what still comes is discarded, for the client to read it."""
    connections: int = 10_000
    """Open at once in one process and on one listener; beyond it 503."""

    @property
    def sweep_interval(self) -> float:
        """How often deadlines are looked at: a second is exact enough for the defaults."""
        return min(1.0, *(timeout / 4 for timeout in self._timeouts()))

    def _timeouts(self) -> tuple[float, ...]:
        return self.headers_timeout, self.idle_timeout, self.stall_timeout, self.linger_timeout
