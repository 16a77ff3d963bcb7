"""A release engineer who lacks oc: logs in, looks, promotes, goes back and undeletes."""

import json
from pathlib import Path

import pytest
import yaml

from tests.clients.conftest import Home, Registry
from tests.images import index, small_image
from tests.kube_client import KubeClient
from tests.registry_client import RegistryClient
from tests.server import tidegate
from tests.tools import Program


def client(home: Home, **environment: str) -> Program:
    return Program(tidegate(), {**home.environment, **environment})


@pytest.fixture
def command(logged_out: Home, registry: Registry) -> Program:
    """The program, logged in as the administrator."""
    program = client(logged_out)
    program(
        *("login", f"http://{registry.address}", "-u", registry.username, "--password-stdin"),
        stdin=f"{registry.password}\n",
    )
    return program


@pytest.fixture
def shop(command: Program, api: RegistryClient, repository: str) -> str:
    """The current project, in which `app:1` was pushed twice."""
    project = repository.partition("/")[0]
    for mark in ("first", "second"):
        api.push(repository, small_image(f"{repository} {mark}"), "1")
    command("project", project)
    return project


def first(shop: str) -> str:
    return small_image(f"{shop}/app first").digest


def second(shop: str) -> str:
    return small_image(f"{shop}/app second").digest


def test_a_login_over_tls_is_kept_and_its_end_voids_the_token(
    registry: Registry, logged_out: Home
) -> None:
    program = client(logged_out)
    url = f"https://{registry.encrypted_address}"
    words = ("login", url, "-u", registry.username, "--password-stdin")
    untrusted = program.attempt(*words, stdin=registry.password)
    assert (untrusted.code, untrusted.stderr.count("\n")) == (1, 1), str(untrusted)
    assert "certificate is not trusted" in untrusted.stderr
    assert registry.authority is not None
    authority = ("--certificate-authority", registry.authority)
    assert "Logged in" in program(*words, *authority, stdin=registry.password)
    assert program("whoami").strip() == registry.username
    assert program("whoami", "--show-server").strip() == url
    assert "Logged in" in program("login", url)  # the token is good, so nothing is asked
    stored = Path(logged_out.environment["XDG_CONFIG_HOME"], "tidegate", "client.json")
    assert stored.stat().st_mode & 0o077 == 0
    assert registry.password not in stored.read_text()
    token = program("whoami", "-t").strip()
    program("logout")
    assert token not in stored.read_text()
    again = program.attempt("login", url, "--token", token)
    assert (again.code, "log in again" in again.stderr) == (1, True), str(again)


def test_a_wrong_password_and_a_dead_server_are_one_line_each(
    registry: Registry, logged_out: Home
) -> None:
    program = client(logged_out)
    for url, said in (
        (f"http://{registry.address}", "password is wrong"),
        ("http://127.0.0.1:1", "refused"),
        (f"https://{registry.address}", "tidegate: https://"),
    ):
        outcome = program.attempt("login", url, "-u", "nobody", "-p", "wrong password")
        assert outcome.code == 1, str(outcome)
        assert said in outcome.stderr
        assert outcome.stderr.count("\n") == 1, str(outcome)
    assert "not logged in" in program.attempt("get", "is").stderr


def test_projects_are_listed_and_changed(command: Program, shop: str) -> None:
    assert shop in command("projects", "-q").splitlines()
    assert command("project", "-q").strip() == shop
    missing = command.attempt("project", "no-such-project")
    assert (missing.code, "no project" in missing.stderr) == (1, True)


def test_objects_are_shown_in_every_form(command: Program, shop: str) -> None:
    heading, row = command("get", "is").splitlines()
    assert heading.split()[:2] == ["NAME", "IMAGE"]
    assert row.split()[0] == "app"
    assert command("get", "imagestreams", "-o", "name") == "imagestream.image.openshift.io/app\n"
    listed = json.loads(command("get", "is", "-o", "json"))
    assert [each["metadata"]["name"] for each in listed["items"]] == ["app"]
    stream = yaml.safe_load(command("get", "ImageStream/app", "-o", "yaml"))
    assert (stream["kind"], stream["metadata"]["namespace"]) == ("ImageStream", shop)
    everywhere = command("get", "is", "-A").splitlines()
    assert [shop, "app"] in [line.split()[:2] for line in everywhere]
    assert second(shop) in command("get", "istag", "-o", "wide")
    missing = command.attempt("get", "is", "app", "nope")
    assert (missing.code, '"nope" not found' in missing.stderr) == (1, True)
    assert "app" in missing.stdout


def test_a_stream_and_its_images_are_described(
    command: Program, api: RegistryClient, shop: str
) -> None:
    api.push(f"{shop}/app", index(small_image(f"{shop} child")), "many")
    described = command("describe", "is", "app")
    starred = [line for line in described.splitlines() if line.lstrip().startswith("*")]
    assert len(starred) == 2
    assert second(shop) in described
    assert first(shop) in described
    layer = small_image(f"{shop}/app second").blobs[-1].digest
    for words in (("istag", "app:1"), ("isimage", f"app@{second(shop)}"), ("image", second(shop))):
        assert layer in command("describe", *words)
    assert small_image(f"{shop} child").digest in command("describe", "istag/app:many")


def test_a_promotion_goes_into_another_stream_and_back(command: Program, shop: str) -> None:
    assert f"app@{second(shop)}" in command("tag", "app:1", "app:prod", "released:1")
    assert second(shop) in command("get", "istag", "released:1", "-o", "yaml")
    command("tag", "--alias", "app:1", "app:latest")
    latest = json.loads(command("get", "istag", "app:latest", "-o", "json"))
    assert latest["tag"]["from"] == {"kind": "ImageStreamTag", "name": "app:1"}
    crossing = command.attempt("tag", "--alias", "app:1", "other:1")
    assert (crossing.code, "across different" in crossing.stderr) == (2, True)
    assert command("tag", "-d", "released:1") == f"Deleted tag {shop}/released:1.\n"
    assert command.attempt("get", "istag", "released:1").code == 1


def test_the_history_leads_back(command: Program, shop: str) -> None:
    newest, oldest = json.loads(command("tag", "history", "app:1", "-o", "json"))["items"]
    assert (newest["image"], oldest["image"]) == (second(shop), first(shop))
    assert (newest["how"], newest["who"]) == ("push", "admin")
    assert first(shop) in command("tag", "rollback", "app:1")
    back = json.loads(command("tag", "history", "app:1", "-o", "json", "--limit", "1"))["items"]
    assert [(each["how"], each["image"]) for each in back] == [("rollback", first(shop))]
    assert second(shop) in command("tag", "rollback", "app:1", "--to", str(newest["number"]))
    assert first(shop) in command("tag", "rollback", "app:1", "--to", first(shop)[:19])
    heading, current, *_ = command("tag", "history", "app:1").splitlines()
    assert heading.split() == ["NUMBER", "CREATED", "IMAGE", "HOW", "WHO", "FROM"]
    assert current.startswith("*")


def test_deleted_tags_and_streams_come_back(
    command: Program, api: RegistryClient, shop: str
) -> None:
    command("tag", "-d", "app:1")
    assert api.manifest(f"{shop}/app", "1").status_code == 404
    assert second(shop) in command("tag", "undelete", "app:1")
    assert api.manifest(f"{shop}/app", "1").status_code == 200
    with KubeClient(
        command("whoami", "--show-server").strip(), command("whoami", "-t").strip()
    ) as kube:
        stream = f"/apis/image.openshift.io/v1/namespaces/{shop}/imagestreams/app"
        assert kube.delete(stream).status_code == 200
    assert api.manifest(f"{shop}/app", "1").status_code == 404
    command("tag", "undelete", "app")
    assert api.manifest(f"{shop}/app", "1").status_code == 200


def test_top_adds_up_what_is_stored(command: Program, shop: str) -> None:
    heading, row = command("top", "imagestreams", "-n", shop).splitlines()
    assert heading.split() == ["NAME", "STORAGE", "IMAGES", "LAYERS"]
    assert (row.split()[0], row.split()[2]) == (f"{shop}/app", "2")
    images = command("top", "images", "-n", shop).splitlines()
    assert images[0].split() == [
        "NAME",
        "IMAGESTREAMTAG",
        "PARENTS",
        "USAGE",
        "METADATA",
        "STORAGE",
    ]
    (line,) = [line for line in images if line.startswith(second(shop))]
    assert f"{shop}/app (1)" in line


def test_a_shell_completes_kinds_names_and_projects(command: Program, shop: str) -> None:
    def completed(words: str) -> list[str]:
        asking = {
            "_TIDEGATE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        program = Program(command.path, {**command.environment, **asking})
        return program().split()

    assert completed("tidegate descr") == ["describe"]
    assert completed("tidegate get imagest")[0].startswith("imagest")
    assert completed("tidegate get is a") == ["app"]
    assert completed(f"tidegate project {shop[:9]}") == [shop]
