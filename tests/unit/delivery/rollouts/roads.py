"""An HTTPRoute in memory, for tests: what splits traffic, and can go wrong."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.delivery.rollouts.splits import Split, operations
from tidegate.delivery.triggers.targets import Overtaken
from tidegate.kinds.rollout_traffic import ANNOTATION, TrafficRule


def http_route(*rules: dict[str, int], rollout: str = "web", uid: str = "u1") -> dict[str, Any]:
    """An HTTPRoute whose rules send to Services."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": "1",
            "annotations": {ANNOTATION: rollout},
        },
        "spec": {
            "rules": [
                {"backendRefs": [{"name": name, "weight": each} for name, each in rule.items()]}
                for rule in rules
            ]
        },
    }


@dataclass
class Road:
    """`Routes` of one object; `written` are the weights that were written, oldest first.

    `trouble` is raised by the next writes, `lost` by those whose write is made nevertheless.
    """

    route: dict[str, Any] | None = field(
        default_factory=lambda: http_route({"web": 100, "web-canary": 0})
    )
    trouble: Exception | None = None
    unreadable: Exception | None = None
    lost: BaseException | None = None
    written: list[list[dict[str, int]]] = field(default_factory=list)

    async def read(self, namespace: str, kind: str, name: str) -> bytes | None:
        assert (namespace, kind, name) == ("shop", "HTTPRoute", "web")
        if self.unreadable is not None:
            raise self.unreadable
        return None if self.route is None else json.dumps(self.route).encode()

    async def write(self, namespace: str, split: Split, rules: Sequence[TrafficRule]) -> None:
        if self.trouble is not None:
            raise self.trouble
        if self.route is None or split.version != self.route["metadata"]["resourceVersion"]:
            raise Overtaken
        for each in operations(split, rules):
            place: Any = self.route
            *path, last = str(each["path"]).split("/")[1:]
            for member in path:
                place = place[int(member)] if isinstance(place, list) else place[member]
            place[last] = each["value"]
        self.touch()
        self.written.append([each.weights for each in rules])
        if self.lost is not None:
            raise self.lost

    def touch(self) -> None:
        assert self.route is not None
        metadata = self.route["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)

    def edit(self, *rules: dict[str, int]) -> None:
        """What somebody else does."""
        assert self.route is not None
        self.route["spec"] = http_route(*rules)["spec"]
        self.touch()

    @property
    def weights(self) -> list[dict[str, int]]:
        assert self.route is not None
        return [
            {each["name"]: each["weight"] for each in rule["backendRefs"]}
            for rule in self.route["spec"]["rules"]
        ]
