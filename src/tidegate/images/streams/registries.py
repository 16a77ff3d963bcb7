"""Which registries a stream may refer to: what is written, held against the list for imports.

Decisions on values. What a stream refers to already stays allowed, whatever its tag or digest;
what is of this registry always is. Texts and places are the original's (image-api 4.1, 12).
"""

from collections.abc import Iterable, Iterator

from tidegate.apimachinery.errors import FieldError, forbidden
from tidegate.images.kinds.group import INSECURE_REPOSITORY
from tidegate.images.kinds.image_stream import ImageStream, TagReference
from tidegate.images.kinds.tag_reference import DOCKER_IMAGE
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

ANYWHERE = ImportPolicy()
"""Of who is held to no list."""


def is_insecure(annotations: dict[str, str]) -> bool:
    """Whether a stream is said to come from a registry without TLS."""
    return annotations.get(INSECURE_REPOSITORY) == "true"


def named(tag: TagReference | None) -> str:
    """The pull spec that a tag comes from; empty when it comes from none."""
    if tag is None or tag.from_ is None or tag.from_.kind != DOCKER_IMAGE:
        return ""
    return tag.from_.name


def references(stream: ImageStream) -> Iterator[str]:
    """Every pull spec in a stream, wanted or of the past."""
    if stream.spec.docker_image_repository:
        yield stream.spec.docker_image_repository
    yield from filter(None, map(named, stream.spec.tags))
    for history in stream.status.tags:
        for event in history.items:
            yield event.docker_image_reference


def fault(policy: ImportPolicy, reference: str, *, insecure: bool) -> str:
    """Why a stream may not refer to a pull spec; empty when it may, or when it is none."""
    try:
        return policy.fault_of(PullSpec.parse(reference), insecure=insecure)
    except PullSpecInvalid:
        return ""  # said elsewhere


def spec_faults(
    changed: Iterable[TagReference], new: ImageStream, policy: ImportPolicy
) -> list[FieldError]:
    """What is wanted from registries that are not allowed, as far as tags changed."""
    if not policy.restricted:
        return []
    annotated = is_insecure(new.metadata.annotations)
    faults = []
    repository = new.spec.docker_image_repository
    if repository and (why := fault(policy, repository, insecure=annotated)):
        faults.append(forbidden("spec.dockerImageRepository", why))
    for spec in changed:
        insecure = annotated or spec.import_policy.insecure
        if (source := named(spec)) and (why := fault(policy, source, insecure=insecure)):
            faults.append(forbidden(f"spec.tags[{spec.name}].from.name", why))
    return faults


def status_faults(
    new: ImageStream, old: ImageStream, policy: ImportPolicy, hosts: Hosts
) -> list[FieldError]:
    """Which events of a status are new, and of registries that are not allowed."""
    if not policy.restricted:
        return []
    annotated = is_insecure(new.metadata.annotations)
    insecure = {each.name: each.import_policy.insecure for each in new.spec.tags}
    known = set(_events(old))
    faults = []
    for history in new.status.tags:
        loose = annotated or insecure.get(history.tag, False)
        for number, event in enumerate(history.items):
            reference = event.docker_image_reference
            if reference in known or hosts.stored(reference).startswith("/"):
                continue
            if why := fault(policy, reference, insecure=loose):
                path = f"status.tags[{history.tag}].items[{number}].dockerImageReference"
                faults.append(forbidden(path, why))
    return faults


def _events(stream: ImageStream) -> Iterable[str]:
    return (each.docker_image_reference for tag in stream.status.tags for each in tag.items)
