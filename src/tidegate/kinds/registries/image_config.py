"""Image of config.openshift.io: which registries images may come from, and what ours is called.

The one that counts is named `cluster`. Not to be mistaken for the Image of image.openshift.io,
which is one image. Wire form and rules are those of OpenShift's `config/v1` (image-api 12).
Stricter than there: what could mean nothing is refused, not ignored or broken by later.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.errors import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
)
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.names import subdomain_faults
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.kinds.registries.import_policy import allowed_fault
from tidegate.kinds.registries.in_force import RegistriesInForce
from tidegate.kinds.registries.scopes import ENTRIES, host_fault, scope_fault

GROUP, VERSION = "config.openshift.io", "v1"

CLUSTER = "cluster"
"""The name of the one that counts."""

CONFIG_NAMESPACE = "openshift-config"
"""Where the ConfigMap of certificates is."""

LEGACY, PRESERVE_ORIGINAL = "Legacy", "PreserveOriginal"
_MODES = ("", LEGACY, PRESERVE_ORIGINAL)

_EXCLUSIVE = "Only one of blockedRegistries or allowedRegistries may be set"


class RegistryLocation(Wire):
    """A registry, or with wildcards several."""

    domain_name: Annotated[
        str,
        doc(
            "Host of the registry, with its port where that is neither 443 nor 80; `*` and `?` "
            "stand for any characters and for one, in host and port."
        ),
    ] = field(default_factory=str)
    insecure: Annotated[
        bool, doc("Whether it is the registry at port 80, where no port is given, and not at 443.")
    ] = False


class ConfigMapNameReference(Wire):
    """Names a ConfigMap in the namespace openshift-config."""

    name: Annotated[str, doc("Name of the ConfigMap.")] = field(default_factory=str)


class RegistrySources(Wire):
    """How single registries are treated."""

    insecure_registries: Annotated[
        list[str],
        doc(
            "Registries that are asked although they have no TLS, or no valid certificate: "
            "HOST[:PORT][/PATH], or *.DOMAIN for all hosts below a domain.",
            list_type="atomic",
        ),
    ] = field(default_factory=list)
    blocked_registries: Annotated[
        list[str],
        doc(
            "Registries that nothing is fetched from; all others are allowed. Not together with "
            "allowedRegistries.",
            list_type="atomic",
        ),
    ] = field(default_factory=list)
    allowed_registries: Annotated[
        list[str],
        doc(
            "The only registries that anything is fetched from. Not together with "
            "blockedRegistries.",
            list_type="atomic",
        ),
    ] = field(default_factory=list)
    container_runtime_search_registries: Annotated[
        list[str],
        doc(
            "Registries in which the nodes of a cluster look for short names; of no effect on "
            "imports.",
            list_type="set",
        ),
    ] = field(default_factory=list)


class ImageSpec(Wire):
    """What is wanted."""

    allowed_registries_for_import: Annotated[
        list[RegistryLocation],
        doc(
            "The registries that users may import from; none for all of them. Does not bind those "
            "who may create Images or ImageStreamMappings, and what a stream already refers to.",
            list_type="atomic",
        ),
    ] = field(default_factory=list)
    external_registry_hostnames: Annotated[
        list[str],
        doc(
            "HOST[:PORT] under which everybody reaches this registry; the first is in the "
            "publicDockerImageRepository of streams.",
            list_type="atomic",
        ),
    ] = field(default_factory=list)
    additional_trusted_ca: Annotated[
        ConfigMapNameReference | None,
        doc(
            "ConfigMap of certificates that are believed beside the system's: a key is HOST or "
            "HOST..PORT, its value PEM."
        ),
    ] = field(name="additionalTrustedCA", default=None)
    registry_sources: Annotated[
        RegistrySources | None, doc("How single registries are treated.")
    ] = None
    image_stream_import_mode: Annotated[
        str,
        doc(
            "importMode of new tags that say none: Legacy imports one image out of an index, "
            "PreserveOriginal the index as it is. Empty is Legacy."
        ),
    ] = ""


class ImageStatus(Wire):
    """What is so."""

    internal_registry_hostname: Annotated[
        str, doc("HOST[:PORT] under which pods reach this registry.")
    ] = ""
    external_registry_hostnames: Annotated[
        list[str],
        doc("HOST[:PORT] under which everybody does, as the server's settings have it."),
    ] = field(default_factory=list)
    image_stream_import_mode: Annotated[str, doc("importMode of new tags that say none.")] = ""


class Image(Object):
    """Image says which registries images may come from, and what this one is called.

    Only the one named `cluster` counts.
    """

    spec: Annotated[ImageSpec, doc("What is wanted.")] = field(default_factory=ImageSpec)
    status: Annotated[ImageStatus, doc("What is so; set by the server.")] = field(
        default_factory=ImageStatus
    )


def _name_fault(name: str) -> str | None:
    """In the words of the original's admission."""
    return None if name == CLUSTER else f"must be {CLUSTER}"


def _validate(new: Image, old: Image | None) -> Sequence[FieldError]:
    """Every fault of what is wanted; what was stored already passes, so that others can change."""
    before = ImageSpec() if old is None else old.spec
    return [*_spec_faults(new.spec, before), *_sources_faults(new.spec, before)]


def _spec_faults(spec: ImageSpec, before: ImageSpec) -> Iterator[FieldError]:
    if spec.allowed_registries_for_import != before.allowed_registries_for_import:
        path = "spec.allowedRegistriesForImport"
        yield from _length_faults(path, spec.allowed_registries_for_import)
        for index, each in enumerate(spec.allowed_registries_for_import):
            where = f"{path}[{index}].domainName"
            if not each.domain_name:
                yield required(where)
            elif why := allowed_fault(each.domain_name):
                yield invalid(where, each.domain_name, why)
    if spec.external_registry_hostnames != before.external_registry_hostnames:
        path = "spec.externalRegistryHostnames"
        yield from _list_faults(path, spec.external_registry_hostnames, host_fault)
    reference = spec.additional_trusted_ca
    if reference is not None and reference.name:
        for why in subdomain_faults(reference.name):
            yield invalid("spec.additionalTrustedCA.name", reference.name, why)
    if spec.image_stream_import_mode not in _MODES:
        yield not_supported("spec.imageStreamImportMode", spec.image_stream_import_mode, _MODES)


def _sources_faults(spec: ImageSpec, before: ImageSpec) -> Iterator[FieldError]:
    sources = spec.registry_sources or RegistrySources()
    were = before.registry_sources or RegistrySources()
    if sources == were:
        return
    path = "spec.registrySources"
    if sources.blocked_registries and sources.allowed_registries:
        yield FieldError(
            "FieldValueInvalid", path, f'Invalid value: "object": {_EXCLUSIVE}'
        )  # as the API server prints the rule of an object
    for name, entries, stored in (
        ("insecureRegistries", sources.insecure_registries, were.insecure_registries),
        ("blockedRegistries", sources.blocked_registries, were.blocked_registries),
        ("allowedRegistries", sources.allowed_registries, were.allowed_registries),
    ):
        if entries != stored:
            yield from _list_faults(f"{path}.{name}", entries, scope_fault)
    searched = sources.container_runtime_search_registries
    for index, each in enumerate(searched):
        if each in searched[:index]:
            yield duplicate(f"{path}.containerRuntimeSearchRegistries[{index}]", each)


def _list_faults(
    path: str, entries: Sequence[str], fault: Callable[[str], str]
) -> Iterator[FieldError]:
    yield from _length_faults(path, entries)
    for index, each in enumerate(entries):
        if why := fault(each):
            yield invalid(f"{path}[{index}]", each, why)


def _length_faults(path: str, entries: Sequence[object]) -> Iterator[FieldError]:
    if len(entries) > ENTRIES:
        yield FieldError(
            "FieldValueTooMany",
            path,
            f"Too many: {len(entries)}: must have at most {ENTRIES} items",
        )


def shown(entries: Sequence[str], none: str, most: int = 3) -> str:
    """The first entries of a list, for a column."""
    if not entries:
        return none
    more = f" + {len(entries) - most} more" if len(entries) > most else ""
    return ",".join(entries[:most]) + more


IMAGE_CONFIGS = Resource(
    group=GROUP,
    version=VERSION,
    kind="Image",
    plural="images",
    type=Image,
    namespaced=False,
    columns=(
        Column(
            "Imports From",
            lambda each, _now: shown(
                [entry.domain_name for entry in each.spec.allowed_registries_for_import], "<all>"
            ),
            "The registries that users may import from.",
        ),
        Column(
            "External Hosts",
            lambda each, _now: shown(each.spec.external_registry_hostnames, ""),
            "Under which names everybody reaches this registry.",
            priority=1,
        ),
        Column(
            "Import Mode",
            lambda each, _now: each.status.image_stream_import_mode,
            "importMode of new tags that say none.",
            priority=1,
        ),
    ),
    strategy=Strategy(name_fault=_name_fault, validate=_validate, counts_generation=True),
    subresources={
        "status": Subresource(
            verbs=("get", "patch", "update"),
            kind="Image",
            type=Image,
            group=GROUP,
            version=VERSION,
        ),
        "inforce": Subresource(
            verbs=("get",),
            kind="RegistriesInForce",
            type=RegistriesInForce,
            group="tidegate.io",
            version="v1",
        ),
    },
)
