"""These kinds, each joined to what shows it."""

from collections.abc import Callable

from tidegate.apimachinery.http.endpoints import Served
from tidegate.kinds.work.background_job import BACKGROUND_JOBS, CLUSTER_BACKGROUND_JOBS
from tidegate.kinds.work.job_storage import JobStorage
from tidegate.kinds.work.upstream import UPSTREAMS
from tidegate.kinds.work.upstream_storage import UpstreamStorage
from tidegate.metastore.database import Database


def serve(database: Database, clock: Callable[[], float]) -> list[Served]:
    """What the API application serves of this folder."""
    return [
        *(
            Served(each, JobStorage(each, database, clock))
            for each in (BACKGROUND_JOBS, CLUSTER_BACKGROUND_JOBS)
        ),
        Served(UPSTREAMS, UpstreamStorage(database, clock)),
    ]
