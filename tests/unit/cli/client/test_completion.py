"""What a shell is told to complete when there is no server to ask."""

from pathlib import Path

import pytest

from tidegate.cli.client.completion import project_names
from tidegate.cli.client.session import Login, Session, save_session, session_file


def test_nobody_who_is_not_logged_in_completes_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert project_names("") == []


@pytest.mark.parametrize("server", ["http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_a_server_that_is_down_completes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    server: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    save_session(session_file(), Session().remember(Login(server, "sha256~x")))
    assert project_names("") == []
    assert capsys.readouterr() == ("", "")
