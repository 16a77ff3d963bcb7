"""The tags of a repository, in ASCII order (distribution-spec, end-8)."""

from tidegate.metastore import repositories, tags
from tidegate.metastore.database import Database
from tidegate.oci.name import RepositoryName
from tidegate.registry.errors import RepositoryUnknown
from tidegate.registry.paging import requested_page
from tidegate.registry.request import Request
from tidegate.registry.response import Response, json_response, link_to_next

PAGE_LIMIT = 1000
"""Tags in a page, asked for or not, as the reference registry has it; `Link` leads on."""


class Tags:
    """The tag listing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, request: Request, repository: RepositoryName) -> Response:
        """GET: a page of tags; 404 where there is neither a stream nor anything that was pushed."""
        limit, last = requested_page(request, PAGE_LIMIT, PAGE_LIMIT, clamp=True)
        names = await tags.page(self._database, repository, last, limit + 1) if limit else []
        if not names and not await self._is_known(repository):
            raise RepositoryUnknown
        more, names = len(names) > limit, names[:limit]
        headers = []
        if more:
            path = f"/v2/{repository}/tags/list"
            headers.append(link_to_next(path, {"n": limit, "last": names[-1]}))
        return json_response(200, {"name": repository, "tags": names}, headers)

    async def _is_known(self, repository: RepositoryName) -> bool:
        if await repositories.has_stream(self._database, repository):
            return True
        return await repositories.exists(self._database, repository)
