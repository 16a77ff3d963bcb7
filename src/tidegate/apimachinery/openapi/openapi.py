"""OpenAPI: the documents that describe every resource, for `kubectl explain` and for validation.

    openapi = OpenApi(resources, title, version)
    openapi.v2(accept)            # /openapi/v2: JSON, or protobuf for clients that read only that
    openapi.v3_index(accept)      # /openapi/v3
    openapi.v3(path, accept)      # /openapi/v3/api/v1, /openapi/v3/apis/G/V; None if not served

Each answers a `Published` (content type, bytes, ETag), computed at its first use and kept, or
raises `NotAcceptable`. `path` is what follows `/openapi/v3/`. The documents come from the declared
resources alone, so they say nothing about who asks.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

from tidegate.apimachinery.discovery import Declared, grouped
from tidegate.apimachinery.openapi import v2, v3
from tidegate.apimachinery.openapi.definitions import Json
from tidegate.apimachinery.openapi.gnostic import ASKED_AS, CONTENT_TYPE, encoded
from tidegate.apimachinery.openapi.operations import group_version_path
from tidegate.apimachinery.published import JSON, Published, chosen, json_document, published


class OpenApi:
    """The OpenAPI documents of some resources."""

    def __init__(self, resources: Sequence[Declared], title: str, version: str) -> None:
        self._resources = resources
        self._title, self._version = title, version
        self._paths: Mapping[str, Sequence[Declared]] = {
            group_version_path(group, each): found
            for group, versions in grouped(resources).items()
            for each, found in versions.items()
        }
        self._v3: dict[str, Published] = {}

    def v2(self, accept: str = "") -> Published:
        """The document of everything, version 2."""
        content_type = chosen(accept, (JSON, CONTENT_TYPE, ASKED_AS))
        return self._v2_json if content_type == JSON else self._v2_protobuf

    def v3_index(self, accept: str = "") -> Published:
        """Where the documents of version 3 are."""
        chosen(accept, (JSON,))
        return self._index

    def v3(self, path: str, accept: str = "") -> Published | None:
        """The document of one group and version, such as `apis/project.openshift.io/v1`."""
        chosen(accept, (JSON,))
        if path not in self._paths:
            return None
        if path not in self._v3:
            written = v3.document(self._paths[path], self._title, self._version)
            self._v3[path] = json_document(written)
        return self._v3[path]

    @cached_property
    def _v2_json(self) -> Published:
        return json_document(self._written_v2())

    @cached_property
    def _v2_protobuf(self) -> Published:
        return published(CONTENT_TYPE, encoded(self._written_v2()))

    def _written_v2(self) -> Json:
        return v2.document(self._resources, self._title, self._version)

    @cached_property
    def _index(self) -> Published:
        documents = {path: self.v3(path) for path in self._paths}
        return json_document(
            {
                "paths": {
                    path: {
                        "serverRelativeURL": f"/openapi/v3/{path}?hash={each.etag.strip(chr(34))}"
                    }
                    for path, each in documents.items()
                    if each is not None
                }
            }
        )
