"""What the connections of one listening socket share: limits, threads, deadlines, the date."""

import asyncio
import logging
from concurrent.futures import Executor
from math import inf
from typing import Protocol

from tidegate.wire.limits import Limits
from tidegate.wire.response import render_fields

REFUSABLE = 128  # connections beyond the limit that are told so

logger = logging.getLogger("tidegate.wire")


class Perishable(Protocol):
    """An open connection, whose deadline (in loop time) a sweep looks at: setting one is free."""

    deadline: float

    def expire(self, now: float) -> None:
        """The deadline has passed."""


class Listener:
    """What the connections of one listening socket share: limits, threads, sweep, date."""

    def __init__(self, limits: Limits, threads: Executor) -> None:
        self.limits = limits
        self.threads = threads
        self.open: set[Perishable] = set()
        self._sweeping = False
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._preset = b""

    def preset(self, fields: list[tuple[bytes, bytes]]) -> bytes:
        """uvicorn's default header fields; it replaces the list once a second."""
        if fields is not self._fields:
            self._fields, self._preset = fields, render_fields(fields)
        return self._preset

    def add(self, connection: Perishable, loop: asyncio.AbstractEventLoop) -> None:
        self.open.add(connection)
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(self.limits.sweep_interval, self._sweep, loop)

    def full(self) -> bool:
        """More connections than allowed: the newest is told so."""
        return len(self.open) > self.limits.connections

    def crammed(self) -> bool:
        """Too many even for being told: the newest is dropped."""
        return len(self.open) > self.limits.connections + REFUSABLE

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [each for each in self.open if each.deadline <= now]:
            try:
                connection.expire(now)
            except Exception:
                logger.exception("a connection could not be ended")
                connection.deadline = inf
        self._sweeping = bool(self.open)
        if self._sweeping:
            loop.call_later(self.limits.sweep_interval, self._sweep, loop)
