"""TagReference: what a tag of an image stream is to point to, and the rules for it.

The same shape is in the spec of a stream, in an ImageStreamTag and in an ImageTag.
"""

from typing import Annotated

from msgspec import field

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Wire, doc
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

DOCKER_IMAGE, STREAM_TAG, STREAM_IMAGE = "DockerImage", "ImageStreamTag", "ImageStreamImage"
"""Kinds that a tag may come from."""

SOURCE, LOCAL = "Source", "Local"
"""Reference policies: pull from where the image came from, or through this registry."""

LEGACY, PRESERVE_ORIGINAL = "Legacy", "PreserveOriginal"
"""Import modes: one image out of an index, or the index as it is."""


class TagImportPolicy(Wire):
    """How an image is imported."""

    insecure: Annotated[
        bool, doc("Whether the other registry may have bad certificates or none at all.")
    ] = False
    scheduled: Annotated[
        bool, doc("Whether the tag is looked at again and again, and follows what it finds.")
    ] = False
    import_mode: Annotated[
        str,
        doc("Legacy imports one image out of an index, PreserveOriginal the index as it is."),
    ] = ""


class TagReferencePolicy(Wire):
    """Where an image is pulled from."""

    type: Annotated[str, doc("Source: from where it came; Local: through this registry.")] = field(
        default_factory=str
    )


class TagReference(Wire):
    """Says what a tag is to point to."""

    name: Annotated[str, doc("Name of the tag.")]
    annotations: Annotated[
        dict[str, str], doc("Annotations of the tag, shown on its ImageStreamTag.")
    ] = field(default_factory=dict)
    from_: Annotated[
        ObjectReference | None,
        doc(
            "What the tag comes from: a DockerImage of any registry, an ImageStreamTag or an "
            "ImageStreamImage. A tag without it is fed by pushes."
        ),
    ] = field(name="from", default=None)
    reference: Annotated[
        bool, doc("Whether the tag only records the pull spec: nothing is imported.")
    ] = False
    generation: Annotated[
        int | None,
        doc("The stream's generation at which it last changed; writing 0 imports it again."),
    ] = None
    import_policy: Annotated[TagImportPolicy, doc("How the image is imported.")] = field(
        default_factory=TagImportPolicy
    )
    reference_policy: Annotated[TagReferencePolicy, doc("Where the image is pulled from.")] = field(
        default_factory=TagReferencePolicy
    )


def default_policies(
    import_policy: TagImportPolicy, reference_policy: TagReferencePolicy, mode: str = LEGACY
) -> None:
    """Fill in what was left empty; `mode` is the server's import mode."""
    import_policy.import_mode = import_policy.import_mode or mode
    reference_policy.type = reference_policy.type or SOURCE


def default_tag(tag: TagReference, mode: str = LEGACY, old: TagReference | None = None) -> None:
    """Fill in what a tag leaves empty; one that comes from where it did keeps its import mode."""
    if old is not None and old.from_ == tag.from_:
        mode = old.import_policy.import_mode or mode
    default_policies(tag.import_policy, tag.reference_policy, mode)


def tag_faults(tag: TagReference, path: str) -> list[FieldError]:
    """What is wrong with a tag, as far as the tag alone says, which is at `path`."""
    return [
        *(() if tag.from_ is None else _source_faults(tag, tag.from_, path)),
        *policy_faults(tag.import_policy, tag.reference_policy, path),
    ]


def _source_faults(tag: TagReference, source: ObjectReference, path: str) -> list[FieldError]:
    faults = [] if source.name else [required(f"{path}.from.name")]
    if source.kind == DOCKER_IMAGE:
        if source.name and (why := pull_spec_fault(source.name)):
            faults.append(invalid(f"{path}.from.name", source.name, why))
    elif source.kind in (STREAM_TAG, STREAM_IMAGE):
        if not source.name.isprintable():
            faults.append(invalid(f"{path}.from.name", source.name, "is no name of a tag or image"))
        if tag.import_policy.scheduled:
            why = "only tags pointing to Docker repositories may be scheduled for background import"
            faults.append(invalid(f"{path}.importPolicy.scheduled", value=True, detail=why))
    else:
        why = f"valid values are '{DOCKER_IMAGE}', '{STREAM_IMAGE}', '{STREAM_TAG}'"
        faults.append(required(f"{path}.from.kind", why))
    return faults


def policy_faults(
    import_policy: TagImportPolicy, reference_policy: TagReferencePolicy, path: str
) -> list[FieldError]:
    """What is wrong with the policies, whose parent is at `path`."""
    faults = []
    if reference_policy.type not in (SOURCE, LOCAL):
        why = f'valid values are "{SOURCE}", "{LOCAL}"'
        faults.append(invalid(f"{path}.referencePolicy.type", reference_policy.type, why))
    mode = import_policy.import_mode
    if mode not in ("", LEGACY, PRESERVE_ORIGINAL):
        why = f"invalid import mode, valid modes are '', '{LEGACY}', '{PRESERVE_ORIGINAL}'"
        faults.append(invalid(f"{path}.importPolicy.importMode", mode, why))
    return faults


def pull_spec_fault(text: str) -> str:
    """What is wrong with a pull spec, in the original's words; empty for a good one."""
    try:
        PullSpec.parse(text)
    except PullSpecInvalid as error:
        return str(error)
    return ""
