"""A blob that a repository gets: linked as far as its project's limits and quotas go.

Read inside the unit that links, so that they are those of now; a project without any costs one look
at an index. Bytes that are refused stay in the store, where no row names them.
"""

from tidegate.images import limits, quotas
from tidegate.kinds.limit_range import LIMIT_RANGES
from tidegate.kinds.resource_quota import RESOURCE_QUOTAS
from tidegate.metastore import document_rows, links
from tidegate.metastore.database import Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

_KINDS = (LIMIT_RANGES.key, RESOURCE_QUOTAS.key)


def link(
    tx: Transaction, repository: RepositoryName, digest: Digest, size: int, now: float
) -> None:
    """Let the repository read a stored blob; raises `LimitExceeded` and `QuotaExceeded`.

    A blob of more bytes than an image may have is of no use to any.
    """
    project = repository.project
    bodies = document_rows.of_namespace(tx, project, _KINDS)
    if not bodies:
        links.link(tx, repository, digest, size, now)
        return
    limits.check_image(size, bodies.get(LIMIT_RANGES.key, ()))
    own = bodies.get(RESOURCE_QUOTAS.key, ())
    before = quotas.held(tx, project, own)
    links.link(tx, repository, digest, size, now)
    quotas.check_storage(tx, project, own, before)
