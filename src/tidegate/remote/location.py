"""Where an image lives: a repository of another registry.

Unlike a repository of this one (`oci.name`) it has a registry and any depth.
"""

from dataclasses import dataclass

from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid
from tidegate.oci.pull_spec import DOCKER_HUB, HUB_ALIASES, PullSpec

HUB_AUTHORITY = HUB_ALIASES[-1]
"""Where Docker Hub's registry answers."""


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A repository of another registry.

    `host` is as people write it, with a port if they do: `docker.io`, `quay.io`, `host:5000`;
    `repository` is what the registry calls it: `library/nginx`.
    """

    host: str
    repository: str

    @classmethod
    def of(cls, spec: PullSpec) -> "Location":
        """The repository that a pull spec is about, with Docker Hub where it names no registry."""
        full = spec.docker_client_defaults()
        host = full.registry.lower().removesuffix(":443")  # or a rule about it could be evaded
        return cls(DOCKER_HUB if host in HUB_ALIASES else host, full.repository_name())

    def at(self, reference: str) -> str:
        """A pull spec of this tag or digest."""
        return f"{self.host}/{self.repository}{'@' if is_digest(reference) else ':'}{reference}"

    @property
    def authority(self) -> str:
        """Host and perhaps port that a client connects to."""
        return HUB_AUTHORITY if self.host == DOCKER_HUB else self.host

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}"


def is_digest(reference: str) -> bool:
    """Whether this is a digest, where a tag could stand too."""
    try:
        Digest.parse(reference)
    except DigestInvalid:
        return False
    return True
