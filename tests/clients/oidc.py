"""A real OpenID Connect provider (panva's, certified) and a person who logs in at it.

`npm ci` in tests/clients/oidc_issuer installs it.
"""

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.tools import require, unavailable

FOLDER = Path(__file__).parent / "oidc_issuer"

CALLBACK = "http://127.0.0.1/callback"
VERIFIER = "v" * 64

People = Mapping[str, Mapping[str, Any]]
"""Users by name, each with her claims."""


@dataclass(frozen=True)
class Issuer:
    """A running provider; `url` is its issuer identifier."""

    url: str

    def id_token(self, user: str, client_id: str = "tidegate") -> str:
        """An ID token that the client gets when `user` logs in and agrees, as in a browser."""
        with httpx.Client(base_url=self.url, timeout=20) as browser:
            response = browser.get("/auth", params=_request(client_id))
            while CALLBACK not in response.headers.get("location", ""):
                response = self._step(browser, response, user)
            answer = parse_qs(urlsplit(response.headers["location"]).query)
            form = {
                "grant_type": "authorization_code",
                "client_id": client_id,
                "code": answer["code"][0],
                "redirect_uri": CALLBACK,
                "code_verifier": VERIFIER,
            }
            token: str = browser.post("/token", data=form).raise_for_status().json()["id_token"]
            return token

    def rotate(self) -> None:
        """Sign with another key; the one before is still published."""
        httpx.post(f"{self.url}/test/rotate", timeout=20).raise_for_status()

    def withdraw(self) -> None:
        """Publish the newest key alone."""
        httpx.post(f"{self.url}/test/withdraw", timeout=20).raise_for_status()

    def _step(self, browser: httpx.Client, response: httpx.Response, user: str) -> httpx.Response:
        """What a browser does next: follow a redirect, or send the form of a page."""
        if response.is_redirect:
            return browser.get(response.headers["location"])
        response.raise_for_status()
        prompt = re.search(r'name="prompt" value="(\w+)"', response.text)
        action = re.search(r'action="([^"]+)"', response.text)
        assert prompt, response.text
        assert action, response.text
        form = {"prompt": prompt[1], "login": user, "password": "any"}
        return browser.post(action[1], data=form)


@contextmanager
def issuing(people: People, directory: Path) -> Iterator[Issuer]:
    """A provider of these users; what it prints is kept in `directory`."""
    if not (FOLDER / "node_modules").is_dir():
        unavailable("oidc-provider is not installed (npm ci in tests/clients/oidc_issuer)")
    file = directory / "people.json"
    file.write_text(json.dumps(people))
    command = [require("node"), str(FOLDER / "issuer.mjs"), "0", str(file)]
    with (
        (directory / "issuer.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http"), (directory / "issuer.log").read_text()
            yield Issuer(address)
        finally:
            process.terminate()


def _request(client_id: str) -> dict[str, str]:
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    return {
        "client_id": client_id,
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": CALLBACK,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "nonce": "n",
        "state": "s",
    }
