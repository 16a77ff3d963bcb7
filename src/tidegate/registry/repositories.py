"""The listing of repositories, `/v2/_catalog`: not of the specification, but Docker's registry."""

from tidegate.metastore import repositories
from tidegate.metastore.database import Database
from tidegate.registry.paging import requested_page
from tidegate.registry.request import Request
from tidegate.registry.response import Response, json_response, link_to_next

DEFAULT_PAGE, MAXIMUM_PAGE = 100, 1000
"""As in the reference registry, which refuses a larger `n`."""


class Repositories:
    """The catalog of repositories."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, request: Request) -> Response:
        """GET: a page of repository names in ASCII order."""
        limit, last = requested_page(request, DEFAULT_PAGE, MAXIMUM_PAGE, clamp=False)
        names = await repositories.page(self._database, last, limit + 1) if limit else []
        more, names = len(names) > limit, names[:limit]
        headers = []
        if more:
            headers.append(link_to_next("/v2/_catalog", {"n": limit, "last": names[-1]}))
        return json_response(200, {"repositories": names}, headers)
