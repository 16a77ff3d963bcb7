"""A change as documents that people and programs apply themselves: a patch, and a kustomization."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.delivery.triggers.planning import Change
from tidegate.delivery.triggers.workload import Workload
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid


def patch(changes: Sequence[Change]) -> str:
    """A strategic merge patch that sets these images, by the names of their containers."""
    body: dict[str, Any] = {}
    for change in changes:
        if not change.container:
            continue
        *path, containers, _, image = change.pointer.split("/")[1:]
        place = body
        for member in path:
            place = place.setdefault(member, {})
        place.setdefault(containers, []).append({"name": change.container, image: change.wanted})
    return msgspec.json.encode(body).decode() if body else ""


def kustomization(changes: Sequence[Change]) -> str:
    """The `images:` of a kustomization.yaml; an image is told by the name that runs now."""
    lines: dict[str, list[str]] = {}
    for change in changes:
        running, wanted = _parts(change.running), _parts(change.wanted)
        if running is None or wanted is None:
            continue
        name = running.repository().exact()
        entry = [f"- name: {name}", f"  newName: {wanted.repository().exact()}"]
        entry.append(f"  digest: {wanted.id}" if wanted.id else f"  newTag: {wanted.tag}")
        lines.setdefault(name, entry)
    return "\n".join(["images:", *(line for entry in lines.values() for line in entry), ""])


def _parts(image: str) -> PullSpec | None:
    try:
        spec = PullSpec.parse(image)
    except PullSpecInvalid:
        return None
    return spec if spec.name else None


def notice(workload: Workload, changes: Sequence[Change]) -> Mapping[str, Any]:
    """What a webhook is told."""
    return {
        "type": "ImageChangeProposed",
        "workload": {
            "apiVersion": workload.api_version,
            "kind": workload.kind,
            "namespace": workload.namespace,
            "name": workload.name,
            "uid": workload.uid,
        },
        "changes": [
            {
                "container": each.container,
                "from": str(each.source),
                "running": each.running,
                "wanted": each.wanted,
                **({} if each.approved_by is None else {"approvedBy": each.approved_by}),
            }
            for each in changes
        ],
        "patch": patch(changes),
        "kustomization": kustomization(changes),
    }
