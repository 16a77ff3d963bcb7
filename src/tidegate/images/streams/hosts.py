"""Under which host names clients pull from this registry: recomputed on every read, never stored.

A reference in an event begins with "/" when it is of this registry, `/NS/NAME@DIGEST`, and is shown
with a host in front, so that another address needs no rewriting of what is stored.
"""

from dataclasses import dataclass

from tidegate.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class Hosts:
    """The registry's host names: for pods of the cluster, and for everybody; "" when not known."""

    internal: str = ""
    external: str = ""

    def shown(self, reference: str) -> str:
        """A stored reference as clients see it."""
        if not reference.startswith("/"):
            return reference
        return self.internal + reference if self.internal else reference[1:]

    def stored(self, reference: str) -> str:
        """A reference that a client wrote, as it is stored."""
        for host in (self.internal, self.external):
            if host and reference.startswith(f"{host}/"):
                return reference[len(host) :]
        return reference.lstrip("/")

    def repository(self, name: RepositoryName) -> str:
        """status.dockerImageRepository of a stream."""
        return f"{self.internal}/{name}" if self.internal else ""

    def public_repository(self, name: RepositoryName) -> str:
        """status.publicDockerImageRepository of a stream."""
        return f"{self.external}/{name}" if self.external else ""
