"""What docs/importing.md tells people to type works, block by block.

The page's docker.io and quay.io are a second tidegate here. Blocks for oc are typed where somebody
has built it. Of the commands in tables only the flags are compared with what oc 4.2x takes.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Home
from tests.clients.test_access_howto import blocks, section, server_in, type_in
from tests.images import small_image
from tests.kube_client import KubeClient, kube_client
from tests.server import Server, serving
from tests.tools import PROJECT, SEARCH_PATH, require
from tests.upstream import Upstream, second_tidegate

PAGE = "importing.md"
FRESH = "## Keep it fresh"
STREAM = "/apis/image.openshift.io/v1/namespaces/shop/imagestreams"
NGINX, PROMETHEUS = small_image("nginx"), small_image("prometheus")
SETTINGS = 'upstream_networks = ["127.0.0.0/8"]\n'
POLICIES, MODES = ("source", "local"), ("Legacy", "PreserveOriginal")

TAKES: dict[str, dict[str, tuple[str, ...]]] = {
    "import-image": {
        **dict.fromkeys(("--all", "--confirm", "--dry-run", "--insecure", "--scheduled"), ()),
        "--from": (".+",),
        "--import-mode": MODES,
        "--reference-policy": POLICIES,
    },
    "tag": {
        **dict.fromkeys(("--insecure", "--reference", "--scheduled"), ()),
        "--source": ("docker", "istag", "isimage"),
        "--import-mode": MODES,
        "--reference-policy": POLICIES,
    },
}
"""The flags of oc's two commands, and the values of those that have one."""


@pytest.fixture
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The registries of the page, which anyone may pull from."""
    directory = tmp_path_factory.mktemp("far")
    with second_tidegate(directory, settings={"anonymous_pull": "yes"}) as (upstream, _):
        with upstream.client() as client:
            client.push("library/nginx", NGINX, "1.28")
            client.push("prometheus/prometheus", PROMETHEUS, "v3.7.0")
        yield upstream


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One with a project `shop`."""
    (tmp_path / "settings.toml").write_text(SETTINGS)
    arguments = ("--config", str(tmp_path / "settings.toml"))
    with serving(server_in(tmp_path, *arguments)) as started:
        with kube_client(started) as admin:
            admin.make("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        yield started


def script(far: Upstream, *typed: str) -> list[str]:
    """What is typed, for the registry of this run, which has no certificate."""
    context, *_ = blocks(section("access.md", "### With kubectl"), "sh")
    sources = f'{{"spec":{{"registrySources":{{"insecureRegistries":["{far.address}"]}}}}}}'
    patch = f"kubectl patch image.config.openshift.io cluster --type=merge -p '{sources}'"
    return [
        *(context, patch, "kubectl config set-context --current --namespace=shop"),
        *(re.sub(r"\b(docker|quay)\.io/(?=\w)", f"{far.address}/", each) for each in typed),
    ]


def preamble(mark: str) -> str:
    """The page's first block of a mark, which is before any heading."""
    return blocks((PROJECT / "docs" / PAGE).read_text("utf-8"), mark)[0]


def check_nginx(admin: KubeClient, *, scheduled: bool) -> None:
    """The tag has its image, and is looked at again or not."""
    stream = admin.read(f"{STREAM}/nginx")
    (tag,), (history,) = stream["spec"]["tags"], stream["status"]["tags"]
    assert history["tag"] == "1.28"
    assert [event["image"] for event in history["items"]] == [NGINX.digest]
    assert tag["importPolicy"].get("scheduled", False) is scheduled


def test_every_command_with_kubectl_does_what_it_says(
    logged_out: Home, tmp_path: Path, far: Upstream, server: Server
) -> None:
    require("kubectl")
    with kube_client(server) as admin:
        type_in(server, logged_out, script(far, preamble("sh")), tmp_path)
        check_nginx(admin, scheduled=False)
        (fresh,) = blocks(section(PAGE, FRESH), "sh")
        _, *typed = script(far, fresh)
        outcome = type_in(server, logged_out, typed, tmp_path)
        check_nginx(admin, scheduled=True)
        (tag,) = admin.read(f"{STREAM}/nginx")["spec"]["tags"]
        assert tag["annotations"]["tidegate.io/import-interval"] == "1h"
        project = admin.read("/api/v1/namespaces/shop")["metadata"]
        assert project["annotations"]["tidegate.io/import-interval"] == "5m"
        assert "scheduled-import" in outcome.stdout


if shutil.which("oc", path=SEARCH_PATH):  # built from its repository where somebody wants it

    def test_every_command_with_oc_does_what_it_says(
        logged_out: Home, tmp_path: Path, far: Upstream, server: Server
    ) -> None:
        with kube_client(server) as admin:
            type_in(server, logged_out, script(far, preamble("sh oc")), tmp_path)
            check_nginx(admin, scheduled=False)
            (tag,) = admin.read(f"{STREAM}/monitoring")["spec"]["tags"]
            assert tag["from"]["name"] == f"{far.address}/prometheus/prometheus:v3.7.0"
            (fresh,) = blocks(section(PAGE, FRESH), "sh oc")
            _, *typed = script(far, fresh)
            type_in(server, logged_out, typed, tmp_path)
            check_nginx(admin, scheduled=True)


def test_oc_takes_every_flag_of_the_page() -> None:
    text = (PROJECT / "docs" / PAGE).read_text("utf-8")
    found = re.findall(r"(?:^|`)(oc (?:import-image|tag) [^`\n]+)", text, flags=re.MULTILINE)
    assert len(found) > 9
    for command in found:
        _, verb, *words = shlex.split(command, comments=True)
        for flag in (each for each in words if each.startswith("-")):
            name, _, value = flag.partition("=")
            assert name in TAKES[verb], command
            wanted = TAKES[verb][name]
            assert (not value) if not wanted else re.fullmatch("|".join(wanted), value), command
