"""Pull specs: `[registry[:port]/][namespace/]name[:tag][@id]`, as OpenShift reads and writes them.

The grammar, the defaults and the error texts are those of its reference library: clients print the
texts, and compare what the server wrote with what they compute themselves. Unlike a repository of
this registry (`name.py`) a pull spec may name any registry and any depth. The first component is a
registry only if it has a dot or a port, or is localhost; a lone word with a dot is a registry
without a name.
"""

import re
from dataclasses import dataclass, replace

from tidegate.oci.errors import OciError

DOCKER_HUB = "docker.io"
HUB_ALIASES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
"""What Docker Hub is called: by people, by its first interface, and where it answers now."""

NAME_LIMIT = 255
"""Characters of registry and repository together."""

_ENCODED = {"sha256": 64, "sha384": 96, "sha512": 128}

# As the original's, without its ambiguity: an empty separator there would let a hostile text cost
# exponential time here.
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*"
_REGISTRY = rf"{_HOST}(?:\.{_HOST})*(?::[0-9]+)?"
_NAME = rf"(?:{_REGISTRY}/)?{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"\w[\w.-]{0,127}"
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
_SPEC = re.compile(rf"({_NAME})(?::({_TAG}))?(?:@({_ALGORITHM}:[0-9a-fA-F]{{32,}}))?", re.ASCII)
_DIGEST = re.compile(r"([a-zA-Z0-9_+.-]+):([a-fA-F0-9]+)", re.ASCII)


class PullSpecInvalid(OciError):
    """Text that is no pull spec; the message is the original's."""


@dataclass(frozen=True, slots=True)
class PullSpec:
    """The parts of a pull spec; a part that was not written is empty."""

    registry: str = ""
    namespace: str = ""
    name: str = ""
    tag: str = ""
    id: str = ""

    @classmethod
    def parse(cls, text: str) -> "PullSpec":
        """Read a pull spec; `PullSpecInvalid` says what is wrong."""
        parts = _SPEC.fullmatch(text)
        if parts is None:
            raise PullSpecInvalid(_fault(text))
        name, tag, digest = parts[1], parts[2] or "", parts[3] or ""
        if len(name) > NAME_LIMIT:
            raise PullSpecInvalid(f"repository name must not be more than {NAME_LIMIT} characters")
        if digest and (fault := _digest_fault(digest)):
            raise PullSpecInvalid(fault)
        first, slash, rest = name.partition("/")
        if not slash and ("." in first or first.startswith("localhost")):
            return cls(registry=text, id=digest)
        if not slash or not ("." in first or ":" in first or first == "localhost"):
            first, rest = "", name
        namespace, slash, last = rest.partition("/")
        if not slash:
            namespace, last = "", rest
        return cls(first, namespace, last, tag, digest)

    def exact(self) -> str:
        """What is set, as text; with an id the tag is left out. Empty without a name."""
        if not self.name:
            return ""
        parts = [each for each in (self.registry, self.namespace, self._named()) if each]
        return "/".join(parts)

    def _named(self) -> str:
        if self.id:
            # an id that is no digest is a tag of a registry of the first generation
            return f"{self.name}{'@' if is_digest(self.id) else ':'}{self.id}"
        return f"{self.name}:{self.tag}" if self.tag else self.name

    def docker_client_defaults(self) -> "PullSpec":
        """With what Docker's client would add: Docker Hub, its namespace `library`, `latest`."""
        registry = self.registry or DOCKER_HUB
        library = "library" if registry in HUB_ALIASES else ""
        return replace(
            self,
            registry=registry,
            namespace=self.namespace or library,
            tag=self.tag or "latest",
        )

    def daemon_minimal(self) -> "PullSpec":
        """Without what Docker assumes anyway; Docker Hub under its usual name."""
        hub = self.registry in HUB_ALIASES
        return replace(
            self,
            registry=DOCKER_HUB if hub else self.registry,
            namespace="" if hub and self.namespace == "library" else self.namespace,
            tag="" if self.tag == "latest" else self.tag,
        )

    def most_specific(self) -> "PullSpec":
        """A digest makes the tag superfluous; an id that is none stands for a missing tag."""
        if not self.id:
            return self
        if is_digest(self.id):
            return self.with_tag("")
        return self if self.tag else replace(self, tag=self.id, id="")

    def repository(self) -> "PullSpec":
        """Without tag and id."""
        return replace(self, tag="", id="")

    def repository_name(self) -> str:
        """The repository as its registry calls it."""
        return replace(self, registry="", tag="", id="").exact()

    def with_tag(self, tag: str) -> "PullSpec":
        return replace(self, tag=tag)

    def with_id(self, image: str) -> "PullSpec":
        return replace(self, id=image)

    def registry_host_port(self, *, insecure: bool = False) -> tuple[str, str]:
        """Where the registry answers: without a port that of https, or of http if `insecure`."""
        registry = self.registry or DOCKER_HUB
        if registry in HUB_ALIASES:
            registry = HUB_ALIASES[-1]
        host, _, port = registry.partition(":")
        return host, port or ("80" if insecure else "443")


def is_digest(text: str) -> bool:
    """Whether this is a digest of a known algorithm; hex in capitals is one here."""
    return not _digest_fault(text)


def digest_or_image_match(image: str, prefix: str) -> bool:
    """Whether the name of an image begins with this, with or without its algorithm."""
    if image.startswith(prefix):
        return True
    return is_digest(image) and image.partition(":")[2].startswith(prefix)


def _fault(text: str) -> str:
    if not text:
        return "repository name must have at least one component"
    if _SPEC.fullmatch(text.lower()) is not None:
        return "repository name must be lowercase"
    return "invalid reference format"


def _digest_fault(text: str) -> str:
    parts = _DIGEST.fullmatch(text)
    if parts is None:
        return "invalid checksum digest format"
    if parts[1] not in _ENCODED:
        return "unsupported digest algorithm"
    return "" if len(parts[2]) == _ENCODED[parts[1]] else "invalid checksum digest length"
