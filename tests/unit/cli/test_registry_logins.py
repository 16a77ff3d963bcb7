"""Whose logins a command uses, and whom it trusts."""

import base64
import json
import os
from pathlib import Path

import pytest

from tidegate.cli.client.session import Login, Session, save_session, session_file
from tidegate.cli.refusal import Refused
from tidegate.cli.registry_logins import LoginFiles, keyring, rules
from tidegate.remote.credentials import Keyring
from tidegate.remote.location import Location

QUAY = Location("quay.io", "org/app")
HUB = Location("docker.io", "library/nginx")
OURS = Location("registry.example.com", "shop/web")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it."""
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def config(path: Path, **logins: str) -> Path:
    """A file of docker's, with logins `name:password` by host."""
    path.parent.mkdir(parents=True, exist_ok=True)
    auths = {
        host.replace("_", "."): {"auth": base64.b64encode(pair.encode()).decode()}
        for host, pair in logins.items()
    }
    path.write_text(json.dumps({"auths": auths}))
    return path


def who(found: Keyring, location: Location) -> str:
    credential = found.find(location)
    return "" if credential is None else credential.username


def log_in(server: str, **more: object) -> None:
    login = Login(server, token="t0k3n", user="ann", **more)  # type: ignore[arg-type]  # as given
    save_session(session_file(), Session().remember(login))


def test_files_are_those_of_podman_and_docker_in_podmans_order(home: Path) -> None:
    assert LoginFiles(runtime=Path("/run/1")).paths() == [
        Path("/run/1/containers/auth.json"),
        home / ".config/containers/auth.json",
        home / ".docker/config.json",
        home / ".dockercfg",
    ]
    assert LoginFiles(authfile=Path("/x"), runtime=Path("/run/1")).paths() == [Path("/x")]
    elsewhere = LoginFiles(config=Path("/c"), docker=Path("/d")).paths()
    assert elsewhere[:2] == [Path("/c/containers/auth.json"), Path("/d/config.json")]


def test_the_first_file_that_has_a_login_counts(home: Path) -> None:
    config(home / ".config" / "containers" / "auth.json", quay_io="podman:x")
    config(home / ".docker" / "config.json", quay_io="docker:x", docker_io="hub:x")
    found = keyring(LoginFiles(), ["quay.io"])
    assert who(found, QUAY) == "podman"
    assert who(found, HUB) == "hub"
    assert (
        who(keyring(LoginFiles(config(home / "mine.json", quay_io="mine:x")), []), QUAY) == "mine"
    )


def test_a_file_that_was_named_has_to_be_there(home: Path) -> None:
    with pytest.raises(Refused, match="No such file"):
        keyring(LoginFiles(home / "none.json"), [])
    assert who(keyring(LoginFiles(), []), QUAY) == ""


def test_a_login_of_tidegate_is_known_with_its_trust(home: Path) -> None:
    authority = home / "ca.crt"
    authority.write_text("PEM")
    log_in("https://registry.example.com", authority=str(authority))
    found = keyring(LoginFiles(), []).find(OURS)
    assert found is not None
    assert (found.username, found.password) == ("ann", "t0k3n")
    trust = rules([OURS.host], (), ())
    assert trust.authority_of("registry.example.com", 443) == "PEM"
    assert not trust.is_insecure(OURS)
    log_in("https://registry.example.com", insecure=True)
    assert rules([OURS.host], (), ()).is_insecure(OURS)
    log_in("http://registry.example.com:5000")
    assert rules([], (), ()).is_insecure(Location("registry.example.com:5000", "a/b"))


def test_a_damaged_session_is_no_reason_to_copy_nothing(home: Path) -> None:
    session_file().parent.mkdir(parents=True)
    session_file().write_text("{")
    assert who(keyring(LoginFiles(), []), OURS) == ""
    assert rules([OURS.host], (), ()).insecure == ()


def test_credential_helpers_are_asked_for_the_hosts_of_the_run_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = home / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text(
        '#!/bin/sh\nread host\necho "$host" >> "$HOME/asked"\n'
        '[ "$host" = refuse.example.com ] && exit 1\n'
        'echo "{\\"Username\\":\\"of $host\\",\\"Secret\\":\\"x\\"}"\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}{os.pathsep}{os.environ['PATH']}")
    path = home / ".docker" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"credsStore": "test", "credHelpers": {"quay.io": "test"}}))
    found = keyring(LoginFiles(), ["quay.io", "docker.io", "refuse.example.com"])
    assert who(found, QUAY) == "of quay.io"
    assert who(found, HUB) == "of https://index.docker.io/v1/"
    assert who(found, Location("refuse.example.com", "a/b")) == ""
    assert (home / "asked").read_text().split() == [
        "quay.io",
        "https://index.docker.io/v1/",
        "refuse.example.com",
    ]


@pytest.mark.parametrize("name", ["../../bin/sh", "x; rm -rf /", "", 5, None])
def test_a_helper_whose_name_is_none_is_not_run(home: Path, name: object) -> None:
    path = home / ".docker" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"credsStore": name}))
    assert who(keyring(LoginFiles(), ["quay.io"]), QUAY) == ""


def test_this_machine_needs_no_tls_and_others_do() -> None:
    for host, insecure in (
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("10.0.0.1:5000", False),
        ("quay.io", False),
        ("localhost.example.com", False),
    ):
        assert rules([host], (), ()).is_insecure(Location(host, "a/b")) is insecure
    assert rules(["quay.io"], ["quay.io"], ()).is_insecure(QUAY)


def test_this_machine_is_asked_for_tls_where_certificates_are_named_for_it(home: Path) -> None:
    (home / "ca").write_text("PEM")
    for said in (str(home / "ca"), f"localhost:5000={home / 'ca'}"):
        assert not rules(["localhost:5000"], (), [said]).is_insecure(
            Location("localhost:5000", "a/b")
        )


def test_certificates_are_believed_for_all_hosts_or_for_one(home: Path) -> None:
    for name in ("all", "one"):
        (home / name).write_text(name)
    trust = rules(["quay.io", "docker.io"], (), [str(home / "all"), f"quay.io={home / 'one'}"])
    assert trust.authority_of("quay.io", 443).split() == ["all", "one"]
    assert trust.authority_of("docker.io", 443) == "all"
    with pytest.raises(Refused, match="cannot be read as certificates"):
        rules(["quay.io"], (), [str(home / "none")])
