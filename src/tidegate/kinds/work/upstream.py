"""Upstream: another registry as the server knows it, with what waits to be asked of it.

Cluster scoped and read only. One object for each account that is used there, named HOST, or
ACCOUNT@HOST; what waits is counted with the one that has no account, as work waits by registry.
"""

from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.durations import epoch_seconds, human
from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.resource import Column, Resource
from tidegate.metastore import upstreams
from tidegate.metastore.job_queue import Lane
from tidegate.observability.timestamp import rfc3339_seconds


class UpstreamSpec(Wire):
    """Which registry it is."""

    host: Annotated[str, doc("The registry, as pull specs begin.")] = ""
    account: Annotated[str, doc("As whom it is asked; empty for nobody.")] = ""


class UpstreamStatus(Wire):
    """What is known of it."""

    limit: Annotated[
        int | None, doc("Requests that it allows in a period; absent before it says so.")
    ] = None
    period_seconds: Annotated[int | None, doc("That period.")] = None
    remaining: Annotated[int | None, doc("How many of those requests are left.")] = None
    waiting: Annotated[int, doc("Pieces of work that wait to ask it.")] = field(default_factory=int)
    oldest: Annotated[Time, doc("Since when the one waits that is next.")] = ""
    closed_until: Annotated[
        Time, doc("It is not asked before, as it refused more requests or failed too often.")
    ] = ""
    failures: Annotated[int, doc("Failures in a row.")] = 0
    error: Annotated[str, doc("What the last of them was.")] = ""


class Upstream(Object):
    """Upstream shows another registry: what it allows, what waits for it, and whether it works."""

    spec: Annotated[UpstreamSpec, doc("Which registry it is.")] = field(
        default_factory=UpstreamSpec
    )
    status: Annotated[UpstreamStatus, doc("What is known of it.")] = field(
        default_factory=UpstreamStatus
    )


def _limit(upstream: Upstream, _now: float) -> str:
    status = upstream.status
    if status.limit is None:
        return ""
    return f"{status.limit}/{human(status.period_seconds or 0)}"


def _oldest(upstream: Upstream, now: float) -> str:
    oldest = upstream.status.oldest
    return human(max(now - epoch_seconds(oldest), 0)) if oldest else ""


def _closed(upstream: Upstream, now: float) -> str:
    until = upstream.status.closed_until
    return f"for {human(max(epoch_seconds(until) - now, 0))}" if until else ""


UPSTREAMS: Resource[Upstream] = Resource(
    group="tidegate.io",
    version="v1",
    kind="Upstream",
    plural="upstreams",
    type=Upstream,
    namespaced=False,
    verbs=("get", "list"),
    age=False,
    columns=(
        Column("Limit", _limit, "Requests that it allows in a period."),
        Column(
            "Remaining",
            lambda each, _now: each.status.remaining,
            "How many of those are left.",
            type="integer",
        ),
        Column(
            "Waiting",
            lambda each, _now: each.status.waiting,
            "Pieces of work that wait to ask it.",
            type="integer",
        ),
        Column("Oldest", _oldest, "For how long the one waits that is next."),
        Column("Closed", _closed, "For how long it is not asked."),
        Column("Error", lambda each, _now: each.status.error, "What its last failure was."),
    ),
    fields={
        "spec.host": lambda each: each.spec.host,
        "spec.account": lambda each: each.spec.account,
    },
)


def object_name(host: str, account: str) -> str:
    """The name of the object; a slash has no place in one."""
    return f"{account.replace('/', '|')}@{host}" if account else host


def shown(known: upstreams.Upstream, lanes: list[Lane], revision: int, now: float) -> Upstream:
    """A registry as an object; `lanes` are those in which work waits for it."""
    budget, health = known.budget, known.health
    closed = max(budget.closed_until, health.left_until)
    made: Any = UPSTREAMS.type(api_version=UPSTREAMS.api_version, kind=UPSTREAMS.kind)
    upstream: Upstream = made
    upstream.metadata.name = object_name(known.host, known.account)
    upstream.metadata.resource_version = str(revision)
    upstream.spec = UpstreamSpec(known.host, known.account)
    limited = budget.allowance is not None
    upstream.status = UpstreamStatus(
        limit=budget.allowance,
        period_seconds=round(budget.period) if limited else None,
        remaining=int(budget.left(now)) if limited else None,
        waiting=sum(each.waiting for each in lanes),
        oldest=rfc3339_seconds(min(each.oldest for each in lanes)) if lanes else "",
        closed_until=rfc3339_seconds(closed) if closed > now else "",
        failures=health.failures,
        error=health.error,
    )
    return upstream
