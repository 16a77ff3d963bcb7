"""Mirror sets: where else the images of a registry may be had, and whether only there.

ImageDigestMirrorSet and ImageTagMirrorSet of config.openshift.io, for references by digest and by
tag, and their forerunner ImageContentSourcePolicy, for digests alone. Wire forms and rules are
OpenShift's. Several sets may name one source: how they are joined is in `mirror_order`.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from msgspec import field

from tidegate.apimachinery.errors import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
)
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.kinds.registries.image_config import GROUP, VERSION, shown
from tidegate.kinds.registries.scopes import location_fault, scope_fault

OPERATOR_GROUP, OPERATOR_VERSION = "operator.openshift.io", "v1alpha1"

NEVER, ALLOW = "NeverContactSource", "AllowContactingSource"


class ImageDigestMirrors(Wire):
    """A source, and its mirrors for references by digest."""

    source: Annotated[
        str,
        doc(
            "What references name: HOST[:PORT][/PATH], or *.DOMAIN for all hosts below a domain. "
            "Of several sources that match, the most specific counts."
        ),
    ] = field(default_factory=str)
    mirrors: Annotated[
        list[str],
        doc(
            "HOST[:PORT][/PATH] that stand for the source, tried in this order before it.",
            list_type="set",
        ),
    ] = field(default_factory=list)
    mirror_source_policy: Annotated[
        str,
        doc(
            "AllowContactingSource (the default) asks the source when no mirror has it, "
            "NeverContactSource does not."
        ),
    ] = ""


class ImageTagMirrors(Wire):
    """A source, and its mirrors for references by tag."""

    source: Annotated[
        str,
        doc(
            "What references name: HOST[:PORT][/PATH], or *.DOMAIN for all hosts below a domain. "
            "Of several sources that match, the most specific counts."
        ),
    ] = field(default_factory=str)
    mirrors: Annotated[
        list[str],
        doc(
            "HOST[:PORT][/PATH] that stand for the source, tried in this order before it.",
            list_type="set",
        ),
    ] = field(default_factory=list)
    mirror_source_policy: Annotated[
        str,
        doc(
            "AllowContactingSource (the default) asks the source when no mirror has it, "
            "NeverContactSource does not."
        ),
    ] = ""


class RepositoryDigestMirrors(Wire):
    """A source, and its mirrors for references by digest."""

    source: Annotated[str, doc("What references name: HOST[:PORT][/PATH].")] = field(
        default_factory=str
    )
    mirrors: Annotated[
        list[str],
        doc("HOST[:PORT][/PATH] that stand for the source, tried in this order before it."),
    ] = field(default_factory=list)


class ImageDigestMirrorSetSpec(Wire):
    """The mirrors."""

    image_digest_mirrors: Annotated[
        list[ImageDigestMirrors], doc("Sources with their mirrors.", list_type="atomic")
    ] = field(default_factory=list)


class ImageTagMirrorSetSpec(Wire):
    """The mirrors."""

    image_tag_mirrors: Annotated[
        list[ImageTagMirrors], doc("Sources with their mirrors.", list_type="atomic")
    ] = field(default_factory=list)


class ImageContentSourcePolicySpec(Wire):
    """The mirrors."""

    repository_digest_mirrors: Annotated[
        list[RepositoryDigestMirrors], doc("Sources with their mirrors.")
    ] = field(default_factory=list)


class ImageDigestMirrorSetStatus(Wire):
    """Nothing: manifests of other clusters bring it along."""


class ImageTagMirrorSetStatus(Wire):
    """Nothing: manifests of other clusters bring it along."""


class ImageDigestMirrorSet(Object):
    """ImageDigestMirrorSet says where images may be had that are referred to by digest."""

    spec: Annotated[ImageDigestMirrorSetSpec, doc("The mirrors.")] = field(
        default_factory=ImageDigestMirrorSetSpec
    )
    status: Annotated[ImageDigestMirrorSetStatus | None, doc("Nothing is said here.")] = None


class ImageTagMirrorSet(Object):
    """ImageTagMirrorSet says where images may be had that are referred to by tag."""

    spec: Annotated[ImageTagMirrorSetSpec, doc("The mirrors.")] = field(
        default_factory=ImageTagMirrorSetSpec
    )
    status: Annotated[ImageTagMirrorSetStatus | None, doc("Nothing is said here.")] = None


class ImageContentSourcePolicy(Object):
    """ImageContentSourcePolicy says where images may be had that are referred to by digest.

    ImageDigestMirrorSet took its place.
    """

    spec: Annotated[ImageContentSourcePolicySpec, doc("The mirrors.")] = field(
        default_factory=ImageContentSourcePolicySpec
    )


MirrorSet = ImageDigestMirrorSet | ImageTagMirrorSet | ImageContentSourcePolicy
Mirrors = ImageDigestMirrors | ImageTagMirrors | RepositoryDigestMirrors


def mirrors_of(each: MirrorSet) -> Sequence[Mirrors]:
    """The sources that a set is about."""
    if isinstance(each, ImageDigestMirrorSet):
        return each.spec.image_digest_mirrors
    if isinstance(each, ImageTagMirrorSet):
        return each.spec.image_tag_mirrors
    return each.spec.repository_digest_mirrors


def source_fault(each: Mirrors) -> str:
    """What is wrong with a source, so that it can mean nothing; empty for a good one."""
    if not each.source:
        return "no source is given"
    return scope_fault(each.source)


def _prepare(new: Any, _old: Any) -> None:
    new.status = None


def _prepare_status(new: MirrorSet, old: MirrorSet | None) -> None:
    if old is not None:
        new.spec = old.spec
    if not isinstance(new, ImageContentSourcePolicy):
        new.status = None


def _validate(new: MirrorSet, old: MirrorSet | None) -> Sequence[FieldError]:
    """Every fault; what was stored already passes, as where the original got stricter."""
    if old is not None and old.spec == new.spec:
        return []
    name = {
        ImageDigestMirrorSet: "imageDigestMirrors",
        ImageTagMirrorSet: "imageTagMirrors",
        ImageContentSourcePolicy: "repositoryDigestMirrors",
    }[type(new)]
    return [
        fault
        for index, each in enumerate(mirrors_of(new))
        for fault in _faults(each, f"spec.{name}[{index}]")
    ]


def _faults(each: Mirrors, path: str) -> Iterator[FieldError]:
    if not each.source:
        yield required(f"{path}.source")
        return
    if isinstance(each, RepositoryDigestMirrors):
        return  # anything goes in the original; what can mean nothing is left out, and told of
    if why := scope_fault(each.source):
        yield invalid(f"{path}.source", each.source, why)
    seen: set[str] = set()
    for index, mirror in enumerate(each.mirrors):
        if why := location_fault(mirror):
            yield invalid(f"{path}.mirrors[{index}]", mirror, why)
        elif mirror in seen:
            yield duplicate(f"{path}.mirrors[{index}]", mirror)
        seen.add(mirror)
    if each.mirror_source_policy not in ("", NEVER, ALLOW):
        policy = each.mirror_source_policy
        yield not_supported(f"{path}.mirrorSourcePolicy", policy, (NEVER, ALLOW))


_COLUMNS = (
    Column(
        "Sources",
        lambda each, _now: shown([mirrors.source for mirrors in mirrors_of(each)], "<none>"),
        "What may be had elsewhere.",
    ),
)


def _status(kind: type[Object], group: str, version: str) -> dict[str, Subresource]:
    verbs = ("get", "patch", "update")
    return {
        "status": Subresource(
            verbs=verbs, kind=kind.__name__, type=kind, group=group, version=version
        )
    }


IMAGE_DIGEST_MIRROR_SETS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageDigestMirrorSet",
    plural="imagedigestmirrorsets",
    type=ImageDigestMirrorSet,
    namespaced=False,
    short_names=("idms",),
    columns=_COLUMNS,
    strategy=Strategy(prepare=_prepare, validate=_validate, counts_generation=True),
    subresources=_status(ImageDigestMirrorSet, GROUP, VERSION),
)

IMAGE_TAG_MIRROR_SETS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageTagMirrorSet",
    plural="imagetagmirrorsets",
    type=ImageTagMirrorSet,
    namespaced=False,
    short_names=("itms",),
    columns=_COLUMNS,
    strategy=Strategy(prepare=_prepare, validate=_validate, counts_generation=True),
    subresources=_status(ImageTagMirrorSet, GROUP, VERSION),
)

IMAGE_CONTENT_SOURCE_POLICIES = Resource(
    group=OPERATOR_GROUP,
    version=OPERATOR_VERSION,
    kind="ImageContentSourcePolicy",
    plural="imagecontentsourcepolicies",
    singular="imagecontentsourcepolicy",
    type=ImageContentSourcePolicy,
    namespaced=False,
    columns=_COLUMNS,
    strategy=Strategy(validate=_validate, counts_generation=True),
    subresources=_status(ImageContentSourcePolicy, OPERATOR_GROUP, OPERATOR_VERSION),
)

STATUS_STRATEGY: Strategy[Any] = Strategy(prepare=_prepare_status)
"""How any of them is written through `status`: nothing changes but metadata."""
