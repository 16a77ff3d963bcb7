"""How a command reaches registries: with the logins of docker, podman and `tidegate login`.

Passwords stay where those programs keep them, be it a file or a credential helper; nothing is
written. Invariant: no credential is in an error.
"""

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tidegate.cli.client.session import load_session, session_file
from tidegate.cli.refusal import Failed, Refused
from tidegate.oci.pull_spec import DOCKER_HUB
from tidegate.remote.credentials import Keyring
from tidegate.remote.rules import RegistryRules

_HELPER_SECONDS = 30.0
_HUB_KEY = "https://index.docker.io/v1/"
"""What docker calls its Hub where it keeps logins."""
_FILE_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True)
class LoginFiles:
    """Where logins are: in one file, or in all that podman and docker use.

    The directories are those that they are told by the environment; None for the usual ones.
    """

    authfile: Path | None = None
    runtime: Path | None = None
    config: Path | None = None
    docker: Path | None = None

    def paths(self) -> list[Path]:
        """The files, what counts more first."""
        if self.authfile is not None:
            return [self.authfile]
        home = Path.home()
        found = [
            (self.config or home / ".config") / "containers" / "auth.json",
            (self.docker or home / ".docker") / "config.json",
            home / ".dockercfg",
        ]
        if self.runtime is not None:
            found.insert(0, self.runtime / "containers" / "auth.json")
        return found


def keyring(files: LoginFiles, hosts: Sequence[str]) -> Keyring:
    """The logins for these hosts; `Refused` where a file that was named cannot be read."""
    configs = [_session_config()]
    for path in files.paths():
        try:
            with path.open("rb") as file:
                content = file.read(_FILE_LIMIT)
        except OSError as error:
            if files.authfile is not None:
                raise Refused(f"{path}: {error.strerror}") from error
            continue
        configs += [content, _of_helpers(content, hosts)]
    return Keyring.of(configs)


def rules(
    hosts: Iterable[str], insecure: Sequence[str], authorities: Sequence[str]
) -> RegistryRules:
    """How these hosts are trusted: by what was said, and by what was said at the login.

    `authorities` are FILE for all, or HOST=FILE. This machine is trusted without TLS, as container
    engines do, unless certificates are named for it.
    """
    believed = dict(_authorities(hosts, authorities))
    here = (each for each in hosts if _is_here(each) and each not in believed)
    found = RegistryRules(insecure=(*insecure, *here), authorities=believed)
    for login in _sessions():
        parts = urlsplit(login["server"])
        if login["insecure"] or parts.scheme == "http":
            found = replace(found, insecure=(*found.insecure, parts.netloc))
        elif login["authority"] and parts.netloc not in found.authorities:
            pem = _read(Path(login["authority"]))
            found = replace(found, authorities={**found.authorities, parts.netloc: pem})
    return found


def _authorities(hosts: Iterable[str], said: Sequence[str]) -> Iterable[tuple[str, str]]:
    general = [each for each in said if "=" not in each]
    pem = "\n".join(_read(Path(each)) for each in general)
    for host in hosts if pem else ():
        yield host, pem
    for each in said:
        host, equals, file = each.partition("=")
        if equals:
            yield host, f"{pem}\n{_read(Path(file))}"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read as certificates: {error}") from error


def _is_here(host: str) -> bool:
    name = host.rpartition(":")[0] or host
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def _sessions() -> list[dict[str, Any]]:
    """What `tidegate login` remembers of servers."""
    try:
        session = load_session(session_file())
    except Failed:
        return []  # a damaged file is for `tidegate login` to complain about
    return [
        {
            "server": each.server,
            "user": each.user,
            "token": each.token,
            "authority": each.authority,
            "insecure": each.insecure,
        }
        for each in session.servers.values()
    ]


def _session_config() -> bytes:
    """The logins of `tidegate login` in docker's form."""
    auths = {
        urlsplit(each["server"]).netloc: {
            "username": each["user"] or "token",
            "password": each["token"],
        }
        for each in _sessions()
        if each["token"]
    }
    return json.dumps({"auths": auths}).encode()


def _of_helpers(config: bytes, hosts: Sequence[str]) -> bytes:
    """What credential helpers say that the configuration names for these hosts."""
    try:
        document = json.loads(config)
        helpers = dict(document.get("credHelpers") or {})
        general = document.get("credsStore")
    except (ValueError, AttributeError, TypeError):
        return b"{}"
    auths = {}
    for host in hosts:
        key = _HUB_KEY if host == DOCKER_HUB else host
        helper = helpers.get(host) or helpers.get(key) or general
        if isinstance(helper, str) and helper.replace("-", "").replace("_", "").isalnum():
            login = _ask(helper, key)
            if login:
                auths[host] = login
    return json.dumps({"auths": auths}).encode()


def _ask(helper: str, key: str) -> dict[str, str]:
    """A login from a credential helper, by docker's protocol; nothing if it has none."""
    try:
        answer = subprocess.run(  # noqa: S603  the user's own helper, its name is checked
            [f"docker-credential-{helper}", "get"],
            input=key.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
        login = json.loads(answer.stdout) if answer.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    username, secret = login.get("Username"), login.get("Secret")
    if not isinstance(username, str) or not isinstance(secret, str):
        return {}
    return {"username": username, "password": secret}
