"""Opening a stream to write to it, also one that an older version left as a mere repository."""

from tidegate.images.streams import inherited
from tidegate.images.streams.rules import Rules
from tidegate.images.streams.stream import Stream
from tidegate.metastore import projects, repositories, unadopted
from tidegate.metastore.database import Transaction
from tidegate.metastore.projects import ProjectGone
from tidegate.oci.name import RepositoryName


def opened(tx: Transaction, name: RepositoryName) -> Stream | None:
    """The stream, which a repository of an older version becomes now; None when there is neither.

    None also for such a repository without a project: it is to end with that.
    """
    stream = Stream.open(tx, name)
    if stream is not None or not repositories.holds_manifests(tx, name):
        return stream
    try:
        projects.require(tx, name.project)
    except ProjectGone:
        return None
    created = unadopted.first_push_now(tx, repositories.ensure(tx, name))
    # it was there before whatever the project allows now
    header = inherited.header(name, created or 0.0)
    Stream.make(tx, name, header, Rules(name.project)).save()
    return Stream.open(tx, name)
