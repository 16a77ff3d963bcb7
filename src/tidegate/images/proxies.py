"""Projects that mirror another registry, and what names of theirs mean there.

    hub/library/nginx            in project `hub`, which mirrors docker.io: library/nginx there
    library/nginx?ns=docker.io   the same, where `hub` is the project that answers for docker.io

There the repository is a stream: `hub/library.nginx`. Two names that would be one stream are told
apart by an annotation of the stream, which says what it mirrors; the second is refused. The index
follows the namespaces; who has to be sure that it is current asks it to catch up first.
"""

import asyncio
from dataclasses import dataclass

import msgspec

from tidegate.apimachinery.store import Change, ObjectStore
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.auth.projects.proxy import DEFAULT, Proxy, canonical, proxy_of
from tidegate.oci.errors import NameInvalid
from tidegate.oci.name import RepositoryName
from tidegate.oci.pull_spec import DOCKER_HUB
from tidegate.remote.location import Location

MIRRORS = "tidegate.io/mirrors"
"""Annotation of a stream: the repository of another registry that it mirrors."""

_PAGE = 500


class _Metadata(msgspec.Struct, rename="camel"):
    annotations: dict[str, str] | None = None
    deletion_timestamp: str = ""


class _Namespace(msgspec.Struct):
    metadata: _Metadata


_DECODE = msgspec.json.Decoder(_Namespace)


class ProxyAmbiguous(NameInvalid):
    """Several projects mirror a registry, and none of them is the one that answers for it."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """A repository of a project that mirrors a registry, and what it is there."""

    repository: RepositoryName
    location: Location
    proxy: Proxy


class Proxies:
    """Every project that mirrors a registry, in memory."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._proxies: dict[str, Proxy] = {}
        self._changed: dict[str, int] = {}  # project to the revision of its last change heard of
        self._missed = 1  # how often what is held was to be read anew
        self._read = 0
        self._reading = asyncio.Lock()
        store.follow([NAMESPACES.key], self._apply, self._miss)

    async def catch_up(self) -> None:
        """Take in what was committed so far, in whichever process."""
        await self._store.catch_up()
        await self.ready()

    @property
    def is_ready(self) -> bool:
        """Whether all projects were read."""
        return self._read == self._missed

    async def ready(self) -> None:
        """Have read all projects."""
        if not self.is_ready:
            await self._read_anew()

    def of(self, project: str) -> Proxy | None:
        """What the project mirrors, as of some moments ago."""
        return self._proxies.get(project)

    def proxied(self, name: str) -> Proxied | None:
        """What a name of a project that mirrors a registry means; None in any other project.

        `NameInvalid` for a name that no registry has, or that is too long.
        """
        project, _, path = name.partition("/")
        proxy = self._proxies.get(project)
        if proxy is None:
            return None
        repository = RepositoryName.flattened(name)
        return Proxied(repository, _location(proxy.host, path), proxy)

    def answering(self, name: str, host: str) -> Proxied | None:
        """What a repository's name at another registry means; None when no project mirrors that.

        A name that begins with a project that mirrors the registry is taken as that project's, as
        clients send it whose mirror has a path. `NameInvalid`, `ProxyAmbiguous`.
        """
        wanted = canonical(host)
        project, slash, _ = name.partition("/")
        named = self._proxies.get(project)
        if slash and named is not None and named.host == wanted:
            return self.proxied(name)
        found = sorted(each for each, proxy in self._proxies.items() if proxy.host == wanted)
        chosen = [each for each in found if self._proxies[each].is_default] or found
        if len(chosen) > 1:
            raise ProxyAmbiguous(
                f"several projects mirror {wanted}: pull by the name of one, or have the annotation"
                f' {DEFAULT} set to "true" in one'
            )
        return self.proxied(f"{chosen[0]}/{name}") if chosen else None

    def _apply(self, change: Change) -> None:
        self._changed[change.key.name] = change.revision
        self._set(change.key.name, change.after)

    def _miss(self) -> None:
        self._missed += 1

    def _set(self, project: str, body: bytes | None) -> None:
        metadata = _DECODE.decode(body).metadata if body is not None else _Metadata()
        proxy = None if metadata.deletion_timestamp else proxy_of(metadata.annotations or {})
        if proxy is None:
            self._proxies.pop(project, None)
        else:
            self._proxies[project] = proxy

    async def _read_anew(self) -> None:
        async with self._reading:
            while self._read != self._missed:
                wanted = self._missed
                await self._read_all()
                self._read = wanted

    async def _read_all(self) -> None:
        """Take in every namespace, except where a later change was heard of meanwhile."""
        known: set[str] = set()
        after: tuple[str, str] | None = None
        since: int | None = None
        while True:
            page = await self._store.list(NAMESPACES.key, after=after, limit=_PAGE)
            since = page.revision if since is None else since
            for each in page.documents:
                known.add(each.key.name)
                if self._changed.get(each.key.name, 0) <= each.revision:
                    self._set(each.key.name, each.body)
            if not page.more:
                break
            after = ("", page.documents[-1].key.name)
        for name in self._proxies.keys() - known:
            if self._changed.get(name, 0) <= since:
                self._set(name, None)


def _location(host: str, path: str) -> Location:
    if host == DOCKER_HUB and "/" not in path:
        return Location(host, f"library/{path}")
    return Location(host, path)
