"""Under which host names clients pull from this registry: recomputed on every read, never stored.

A reference in an event begins with "/" when it is of this registry, `/NS/NAME@DIGEST`, and is shown
with a host in front, so that another address needs no rewriting of what is stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidegate.oci.name import RepositoryName


def _none() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Hosts:
    """The registry's host names: for pods of the cluster, and for everybody; "" when not known.

    `announced` are those that the cluster's configuration has for everybody now, which come before
    `external`; asked each time, since they change while the server runs.
    """

    internal: str = ""
    external: str = ""
    announced: Callable[[], Sequence[str]] = field(default=_none, compare=False)

    @property
    def public(self) -> str:
        """The name for everybody, as of now."""
        return next(iter(self.announced()), self.external)

    def shown(self, reference: str) -> str:
        """A stored reference as clients see it."""
        if not reference.startswith("/"):
            return reference
        return self.internal + reference if self.internal else reference[1:]

    def stored(self, reference: str) -> str:
        """A reference that a client wrote, as it is stored."""
        for host in (self.internal, *self.announced(), self.external):
            if host and reference.startswith(f"{host}/"):
                return reference[len(host) :]
        return reference.lstrip("/")

    def repository(self, name: RepositoryName) -> str:
        """status.dockerImageRepository of a stream."""
        return f"{self.internal}/{name}" if self.internal else ""

    def public_repository(self, name: RepositoryName) -> str:
        """status.publicDockerImageRepository of a stream."""
        public = self.public
        return f"{public}/{name}" if public else ""
