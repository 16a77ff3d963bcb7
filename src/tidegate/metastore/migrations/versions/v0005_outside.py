"""What comes from other registries and goes out to what runs: work, upstreams; see `schema.py`."""

from alembic import op

revision = "0005"
down_revision = "0004"
additive = True

SQLITE = {
    "text": "TEXT",  # compares by bytes
    "by_key": " WITHOUT ROWID",
}
POSTGRESQL = {
    "text": 'TEXT COLLATE "C"',
    "by_key": "",
}

TABLES = """
CREATE TABLE jobs (
  kind {text} NOT NULL,
  name {text} NOT NULL,
  lane {text} NOT NULL,
  project {text} NOT NULL,
  due_at DOUBLE PRECISION,
  again_at DOUBLE PRECISION,
  holder {text} NOT NULL,
  lease_until DOUBLE PRECISION NOT NULL,
  attempts BIGINT NOT NULL,
  error {text} NOT NULL,
  position {text} NOT NULL,
  done BIGINT NOT NULL,
  total BIGINT NOT NULL,
  created_at DOUBLE PRECISION NOT NULL,
  started_at DOUBLE PRECISION,
  finished_at DOUBLE PRECISION,
  PRIMARY KEY (kind, name)
){by_key};
-- what is to be done next, and next of what competes for one upstream
CREATE INDEX jobs_due ON jobs (kind, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_due_in_lane ON jobs (kind, lane, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_of_project ON jobs (project, kind, name);

CREATE TABLE paces (
  name {text} NOT NULL PRIMARY KEY,
  free_at DOUBLE PRECISION NOT NULL
){by_key};

CREATE TABLE import_counts (
  scheduled SMALLINT NOT NULL,
  registry {text} NOT NULL,
  reason {text} NOT NULL,
  count BIGINT NOT NULL,
  PRIMARY KEY (scheduled, registry, reason)
){by_key};

-- tags of which something is wanted, among many that are only pushed to
CREATE INDEX stream_tags_wanted ON stream_tags (repository_id, name) WHERE spec IS NOT NULL;

CREATE TABLE upstreams (
  host {text} NOT NULL,
  account {text} NOT NULL,
  allowance BIGINT,
  period DOUBLE PRECISION NOT NULL,
  remaining DOUBLE PRECISION NOT NULL,
  measured_at DOUBLE PRECISION NOT NULL,
  paced_until DOUBLE PRECISION NOT NULL,
  closed_until DOUBLE PRECISION NOT NULL,
  failures BIGINT NOT NULL,
  left_until DOUBLE PRECISION NOT NULL,
  error {text} NOT NULL,
  changed_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (host, account)
){by_key};

-- a program of the version before, which knows neither of these two, takes repositories away
CREATE TABLE tag_checks (
  repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
  tag {text} NOT NULL,
  upstream {text} NOT NULL,
  checked_at DOUBLE PRECISION NOT NULL,
  digest {text} NOT NULL,
  failed_at DOUBLE PRECISION,
  error {text} NOT NULL,
  PRIMARY KEY (repository_id, tag)
){by_key};

-- where the blobs of an imported manifest are
ALTER TABLE manifests ADD COLUMN origin {text};
ALTER TABLE manifests ADD COLUMN origin_insecure SMALLINT NOT NULL DEFAULT 0;

CREATE TABLE cached (
  digest {text} NOT NULL PRIMARY KEY,
  size BIGINT NOT NULL,
  stored_at DOUBLE PRECISION NOT NULL,
  used_at DOUBLE PRECISION NOT NULL
){by_key};
CREATE INDEX cached_by_use ON cached (used_at, digest);

-- which repositories were given a blob by its registry, and by which
CREATE TABLE cache_readers (
  repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
  digest {text} NOT NULL,
  host {text} NOT NULL,
  PRIMARY KEY (repository_id, digest)
){by_key};
CREATE INDEX cache_readers_of ON cache_readers (digest);
"""


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in TABLES.format_map(SQLITE if sqlite else POSTGRESQL).split(";\n"):
        if statement.strip():
            op.execute(statement)
