"""The TriggerPolicies and ImageApprovals of all projects, as values, kept as they change."""

import logging
from collections.abc import Mapping, Sequence

from tidegate.apimachinery.store import Document, Key, ObjectStore
from tidegate.auth.stored import read
from tidegate.delivery.triggers.policies import Approval, Policy
from tidegate.delivery.triggers.workload import Workload
from tidegate.kinds.image_approval import IMAGE_APPROVALS
from tidegate.kinds.trigger_policy import TRIGGER_POLICIES

_LOG = logging.getLogger(__name__)

RESOURCES = (TRIGGER_POLICIES.key, IMAGE_APPROVALS.key)


class Rules:
    """What projects say about their workloads."""

    def __init__(self) -> None:
        self._policies: dict[str, dict[str, Policy]] = {}
        self._approvals: dict[str, dict[str, Approval]] = {}
        self._changed: set[Key] | None = None

    async def load(self, store: ObjectStore) -> None:
        """Read all of them; what was known counts until then, and what is told meanwhile more."""
        self._changed = set()
        read = [each for one in RESOURCES for each in (await store.list(one)).documents]
        told, self._changed = self._changed, None
        there = {each.key: each.body for each in read if each.key not in told}
        for key in self._known() - there.keys() - told:
            self.put(key, None)
        for key, body in there.items():
            self.put(key, body)

    def _known(self) -> set[Key]:
        found = set()
        for project, policies in self._policies.items():
            found |= {Key(TRIGGER_POLICIES.key, project, name) for name in policies}
        for project, approvals in self._approvals.items():
            found |= {Key(IMAGE_APPROVALS.key, project, name) for name in approvals}
        return found

    def put(self, key: Key, body: bytes | None) -> None:
        """Know one as it is now; None for one that is gone."""
        if self._changed is not None:
            self._changed.add(key)
        kept: dict[str, dict[str, object]] = (
            self._policies if key.resource == TRIGGER_POLICIES.key else self._approvals  # type: ignore[assignment]
        )
        of_project = kept.setdefault(key.namespace, {})
        of_project.pop(key.name, None)
        if body is not None:
            of_project[key.name] = _value(key, body)
        if not of_project:
            del kept[key.namespace]

    def policies(self, workload: Workload) -> Sequence[Policy]:
        """Those that a workload has to heed, in the order of their names."""
        of_project = self._policies.get(workload.namespace, {})
        return [each for _, each in sorted(of_project.items()) if each.covers(workload)]

    def approvals(self, workload: Workload) -> Mapping[str, str]:
        """Who approved which image for a workload."""
        of_project = self._approvals.get(workload.namespace, {})
        return {each.image: each.by for each in of_project.values() if each.covers(workload)}


def _value(key: Key, body: bytes) -> Policy | Approval:
    document = Document(key, "", 0, body)
    if key.resource == IMAGE_APPROVALS.key:
        return Approval.of(read(IMAGE_APPROVALS, document))
    try:
        return Policy.of(read(TRIGGER_POLICIES, document))
    except ValueError as error:  # a time zone that this machine does not know, say
        _LOG.error("TriggerPolicy %s/%s pauses: %s", key.namespace, key.name, error)
        return Policy(name=key.name, paused=True)
