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

    async def load(self, store: ObjectStore) -> None:
        """Read all of them."""
        self._policies, self._approvals = {}, {}
        for resource in RESOURCES:
            for document in (await store.list(resource)).documents:
                self.put(document.key, document.body)

    def put(self, key: Key, body: bytes | None) -> None:
        """Know one as it is now; None for one that is gone."""
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
