"""Running the migrations with Alembic; imported only when there are some to run.

Its settings are made here instead of in an `alembic.ini`. All steps run in one transaction, whose
first statement waits for another migration to end, so that a schema is either the old or the new.
"""

from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from tidegate.metastore.errors import MetastoreError
from tidegate.metastore.schema import History


def is_additive(history: History, version: str) -> bool:
    """Whether each step after `version` leaves alone what a program of `version` works with."""
    steps = ScriptDirectory.from_config(_config(history)).iterate_revisions("heads", version)
    return all(step.module.additive for step in steps)


def upgrade(
    history: History,
    dialect: str,
    connection: Any,
    lock: str,
    translated: Callable[[Any], Exception],
) -> None:
    """Run the missing steps on an open DBAPI connection; `lock` opens their transaction."""
    engine = create_engine(f"{dialect}://", creator=lambda: connection, poolclass=StaticPool)
    config = _config(history)
    try:
        with engine.begin() as transaction:
            transaction.exec_driver_sql(lock)
            config.attributes["connection"] = transaction
            command.upgrade(config, "head")
            transaction.exec_driver_sql(f"UPDATE schema_floor SET version = '{history.floor}'")  # noqa: S608
    except DBAPIError as error:
        raise translated(error.orig) from error
    except CommandError as error:
        raise MetastoreError(f"the metadata database could not be migrated: {error}") from error
    finally:
        engine.dispose()


def _config(history: History) -> Config:
    config = Config()
    config.set_main_option("script_location", history.directory.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
