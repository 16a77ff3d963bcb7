"""The tags of a stream as they are shown, read within a unit of work that is about to be undone."""

from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.rendering import SHOWN_BYTES, Heading, Shown, fitting, pieces_of
from tidegate.metastore import stream_tags
from tidegate.metastore.database import Transaction
from tidegate.metastore.stream_tags import FARTHEST

_AT_ONCE = 500


def shown_in(tx: Transaction, repository_id: int, header: Heading, hosts: Hosts) -> Shown:
    """As many tags as fit, those that changed last."""
    shown, room = Shown([]), SHOWN_BYTES - len(header.body)
    before = (FARTHEST, "")
    while True:
        page = stream_tags.changed_last(tx, repository_id, before, _AT_ONCE)
        pieces = pieces_of(page, hosts)
        count, room = fitting(pieces, room)
        shown.pieces += pieces[:count]
        if count < len(pieces):
            shown.tags_omitted = stream_tags.count(tx, repository_id) - len(shown.pieces)
            return shown
        if len(page) < _AT_ONCE:
            return shown
        before = (page[-1].row.changed, page[-1].row.name)
