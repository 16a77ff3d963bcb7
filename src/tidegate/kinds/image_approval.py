"""ImageApproval: that somebody wants the workloads of a project to run an image.

Who made it is noted by the server and cannot be said by the client; it is never changed, only
deleted. The right to approve is the right to create one.
"""

from collections.abc import Sequence
from typing import Annotated, cast

from msgspec import field

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy
from tidegate.apimachinery.storage import (
    Call,
    Deleted,
    DeleteOptions,
    ListOptions,
    Page,
    Watch,
    WatchOptions,
)
from tidegate.apimachinery.store import ObjectStore
from tidegate.kinds.automaton import PatternInvalid
from tidegate.kinds.pattern import glob_of
from tidegate.kinds.trigger_policy import ENTRIES
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid

APPROVALS = 1000
"""ImageApprovals of one project."""

_REASON = 1024


class ImageApprovalSpec(Wire):
    """Which image may run, and where."""

    image: Annotated[str, doc("Digest of the image: sha256:…, as the tag names it.")] = ""
    workloads: Annotated[
        list[str],
        doc("Globs of names of workloads that may run it; none is all.", list_type="set"),
    ] = field(default_factory=list)
    reason: Annotated[str, doc("Why, for people.")] = ""


class ImageApprovalStatus(Wire):
    """What the server noted."""

    approved_by: Annotated[str, doc("User who made this.")] = ""


class ImageApproval(Object):
    """ImageApproval says that workloads of a project may run an image, where policies ask for it.

    It cannot be changed. Deleting it takes the approval back for what does not run yet.
    """

    spec: Annotated[ImageApprovalSpec, doc("What is approved.")] = field(
        default_factory=ImageApprovalSpec
    )
    status: Annotated[ImageApprovalStatus, doc("Who approved it.")] = field(
        default_factory=ImageApprovalStatus
    )


def _validate(new: ImageApproval, _old: ImageApproval | None) -> Sequence[FieldError]:
    spec, faults = new.spec, []
    if not spec.image:
        faults.append(required("spec.image"))
    else:
        try:
            Digest.parse(spec.image)
        except DigestInvalid as error:
            faults.append(invalid("spec.image", spec.image, str(error)))
    if len(spec.workloads) > ENTRIES:
        why = f"may not have more than {ENTRIES} entries"
        faults.append(invalid("spec.workloads", len(spec.workloads), why))
    for index, each in enumerate(spec.workloads[:ENTRIES]):
        try:
            glob_of(each)
        except PatternInvalid as error:
            faults.append(invalid(f"spec.workloads[{index}]", each, str(error)))
    if len(spec.reason) > _REASON:
        faults.append(invalid("spec.reason", "", f"can have at most {_REASON} characters"))
    return faults


IMAGE_APPROVALS = Resource(
    group="tidegate.io",
    version="v1",
    kind="ImageApproval",
    plural="imageapprovals",
    type=ImageApproval,
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "watch"),
    short_names=("approval",),
    columns=(
        Column("Image", lambda each, _now: each.spec.image, "Digest of the image."),
        Column(
            "Workloads",
            lambda each, _now: ",".join(each.spec.workloads) or "<all>",
            "Globs of the workloads that may run it.",
        ),
        Column("Approved By", lambda each, _now: each.status.approved_by, "Who made it."),
        Column("Reason", lambda each, _now: each.spec.reason, "Why.", priority=1),
    ),
    strategy=Strategy(validate=_validate),
)


class ApprovalStorage:
    """A `DocumentStorage` of approvals that notes who makes one."""

    def __init__(self, store: ObjectStore) -> None:
        self._stored = DocumentStorage(IMAGE_APPROVALS, store)

    async def create(self, call: Call, new: Object) -> bytes:
        """Make one in the name of the caller, whatever she said."""
        cast("ImageApproval", new).status = ImageApprovalStatus(approved_by=call.user.name)
        return await self._stored.create(call, new)

    async def get(self, call: Call, name: str) -> bytes:
        return await self._stored.get(call, name)

    async def list(self, call: Call, options: ListOptions) -> Page:
        return await self._stored.list(call, options)

    async def delete(self, call: Call, name: str, options: DeleteOptions) -> Deleted:
        return await self._stored.delete(call, name, options)

    async def delete_collection(
        self, call: Call, selected: ListOptions, options: DeleteOptions
    ) -> Page:
        return await self._stored.delete_collection(call, selected, options)

    async def watch(self, call: Call, options: WatchOptions) -> Watch:
        return await self._stored.watch(call, options)
