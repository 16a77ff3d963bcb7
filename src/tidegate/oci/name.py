"""Repository names, tags, and the references that pick a manifest.

A repository is `<project>/<stream>`, as in OpenShift: the distribution specification allows any
depth, OpenShift exactly two components, because the first is a namespace and the second an image
stream.
"""

import re
from typing import Self

from tidegate.oci.digest import Digest
from tidegate.oci.errors import NameInvalid, TagInvalid

NAME_LIMIT = 255
"""Characters in `<project>/<stream>`: many clients cap host and name together there."""

_PROJECT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
"""An RFC 1123 label, as a Kubernetes namespace must be."""
_STREAM = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
"""What registries elsewhere call a repository (distribution-spec, "Pulling manifests")."""
_DOUBLED = re.compile(r"/|__|--+", re.ASCII)
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)

_RULE = (
    "a repository here is <project>/<stream>: the project lower-case letters, digits and '-' "
    "(at most 63), the stream lower-case letters and digits separated by one '.', '_' or '-'; "
    f"together at most {NAME_LIMIT} characters"
)


class RepositoryName(str):
    """A valid `<project>/<stream>`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a repository name; `NameInvalid` names the part that is wrong."""
        if len(text) > NAME_LIMIT:
            raise NameInvalid(f"this repository name has {len(text)} characters; {_RULE}")
        project, slash, stream = text.partition("/")
        if not slash or "/" in stream:
            raise NameInvalid(
                f"{text!r} has {text.count('/') + 1} components instead of two; {_RULE}"
            )
        if _PROJECT.fullmatch(project) is None:
            raise NameInvalid(f"{project!r} is no project name; {_RULE}")
        if _STREAM.fullmatch(stream) is None:
            raise NameInvalid(f"{stream!r} is no stream name; {_RULE}")
        return cls(text)

    @classmethod
    def flattened(cls, text: str) -> Self:
        """Read a repository name of any depth, as registries elsewhere have them, as one of two.

        `hub/library/nginx` becomes `hub/library.nginx`; what a stream's name may not have twice in
        a row becomes one. Several names can become the same: who does this has to tell them apart.
        """
        project, _, path = text.partition("/")
        if _PATH.fullmatch(path) is None:
            raise NameInvalid(f"{text[:160]!r} is no repository name of any registry")
        return cls.parse(f"{project}/{_DOUBLED.sub(_separator, path)}")

    @property
    def project(self) -> str:
        return self.partition("/")[0]

    @property
    def stream(self) -> str:
        return self.partition("/")[2]


def _separator(found: re.Match[str]) -> str:
    return "." if found[0] == "/" else found[0][0]


class Tag(str):
    """A valid tag."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a tag; `TagInvalid` for anything the specification does not allow."""
        if _TAG.fullmatch(text) is None:
            raise TagInvalid(
                f"{text[:160]!r} is no tag: letters, digits, '_', '.' and '-', "
                "not starting with '.' or '-', at most 128 characters"
            )
        return cls(text)


Reference = Tag | Digest


def parse_reference(text: str) -> Reference:
    """Read `<reference>` of the manifest endpoints: a digest if it has a colon, else a tag."""
    return Digest.parse(text) if ":" in text else Tag.parse(text)
