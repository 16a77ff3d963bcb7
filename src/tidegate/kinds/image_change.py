"""ImageChange: what a workload is to run and does not, and why; written by the server alone.

There is one of a workload as long as something is held back or only reported, so that a list of
them is what a project waits for.
"""

from typing import Annotated

from msgspec import field

from tidegate.apimachinery.meta import Object, Time, Wire, doc
from tidegate.apimachinery.resource import Column, Resource

WAITING, PROPOSED, REFUSED = "Waiting", "Proposed", "Refused"


class ChangedWorkload(Wire):
    """The workload, in this namespace."""

    api_version: Annotated[str, doc("API version of the workload.")] = ""
    kind: Annotated[str, doc("Kind of the workload.")] = ""
    name: Annotated[str, doc("Name of the workload.")] = ""
    uid: Annotated[str, doc("UID of the workload.")] = ""


class ContainerChange(Wire):
    """What one container is to run."""

    container: Annotated[str, doc("Name of the container.")] = ""
    from_: Annotated[str, doc("The tag that it follows, PROJECT/STREAM:TAG.")] = field(
        name="from", default=""
    )
    running: Annotated[str, doc("The image that it has.")] = ""
    wanted: Annotated[str, doc("The image that it is to have.")] = ""


class ImageChangeStatus(Wire):
    """What is to change, and what it waits for."""

    workload: Annotated[ChangedWorkload, doc("The workload.", atomic=True)] = field(
        default_factory=ChangedWorkload
    )
    state: Annotated[
        str,
        doc(
            "Waiting: it will be changed. Proposed: it is for you to change, as `patch` says. "
            "Refused: it cannot be changed as it is."
        ),
    ] = ""
    reasons: Annotated[
        list[str], doc("What holds it, a word each, for programs.", list_type="atomic")
    ] = field(default_factory=list)
    message: Annotated[str, doc("What holds it, for people.")] = ""
    until: Annotated[Time, doc("When it is looked at again, if that is known.")] = ""
    changes: Annotated[list[ContainerChange], doc("The images.", list_type="atomic")] = field(
        default_factory=list
    )
    patch: Annotated[str, doc("A patch for `kubectl patch --patch-file`, as JSON.")] = ""
    kustomization: Annotated[str, doc("The same as `images:` of a kustomization.yaml.")] = ""
    reported: Annotated[str, doc("Of which images the webhook was told.")] = ""


class ImageChange(Object):
    """ImageChange says what a workload is to run and does not yet, and what it waits for.

    It is named KIND.NAME, after the workload, and gone once nothing is held back. The server
    writes it.
    """

    status: Annotated[ImageChangeStatus, doc("What is to change.")] = field(
        default_factory=ImageChangeStatus
    )


def _workload(change: ImageChange) -> str:
    return f"{change.status.workload.kind}/{change.status.workload.name}"


def _from(change: ImageChange) -> str:
    return ",".join(dict.fromkeys(each.from_ for each in change.status.changes))


IMAGE_CHANGES = Resource(
    group="tidegate.io",
    version="v1",
    kind="ImageChange",
    plural="imagechanges",
    type=ImageChange,
    namespaced=True,
    verbs=("get", "list", "watch"),
    columns=(
        Column("Workload", lambda each, _now: _workload(each), "What is to change."),
        Column("From", lambda each, _now: _from(each), "The tags that it follows."),
        Column("State", lambda each, _now: each.status.state, "Waiting, Proposed or Refused."),
        Column("Why", lambda each, _now: each.status.message, "What holds it."),
        Column(
            "Wanted",
            lambda each, _now: ",".join(one.wanted for one in each.status.changes),
            "The images that it is to have.",
            priority=1,
        ),
    ),
)
