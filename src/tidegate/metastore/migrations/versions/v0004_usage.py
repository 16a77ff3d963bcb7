"""How many bytes each project holds, counted by the database itself; see `schema.py`.

Triggers count, so that nothing that changes what is live can forget to, a program of an earlier
version that still runs on this schema included. Their statements are the same on both engines.
"""

from collections.abc import Iterator
from typing import NamedTuple

from alembic import op

revision = "0004"
down_revision = "0003"
additive = True

SQLITE = {
    "text": "TEXT",  # compares by bytes
    "by_key": " WITHOUT ROWID",
    "project": "substr(r.name, 1, instr(r.name, '/') - 1)",
}
POSTGRESQL = {
    "text": 'TEXT COLLATE "C"',
    "by_key": "",
    "project": "split_part(r.name, '/', 1)",
}

TABLES = """
CREATE TABLE counted (
  repository_id BIGINT NOT NULL PRIMARY KEY,
  links BIGINT NOT NULL,
  manifests BIGINT NOT NULL,
  pending INTEGER NOT NULL
){by_key};
CREATE INDEX counted_pending ON counted (repository_id) WHERE pending = 1;
INSERT INTO counted (repository_id, links, manifests, pending) SELECT id, 0, 0, 1 FROM repositories;

CREATE TABLE holdings (
  project {text} NOT NULL,
  kind {text} NOT NULL,
  item BIGINT NOT NULL,
  size BIGINT NOT NULL,
  holders BIGINT NOT NULL,
  PRIMARY KEY (kind, item, project)
){by_key};

CREATE TABLE usage (
  project {text} NOT NULL PRIMARY KEY,
  alone BIGINT NOT NULL,
  shared BIGINT NOT NULL
){by_key};
"""

# SQLite keeps the key of a table in each of its indexes, PostgreSQL has to be told
IN_ORDER = (
    "CREATE INDEX manifests_in_order ON manifests (repository_id, id) WHERE deleted_at IS NULL"
)

ALL = 2**62
"""A place after every row: all of a repository is counted."""

HOLD = """
INSERT INTO holdings (project, kind, item, size, holders)
  SELECT {project}, '{kind}', NEW.{item}, {size}, 1
  FROM counted c JOIN repositories r ON r.id = c.repository_id {more}
  WHERE c.repository_id = NEW.repository_id AND c.{table} >= NEW.{place}
  ON CONFLICT (project, kind, item) DO UPDATE SET holders = holdings.holders + 1;"""

RELEASE = """
UPDATE holdings SET holders = holders - 1 WHERE kind = '{kind}' AND item = OLD.{item}
  AND project = (SELECT {project} FROM counted c JOIN repositories r ON r.id = c.repository_id
    WHERE c.repository_id = OLD.repository_id AND c.{table} >= OLD.{place});"""

# another project that held it alone shares it from now on; or has it alone again
SHARE = """
UPDATE usage SET alone = alone {less} {row}.size, shared = shared {more} {row}.size
  WHERE project = (SELECT s.other FROM (
    SELECT min(o.project) AS other, count(*) AS others FROM (
      SELECT project FROM holdings
      WHERE kind = {row}.kind AND item = {row}.item AND project <> {row}.project LIMIT 2
    ) o
  ) s WHERE s.others = 1);"""

COUNT = """
INSERT INTO usage (project, alone, shared)
  SELECT {row}.project, CASE WHEN s.others = 0 THEN {size} ELSE 0 END,
    CASE WHEN s.others = 0 THEN 0 ELSE {size} END FROM (
    SELECT count(*) AS others FROM (
      SELECT project FROM holdings
      WHERE kind = {row}.kind AND item = {row}.item AND project <> {row}.project LIMIT 1
    ) o
  ) s WHERE s.others >= 0
  ON CONFLICT (project) DO UPDATE SET
    alone = usage.alone + excluded.alone, shared = usage.shared + excluded.shared;"""


class Trigger(NamedTuple):
    """What the database does after a change of a row."""

    name: str
    event: str
    when: str
    body: str


def triggers(project: str) -> Iterator[Trigger]:
    """All of them; `project` is the project of the repository `r` in the engine's SQL."""
    for table, of in OF_REPOSITORIES.items():
        hold = HOLD.format(project=project, table=table, **of)
        release = RELEASE.format(project=project, table=table, **of)
        live = "{}.deleted_at IS NULL"
        new, old = live.format("NEW"), live.format("OLD")
        gone, came = f"{old} AND NOT ({new})", f"{new} AND NOT ({old})"
        yield Trigger(f"{table}_come", f"INSERT ON {table}", new, hold)
        yield Trigger(f"{table}_revive", f"UPDATE OF deleted_at ON {table}", came, hold)
        yield Trigger(f"{table}_end", f"UPDATE OF deleted_at ON {table}", gone, release)
        yield Trigger(f"{table}_go", f"DELETE ON {table}", old, release)
    yield from OTHERS


OF_REPOSITORIES = {
    "links": {
        "kind": "blob",
        "item": "blob_id",
        "place": "blob_id",
        "size": "coalesce(b.size, 0)",
        "more": "JOIN blobs b ON b.id = NEW.blob_id",
    },
    "manifests": {
        "kind": "manifest",
        "item": "content_id",
        "place": "id",
        "size": "NEW.size",
        "more": "",
    },
}

OTHERS = (
    Trigger(
        "holdings_come",
        "INSERT ON holdings",
        "NEW.size <> 0",
        SHARE.format(row="NEW", less="-", more="+") + COUNT.format(row="NEW", size="NEW.size"),
    ),
    Trigger(
        "holdings_go",
        "DELETE ON holdings",
        "OLD.size <> 0",
        SHARE.format(row="OLD", less="+", more="-") + COUNT.format(row="OLD", size="- OLD.size"),
    ),
    Trigger(
        "holdings_end",
        "UPDATE OF holders ON holdings",
        "NEW.holders <= 0",
        "\nDELETE FROM holdings"
        " WHERE project = NEW.project AND kind = NEW.kind AND item = NEW.item;",
    ),
    Trigger(
        "holdings_resize",
        "UPDATE OF size ON holdings",
        "NEW.size <> OLD.size",
        COUNT.format(row="NEW", size="NEW.size - OLD.size"),
    ),
    Trigger(
        "blobs_resize",
        "UPDATE OF size ON blobs",
        "coalesce(NEW.size, 0) <> coalesce(OLD.size, 0)",
        "\nUPDATE holdings SET size = coalesce(NEW.size, 0) WHERE kind = 'blob' AND item = NEW.id;",
    ),
    Trigger(
        "repositories_come",
        "INSERT ON repositories",
        "NEW.id > 0",
        "\nINSERT INTO counted (repository_id, links, manifests, pending)"
        f" VALUES (NEW.id, {ALL}, {ALL}, 0);",
    ),
    Trigger(
        "repositories_move",
        "UPDATE OF name ON repositories",
        "NEW.name <> OLD.name",
        "\nUPDATE counted SET pending = 1 WHERE repository_id = NEW.id;",
    ),
    Trigger(
        "repositories_go",
        "DELETE ON repositories",
        "OLD.id > 0",
        "\nDELETE FROM counted WHERE repository_id = OLD.id;",
    ),
)


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    types = SQLITE if sqlite else POSTGRESQL
    for statement in TABLES.format_map(types).split(";\n"):
        if statement.strip():
            op.execute(statement)
    if not sqlite:
        op.execute(IN_ORDER)
    for trigger in triggers(types["project"]):
        for statement in _for_sqlite(trigger) if sqlite else _for_postgresql(trigger):
            op.execute(statement)


def _for_sqlite(trigger: Trigger) -> list[str]:
    after = f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} FOR EACH ROW"
    return [f"{after} WHEN {trigger.when} BEGIN{trigger.body}\nEND"]


def _for_postgresql(trigger: Trigger) -> list[str]:
    function = f"tidegate_{trigger.name}()"
    after = f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} FOR EACH ROW"
    body = f"$$ BEGIN{trigger.body}\nRETURN NULL; END $$"
    return [
        f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS {body}",
        f"{after} WHEN ({trigger.when}) EXECUTE FUNCTION {function}",
    ]
