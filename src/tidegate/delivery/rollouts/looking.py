"""Looks at gates: a URL, a query, the state of workloads.

What is shown of an answer is a status or a number, never a part of it: a gate is no window into the
network of the server.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from tidegate.delivery.rollouts.facts import Look
from tidegate.delivery.rollouts.readiness import ready
from tidegate.delivery.triggers.targets import TargetUnavailable
from tidegate.delivery.triggers.workload import Workload, WorkloadKey
from tidegate.kinds.rollout_gates import (
    SUCCESS,
    HttpGate,
    PrometheusGate,
    RolloutGate,
    condition_of,
)
from tidegate.remote.errors import AddressRefused, RemoteError
from tidegate.remote.web import WebAnswer

ANSWER_LIMIT = 256 * 1024
PATIENCE = 5.0

Reads = Callable[[WorkloadKey], Awaitable[bytes | None]]


class Calls(Protocol):
    """What makes the calls: `remote.web.Web`."""

    async def request(
        self,
        method: str,
        url: str,
        headers: None = None,
        body: bytes = b"",
        *,
        limit: int,
        patience: float,
    ) -> WebAnswer: ...


class Looking:
    """Looks at gates, by calls of the server and by what `reads` the workloads."""

    def __init__(self, calls: Calls, reads: Reads) -> None:
        self._calls = calls
        self._reads = reads

    async def look(self, gate: RolloutGate, workloads: Sequence[Workload]) -> Look:
        """One look, at a gate of the step of these workloads; it raises nothing of the network."""
        try:
            if gate.http_get is not None:
                return await self._http(gate.http_get)
            if gate.prometheus is not None:
                return await self._prometheus(gate.prometheus)
            return await self._status(workloads)
        except AddressRefused:
            return Look(False, "the address is none that this server may call")
        except RemoteError as error:
            return Look(False, f"no answer ({type(error).__name__})")
        except TargetUnavailable:
            return Look(None, "the workloads cannot be read just now")

    async def _http(self, gate: HttpGate) -> Look:
        answer = await self._get(gate.url)
        good = answer.status == gate.status if gate.status else 200 <= answer.status < 300
        return Look(good, f"answered {answer.status}")

    async def _prometheus(self, gate: PrometheusGate) -> Look:
        query = urlencode({"query": gate.query})
        answer = await self._get(f"{gate.url.rstrip('/')}/api/v1/query?{query}")
        if answer.status != 200:
            return Look(False, f"the query was answered {answer.status}")
        value = sample(answer.body)
        if value is None or math.isnan(value):
            return Look(gate.no_data == SUCCESS, "there is no sample")
        return Look(holds(gate.condition, value), f"{value:g}, wanted {gate.condition.strip()}")

    async def _get(self, url: str) -> WebAnswer:
        return await self._calls.request("GET", url, limit=ANSWER_LIMIT, patience=PATIENCE)

    async def _status(self, workloads: Sequence[Workload]) -> Look:
        for workload in workloads:
            body = await self._reads(workload.key)
            found = Look(True, "") if body is None else ready(workload.kind, body)
            if found.good is not True:
                return Look(found.good, f"{workload.kind} {workload.name}: {found.message}")
        return Look(True, "rolled out")


def sample(body: bytes) -> float | None:
    """The value of a query's first sample, or of a scalar; None where there is none."""
    try:
        found: Any = msgspec.json.decode(body)["data"]
        result = found["result"]
        if found["resultType"] == "scalar":
            return float(result[1])
        return float(result[0]["value"][1]) if result else None
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return None


def holds(condition: str, value: float) -> bool:
    """Whether a value is as a condition says."""
    read = condition_of(condition)
    if read is None:
        return False
    sign, bound = read
    return {
        "<": value < bound,
        "<=": value <= bound,
        ">": value > bound,
        ">=": value >= bound,
        "==": value == bound,
        "!=": value != bound,
    }[sign]
