"""What is exchanged beside objects: a Status, and the options of a delete.

These are their wire types, for the documents that describe them and for bodies that are read as
protobuf; what a Status says is decided in `errors.py`.
"""

from typing import Annotated

from msgspec import field

from tidegate.apimachinery.meta import ListMeta, Wire, doc


class StatusCause(Wire):
    """One of the causes of a failure."""

    reason: Annotated[str, doc("Machine-readable kind of the cause.")] = ""
    message: Annotated[str, doc("The cause, for people.")] = ""
    where: Annotated[str, doc("The field that caused it, as in spec.tags[0].name.")] = field(
        name="field", default=""
    )


class StatusDetails(Wire):
    """More about a failure or a success."""

    name: Annotated[str, doc("Name of the object that it is about.")] = ""
    group: Annotated[str, doc("Group of that object.")] = ""
    kind: Annotated[str, doc("Its resource, or its kind where the object itself is invalid.")] = ""
    uid: Annotated[str, doc("UID of that object.")] = ""
    causes: Annotated[list[StatusCause], doc("The causes of a failure.", list_type="atomic")] = (
        field(default_factory=list)
    )
    retry_after_seconds: Annotated[
        int, doc("Seconds after which to try again.", format="int32")
    ] = 0


class Status(Wire):
    """Status is the answer to an operation that returns no object."""

    api_version: Annotated[str, doc("Always v1.")] = ""
    kind: Annotated[str, doc("Always Status.")] = ""
    metadata: Annotated[ListMeta, doc("Standard list metadata.")] = field(default_factory=ListMeta)
    status: Annotated[str, doc("Success or Failure.")] = ""
    message: Annotated[str, doc("What happened, for people.")] = ""
    reason: Annotated[str, doc("Why it failed, in one word for programs.")] = ""
    details: Annotated[StatusDetails | None, doc("More about it.", atomic=True)] = None
    code: Annotated[int, doc("The HTTP status code.", format="int32")] = 0


class Preconditions(Wire):
    """What must be true of an object before it is changed."""

    uid: Annotated[str | None, doc("The UID that it must have.")] = None
    resource_version: Annotated[str | None, doc("The version that it must be at.")] = None


class DeleteOptions(Wire):
    """DeleteOptions says how an object is to be deleted."""

    api_version: Annotated[str, doc("Version of these options.")] = ""
    kind: Annotated[str, doc("Always DeleteOptions.")] = ""
    grace_period_seconds: Annotated[
        int | None, doc("Seconds before the object is deleted; 0 deletes at once.")
    ] = None
    preconditions: Annotated[Preconditions | None, doc("What must hold, or the answer is 409.")] = (
        None
    )
    orphan_dependents: Annotated[bool | None, doc("Deprecated: use propagationPolicy.")] = None
    propagation_policy: Annotated[
        str | None, doc("What becomes of dependents: Orphan, Background or Foreground.")
    ] = None
    dry_run: Annotated[
        list[str], doc("All: go through every stage but store nothing.", list_type="atomic")
    ] = field(default_factory=list)
