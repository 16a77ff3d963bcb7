"""Tags of image streams, every event that they had, and what was deleted; see `schema.py`."""

from alembic import op

revision = "0003"
down_revision = "0002"
additive = True

SQLITE = {
    "text": "TEXT",  # compares by bytes
    "bytes": "BLOB",
    "by_key": " WITHOUT ROWID",
}
POSTGRESQL = {
    "text": 'TEXT COLLATE "C"',
    "bytes": "BYTEA",
    "by_key": "",
}

STATEMENTS = """
CREATE TABLE stream_tags (
  repository_id BIGINT NOT NULL REFERENCES repositories (id),
  name {text} NOT NULL,
  spec {text},
  tracks {text},
  conditions {text},
  hidden BIGINT NOT NULL,
  newest BIGINT NOT NULL,
  current BIGINT,
  changed BIGINT NOT NULL,
  PRIMARY KEY (repository_id, name)
){by_key};
-- a rendered stream begins with the tags that changed last
CREATE INDEX stream_tags_by_change ON stream_tags (repository_id, changed, name);
-- what follows a tag that changes
CREATE INDEX stream_tags_tracking ON stream_tags (repository_id, tracks) WHERE tracks IS NOT NULL;

CREATE TABLE tag_events (
  repository_id BIGINT NOT NULL REFERENCES repositories (id),
  tag {text} NOT NULL,
  number BIGINT NOT NULL,
  created_at DOUBLE PRECISION NOT NULL,
  recorded_at DOUBLE PRECISION NOT NULL,
  reference {text} NOT NULL,
  image {text} NOT NULL,
  generation BIGINT NOT NULL,
  how {text} NOT NULL,
  who {text} NOT NULL,
  removed_at DOUBLE PRECISION,
  detail {text},
  PRIMARY KEY (repository_id, tag, number)
){by_key};
-- the images of a stream, by a part of their digest
CREATE INDEX tag_events_of_stream ON tag_events (repository_id, image, tag) WHERE image <> '';
-- who holds an image
CREATE INDEX tag_events_by_image ON tag_events (image) WHERE image <> '';

CREATE TABLE deleted_documents (
  resource {text} NOT NULL,
  namespace {text} NOT NULL,
  name {text} NOT NULL,
  uid {text} NOT NULL,
  deleted_at DOUBLE PRECISION NOT NULL,
  body {bytes} NOT NULL,
  PRIMARY KEY (resource, namespace, name, uid)
){by_key};
CREATE INDEX deleted_documents_by_age ON deleted_documents (deleted_at);
"""


def upgrade() -> None:
    types = SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL
    for statement in STATEMENTS.format_map(types).split(";\n"):
        if statement.strip():
            op.execute(statement)
