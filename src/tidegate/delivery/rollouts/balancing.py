"""Looks at the object that splits a rollout's traffic, and writes what its status says is to be.

Decisions are in `traffic`: only weights that are in the committed status are written, and only to
an object that is as this rollout left it.
"""

import asyncio
from dataclasses import replace

from tidegate.delivery.rollouts.routes import Routes
from tidegate.delivery.rollouts.splits import Split, split_of
from tidegate.delivery.rollouts.traffic import Balance, edit_of, object_at, services_at
from tidegate.delivery.triggers.targets import Overtaken, TargetRefused, TargetUnavailable
from tidegate.kinds.rollout import Rollout, RolloutStatus
from tidegate.kinds.rollout_traffic import TrafficStatus, shown_weights

PATIENCE = 5.0
"""Seconds for a look or a write: a cluster that hangs keeps no tag from going back."""


async def balanced(routes: Routes, rollout: Rollout, *, reports: bool) -> Balance:
    """What there is of the object, which gets its weights first if it is to."""
    found = object_at(rollout)
    if found is None:
        return Balance(reports=reports)
    metadata, split = rollout.metadata, None
    try:
        async with asyncio.timeout(PATIENCE):
            body = await routes.read(metadata.namespace, *found)
        split = split_of(*found, body, metadata.name, services_at(rollout))
        traffic = rollout.status.traffic
        if traffic is not None and not reports and _is_to_be_written(rollout, traffic, split):
            async with asyncio.timeout(PATIENCE):
                await routes.write(metadata.namespace, split, traffic.weights)
            split = replace(split, rules=traffic.weights)
    except Overtaken:
        return Balance(reports=reports, trouble="it changed meanwhile")
    except TargetRefused as error:
        return Balance(split, str(error), denied=True, reports=reports)
    except (TargetUnavailable, TimeoutError):  # which name the cluster's address
        return Balance(split, "the cluster does not answer", reports=reports)
    return Balance(split, reports=reports)


def _is_to_be_written(rollout: Rollout, traffic: TrafficStatus, split: Split) -> bool:
    if traffic.written or traffic.reported or edit_of(rollout, split):
        return False
    return list(split.rules) != traffic.weights


def news(rollout: Rollout, after: RolloutStatus, balance: Balance) -> str:
    """What the audit log is to say of traffic; "" for nothing."""
    old, new = rollout.status.traffic, after.traffic
    if old is not None and new is None:
        what = f"{old.kind} {old.name}"
        if balance.split is not None and list(balance.split.rules) == old.original:
            return f"{what} has its own weights again"
        why = edit_of(rollout, balance.split) or balance.trouble or "a policy leaves it to somebody"
        return f"{what} is left as it is: {why}"
    if new is None or (old is not None and old.weights == new.weights):
        return ""
    what = f"{new.kind} {new.name}"
    shown = shown_weights(new.weights)
    if new.reported:
        return f"{what} is to have {shown}, which a policy leaves to somebody"
    return f"{what} {'gets back' if new.returns else 'gets'} {shown}"
