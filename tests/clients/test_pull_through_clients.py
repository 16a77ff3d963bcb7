"""Container engines pull images of another registry through this one, which then is not needed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.conftest import Home, Registry
from tests.clients.test_podman_pushes_and_pulls import podman_in
from tests.e2e.pulling_through import World, world
from tests.engines import Containerd, containerd_engine, docker_engine
from tests.fault_proxy import FaultProxy
from tests.images import Pushable, index, small_image
from tests.kube_client import RBAC, role_binding
from tests.tools import Program, require


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("clients")) as found:
        yield found


@pytest.fixture
def here(both: World) -> Iterator[World]:
    with FaultProxy(both.upstream.url) as far:
        found = replace(both, far=far)
        found.allow_without_tls()
        yield found


@pytest.fixture
def at_home(here: World, logged_out: Home) -> Home:
    """A client's home that is logged in."""
    logged_out.remember(Registry(here.server.address))
    return logged_out


def fresh(name: str) -> Pushable:
    return index(small_image(name), small_image(name, "arm64"))


def mirror(here: World) -> str:
    """A project that mirrors the other registry, for everybody."""
    project = here.project(**{"tidegate.io/proxy": here.far.address})
    binding = role_binding("all", "system:image-puller", groups=("system:unauthenticated",))
    here.admin.make(f"{RBAC}/namespaces/{project}/rolebindings", binding)
    return project


def copied(skopeo: Program, there: str, directory: Path) -> list[str]:
    """The digests of the images that a copy of all of them has."""
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{there}", f"dir:{directory}")
    return [
        each["digest"]
        for each in json.loads((directory / "manifest.json").read_text())["manifests"]
    ]


def test_skopeo_copies_an_imported_image_twice_and_asks_the_other_registry_once(
    here: World, at_home: Home, tmp_path: Path
) -> None:
    pushable = fresh("skopeo")
    there = f"{here.server.address}/{here.imported(pushable)}:v1"
    skopeo = Program(require("skopeo"), at_home.environment)
    wanted = [child.digest for child in pushable.children]
    assert copied(skopeo, there, tmp_path / "first") == wanted
    here.far.unplug()
    assert copied(skopeo, there, tmp_path / "second") == wanted


def test_podman_pulls_an_imported_image_by_tag_and_digest(here: World, at_home: Home) -> None:
    pushable = small_image("podman")
    podman = podman_in(at_home)
    there = f"{here.server.address}/{here.imported(pushable)}"
    podman("pull", "--tls-verify=false", f"{there}:v1")
    here.far.unplug()
    podman("rmi", f"{there}:v1")
    podman("pull", "--tls-verify=false", f"{there}@{pushable.digest}")


def test_podman_pulls_by_its_usual_names_where_a_project_is_its_mirror(
    here: World, logged_out: Home
) -> None:
    pushable = small_image("podman mirror")
    project, name = mirror(here), here.put(pushable)
    configuration = logged_out.directory / "registries.conf"
    configuration.write_text(
        f'[[registry]]\nlocation = "{here.far.address}"\ninsecure = true\nblocked = false\n'
        f'[[registry.mirror]]\nlocation = "{here.server.address}/{project}"\ninsecure = true\n'
    )
    (logged_out.directory / "docker" / "config.json").write_text(
        "{}"
    )  # podman reads what it is told
    environment = {**logged_out.environment, "CONTAINERS_REGISTRIES_CONF": str(configuration)}
    podman = Program(require("podman"), environment, podman_in(logged_out).options)
    here.far.forget()
    podman("pull", f"{here.far.address}/{name}:v1")
    assert here.stream(project, name)["status"]["tags"]
    # tidegate alone asked for the image; the engine went by its mirror
    assert {ask.headers["user-agent"].split("/")[0] for ask in here.far.seen()} == {"tidegate"}


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    with containerd_engine() as engine:
        yield engine


def test_containerd_pulls_by_its_usual_names_and_says_which_registry_it_means(
    here: World, containerd: Containerd
) -> None:
    pushable = fresh("containerd")
    project, name = mirror(here), here.put(pushable)
    containerd.mirror(here.far.address, here.server.url)
    there = f"{here.far.address}/{name}:v1"
    options = ("--plain-http", "--hosts-dir", str(containerd.hosts))
    containerd.ctr("images", "pull", "--all-platforms", *options, there)
    assert pushable.digest in containerd.ctr("images", "ls", f"name=={there}")
    assert here.stream(project, name)["status"]["tags"]
    assert {ask.headers["user-agent"].split("/")[0] for ask in here.far.seen()} == {"tidegate"}
    here.far.unplug()
    containerd.ctr("images", "rm", "--sync", there)
    containerd.ctr("images", "pull", "--all-platforms", *options, there)


def test_docker_pulls_a_deep_name_of_a_project_that_mirrors_a_registry(
    here: World, at_home: Home
) -> None:
    pushable = small_image("docker")
    project, name = mirror(here), here.put(pushable, "team/sub/app")
    there = f"{here.server.address}/{project}/{name}:v1"
    with docker_engine(at_home.environment) as docker:
        docker("pull", there)
        docker("rmi", there)
        here.far.unplug()
        assert pushable.digest in docker("pull", there)
