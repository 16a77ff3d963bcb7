"""A project's password for another registry goes to that registry, and nowhere else."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.e2e.pulling_through import IMAGES, World, world
from tests.fault_proxy import FaultProxy
from tests.faults import Choice, Tokens, asks, redirect
from tests.images import small_image
from tests.kube_client import CORE
from tests.registry_client import basic

ROBOT = ("robot", "parole for the far side")
PROOFS = {"authorization", "cookie", "proxy-authorization"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry that wants a password, and a tidegate that may call it."""
    with world(tmp_path_factory.mktemp("world"), credentials=ROBOT, workers=1) as running:
        running.allow_without_tls()
        yield running


@pytest.fixture
def here(shared: World) -> Iterator[World]:
    shared.far.forget()
    yield shared
    shared.far.honest()


@pytest.fixture
def elsewhere(here: World) -> Iterator[FaultProxy]:
    """Another host with the same content, for who comes without a password."""
    with FaultProxy(here.upstream.url, host="127.0.0.2", credentials=ROBOT) as other:
        yield other


def asked(here: World, project: str, source: str) -> httpx.Response:
    """The answer to an import of an image."""
    each = {
        "from": {"kind": "DockerImage", "name": source},
        "to": {"name": "v1"},
        "importPolicy": {"insecure": True},
        "referencePolicy": {"type": "Local"},
    }
    body = {"metadata": {"name": "app"}, "spec": {"import": True, "images": [each]}}
    path = f"{IMAGES}/namespaces/{project}/imagestreamimports"
    return here.admin.post(path, body)


def found(here: World, project: str, source: str) -> dict[str, Any]:
    """What became of an import of an image."""
    answer = asked(here, project, source)
    assert answer.status_code == 201, answer.text
    (image,) = answer.json()["status"]["images"]
    return dict(image["status"])


def once_known(to: str) -> Choice:
    """A redirect for who has shown a password, which the registry asks for before."""
    lead = redirect(f"{to}{{target}}")
    return lambda ask: lead(ask) if "authorization" in ask.headers else None


def shown(proxy: FaultProxy, kind: str = "") -> list[str]:
    """What proves who asks, of all that a server was asked."""
    return [
        value
        for ask in proxy.seen(kind)
        for name, value in ask.headers.items()
        if name in PROOFS or ROBOT[1] in value
    ]


def test_a_redirect_to_another_host_goes_without_the_password(
    here: World, elsewhere: FaultProxy, repository: str
) -> None:
    """Manifests in the import, blobs in the pull: content comes from there, trust stays."""
    image, name = small_image(repository), here.project()
    place = here.put(image)
    here.secret(name, *ROBOT)
    here.far.when(asks("manifest"), once_known(elsewhere.url))
    here.far.when(asks("blob"), once_known(elsewhere.url))
    answer = found(here, name, f"{here.far.address}/{place}:v1")
    assert answer["status"] == "Success", answer
    here.registry.pull(f"{name}/app", image, "v1")
    assert basic(*ROBOT)["Authorization"] in shown(here.far, "blob")
    assert elsewhere.count("manifest") >= 1
    assert elsewhere.count("blob", "GET") >= len(image.blobs)
    assert shown(elsewhere) == []


def test_what_was_left_out_stays_out_when_the_other_host_leads_back(
    here: World, elsewhere: FaultProxy, repository: str
) -> None:
    image, name = small_image(repository), here.project()
    place = here.put(image)
    here.secret(name, *ROBOT)
    here.far.when(
        lambda ask: ask.kind == "manifest" and "back" not in ask.target,
        redirect(f"{elsewhere.url}{{target}}"),
    )
    elsewhere.always(redirect(f"{here.far.url}{{target}}?back=1"))
    answer = found(here, name, f"{here.far.address}/{place}:v1")
    assert answer["status"] == "Failure", answer
    back = [ask for ask in here.far.seen("manifest") if "back" in ask.target]
    assert back
    assert all("authorization" not in ask.headers for ask in back)
    assert shown(elsewhere) == []


def test_the_password_is_for_its_host_and_project_alone(here: World, repository: str) -> None:
    image = small_image(repository)
    place = here.put(image)
    mine, other = here.project(), here.project()
    here.secret(mine, *ROBOT)
    # Another name for the same machine is another registry.
    with FaultProxy(here.upstream.url, host="127.0.0.2") as twin:
        assert found(here, mine, f"{twin.address}/{place}:v1")["status"] == "Failure"
        assert twin.count("manifest") >= 1
        assert shown(twin) == []
    # What one project may read over there, another may not for that.
    assert found(here, mine, f"{here.far.address}/{place}:v1")["status"] == "Success"
    here.registry.pull(f"{mine}/app", image, "v1")
    here.far.forget()
    answer = found(here, other, f"{here.far.address}/{place}:v1")
    assert answer["status"] == "Failure", answer
    assert shown(here.far) == []


def test_a_password_for_tokens_is_shown_to_nobody_but_their_server(
    here: World, elsewhere: FaultProxy, repository: str
) -> None:
    image, name = small_image(repository), here.project()
    place = here.put(image)
    tokens = Tokens(credentials=ROBOT)
    with FaultProxy(here.upstream.url, credentials=ROBOT) as guarded:
        there = replace(here, far=guarded)
        there.allow_without_tls()
        there.secret(name, *ROBOT)
        guarded.when(asks("blob"), redirect(f"{elsewhere.url}{{target}}"))
        guarded.always(lambda ask: tokens(ask) if ask.kind != "blob" else None)
        answer = found(here, name, f"{guarded.address}/{place}:v1")
        assert answer["status"] == "Success", answer
        here.registry.pull(f"{name}/app", image, "v1")
        password = basic(*ROBOT)["Authorization"]
        assert set(shown(guarded, "token")) == {password}
        assert password not in shown(guarded, "manifest") + shown(guarded, "blob")
        assert tokens.scopes
        assert all(each.endswith(":pull") for each in tokens.scopes)
        assert elsewhere.count("blob", "GET") >= 1
        assert shown(elsewhere) == []
    here.allow_without_tls()


def test_no_password_is_told_to_readers_of_the_project_or_of_the_logs(
    here: World, repository: str
) -> None:
    image, name = small_image(repository), here.project()
    place = here.put(image)
    wrong = "wrong parole of mine"
    here.secret(name, ROBOT[0], wrong)
    source = f"{here.far.address}/{place}:v1"
    answer = found(here, name, source)
    assert answer["status"] == "Failure", answer
    within = f"https://{ROBOT[0]}:{wrong}@{here.far.address}/{place}:v1"
    assert asked(here, name, within).status_code == 422
    told = [answer["message"]]
    paths = (
        f"{IMAGES}/namespaces/{name}/imagestreams",
        f"{CORE}/namespaces/{name}/events",
        "/apis/tidegate.io/v1/backgroundjobs",
    )
    told += [here.admin.get(path).text for path in paths]
    told += [here.server.log, (here.server.data / "audit.log").read_text("utf-8")]
    for text in told:
        assert wrong not in text
        assert basic(ROBOT[0], wrong)["Authorization"].split()[1] not in text
