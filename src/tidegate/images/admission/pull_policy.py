"""When a node pulls an image: what is set where nothing was, and what a project insists on.

A cluster's API server sets its own default before it asks a webhook, from the tag as it was
written. So a value that is there is left, unless the project insists; a default is only set for
objects that come without one.
"""

from collections.abc import Mapping

from tidegate.images.admission.resolution import DEFAULT_TAG, read_pull_spec

ANNOTATION = "tidegate.io/image-pull-policy"
"""On a project: `Always`, or `ByReference`."""

ALWAYS, IF_NOT_PRESENT = "Always", "IfNotPresent"

BY_REFERENCE = "ByReference"
"""Always for `latest` or no tag, IfNotPresent for every other tag and for digests.

IfNotPresent for all is not among the values: where nodes are shared, it would run an image that
somebody else pulled without asking whether this project may.
"""


def insisted_on(annotations: Mapping[str, str]) -> tuple[str, str]:
    """What a project insists on, empty for nothing; and a warning when that cannot be read."""
    value = annotations.get(ANNOTATION, "")
    if value in ("", ALWAYS, BY_REFERENCE):
        return value, ""
    return "", f"the project's annotation {ANNOTATION} is ignored: write {ALWAYS} or {BY_REFERENCE}"


def by_reference(image: str) -> str:
    """The policy that a reference calls for; of one that cannot be read, the careful one."""
    spec = read_pull_spec(image)
    if spec is None or (not spec.id and spec.tag in ("", DEFAULT_TAG)):
        return ALWAYS
    return IF_NOT_PRESENT


def policy_for(image: str, present: str, insisted: str) -> str:
    """The policy that a container is to have."""
    if insisted == ALWAYS:
        return ALWAYS
    if insisted == BY_REFERENCE or not present:
        return by_reference(image)
    return present
