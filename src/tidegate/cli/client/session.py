"""Where somebody is logged in: a file in her configuration directory, readable for her alone.

    $XDG_CONFIG_HOME/tidegate/client.json
      {"current": "https://registry.example.com",
       "servers": {"https://registry.example.com": {"token": …, "user": …, "project": …,
                                                    "authority": …, "insecure": false}}}

Knows nothing of HTTP. Invariants: the file never has a mode that lets others read it, is replaced
as a whole, and holds no password.
"""

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from tidegate.cli.refusal import Failed, Refused

_ADVICE = "log in with `tidegate login URL`"


@dataclass(frozen=True, slots=True)
class Login:
    """One server, how it is trusted, and who we are there."""

    server: str
    token: str = field(default="", repr=False)
    user: str = ""
    project: str = ""
    authority: str = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Every login that is remembered; `current` names the server of the commands."""

    current: str = ""
    servers: dict[str, Login] = field(default_factory=dict)

    def login(self) -> Login:
        """The login that commands use."""
        found = self.servers.get(self.current)
        if found is None or not found.token:
            raise Failed(f"you are not logged in: {_ADVICE}")
        return found

    def remember(self, login: Login) -> "Session":
        """With this login, which is the current one now."""
        return Session(login.server, {**self.servers, login.server: login})

    def forget_token(self) -> "Session":
        """Without the token of the current login; the address and its trust stay."""
        login = replace(self.servers[self.current], token="", user="")
        return Session(self.current, {**self.servers, login.server: login})


def session_file() -> Path:
    """The file of whoever runs this."""
    return Path(typer.get_app_dir("tidegate")) / "client.json"


def load_session(path: Path) -> Session:
    """What is remembered in the file; nothing if there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Session()
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from error
    try:
        stored = json.loads(content)
        return Session(
            _text(stored, "current"),
            {server: _login(server, each) for server, each in stored["servers"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failed(f"{path} is damaged; remove it and {_ADVICE}") from error


def save_session(path: Path, session: Session) -> None:
    """Write beside and rename: a command that reads meanwhile finds the old file or the new."""
    servers = {server: asdict(each) for server, each in session.servers.items()}
    for each in servers.values():
        del each["server"]
    content = json.dumps({"current": session.current, "servers": servers}, indent=2) + "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            raise
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from error


def server_url(given: str) -> str:
    """The address as it is kept: a scheme, a host, maybe a port; https where none is said."""
    text = given if "://" in given else f"https://{given}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(f"{given!r} is no URL") from error
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in ("http", "https") or not host or extra:
        raise Refused(f"{given!r} is no URL of a server, such as https://registry.example.com")
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")


def _login(server: str, stored: Any) -> Login:
    return Login(
        server,
        token=_text(stored, "token"),
        user=_text(stored, "user"),
        project=_text(stored, "project"),
        authority=_text(stored, "authority"),
        insecure=stored.get("insecure") is True,
    )


def _text(stored: Any, name: str) -> str:
    value = stored.get(name, "")
    if not isinstance(value, str):
        raise TypeError(name)
    return value
