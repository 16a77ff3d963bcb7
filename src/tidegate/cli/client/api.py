"""Requests to one server as whoever is logged in there, and what their failure is called.

This module alone knows httpx. Invariants: a failure of any kind is `Failed` with one line for a
person, in which no token occurs; warnings of the server are printed once each; redirects are
not followed, so that a token goes nowhere else.
"""

import json
import ssl
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from tidegate import __version__
from tidegate.cli.client.session import Login, load_session, session_file
from tidegate.cli.client.shapes import entries, text
from tidegate.cli.client.tables import printable
from tidegate.cli.refusal import Failed

IMAGES = "/apis/image.openshift.io/v1"
PROJECTS = "/apis/project.openshift.io/v1/projects"

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""What to accept to get a list as rows of cells."""

_PAGE = 500  # objects of one answer, as kubectl asks
_PATIENCE = 60.0
_CONNECT = 10.0


class StatusFailed(Failed):
    """The server said no: `code` is its HTTP status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """One server, which has `patience` seconds to answer; `transport` is in the network's place."""

    def __init__(
        self,
        login: Login,
        transport: httpx.BaseTransport | None = None,
        *,
        patience: float = _PATIENCE,
    ) -> None:
        headers = {"User-Agent": f"tidegate/{__version__}", "Accept": "application/json"}
        if login.token:
            headers["Authorization"] = f"Bearer {login.token}"
        self.login = login
        self._warned: set[str] = set()
        try:
            self._client = httpx.Client(
                base_url=login.server,
                headers=headers,
                verify=_trust(login),
                timeout=httpx.Timeout(patience, connect=min(patience, _CONNECT)),
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise Failed(f"{login.server}: {error}") from error

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *ignored: object) -> None:
        self._client.close()

    def get(self, path: str, accept: str | None = None, **params: Any) -> dict[str, Any]:
        """The object at `path`; parameters that are None are not sent."""
        return self.send("GET", path, accept=accept, **params)

    def send(
        self, method: str, path: str, body: Any = None, accept: str | None = None, **params: Any
    ) -> dict[str, Any]:
        """The object that the server answers with."""
        response = self.exchange(
            method,
            path,
            json=body,
            params={name: value for name, value in params.items() if value is not None},
            headers={"Accept": accept} if accept else None,
        )
        return self._object(response)

    def exchange(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Whatever the server answers, its refusals too."""
        try:
            response = self._client.request(method, path, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failed(self._unreachable(error)) from error
        self._warn(response)
        return response

    def pages(
        self, path: str, accept: str | None = None, **params: Any
    ) -> Iterator[dict[str, Any]]:
        """A list in parts of a size that both sides can bear."""
        following = ""
        while True:
            page = self.get(path, accept, **params, limit=_PAGE, **{"continue": following or None})
            yield page
            following = text(page, "metadata", "continue")
            if not following:
                return

    def items(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """The objects of a list, one after another."""
        for page in self.pages(path, **params):
            yield from entries(page, "items")

    def events(self, path: str, accept: str | None, **params: Any) -> Iterator[dict[str, Any]]:
        """The events of a watch, until the server ends it."""
        asked = {name: value for name, value in params.items() if value is not None}
        headers = {"Accept": accept} if accept else None
        try:
            with self._client.stream(
                "GET",
                path,
                params={**asked, "watch": "true"},
                headers=headers,
                timeout=httpx.Timeout(None, connect=_CONNECT),
            ) as response:
                self._warn(response)
                if response.status_code != httpx.codes.OK:
                    response.read()
                    self._object(response)
                for line in response.iter_lines():
                    yield self._event(line)
        except httpx.HTTPError as error:
            raise Failed(self._unreachable(error)) from error

    def _event(self, line: str) -> dict[str, Any]:
        event = self._decoded(line)
        if event.get("type") == "ERROR":
            raise Failed(_message(event.get("object"), "the server ended the watch"))
        return event

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        if response.is_success:
            return self._decoded(response.content)
        try:
            status = json.loads(response.content)
        except ValueError:
            status = None
        said = _message(status, f"{self.login.server} answered {response.status_code}")
        if response.status_code == httpx.codes.UNAUTHORIZED:
            said = f"{self.login.server} does not know you (any more): log in again"
        raise StatusFailed(said, response.status_code)

    def _decoded(self, content: bytes | str) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except ValueError as error:
            raise Failed(f"{self.login.server} answered with something that is no JSON") from error
        if not isinstance(answer, dict):
            raise Failed(f"{self.login.server} answered with something that is no object")
        return answer

    def _warn(self, response: httpx.Response) -> None:
        for header in response.headers.get_list("Warning"):
            said = warning_text(header)
            if said and said not in self._warned:
                self._warned.add(said)
                sys.stderr.write(f"Warning: {printable(said)}\n")

    def _unreachable(self, error: Exception) -> str:
        if isinstance(error, httpx.TimeoutException):
            return f"{self.login.server}: no answer in time"
        reason = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            detail = reason.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
            return (
                f"{self.login.server}: its certificate is not trusted ({detail or 'unknown'}); "
                "name its authority with --certificate-authority at the login"
            )
        return f"{self.login.server}: {printable(reason)}"


def connect() -> Api:
    """The server that the current login is for."""
    return Api(load_session(session_file()).login())


def namespaced(namespace: str, resource: str, *names: str) -> str:
    """The path of a kind of image.openshift.io in a project, or of one object of it."""
    words = ("namespaces", namespace, resource, *names)
    return IMAGES + "".join(f"/{segment(word)}" for word in words)


def segment(word: str) -> str:
    """A name as one segment of a path."""
    return quote(word, safe=":@~")


def warning_text(header: str) -> str:
    """The text in a Warning header: `299 - "text"`, with its quotes escaped by a backslash."""
    code, _, rest = header.partition(" ")
    _, _, quoted = rest.partition(" ")
    if code != "299" or not quoted.startswith('"') or not quoted.endswith('"'):
        return ""
    return quoted[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _message(status: Any, otherwise: str) -> str:
    return printable(text(status, "message")) or otherwise


def _trust(login: Login) -> ssl.SSLContext | bool:
    if login.insecure:
        return False
    if not login.server.startswith("https:"):
        return True
    try:
        return ssl.create_default_context(cafile=login.authority or None)
    except OSError as error:  # ssl's errors are OSErrors too
        raise Failed(
            f"certificate authority {login.authority}: {error.strerror or error}"
        ) from error


def project_of(api: Api, given: str | None, names: Sequence[str] = ()) -> str:
    """The project that a command is about: the one given, or the current one.

    Empty where neither is, but all `names` say their own, as `PROJECT/NAME`.
    """
    project = given or api.login.project
    if not project and not (names and all("/" in name for name in names)):
        raise Failed("no project is chosen: `tidegate project NAME`, or -n NAME")
    return project
