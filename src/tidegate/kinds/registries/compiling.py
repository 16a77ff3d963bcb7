"""From the stored objects to what is in force: documents in, values out.

An entry that means nothing is left out and told of; it takes nothing else down. Where leaving one
out would let more through, nothing is let through instead.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tidegate.apimachinery.store import Key
from tidegate.kinds.config_map import CONFIG_MAPS, ConfigMap
from tidegate.kinds.registries.authorities import authorities
from tidegate.kinds.registries.image_config import (
    CLUSTER,
    CONFIG_NAMESPACE,
    IMAGE_CONFIGS,
    LEGACY,
    PRESERVE_ORIGINAL,
    Image,
    ImageSpec,
    RegistrySources,
)
from tidegate.kinds.registries.import_policy import Allowed, ImportPolicy, allowed_fault
from tidegate.kinds.registries.in_force import Ignored
from tidegate.kinds.registries.mirror_order import joined
from tidegate.kinds.registries.mirror_sets import (
    IMAGE_CONTENT_SOURCE_POLICIES,
    IMAGE_DIGEST_MIRROR_SETS,
    IMAGE_TAG_MIRROR_SETS,
    NEVER,
    Mirrors,
    MirrorSet,
    RepositoryDigestMirrors,
    mirrors_of,
    source_fault,
)
from tidegate.kinds.registries.scopes import host_fault, location_fault, scope_fault
from tidegate.remote.rules import MirrorRule, RegistryRules

_IMAGE = f"images/{CLUSTER}"

IMAGE_KEY = Key(IMAGE_CONFIGS.key, "", CLUSTER)

_PORTS = (":443", ":80")
"""Where the registry of a host without a port answers too, when somebody writes the port."""

_NOTHING = ("",)
"""Matches no registry: what is allowed when what was meant is not known."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What the configuration of other registries comes to."""

    rules: RegistryRules = field(default_factory=RegistryRules)
    imports: ImportPolicy = field(default_factory=ImportPolicy)
    import_mode: str = LEGACY
    external: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def compiled(documents: Mapping[Key, bytes], internal: str) -> InForce:
    """What these objects say; `internal` is our own HOST[:PORT].

    Of Images and ConfigMaps only those that count are looked at.
    """
    return _Compiling(internal).done(documents)


class _Compiling:
    """One reading of the documents, and what is left out on the way."""

    def __init__(self, internal: str) -> None:
        self._internal = internal
        self._ignored: list[Ignored] = []

    def done(self, documents: Mapping[Key, bytes]) -> InForce:
        spec = self._image_spec(documents.get(IMAGE_KEY))
        digest, tag = self._mirrors(documents)
        if spec is None:
            rules = RegistryRules(allowed=_NOTHING, digest_mirrors=digest, tag_mirrors=tag)
            imports = ImportPolicy(restricted=True, internal=self._internal)
            return InForce(rules, imports, ignored=tuple(self._ignored))
        mode = spec.image_stream_import_mode
        return InForce(
            self._rules(spec, digest, tag, self._authorities(documents, spec)),
            self._imports(spec),
            mode if mode == PRESERVE_ORIGINAL else LEGACY,
            self._good(_IMAGE, spec.external_registry_hostnames, host_fault),
            tuple(self._ignored),
        )

    def _image_spec(self, body: bytes | None) -> ImageSpec | None:
        """What is wanted; None when it cannot be read."""
        if body is None:
            return ImageSpec()
        try:
            return msgspec.json.decode(body, type=Image).spec
        except msgspec.MsgspecError as error:
            self._ignore(_IMAGE, "", f"cannot be read: {error}; nothing is allowed until it can")
            return None

    def _rules(
        self,
        spec: ImageSpec,
        digest: tuple[MirrorRule, ...],
        tag: tuple[MirrorRule, ...],
        believed: Mapping[str, str],
    ) -> RegistryRules:
        sources = spec.registry_sources or RegistrySources()
        blocked = self._good(_IMAGE, sources.blocked_registries, scope_fault)
        allowed = self._good(_IMAGE, sources.allowed_registries, scope_fault)
        never = [each.source for each in (*digest, *tag) if not each.contact_source]
        return RegistryRules(
            insecure=self._good(_IMAGE, sources.insecure_registries, scope_fault),
            blocked=tuple(dict.fromkeys((*blocked, *_with_ports((*blocked, *never))))),
            allowed=allowed or (_NOTHING if sources.allowed_registries else ()),
            digest_mirrors=digest,
            tag_mirrors=tag,
            authorities=believed,
        )

    def _imports(self, spec: ImageSpec) -> ImportPolicy:
        entries = []
        for each in spec.allowed_registries_for_import:
            why = allowed_fault(each.domain_name) if each.domain_name else "no domainName is given"
            if why:
                self._ignore(_IMAGE, each.domain_name, why)
            else:
                entries.append(Allowed.of(each.domain_name, insecure=each.insecure))
        restricted = bool(spec.allowed_registries_for_import)
        return ImportPolicy(tuple(dict.fromkeys(entries)), restricted, self._internal)

    def _mirrors(
        self, documents: Mapping[Key, bytes]
    ) -> tuple[tuple[MirrorRule, ...], tuple[MirrorRule, ...]]:
        """Rules for references by digest and by tag.

        Where a source is not to be contacted, it is not for either kind of reference, as on nodes.
        """
        digest, tag = _Sources(), _Sources()
        for resource, into in (
            (IMAGE_DIGEST_MIRROR_SETS, digest),
            (IMAGE_TAG_MIRROR_SETS, tag),
            (IMAGE_CONTENT_SOURCE_POLICIES, digest),
        ):
            for key in sorted(each for each in documents if each.resource == resource.key):
                self._read_set(key, documents[key], resource.type, into)
        never = digest.never | tag.never
        return digest.rules(never), tag.rules(never)

    def _read_set(self, key: Key, body: bytes, kind: type[MirrorSet], into: "_Sources") -> None:
        name = f"{key.resource.partition('.')[0]}/{key.name}"
        try:
            read = msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            self._ignore(name, "", f"cannot be read: {error}")
            return
        for each in mirrors_of(read):
            if why := source_fault(each):
                self._ignore(name, each.source, why)
                continue
            good = self._good(name, each.mirrors, location_fault)
            into.add(each, good)

    def _authorities(self, documents: Mapping[Key, bytes], spec: ImageSpec) -> Mapping[str, str]:
        reference = spec.additional_trusted_ca
        if reference is None or not reference.name:
            return {}
        name = f"configmaps/{reference.name}"
        body = documents.get(Key(CONFIG_MAPS.key, CONFIG_NAMESPACE, reference.name))
        if body is None:
            self._ignore(name, "", f"there is no such ConfigMap in namespace {CONFIG_NAMESPACE}")
            return {}
        try:
            values = msgspec.json.decode(body, type=ConfigMap).data
        except msgspec.MsgspecError as error:
            self._ignore(name, "", f"cannot be read: {error}")
            return {}
        found = {}
        for each in authorities(values):
            if each.fault:
                self._ignore(name, each.key, each.fault)
            else:
                found[each.registry] = each.pem
        return found

    def _good(
        self, name: str, entries: Iterable[str], fault: Callable[[str], str]
    ) -> tuple[str, ...]:
        found = []
        for each in entries:
            if why := fault(each):
                self._ignore(name, each, why)
            else:
                found.append(each)
        return tuple(found)

    def _ignore(self, name: str, entry: str, reason: str) -> None:
        self._ignored.append(Ignored(object=name, entry=entry, reason=reason))


class _Sources:
    """The mirrors of one kind of references, by source."""

    def __init__(self) -> None:
        self._lists: dict[str, list[Sequence[str]]] = {}
        self.never: set[str] = set()

    def add(self, each: Mirrors, mirrors: Sequence[str]) -> None:
        """Take in what a set says of a source; without a real mirror it says nothing."""
        if all(mirror == each.source for mirror in each.mirrors):
            return
        if not isinstance(each, RepositoryDigestMirrors) and each.mirror_source_policy == NEVER:
            self.never.add(each.source)
        self._lists.setdefault(each.source, []).append(mirrors)

    def rules(self, never: Collection[str]) -> tuple[MirrorRule, ...]:
        """One rule per source; `never` are those that nobody contacts."""
        return tuple(
            MirrorRule(source, joined(source, self._lists.get(source, ())), source not in never)
            for source in sorted(self._lists.keys() | set(never))
        )


def _with_ports(scopes: Iterable[str]) -> Iterator[str]:
    """The same registries with their ports written, where none is."""
    for scope in scopes:
        host, slash, path = scope.partition("/")
        if ":" not in host and not host.startswith("*."):  # a wildcard is about every port
            for port in _PORTS:
                yield f"{host}{port}{slash}{path}"
