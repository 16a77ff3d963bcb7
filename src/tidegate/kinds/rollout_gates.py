"""The gates of a Rollout: what has to be good before its next step.

Only the declaration and what makes one valid; `delivery.rollouts` looks at them.
"""

from collections.abc import Sequence
from typing import Annotated

from tidegate.apimachinery.errors import FieldError, invalid, not_supported, required
from tidegate.apimachinery.meta import Wire, doc
from tidegate.kinds.durations import DurationInvalid, seconds_of
from tidegate.kinds.urls import url_faults

SUCCESS, FAILURE = "Success", "Failure"
GATES = 8
COUNTS = 1000
QUERY_LIMIT = 4096
LONGEST = 30 * 86400
SHORTEST_INTERVAL = 1

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class HttpGate(Wire):
    """A URL that has to answer well."""

    url: Annotated[str, doc("http or https URL that is asked with GET.")]
    status: Annotated[int, doc("The status that is good; any of 200 to 299 by default.")] = 0


class PrometheusGate(Wire):
    """A query whose value has to be in bounds."""

    url: Annotated[str, doc("URL of Prometheus, without /api/v1.")]
    query: Annotated[str, doc("The query: its value is that of its first sample.")]
    condition: Annotated[str, doc("What the value has to be: `< 0.01`, with <, <=, >, >=, ==, !=.")]
    no_data: Annotated[
        str, doc("What it counts as when there is no sample: Failure (the default) or Success.")
    ] = ""


class RolloutStatusGate(Wire):
    """The workloads of the step have to be rolled out, as `kubectl rollout status` says."""


class RolloutGate(Wire):
    """What has to be good for the next step; one of httpGet, prometheus and rolloutStatus."""

    name: Annotated[str, doc("What the status calls it.")]
    http_get: Annotated[HttpGate | None, doc("A URL that has to answer well.")] = None
    prometheus: Annotated[PrometheusGate | None, doc("A query.")] = None
    rollout_status: Annotated[
        RolloutStatusGate | None,
        doc("The state of the workloads, which takes something that runs them: a cluster."),
    ] = None
    interval: Annotated[str, doc("Between two looks: 10s by default.")] = ""
    initial_delay: Annotated[
        str, doc("Until the first look, once the workloads of the step have the image.")
    ] = ""
    successes: Annotated[int, doc("Good looks in a row that it takes: 1 by default.")] = 0
    failures: Annotated[
        int, doc("Bad looks in the whole step that are too many: 3 by default.")
    ] = 0


def fill_in(gate: RolloutGate) -> None:
    """What is not said is as the fields say."""
    gate.interval = gate.interval or "10s"
    gate.successes = gate.successes or 1
    gate.failures = gate.failures or 3
    if gate.prometheus is not None:
        gate.prometheus.no_data = gate.prometheus.no_data or FAILURE


def gates_faults(path: str, gates: Sequence[RolloutGate]) -> list[FieldError]:
    """What is wrong with the gates of a step, or of all."""
    faults = []
    if len(gates) > GATES:
        faults.append(too_many(path, len(gates), GATES))
    if len({each.name for each in gates}) < len(gates):
        faults.append(invalid(path, len(gates), "two gates have the same name"))
    for index, gate in enumerate(gates[:GATES]):
        faults += _gate_faults(f"{path}[{index}]", gate)
    return faults


def _gate_faults(path: str, gate: RolloutGate) -> list[FieldError]:
    faults = [] if gate.name else [required(f"{path}.name")]
    kinds = [each for each in (gate.http_get, gate.prometheus, gate.rollout_status) if each]
    if len(kinds) != 1:
        why = "must have one of httpGet, prometheus and rolloutStatus"
        faults.append(invalid(path, gate.name, why))
    faults += duration_faults(f"{path}.interval", gate.interval, SHORTEST_INTERVAL)
    if gate.initial_delay:
        faults += duration_faults(f"{path}.initialDelay", gate.initial_delay)
    for name, count in (("successes", gate.successes), ("failures", gate.failures)):
        if not 1 <= count <= COUNTS:
            faults.append(invalid(f"{path}.{name}", count, f"must be between 1 and {COUNTS}"))
    if gate.http_get is not None:
        faults += url_faults(f"{path}.httpGet.url", gate.http_get.url)
        status = gate.http_get.status
        if status and not 200 <= status < 600:
            faults.append(invalid(f"{path}.httpGet.status", status, "must be a status"))
    if gate.prometheus is not None:
        faults += _prometheus_faults(f"{path}.prometheus", gate.prometheus)
    return faults


def _prometheus_faults(path: str, gate: PrometheusGate) -> list[FieldError]:
    faults = url_faults(f"{path}.url", gate.url)
    if not 0 < len(gate.query) <= QUERY_LIMIT:
        why = f"must have up to {QUERY_LIMIT} characters"
        faults.append(invalid(f"{path}.query", gate.query[:100], why))
    if condition_of(gate.condition) is None:
        why = "must be a comparison with a number, such as `< 0.01`"
        faults.append(invalid(f"{path}.condition", gate.condition, why))
    if gate.no_data not in (SUCCESS, FAILURE):
        faults.append(not_supported(f"{path}.noData", gate.no_data, (SUCCESS, FAILURE)))
    return faults


def condition_of(text: str) -> tuple[str, float] | None:
    """A comparison and a number; None for text that is none."""
    stripped = text.strip()
    sign = stripped.rstrip("0123456789.eE+-_ \t")
    number = stripped[len(sign) :].strip()
    if sign not in COMPARISONS or "_" in number:
        return None
    try:
        return sign, float(number)
    except ValueError:
        return None


def duration_faults(path: str, text: str, least: int = 0) -> list[FieldError]:
    """What is wrong with a duration; `least` in seconds."""
    try:
        seconds = seconds_of(text)
    except DurationInvalid as error:
        return [invalid(path, text, str(error))]
    if not least <= seconds <= LONGEST:
        return [invalid(path, text, f"must be between {least}s and 30d")]
    return []


def too_many(path: str, count: int, most: int) -> FieldError:
    """That a list is too long."""
    return invalid(path, count, f"may not have more than {most} entries")
