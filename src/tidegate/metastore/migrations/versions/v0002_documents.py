"""Documents and what was done to them; `metastore/schema.py` draws them.

Bodies of some kilobytes make a poor index, so on SQLite these are ordinary tables with a key beside
them, and `history` is in the order of its revisions.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
additive = True

SQLITE = {
    "bytes": "BLOB",
    "text": "TEXT",  # compares by bytes
    "revision": "INTEGER PRIMARY KEY",
    "by_key": " WITHOUT ROWID",
}
POSTGRESQL = {
    "bytes": "BYTEA",
    "text": 'TEXT COLLATE "C"',
    "revision": "BIGINT PRIMARY KEY",
    "by_key": "",
}

STATEMENTS = """
CREATE TABLE documents (
  resource {text} NOT NULL,
  namespace {text} NOT NULL,
  name {text} NOT NULL,
  uid {text} NOT NULL,
  revision BIGINT NOT NULL,
  body {bytes} NOT NULL,
  PRIMARY KEY (resource, namespace, name)
);

CREATE TABLE document_owners (
  owner_uid {text} NOT NULL,
  resource {text} NOT NULL,
  namespace {text} NOT NULL,
  name {text} NOT NULL,
  PRIMARY KEY (owner_uid, resource, namespace, name)
){by_key};
-- a document's owners are replaced together
CREATE INDEX document_owners_by_document ON document_owners (resource, namespace, name);

CREATE TABLE history (
  revision {revision},
  resource {text} NOT NULL,
  namespace {text} NOT NULL,
  name {text} NOT NULL,
  before {bytes},
  after {bytes}
);
-- a watch of one resource from far back, and lists as of a revision
CREATE INDEX history_by_resource ON history (resource, revision);
"""


def upgrade() -> None:
    types = SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL
    for statement in STATEMENTS.format_map(types).split(";\n"):
        if statement.strip():
            op.execute(statement)
