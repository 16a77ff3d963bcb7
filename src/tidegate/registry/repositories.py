"""The listing of repositories, `/v2/_catalog`: not of the specification, but Docker's registry."""

from collections.abc import Callable

from tidegate.metastore import repositories
from tidegate.metastore.database import Database
from tidegate.oci.name import RepositoryName
from tidegate.registry.paging import requested_page
from tidegate.registry.request import Request
from tidegate.registry.response import Response, json_response, link_to_next

DEFAULT_PAGE, MAXIMUM_PAGE = 100, 1000
"""As in the reference registry, which refuses a larger `n`."""

Shown = Callable[[RepositoryName], bool]
"""Whether the caller may see that a repository exists."""


class Repositories:
    """The catalog of repositories."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, request: Request, shown: Shown) -> Response:
        """GET: a page of the repositories that the caller may pull from, in ASCII order.

        The next page begins behind the last one shown, so that `last` names nothing hidden.
        """
        limit, last = requested_page(request, DEFAULT_PAGE, MAXIMUM_PAGE, clamp=False)
        names = await self._shown(last, limit + 1, shown) if limit else []
        more, names = len(names) > limit, names[:limit]
        headers = []
        if more:
            headers.append(link_to_next("/v2/_catalog", {"n": limit, "last": names[-1]}))
        return json_response(200, {"repositories": names}, headers)

    async def _shown(self, last: str, count: int, shown: Shown) -> list[RepositoryName]:
        found: list[RepositoryName] = []
        while True:
            names = await repositories.page(self._database, last, MAXIMUM_PAGE)
            found += filter(shown, names)
            if len(found) >= count or len(names) < MAXIMUM_PAGE:
                return found[:count]
            last = names[-1]
