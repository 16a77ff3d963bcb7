"""Passwords are not guessed: on every surface failures slow down, and tell nothing about users.

Loopback has 16 million addresses, so that clients here come from different ones.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.kube_client import USERS, add_user
from tests.server import PASSWORD, USERNAME, Server, serving
from tests.tools import must

GUESSES = 60
"""More than what either of the limits lets pass."""


class Guess(NamedTuple):
    """One attempt from an address."""

    server: Server
    client: httpx.Client
    user: str
    password: str

    @property
    def basic(self) -> dict[str, str]:
        pair = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


def on_the_registry(guess: Guess) -> httpx.Response:
    return guess.client.get("/v2/", headers=guess.basic)


def on_a_manifest(guess: Guess) -> httpx.Response:
    return guess.client.get("/v2/demo/app/manifests/1", headers=guess.basic)


def at_the_token_endpoint(guess: Guess) -> httpx.Response:
    return guess.client.get("/openshift/token", headers=guess.basic)


def at_the_token_endpoint_by_form(guess: Guess) -> httpx.Response:
    fields = {"grant_type": "password", "username": guess.user, "password": guess.password}
    return guess.client.post("/openshift/token", data=fields)


def on_the_api(guess: Guess) -> httpx.Response:
    return guess.client.get(f"{USERS}/users/~", headers=guess.basic)


def by_the_challenge(guess: Guess) -> httpx.Response:
    parameters = {"client_id": "openshift-challenging-client", "response_type": "token"}
    headers = {**guess.basic, "X-CSRF-Token": "1"}
    return guess.client.get("/oauth/authorize", params=parameters, headers=headers)


def by_the_form(guess: Guess) -> httpx.Response:
    page = guess.client.get("/oauth/token/request", follow_redirects=True)
    action = page.text.split('action="')[1].split('"')[0].replace("&amp;", "&")
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    fields = {"username": guess.user, "password": guess.password, "csrf": csrf}
    return guess.client.post(action, data=fields)


Surface = Callable[[Guess], httpx.Response]

SURFACES: tuple[Surface, ...] = (
    on_the_registry,
    on_a_manifest,
    at_the_token_endpoint,
    at_the_token_endpoint_by_form,
    on_the_api,
    by_the_challenge,
    by_the_form,
)

surfaces = pytest.mark.parametrize("surface", SURFACES, ids=lambda each: each.__name__)

_hosts = iter(range(2, 65_000))


def address() -> str:
    """A loopback address that nobody came from yet."""
    host = next(_hosts)
    return f"127.7.{host // 250}.{host % 250 + 1}"


def coming_from(server: Server, source: str) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=source)
    return httpx.Client(base_url=server.url, transport=transport, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one worker, since each counts for itself."""
    with serving(Server(tmp_path_factory.mktemp("guessing") / "data", workers=1)) as server:
        for name in ("alice", "bob", "carol"):
            add_user(server, name)
        yield server
        assert "Traceback" not in server.log


def is_refusal(answer: httpx.Response) -> bool:
    """Wrong, or too many: the login page says 403, everybody else 401."""
    return answer.status_code in (401, 403, 429)


def first_throttled(surface: Surface, guesses: Iterator[Guess]) -> httpx.Response:
    for guess in guesses:
        answer = surface(guess)
        assert is_refusal(answer), answer.text
        if answer.status_code == 429:
            return answer
    raise AssertionError("guessing went on and on")


@surfaces
def test_guessing_one_users_password_from_one_address_is_slowed_down(
    one: Server, surface: Surface
) -> None:
    with coming_from(one, address()) as client:
        guesses = (Guess(one, client, "alice", f"guess {n}") for n in range(20))
        answer = first_throttled(surface, guesses)
        assert 1 <= int(answer.headers["retry-after"]) <= 300
        # even the right password is not looked at until then
        assert surface(Guess(one, client, "alice", PASSWORD)).status_code == 429
    with coming_from(one, address()) as elsewhere:
        answer = surface(Guess(one, elsewhere, "bob", PASSWORD))
        assert answer.status_code < 400 or answer.status_code == 404, answer.text


@surfaces
def test_trying_one_password_on_many_users_from_one_address_is_slowed_down(
    one: Server, surface: Surface
) -> None:
    source = address()
    with coming_from(one, source) as client:
        guesses = (Guess(one, client, f"user{n}", "Spring2026!") for n in range(GUESSES))
        answer = first_throttled(surface, guesses)
        assert int(answer.headers["retry-after"]) >= 1
    with coming_from(one, address()) as elsewhere:
        answer = surface(Guess(one, elsewhere, USERNAME, PASSWORD))
        assert answer.status_code < 400 or answer.status_code == 404, answer.text


def test_guessing_one_users_password_from_many_addresses_is_slowed_down(start: Start) -> None:
    server = start(workers=1)

    def guesses() -> Iterator[Guess]:
        for number in range(GUESSES):
            with coming_from(server, address()) as client:
                yield Guess(server, client, USERNAME, f"guess {number}")

    with coming_from(server, known := address()) as client:
        assert on_the_registry(Guess(server, client, USERNAME, PASSWORD)).status_code == 200
        first_throttled(on_the_registry, guesses())
        # it locks nobody out where she logged in before, nor with a password that is remembered
        assert on_the_registry(Guess(server, client, USERNAME, PASSWORD)).status_code == 200
    with coming_from(server, known) as client:
        assert by_the_challenge(Guess(server, client, USERNAME, PASSWORD)).status_code == 302


def test_failures_count_together_whatever_the_surface(one: Server) -> None:
    with coming_from(one, address()) as client:
        answers = [
            surface(Guess(one, client, "bob", f"guess {number}"))
            for number, surface in enumerate(SURFACES)
        ]
        assert 429 in [each.status_code for each in answers]


def test_guesses_in_parallel_gain_nothing(one: Server) -> None:
    with coming_from(one, address()) as client:
        guesses = [Guess(one, client, "bob", f"parallel {number}") for number in range(30)]
        with ThreadPoolExecutor(30) as threads:
            statuses = [each.status_code for each in threads.map(on_the_registry, guesses)]
    assert statuses.count(401) <= 12
    assert statuses.count(429) >= 18


def test_spelling_the_user_otherwise_starts_no_new_count(one: Server) -> None:
    """What is no user is throttled by its network; what is the user is her own count."""
    spellings = ("Bob", "BOB", "bob ", " bob", "bob\t", "bob\0", "\uff42ob", "b\u0430b")
    with coming_from(one, address()) as client:
        for spelling in spellings:
            answer = on_the_registry(Guess(one, client, spelling, PASSWORD))
            assert is_refusal(answer), spelling


def test_headers_that_name_another_address_count_for_the_real_one(one: Server) -> None:
    with coming_from(one, address()) as client:
        statuses = []
        for number in range(20):
            guess = Guess(one, client, "alice", f"forwarded {number}")
            made_up = f"10.0.0.{number}"
            headers = {
                **guess.basic,
                "X-Forwarded-For": made_up,
                "Forwarded": f"for={made_up}",
                "X-Real-IP": made_up,
                "True-Client-IP": made_up,
                "CF-Connecting-IP": made_up,
            }
            statuses.append(client.get("/v2/", headers=headers).status_code)
    assert statuses[-1] == 429


def test_a_token_in_a_passwords_place_is_counted_as_a_password(one: Server) -> None:
    with coming_from(one, address()) as client:
        statuses = {
            on_the_registry(Guess(one, client, "x", f"sha256~{number:043}")).status_code
            for number in range(GUESSES)
        }
    assert statuses == {401, 429}


def bare(answer: httpx.Response) -> tuple[object, ...]:
    """All of an answer but what differs from one request to the next."""
    varying = {"date", "x-request-id", "audit-id", "set-cookie", "content-security-policy"}
    headers = tuple(
        sorted((name, value) for name, value in answer.headers.items() if name not in varying)
    )
    text = re.sub(r'(nonce|csrf" value)="[^"]*"', r"\1", answer.text)
    return answer.status_code, headers, text


@surfaces
def test_a_refusal_does_not_tell_who_is_a_user(one: Server, surface: Surface) -> None:
    with coming_from(one, address()) as client:
        answers = {
            bare(surface(Guess(one, client, user, "wrong")))
            for user in ("carol", "nobody", "carol2", "system:admin")
        }
    assert len(answers) == 1, answers


def test_a_refused_user_who_is_disabled_looks_like_one_who_is_not_there(one: Server) -> None:
    add_user(one, "disabled")
    must(
        *(one.program, "user", "disable", "disabled", "--data", str(one.data)),
        environment=one.environment(),
    )
    for surface in SURFACES:
        with coming_from(one, address()) as client:
            answers = {
                bare(surface(Guess(one, client, user, PASSWORD))) for user in ("nobody", "disabled")
            }
        assert len(answers) == 1, answers


def test_the_administrator_gets_in_while_others_guess(one: Server) -> None:
    """From her own network, with an address that nobody came from before."""
    with coming_from(one, address()) as attacker:
        for number in range(GUESSES):
            on_the_registry(Guess(one, attacker, USERNAME, f"guess {number}"))
        assert on_the_registry(Guess(one, attacker, USERNAME, PASSWORD)).status_code in (200, 429)
    with coming_from(one, address()) as hers:
        answer = by_the_challenge(Guess(one, hers, USERNAME, PASSWORD))
        assert answer.status_code == 302, answer.text


def test_a_password_is_not_a_nuisance_however_it_looks(one: Server) -> None:
    """Empty, long, binary: an answer without an oracle, at no great cost."""
    with coming_from(one, address()) as client:
        for password in (
            "",
            " ",
            "x" * 1025,
            "x" * 12_000,
            "\0",
            "é" * 600,
            "eyJhbGciOi",
            "sha256~",
        ):
            answer = on_the_registry(Guess(one, client, "alice", password))
            assert is_refusal(answer), password
        for password in ("", "x" * 2000):
            fields = {"grant_type": "password", "username": "alice", "password": password}
            assert is_refusal(client.post("/openshift/token", data=fields))
