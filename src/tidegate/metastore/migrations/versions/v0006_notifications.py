"""Who is to be told of what happens to tags, and what she has not been told yet; see `schema.py`.

Triggers note it in the unit in which it happens, so that nothing that writes can forget to: a
subscription listens from its creation to its end, an event is noted if somebody listens in its
project, and the job that tells her is due with it. Where nobody listens an event costs a look at an
empty table. With a project goes what is in it, also if the version before ends it: what was left
would be in the next project of that name, and tell somebody else of it.
"""

from typing import NamedTuple

from alembic import op

revision = "0006"
down_revision = "0005"
additive = True

SQLITE = {
    "text": "TEXT",  # compares by bytes
    "bytes": "BLOB",
    "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "by_key": " WITHOUT ROWID",
    "project": "substr(r.name, 1, instr(r.name, '/') - 1)",
}
POSTGRESQL = {
    "text": 'TEXT COLLATE "C"',
    "bytes": "BYTEA",
    "serial": "BIGSERIAL PRIMARY KEY",
    "by_key": "",
    "project": "split_part(r.name, '/', 1)",
}

TABLES = """
CREATE TABLE listeners (
  uid {text} NOT NULL PRIMARY KEY,
  namespace {text} NOT NULL,
  name {text} NOT NULL,
  told BIGINT NOT NULL,
  told_at DOUBLE PRECISION,
  delivered BIGINT NOT NULL,
  lost BIGINT NOT NULL
){by_key};
CREATE UNIQUE INDEX listeners_by_name ON listeners (namespace, name);

CREATE TABLE outbox (
  id {serial},
  project {text} NOT NULL,
  repository {text} NOT NULL,
  tag {text} NOT NULL,
  number BIGINT NOT NULL,
  recorded_at DOUBLE PRECISION NOT NULL,
  image {text} NOT NULL,
  previous {text} NOT NULL,
  reference {text} NOT NULL,
  how {text} NOT NULL,
  who {text} NOT NULL,
  detail {text}
);
CREATE INDEX outbox_of_project ON outbox (project, id);

CREATE TABLE dead_letters (
  listener {text} NOT NULL,
  id BIGINT NOT NULL,
  failed_at DOUBLE PRECISION NOT NULL,
  attempts BIGINT NOT NULL,
  error {text} NOT NULL,
  again SMALLINT NOT NULL,
  type {text} NOT NULL,
  body {bytes} NOT NULL,
  PRIMARY KEY (listener, id)
){by_key};
"""


class Trigger(NamedTuple):
    """What the database does after a change of a row, whichever row it is if `when` is empty."""

    name: str
    event: str
    when: str
    body: str
    if_heard: bool = False
    """Whether nothing is to be done where nobody listens at all."""


_HEARD = "EXISTS (SELECT 1 FROM listeners)"
_SUBSCRIPTIONS = "('eventsubscriptions.tidegate.io', 'clustereventsubscriptions.tidegate.io')"
_STREAM = "'imagestreams.image.openshift.io'"
_KINDS = (
    "('eventsubscriptions.tidegate.io', 'imageapprovals.tidegate.io', 'imagechanges.tidegate.io',"
    " 'mirrors.tidegate.io', 'rollouts.tidegate.io', 'triggerpolicies.tidegate.io')"
)
"""What a project may have since version 0005."""

_STREAM_EVENT = """
INSERT INTO outbox (project, repository, tag, number, recorded_at, image, previous, reference,
    how, who, detail)
  SELECT {row}.namespace, {row}.namespace || '/' || {row}.name, '', 0, 0, '', '', '', '{how}', '',
    {row}.uid
  WHERE EXISTS (SELECT 1 FROM listeners l WHERE l.namespace IN ('', {row}.namespace));"""

TRIGGERS = (
    Trigger(
        "subscriptions_come",
        "INSERT ON documents",
        f"NEW.resource IN {_SUBSCRIPTIONS}",
        """
INSERT INTO listeners (uid, namespace, name, told, told_at, delivered, lost)
  SELECT NEW.uid, NEW.namespace, NEW.name, coalesce(max(o.id), 0), NULL, 0, 0 FROM outbox o;""",
    ),
    Trigger(
        "subscriptions_go",
        "DELETE ON documents",
        f"OLD.resource IN {_SUBSCRIPTIONS}",
        """
DELETE FROM listeners WHERE uid = OLD.uid;
DELETE FROM dead_letters WHERE listener = OLD.uid;
DELETE FROM jobs WHERE kind = 'notification' AND name = OLD.namespace || '/' || OLD.name;""",
    ),
    # for a program of the version before, which ends projects and knows none of these kinds
    Trigger(
        "namespaces_go",
        "DELETE ON documents",
        "OLD.resource = 'namespaces'",
        f"""
DELETE FROM documents WHERE resource IN {_KINDS} AND namespace = OLD.name;
DELETE FROM jobs WHERE project = OLD.name;""",  # noqa: S608  our own names
    ),
    Trigger(
        "tag_events_told",
        "INSERT ON tag_events",
        "",
        """
INSERT INTO outbox (project, repository, tag, number, recorded_at, image, previous, reference,
    how, who, detail)
  SELECT {project}, r.name, NEW.tag, NEW.number, NEW.recorded_at, NEW.image,
    coalesce((SELECT e.image FROM tag_events e WHERE e.repository_id = NEW.repository_id
      AND e.tag = NEW.tag AND e.number < NEW.number ORDER BY e.number DESC LIMIT 1), ''),
    NEW.reference, NEW.how, NEW.who, CASE WHEN NEW.how = 'delete' THEN NULL ELSE NEW.detail END
  FROM repositories r
  WHERE r.id = NEW.repository_id
    AND EXISTS (SELECT 1 FROM listeners l WHERE l.namespace IN ('', {project}));""",
        if_heard=True,
    ),
    Trigger(
        "streams_come_told",
        "INSERT ON documents",
        f"NEW.resource = {_STREAM}",
        _STREAM_EVENT.format(row="NEW", how="create"),
        if_heard=True,
    ),
    Trigger(
        "streams_go_told",
        "DELETE ON documents",
        f"OLD.resource = {_STREAM}",
        _STREAM_EVENT.format(row="OLD", how="delete"),
        if_heard=True,
    ),
    # as `jobs.enqueue` does; who waits after a failure goes on waiting
    Trigger(
        "outbox_wakes",
        "INSERT ON outbox",
        "",
        """
UPDATE jobs SET
    again_at = CASE WHEN holder = '' THEN NULL WHEN again_at < NEW.recorded_at THEN again_at
      ELSE NEW.recorded_at END,
    due_at = CASE WHEN holder <> '' OR due_at < NEW.recorded_at THEN due_at
      ELSE NEW.recorded_at END
  WHERE kind = 'notification' AND attempts = 0 AND name IN (
    SELECT l.namespace || '/' || l.name FROM listeners l
    WHERE l.namespace IN ('', NEW.project));""",
    ),
)


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    types = SQLITE if sqlite else POSTGRESQL
    for statement in TABLES.format_map(types).split(";\n"):
        if statement.strip():
            op.execute(statement)
    for trigger in TRIGGERS:
        body = trigger.body.format(project=types["project"])
        for statement in _for_sqlite(trigger, body) if sqlite else _for_postgresql(trigger, body):
            op.execute(statement)


def _for_sqlite(trigger: Trigger, body: str) -> list[str]:
    conditions = [trigger.when] if trigger.when else []
    if trigger.if_heard:
        conditions.append(_HEARD)
    when = f" WHEN {' AND '.join(conditions)}" if conditions else ""
    after = f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} FOR EACH ROW{when}"
    return [f"{after} BEGIN{body}\nEND"]


def _for_postgresql(trigger: Trigger, body: str) -> list[str]:
    function = f"tidegate_{trigger.name}()"
    when = f" WHEN ({trigger.when})" if trigger.when else ""
    after = f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} FOR EACH ROW{when}"
    if trigger.if_heard:  # its WHEN takes no query
        body = f"\nIF {_HEARD} THEN{body}\nEND IF;"
    plpgsql = f"$$ BEGIN{body}\nRETURN NULL; END $$"
    return [
        f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS {plpgsql}",
        f"{after} EXECUTE FUNCTION {function}",
    ]
