"""Which repository a request is about: two parts, or any depth where a registry is mirrored."""

from collections.abc import Mapping
from typing import NamedTuple

from tidegate.auth.projects.proxy import proxy_of
from tidegate.images.proxies import Proxied
from tidegate.oci.name import RepositoryName
from tidegate.registry.access import READS
from tidegate.registry.errors import MethodNotAllowed
from tidegate.registry.pull_through.service import PullThrough
from tidegate.registry.request import Request

NAMESPACE = "ns"
"""Query parameter that names the registry which is mirrored (distribution-spec, "Pulling")."""


class Meant(NamedTuple):
    """A repository, and what it is elsewhere if its project mirrors a registry."""

    repository: RepositoryName
    proxied: Proxied | None = None


class Names:
    """Reads the names of requests; without `through` nothing is mirrored."""

    def __init__(self, through: PullThrough | None) -> None:
        self._projects = None if through is None else through.projects

    async def read(self, request: Request, name: str) -> Meant:
        """What a name means; `NameInvalid`."""
        projects = self._projects
        if projects is None:
            return Meant(RepositoryName.parse(name))
        host = request.parameter(NAMESPACE) if request.method in READS else None
        if host is not None or name.count("/") != 1:
            await projects.catch_up()
        elif not projects.is_ready:
            await projects.ready()
        found = projects.proxied(name) if host is None else projects.answering(name, host)
        return (
            Meant(RepositoryName.parse(name)) if found is None else Meant(found.repository, found)
        )


def require_pushable(project: str, annotations: Mapping[str, str]) -> None:
    """A project that mirrors a registry has what that has: `MethodNotAllowed` for a push."""
    proxy = proxy_of(annotations) if annotations else None
    if proxy is not None:
        raise MethodNotAllowed(
            f"project {project} mirrors {proxy.host}: push to another project, or to"
            f" {proxy.host} itself"
        )
