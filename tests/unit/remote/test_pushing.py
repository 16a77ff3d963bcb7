"""Pushing to registries that behave oddly; real ones are pushed to in tests/e2e."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Ask, Cut, Fault, Tokens, asks
from tests.images import small_image
from tests.unit.remote.gateways import REGISTRY, keyring, location, refuses, with_gateway
from tidegate.oci.digest import Digest
from tidegate.remote.credentials import NO_KEYS, Keyring
from tidegate.remote.errors import ContentInvalid, RemoteError, Unavailable
from tidegate.remote.gateway import Gateway
from tidegate.remote.rules import RegistryRules

CONTENT = bytes(range(256)) * 1000
DIGEST = Digest.of(CONTENT)
IMAGE = small_image("one")


def registry(*, begins: str = "/v2/u/1?state=a", taken: str = "") -> dict[str, Answer]:
    """What an honest registry answers to each step of an upload."""
    progress = {"Range": taken or f"0-{len(CONTENT) - 1}"}
    return {
        "POST": Answer(202, {**REGISTRY, "Location": begins}),
        "PATCH": Answer(202, {**REGISTRY, "Location": "/v2/u/2?state=b", **progress}),
        "PUT": Answer(201, {**REGISTRY, "Location": "/v2/x"}),
        "GET": Answer(404, REGISTRY),
        "DELETE": Answer(204, REGISTRY),
        "HEAD": Answer(404, REGISTRY),
    }


def push(
    address: str,
    *,
    keys: Keyring = NO_KEYS,
    insecure: bool = True,
    rules: RegistryRules | None = None,
) -> list[int]:
    """Push a blob; the offsets from which its content was wanted."""
    offsets = list[int]()

    async def content(offset: int) -> AsyncIterator[bytes]:
        offsets.append(offset)
        for place in range(offset, len(CONTENT), 100_000):
            yield CONTENT[place : place + 100_000]

    async def scenario(gateway: Gateway) -> None:
        registries = gateway.registries(keys, insecure=insecure)
        await registries.push_blob(location(address), DIGEST, len(CONTENT), content)

    with_gateway(scenario, rules=rules)
    return offsets


def uploads(server: FaultProxy) -> list[tuple[str, str]]:
    return [(ask.method, ask.target) for ask in server.seen() if ask.method in ("PATCH", "PUT")]


def test_the_state_of_an_upload_goes_along() -> None:
    with FaultProxy() as server:
        steps = registry()
        server.always(lambda ask: steps[ask.method])
        assert push(server.address) == [0]
        query = f"digest=sha256%3A{DIGEST.encoded}"
        assert uploads(server) == [
            ("PATCH", "/v2/u/1?state=a"),
            ("PUT", f"/v2/u/2?state=b&{query}"),
        ]


@pytest.mark.parametrize("taken", ["0-0", "nonsense", "5-10"])
def test_a_registry_that_says_nothing_sensible_of_its_progress_is_believed_to_have_it_all(
    taken: str,
) -> None:
    with FaultProxy() as server:
        steps = registry(taken=taken)
        server.always(lambda ask: steps[ask.method])
        if taken == "0-0":
            # one byte, it says: the rest is sent again, and in the end it is given up
            with pytest.raises(RemoteError):
                push(server.address)
            assert server.count() < 100
        else:
            assert push(server.address) == [0]


def test_a_registry_that_takes_a_part_gets_the_rest() -> None:
    with FaultProxy() as server:
        steps = registry()
        server.always(lambda ask: steps[ask.method])
        server.when(asks("other", "PATCH"), registry(taken="0-99999")["PATCH"], times=1)
        assert push(server.address) == [0, 100_000]
        assert (
            server.seen("other", "PATCH")[1].headers["content-range"]
            == f"100000-{len(CONTENT) - 1}"
        )


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("PATCH", Answer(404)),
        ("PATCH", Answer(416)),
        ("PATCH", Cut()),
        ("PATCH", Answer(502)),
        ("PUT", Answer(404)),
        ("PUT", Cut()),
        ("POST", Cut()),
        ("POST", Answer(503)),
    ],
)
def test_an_upload_that_is_lost_is_begun_anew(method: str, fault: Fault) -> None:
    with FaultProxy() as server:
        steps = registry()
        server.always(lambda ask: steps[ask.method])
        server.when(asks(method=method), fault, times=1)
        assert set(push(server.address)) == {0}


def test_what_was_cut_off_may_have_been_done() -> None:
    with FaultProxy() as server:
        steps = registry()
        done = list[int]()

        def choose(ask: Ask) -> Fault:
            if ask.method == "PUT":
                done.append(1)
                return Cut()
            return Answer(200) if ask.method == "HEAD" and done else steps[ask.method]

        server.always(choose)
        assert push(server.address) == [0]


def test_an_upload_that_is_always_cut_is_given_up() -> None:
    with FaultProxy() as server:
        steps = registry()
        server.always(lambda ask: steps[ask.method])
        server.when(asks(method="PATCH"), Cut())
        with pytest.raises(Unavailable):
            push(server.address)
        assert server.count("other", "PATCH") <= 10


@pytest.mark.parametrize(
    "answer",
    [
        Answer(202, REGISTRY),
        Answer(202, {"Location": "ftp://x/"}),
        Answer(307, {"Location": "/v2/elsewhere"}),
        Answer(200, {"Location": "/v2/u/1"}),
        refuses(403, "DENIED", "read only"),
        refuses(405, "UNSUPPORTED", "a mirror"),
    ],
)
def test_who_opens_no_upload_gets_nothing(answer: Answer) -> None:
    with FaultProxy() as server:
        server.always(answer)
        with pytest.raises(RemoteError):
            push(server.address)
        assert uploads(server) == []
        assert server.count("upload", "POST") == 1


def test_credentials_do_not_go_where_an_upload_is_sent() -> None:
    with FaultProxy() as server, FaultProxy() as other:
        server.always(Tokens(credentials=("ann", "secret")))
        server.when(
            lambda ask: ask.method == "POST" and "authorization" in ask.headers,
            registry(begins=f"{other.url}/store")["POST"],
        )
        steps = registry()
        other.always(lambda ask: steps[ask.method])
        push(server.address, keys=keyring(server.address))
        assert other.count() >= 2
        assert all("authorization" not in ask.headers for ask in other.seen())


def test_an_upload_does_not_leave_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        FaultProxy(certificate=authority.issue("registry").context()) as server,
        FaultProxy() as plain,
    ):
        server.when(asks("upload"), registry(begins=f"{plain.url}/store")["POST"])
        rules = RegistryRules(authorities={server.address: authority.pem})
        with pytest.raises(RemoteError, match="without"):
            push(server.address, insecure=False, rules=rules)
        assert plain.count() == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(201), None),
        (Answer(201, {"Docker-Content-Digest": IMAGE.digest}), None),
        (Answer(201, {"Docker-Content-Digest": "md5:nonsense"}), None),
        (Answer(201, {"Docker-Content-Digest": str(DIGEST)}), ContentInvalid),
        (refuses(413, "SIZE_INVALID", "too large"), RemoteError),
        (refuses(400, "MANIFEST_BLOB_UNKNOWN", "no such blob"), RemoteError),
        (Answer(307, {"Location": "/v2/elsewhere"}), RemoteError),
    ],
)
def test_a_manifest_is_pushed_when_the_registry_says_so(
    answer: Answer, error: type[RemoteError] | None
) -> None:
    with FaultProxy() as server:
        server.always(answer)

        async def scenario(gateway: Gateway) -> None:
            registries, manifest = gateway.registries(insecure=True), IMAGE.manifest
            await registries.push_manifest(
                location(server.address), "v1", manifest.media_type, manifest.data
            )

        if error is None:
            with_gateway(scenario)
        else:
            with pytest.raises(error):
                with_gateway(scenario)
        [ask] = server.seen("manifest")
        assert ask.headers["content-type"] == IMAGE.manifest.media_type


def test_content_that_is_shorter_than_was_said_is_not_pushed() -> None:
    async def content(offset: int) -> AsyncIterator[bytes]:
        yield CONTENT[offset:10]

    with FaultProxy() as server:
        steps = registry()
        server.always(lambda ask: steps[ask.method])

        async def scenario(gateway: Gateway) -> None:
            registries, here = gateway.registries(insecure=True), location(server.address)
            for size in (20, len(CONTENT)):
                with pytest.raises(RemoteError, match="bytes"):
                    await registries.push_blob(here, DIGEST, size, content)

        with_gateway(scenario)
        assert all(method != "PUT" for method, _ in uploads(server))
