"""Which events a subscription is told of. Decisions on values."""

from collections.abc import Callable, Sequence

from tidegate.delivery.notifications.messages import happening
from tidegate.kinds.event_subscription import ClusterEventSubscriptionSpec, EventSubscriptionSpec
from tidegate.kinds.pattern import glob_of
from tidegate.metastore.outbox import Noted

Selects = Callable[[Noted], bool]


def selector(spec: EventSubscriptionSpec) -> Selects:
    """Whether an event is told; what selects nothing in particular selects all.

    A stream has no tag, so who selects tags is not told of streams.
    """
    wanted = frozenset(spec.events)
    is_stream, is_tag = _any_of(spec.streams), _any_of(spec.tags)
    is_project: Callable[[str], bool] = _all
    if isinstance(spec, ClusterEventSubscriptionSpec):
        is_project = _any_of(spec.projects)

    def selects(event: Noted) -> bool:
        stream = event.repository.partition("/")[2]
        return (
            (not wanted or happening(event) in wanted)
            and is_project(event.project)
            and is_stream(stream)
            and is_tag(event.tag)
        )

    return selects


def _any_of(globs: Sequence[str]) -> Callable[[str], bool]:
    patterns = [glob_of(each) for each in globs]
    if not patterns:
        return _all
    return lambda text: bool(text) and any(each.matches(text) for each in patterns)


def _all(_text: str) -> bool:
    return True
