"""The tables, drawn once, and the versions that the schema went through.

Migrations (`migrations/versions/`) make true what is drawn here. Times are seconds since the
epoch, UTC. A row with `deleted_at` is a tombstone: no reader sees it, a push revives it, and
garbage collection removes it after the quarantine period.

    repositories   id, name*                        one per <project>/<stream> ever pushed to
      |
      +- links     repository_id, blob_id*          this repository may read that blob
      |            linked_at, deleted_at
      +- manifests id, repository_id, digest*       a manifest as this repository knows it
      |   |        content_id, media_type, size, pushed_at, deleted_at
      |   |        subject, artifact_type, annotations      set on referrers, the latter as JSON
      |   |
      |   +- blob_uses   blob_id, repository_id, manifest_id*   config and layers it names
      |   +- child_uses  digest, repository_id, manifest_id*    manifests an index names
      |   +- tags        repository_id, name*, manifest_id, updated_at
      |
    blobs          id, digest*, size                bytes, whoever reads them; no size: never seen
    contents       id, digest*, content             manifest bytes, once per digest
    uploads        id*, repository, algorithm, received, digest, created_at, updated_at

    users          name*, password_hash, admin, disabled, changed_at
    keys           kid*, secret, created_at, retired_at     token signing keys

    documents      resource, namespace, name*       API objects as wire JSON, of many resources
                   uid, revision, body              `revision` is that of its last change
    document_owners owner_uid, resource, namespace, name*    documents whose ownerReferences name it
    history        revision*, resource, namespace, name      what a change did to a document:
                   before, after                    its body; null where there was or is none

    changes        revision*, kind, name, action    what was committed, in commit order
    revision       newest, compacted                one row; changes up to `compacted` are gone
    schema_floor   version                          one row; the oldest program that still fits

`*` ends the columns of a unique key; every listing pages along one of them, in byte order.
A tag always leads to a live manifest. `blob_uses` may name blobs without a link, where images are
accepted before their blobs. Both kinds of use are kept for tombstones too, and
carry the repository, so that "who in this repository uses that" is one range of an index.
A row of `history` has the revision of its row in `changes`, and goes when that is compacted.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class History:
    """The schema versions that a program knows, oldest first, and where their steps are.

    `floor` is the oldest version whose program can still work on the newest schema: a release
    first adds what it needs, and only a later one removes what nobody uses any more.
    """

    versions: tuple[str, ...]
    floor: str
    directory: str

    @property
    def current(self) -> str:
        return self.versions[-1]


HISTORY = History(
    versions=("0001", "0002"),
    floor="0001",
    directory=os.path.join(os.path.dirname(__file__), "migrations"),
)
