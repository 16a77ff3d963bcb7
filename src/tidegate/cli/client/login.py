"""`tidegate login`, `logout` and `whoami`.

The password is used once and kept nowhere; the token is kept in the session file, and printed by
`whoami -t` alone.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from tidegate.cli.client.api import PROJECTS, Api, StatusFailed, connect, segment
from tidegate.cli.client.oauth import request_token, token_name
from tidegate.cli.client.session import (
    Login,
    Session,
    load_session,
    save_session,
    server_url,
    session_file,
)
from tidegate.cli.client.shapes import name_of, text
from tidegate.cli.refusal import Failed, Refused

_MYSELF = "/apis/user.openshift.io/v1/users/~"
_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_TOKENS = "/apis/oauth.openshift.io/v1/oauthaccesstokens"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def login(
    url: Annotated[str | None, typer.Argument(help="of the server [the current one]")] = None,
    user: Annotated[str | None, typer.Option("--username", "-u", help="who you are")] = None,
    password: Annotated[
        str | None,
        typer.Option("--password", "-p", help="other users of this machine may see it"),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="read the password from standard input")
    ] = False,
    token: Annotated[str | None, typer.Option(help="a token instead of name and password")] = None,
    certificate_authority: Annotated[
        Path | None, typer.Option(help="certificates of the authority that you trust, PEM")
    ] = None,
    insecure_skip_tls_verify: Annotated[
        bool, typer.Option("--insecure-skip-tls-verify", help="trust whoever answers")
    ] = False,
) -> None:
    """Log in to a server, which the commands use from then on."""
    if password is not None and password_stdin:
        raise Refused("--password or --password-stdin, not both")
    if token and (user or password or password_stdin):
        raise Refused("--token, or a user and a password, not both")
    path = session_file()
    session = load_session(path)
    target = _trusted(
        _target(session, url), certificate_authority, insecure=insecure_skip_tls_verify
    )
    _warn_of_plain_http(target.server)
    entered = None if token or user or password or password_stdin else _again(target)
    if entered is None:
        if not token:
            name = user or _asked("Username", "name a user with -u, or bring a --token")
            given = _password(password, from_input=password_stdin)
            with Api(replace(target, token="")) as api:
                token = request_token(api, name, given)
        entered = _enter(replace(target, token=token))
    save_session(path, session.remember(entered))
    typer.echo(f"Logged in to {entered.server} as {entered.user}.")
    typer.echo(
        f"The project is {entered.project}."
        if entered.project
        else "You see no project yet; a push into a new one makes it, if you may."
    )


def logout() -> None:
    """End the login; its token is void afterwards."""
    path = session_file()
    session = load_session(path)
    with Api(session.login()) as api:
        token = api.login.token
        if token.startswith("sha256~"):  # others are not the server's to forget
            try:
                api.send("DELETE", f"{_TOKENS}/{segment(token_name(token))}")
            except StatusFailed as failure:
                if failure.code not in (401, 404):
                    sys.stderr.write(f"tidegate: the token stays good until it ends: {failure}\n")
    save_session(path, session.forget_token())
    typer.echo(f"Logged out of {api.login.server}.")


def whoami(
    token: Annotated[bool, typer.Option("--show-token", "-t", help="print the token")] = False,
    server: Annotated[bool, typer.Option("--show-server", help="print the address")] = False,
) -> None:
    """Print the user that the server knows you as."""
    if token or server:
        current = load_session(session_file()).login()
        typer.echo(current.token if token else current.server)
        return
    with connect() as api:
        typer.echo(_user(api))


def _target(session: Session, url: str | None) -> Login:
    """What is known of the server already."""
    given = url or session.current or _asked("Server", "say which server: tidegate login URL")
    server = server_url(given)
    return session.servers.get(server, Login(server))


def _trusted(login: Login, authority: Path | None, *, insecure: bool) -> Login:
    """With the trust that was said now, or else the one of the last login."""
    if insecure and authority:
        raise Refused("--certificate-authority or --insecure-skip-tls-verify, not both")
    if insecure:
        return replace(login, insecure=True, authority="")
    if authority:
        return replace(login, insecure=False, authority=str(authority.resolve()))
    return login


def _again(login: Login) -> Login | None:
    """The login with the token of the last time, if that is still good."""
    if not login.token:
        return None
    try:
        return _enter(login)
    except StatusFailed:
        return None


def _enter(login: Login) -> Login:
    """The login with what the server knows of whoever has its token."""
    with Api(login) as api:
        return replace(login, user=_user(api), project=_project(api))


def _user(api: Api) -> str:
    """The name by which the server knows us; service accounts have no User object."""
    try:
        review = api.send("POST", _REVIEWS, {})
        name = text(review, "status", "userInfo", "username")
    except StatusFailed as failure:
        if failure.code not in (403, 404, 405):
            raise
        name = name_of(api.get(_MYSELF))
    if not name or name == "system:anonymous":
        raise Failed(f"{api.login.server} does not know you: log in again")
    return name


def _project(api: Api) -> str:
    """The project of the last login if it is still to be seen, else one of those that are."""
    try:
        found = [name_of(each) for each in api.items(PROJECTS)]
    except StatusFailed as failure:
        if failure.code in (403, 404):
            return "default"
        raise
    for wanted in (api.login.project, "default"):
        if wanted in found:
            return wanted
    return found[0] if found else ""


def _password(given: str | None, *, from_input: bool) -> str:
    if given is not None:
        return given
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    return _asked("Password", "say the password with --password-stdin", hide=True)


def _asked(prompt: str, otherwise: str, *, hide: bool = False) -> str:
    """What a person types at the terminal; without one, `otherwise` is what is wrong."""
    if not sys.stdin.isatty():
        raise Refused(otherwise)
    typed: str = typer.prompt(prompt, hide_input=hide, err=True)
    return typed


def _warn_of_plain_http(server: str) -> None:
    parts = urlsplit(server)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        sys.stderr.write(f"tidegate: {server} is not encrypted; others may read your token\n")
