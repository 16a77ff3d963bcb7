"""The metadata database: who may read which bytes under which name, and what changed when.

    open.py, migrate.py         a URL becomes a database of the right schema
    database.py                 the waist: `Database` and `Transaction`
    sqlite.py, postgresql.py    the two drivers
    writer.py                   their group commit; revisions.py numbers its changes
    schema.py, migrations/      the tables
    repositories, links, manifests, tags, uploads, users, keys, changes, jobs, job_queue
                                one module per table group: functions on the waist
    documents.py                API objects, the port `ObjectStore`, on the next line's modules
    document_rows, history, feed, ring, subscription
                                their tables, their past, and how a process hears of changes

The only room with SQL. It knows digests and names, not HTTP, rights or where bytes lie. Invariant:
a write is kept whole or not at all, is answered after COMMIT, and changes get their revisions in
the order in which they become visible.
"""
