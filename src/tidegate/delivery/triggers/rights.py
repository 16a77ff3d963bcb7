"""Whether the pods of a workload may pull a stream: a trigger gives them nothing that they may not.

Asked of this server's own roles, as a pull is, for workloads here and in a cluster alike: a
namespace of the cluster is the project of the same name, its service accounts are that project's.
"""

from collections.abc import Awaitable, Callable

from tidegate.apimachinery.authorizer import Attributes, Authorizer, User
from tidegate.delivery.triggers.workload import Workload
from tidegate.oci.name import RepositoryName

MayPull = Callable[[Workload, RepositoryName], Awaitable[bool]]


def service_account(namespace: str, name: str) -> User:
    """A service account as it is authenticated."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(f"system:serviceaccount:{namespace}:{name}", (*groups, "system:authenticated"))


def pull_right(authorizer: Authorizer) -> MayPull:
    """The question, of an authorizer. A stream of the same project is always followed."""

    async def may_pull(workload: Workload, stream: RepositoryName) -> bool:
        if stream.project == workload.namespace:
            return True
        asked = Attributes("get", "imagestreams/layers", stream.project, stream.stream)
        user = service_account(workload.namespace, workload.account)
        return await authorizer.authorize(user, asked)

    return may_pull
