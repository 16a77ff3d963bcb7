"""Discovery: which groups, versions and resources there are, as clients ask before anything else.

    discovery = Discovery(resources)
    discovery.api(accept)                # /api       legacy, or aggregated when the client takes it
    discovery.apis(accept)               # /apis      the same
    discovery.group(name, accept)        # /apis/G    None when there is no such group
    discovery.resources(group, version, accept)   # /api/v1, /apis/G/V   None when there is none

Each answers a `Published` (content type, bytes, ETag), computed at its first use and kept, or
raises `NotAcceptable`. The HTTP part answers 304 to a client whose copy is `held`, and says
`Vary: Accept`. Order means something: groups come as they were declared, and the first version of
a group is the preferred one. This module knows the declarations only, never who may use them.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from tidegate.apimachinery.published import JSON, Published, chosen, json_document
from tidegate.apimachinery.resource import Resource, Subresource

_AGGREGATED = f"{JSON};g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList"
AGGREGATED = {_AGGREGATED % version: version for version in ("v2", "v2beta1")}
"""Content types of the aggregated form, and their versions."""

Declared = Resource[Any]
Groups = Mapping[str, Mapping[str, Sequence[Declared]]]


def grouped(resources: Sequence[Declared]) -> Groups:
    """The resources by group and version, each in the order of its first resource."""
    groups: dict[str, dict[str, list[Declared]]] = {}
    for each in resources:
        groups.setdefault(each.group, {}).setdefault(each.version, []).append(each)
    return groups


def kind_of_subresource(parent: Declared, sub: Subresource) -> tuple[str, str, str]:
    """Group, version and kind of what a subresource exchanges: its parent's for `status`."""
    if sub.type is parent.type:
        return parent.group, parent.version, parent.kind
    return sub.group, sub.version, sub.kind


class Discovery:
    """The discovery documents of some resources.

    `address` is `HOST:PORT` as clients reach it, where that is known; old clients of other
    programs choose by it.
    """

    def __init__(self, resources: Sequence[Declared], address: str = "") -> None:
        groups = dict(grouped(resources))
        self._core = groups.pop("", {})
        self._named = groups
        self._address = address
        self._aggregated: dict[tuple[str, bool], Published] = {}
        self._one_group: dict[str, Published] = {}
        self._lists: dict[tuple[str, str], Published] = {}

    def api(self, accept: str = "") -> Published:
        """The versions of the core group."""
        content_type = chosen(accept, (JSON, *AGGREGATED))
        return self._versions if content_type == JSON else self._all(content_type, core=True)

    def apis(self, accept: str = "") -> Published:
        """All the other groups."""
        content_type = chosen(accept, (JSON, *AGGREGATED))
        return self._groups if content_type == JSON else self._all(content_type, core=False)

    def group(self, name: str, accept: str = "") -> Published | None:
        """One group and its versions."""
        chosen(accept, (JSON,))
        if name in self._named and name not in self._one_group:
            group = {"kind": "APIGroup", "apiVersion": "v1", **self._group(name)}
            self._one_group[name] = json_document(group)
        return self._one_group.get(name)

    def resources(self, group: str, version: str, accept: str = "") -> Published | None:
        """The resources of one version of a group, "" for core."""
        chosen(accept, (JSON,))
        versions = self._named.get(group, {}) if group else self._core
        if version not in versions:
            return None
        if (group, version) not in self._lists:
            listed = {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": f"{group}/{version}" if group else version,
                "resources": [
                    entry for each in _by_name(versions[version]) for entry in _entries(each)
                ],
            }
            self._lists[group, version] = json_document(listed)
        return self._lists[group, version]

    @cached_property
    def _versions(self) -> Published:
        return json_document(
            {
                "kind": "APIVersions",
                "versions": list(self._core),
                "serverAddressByClientCIDRs": [
                    {"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}
                ],
            }
        )

    @cached_property
    def _groups(self) -> Published:
        groups = [self._group(name) for name in self._named]
        return json_document({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    def _group(self, name: str) -> dict[str, Any]:
        versions = [
            {"groupVersion": f"{name}/{version}", "version": version}
            for version in self._named[name]
        ]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def _all(self, content_type: str, *, core: bool) -> Published:
        key = content_type, core
        if key not in self._aggregated:
            groups = ({"": self._core} if self._core else {}) if core else self._named
            document = {
                "kind": "APIGroupDiscoveryList",
                "apiVersion": f"apidiscovery.k8s.io/{AGGREGATED[content_type]}",
                "metadata": {},
                "items": [_aggregated(name, versions) for name, versions in groups.items()],
            }
            self._aggregated[key] = json_document(document, content_type)
        return self._aggregated[key]


def _by_name(resources: Sequence[Declared]) -> list[Declared]:
    return sorted(resources, key=lambda each: each.plural)


def _entries(resource: Declared) -> list[dict[str, Any]]:
    """An APIResource for the resource, then one for each of its subresources."""
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular or resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return [entry, *(_subentry(resource, *each) for each in sorted(resource.subresources.items()))]


def _subentry(resource: Declared, name: str, sub: Subresource) -> dict[str, Any]:
    group, version, kind = kind_of_subresource(resource, sub)
    entry: dict[str, Any] = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if (group, version) != (resource.group, resource.version):
        entry |= {"group": group, "version": version} if group else {"version": version}
    return entry | {"kind": kind, "verbs": sorted(sub.verbs)}


def _aggregated(name: str, versions: Mapping[str, Sequence[Declared]]) -> dict[str, Any]:
    """An APIGroupDiscovery."""
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            {
                "version": version,
                "resources": [_aggregated_resource(each) for each in _by_name(resources)],
                "freshness": "Current",
            }
            for version, resources in versions.items()
        ],
    }


def _aggregated_resource(resource: Declared) -> dict[str, Any]:
    """An APIResourceDiscovery."""
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": name,
                "responseKind": _kind(*kind_of_subresource(resource, sub)),
                "verbs": sorted(sub.verbs),
            }
            for name, sub in sorted(resource.subresources.items())
        ]
    return entry


def _kind(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}
