"""The parts of the PostgreSQL driver that need no server."""

import pytest
from psycopg import InterfaceError, OperationalError, errors
from psycopg.conninfo import conninfo_to_dict

from tidegate.apimachinery.errors import Conflict
from tidegate.metastore.errors import (
    MetastoreBusy,
    MetastoreError,
    MetastoreFull,
    MetastoreUnavailable,
)
from tidegate.metastore.postgresql import connect, connection_string, native, translated


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("53100", MetastoreFull),
        ("53300", MetastoreBusy),
        ("40P01", MetastoreBusy),
        ("57014", MetastoreBusy),
        ("57P01", MetastoreUnavailable),
        ("25P03", MetastoreUnavailable),
        ("28P01", MetastoreUnavailable),
        ("23505", Conflict),
        ("23503", MetastoreError),
        ("42601", MetastoreError),
    ],
)
def test_a_server_error_becomes_one_of_ours(state: str, expected: type[Exception]) -> None:
    assert type(translated(errors.lookup(state)("text"))) is expected


@pytest.mark.parametrize("lost", [OperationalError, InterfaceError])
def test_a_lost_connection_is_unavailable(lost: type[OperationalError]) -> None:
    assert type(translated(lost("connection is lost"))) is MetastoreUnavailable


def test_placeholders_are_translated_and_percent_signs_kept() -> None:
    assert native("SELECT a % 2 FROM t WHERE b = ? AND c = ?") == (
        b"SELECT a %% 2 FROM t WHERE b = %s AND c = %s"
    )


def test_the_url_has_the_last_word_over_our_defaults() -> None:
    parts = conninfo_to_dict(connection_string("postgresql://u:p@db/x?connect_timeout=3"))
    assert parts["connect_timeout"] == "3"
    assert parts["application_name"] == "tidegate"
    assert (parts["user"], parts["password"], parts["host"], parts["dbname"]) == (
        *("u", "p", "db", "x"),
    )


def test_neither_a_malformed_url_nor_an_absent_server_gives_the_password_away() -> None:
    for url in ("postgresql://u:hunter2@h:port/x", "postgresql://u:hunter2@127.0.0.1:1/x"):
        with pytest.raises(MetastoreUnavailable) as caught:
            connect(url)
        assert "hunter2" not in str(caught.value)
