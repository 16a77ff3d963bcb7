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
      |   |        origin, origin_insecure      HOST/REPOSITORY of one that was imported
      |   |
      |   +- blob_uses   blob_id, repository_id, manifest_id*   config and layers it names
      |   +- child_uses  digest, repository_id, manifest_id*    manifests an index names
      |   +- tags        repository_id, name*, manifest_id, updated_at
      |
    blobs          id, digest*, size                bytes, whoever reads them; no size: never seen
    contents       id, digest*, content             manifest bytes, once per digest
    stream_tags    repository_id, name*             a tag of an image stream, live or deleted
      |            spec, conditions                 TagReference and TagEventConditions, as JSON
      |            tracks                           the tag of the same stream that it follows
      |            hidden, newest, current          numbers of events: those up to `hidden` are
      |            changed                          of a deleted past, `current` is what is pulled
      +- tag_events  repository_id, tag, number*    every image that the tag named, and its ends
                   created_at, recorded_at          as shown; when it came about
                   reference, image, generation     a reference "/..." is in this registry
                   how, who, detail                 push, tag, import, rollback, delete, undelete
                   removed_at                       pruned from what is shown
    deleted_documents resource, namespace, name, uid*    streams and images that may come back
                   deleted_at, body                 as they were

    counted        repository_id*               how far its rows are in `holdings`:
                   links, manifests             those of blobs and ids up to here
                   pending                      1 while that is to move
    holdings       kind, item, project*         a blob or a content that a project has, once
                   size, holders                of how many live links or manifests
    usage          project*, alone, shared      bytes that it alone has, and the others

    jobs           kind, name*                      work to be done, once or again and again
                   lane, project                    what it competes for; whose it is
                   due_at                           when it may be begun; null when on request
                   again_at                         asked for again while under way, as of when
                   holder, lease_until              who does it, and until when unless it says more
                   attempts, error                  failures in a row, what the last one said
                   position, done, total            how far it is, as its kind writes it
                   created_at, started_at, finished_at
    paces          name*, free_at                   when what all processes share may go on
    import_counts  scheduled, registry, reason*     imports so far, failed ones with a reason
                   count
    upstreams      host, account*                   what all processes know of another registry
                   allowance, period, remaining     requests that it allows the account, as it
                   measured_at, closed_until        last said; none before it asked for
                   paced_until                      how far those go for which nobody waits
                   failures, left_until, error      in a row, of all accounts (in the row without
                   changed_at                       one); left alone until then
    tag_checks     repository_id, tag*              a tag that comes from elsewhere
                   upstream, checked_at, digest     when it was last seen there, as what
                   failed_at, error                 the last look, if it failed
    cached         digest*, size, stored_at, used_at     copies of blobs that others keep
    cache_readers  repository_id, digest*, host     who was given a blob there, may read a copy
    listeners      uid*, namespace, name            subscriptions: who is to be told of events
                   told, told_at                    how far she was
                   delivered, lost                  how many she was told of, or never can be
    outbox         id*, project, repository         events that somebody is to be told of
                   tag, number, recorded_at         no tag: of the stream
                   image, previous, reference
                   how, who, detail
    dead_letters   listener, id*                    what a listener could not be told
                   failed_at, attempts, error
                   again, type, body                1 when it is to be tried again

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
A deleted stream keeps its rows under the repository name `<project>/<stream>~<uid>`, which nobody
can ask for, so that deleting it and bringing it back cost the same whatever it holds.
Triggers keep `holdings`, `usage` and `counted`: what writes links and manifests need not. Others
keep `listeners`, add to `outbox` what those are about, and make the jobs due that tell them.
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
    versions=("0001", "0002", "0003", "0004", "0005", "0006"),
    floor="0001",
    directory=os.path.join(os.path.dirname(__file__), "migrations"),
)
