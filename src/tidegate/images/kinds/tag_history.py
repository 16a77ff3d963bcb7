"""TagHistory, TagRollback and TagUndelete: a tag's whole past, and how to go back in it.

These are tidegate's own, beside what OpenShift has: its status of a stream is the part of the
history that the stream shows, this is all of it, with who did what.
"""

from typing import Annotated

from msgspec import field

from tidegate.apimachinery.meta import Object, ObjectMeta, Time, Wire, doc

PUSH, TAG, IMPORT, ROLLBACK, DELETE, UNDELETE = HOWS = (
    "push",
    "tag",
    "import",
    "rollback",
    "delete",
    "undelete",
)
"""How a tag came to point to something, or to nothing."""


class TagHistoryMeta(ObjectMeta):
    """Metadata of a page of a tag's history."""

    continue_: Annotated[
        str, doc("Ask with this for the page after this one; empty on the last page.")
    ] = field(name="continue", default="")
    remaining_item_count: Annotated[
        int | None, doc("How many events come after this page, where that is known.")
    ] = None


class TagHistoryEvent(Wire):
    """One change of a tag."""

    number: Annotated[int, doc("Number of the event in its tag's history, from 1.")]
    created: Annotated[Time, doc("When it happened.")] = ""
    docker_image_reference: Annotated[
        str, doc("The pull spec that the tag pointed to from then on.")
    ] = ""
    image: Annotated[str, doc("The name of the Image.")] = ""
    generation: Annotated[int, doc("The generation of the tag that led to this.")] = 0
    how: Annotated[
        str, doc("How it happened: push, tag, import, rollback, delete or undelete.")
    ] = ""
    who: Annotated[str, doc("The user who did it.")] = ""
    hidden: Annotated[bool, doc("Whether the status of the stream no longer shows it.")] = field(
        default_factory=bool
    )
    from_: Annotated[str, doc("What it was copied or imported from.")] = field(
        name="from", default=""
    )


class TagHistory(Object, kw_only=True):
    """TagHistory shows every change of a tag that was ever made, the newest first."""

    metadata: Annotated[TagHistoryMeta, doc("Which tag it is, and which page.")] = field(
        default_factory=TagHistoryMeta
    )
    items: Annotated[list[TagHistoryEvent], doc("The changes, the newest first.")]


class TagRollbackTarget(Wire):
    """Names an event of a tag's history: give one of the three."""

    number: Annotated[int | None, doc("Number of the event.")] = None
    image: Annotated[str, doc("Name of an image that the tag pointed to, or how it begins.")] = ""
    time: Annotated[Time, doc("A moment: what the tag pointed to then.")] = ""


class TagRollback(Object):
    """TagRollback points a tag to what it pointed to before; the answer is its ImageStreamTag."""

    to: Annotated[TagRollbackTarget, doc("The event to go back to.")] = field(
        default_factory=TagRollbackTarget
    )


class TagUndelete(Object):
    """TagUndelete brings back a deleted tag as it was; the answer is its ImageStreamTag."""
