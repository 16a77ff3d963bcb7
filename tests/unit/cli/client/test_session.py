"""The file that remembers logins."""

import json
import stat
from pathlib import Path

import pytest

from tidegate.cli.client.session import Login, Session, load_session, save_session, server_url
from tidegate.cli.refusal import Failed, Refused

LOGIN = Login("https://registry.example.com", "sha256~secret", "alice", "team", "/ca.crt")


def test_a_login_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "tidegate" / "client.json"
    save_session(path, Session().remember(LOGIN))
    assert load_session(path).login() == LOGIN


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "tidegate" / "client.json"
    save_session(path, Session().remember(LOGIN))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    save_session(path, Session().remember(LOGIN))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["client.json"]


def test_the_last_login_is_the_current_one_and_others_stay() -> None:
    other = Login("http://127.0.0.1:5000", "sha256~other", "bob")
    session = Session().remember(LOGIN).remember(other)
    assert session.login() == other
    assert session.servers[LOGIN.server] == LOGIN


def test_after_a_logout_the_trust_stays_and_the_token_goes() -> None:
    session = Session().remember(LOGIN).forget_token()
    kept = session.servers[LOGIN.server]
    assert (kept.token, kept.user, kept.authority, kept.project) == ("", "", "/ca.crt", "team")
    with pytest.raises(Failed, match="not logged in"):
        session.login()


def test_nobody_is_logged_in_where_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="tidegate login"):
        load_session(tmp_path / "client.json").login()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"servers": []}',
        b'{"servers": {"a": 1}}',
        b'{"current": 1, "servers": {}}',
        b'{"servers": {"a": {"token": 1}}}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "client.json"
    path.write_bytes(content)
    with pytest.raises(Failed, match=r"client\.json is damaged"):
        load_session(path)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "tidegate"
    blocker.write_text("a file where a directory should be")
    with pytest.raises(Failed, match="client"):
        save_session(blocker / "client.json", Session())


def test_names_that_a_later_version_adds_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "client.json"
    path.write_text(json.dumps({"current": "a", "servers": {"a": {"token": "t", "new": 1}}}))
    assert load_session(path).login() == Login("a", "t")


def test_a_login_does_not_show_its_token() -> None:
    assert "secret" not in repr(LOGIN)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Registry.Example.com/", "https://registry.example.com"),
        ("registry.example.com", "https://registry.example.com"),
        ("registry.example.com:8443", "https://registry.example.com:8443"),
        ("https://registry.example.com:443", "https://registry.example.com"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("https://[::1]:5001", "https://[::1]:5001"),
    ],
)
def test_an_address_is_kept_in_one_form(given: str, kept: str) -> None:
    assert server_url(given) == kept


@pytest.mark.parametrize(
    "given",
    ["ftp://a", "https://", "https://a/path", "https://u:p@a", "https://a:x", "https://a?b=c"],
)
def test_what_is_no_address_of_a_server_is_refused(given: str) -> None:
    with pytest.raises(Refused):
        server_url(given)
