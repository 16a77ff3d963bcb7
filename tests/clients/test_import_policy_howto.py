"""docs/import-policy.md does what it says, command by command, from top to bottom.

The page's `registry.corp.example.com:8443` is a second tidegate, over TLS with an authority of its
own: `corp-ca.pem`. Its private network is this machine. What nobody may reach from a test, such as
docker.io, is only named, or mirrored there.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Home
from tests.clients.test_access_howto import PATH, blocks, section, server_in, type_in
from tests.images import small_image
from tests.kube_client import KubeClient, add_user, kube_client, role_binding
from tests.server import PASSWORD, Server, serving
from tests.tools import PROJECT, Outcome, require, run
from tests.upstream import second_tidegate

PAGE = "import-policy.md"
IMAGES = "/apis/image.openshift.io/v1/namespaces/shop"
APP = small_image("base app")


class Typist:
    """Types what sections of the page say into one server."""

    def __init__(self, server: Server, corp: Server, home: Home, directory: Path) -> None:
        self._server, self._corp = server, corp
        self._home, self._directory = home, directory

    def __call__(self, heading: str) -> Outcome:
        """Everything of a section."""
        return self.type(blocks(section(PAGE, heading), "sh"))

    def type(self, script: list[str]) -> Outcome:
        return type_in(
            self._server, self._home, [self.here(each) for each in script], self._directory
        )

    def refused(self, script: str) -> str:
        """What is said to who types something that is refused."""
        outcome = run(
            *("bash", "-c", f"set -euo pipefail\n{self.here(script)}"),
            environment={**self._home.environment, "PATH": PATH},
            directory=self._directory,
        )
        assert outcome.code != 0, str(outcome)
        return outcome.stderr

    def here(self, script: str) -> str:
        """With the addresses of this run."""
        script = script.replace("registry.corp.example.com..8443", f"127.0.0.1..{self.port}")
        return script.replace("registry.corp.example.com:8443", self._corp.tls_address)

    @property
    def port(self) -> int:
        return self._corp.tls_port


@pytest.fixture
def corp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The other registry of the page, which anyone may pull from."""
    settings = {"anonymous_pull": "yes"}
    directory = tmp_path_factory.mktemp("corp")
    with second_tidegate(directory, tls=True, settings=settings) as (upstream, server):
        with upstream.client() as client:
            client.push("base/app", APP, "1.0")
        yield server


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """What the page has in its settings, for the network of this machine."""
    (text,) = blocks(section(PAGE, "## Private networks"), "toml")
    file = tmp_path / "settings.toml"
    file.write_text(text.replace("10.20.0.0/16", "127.0.0.0/8"))
    return file


def digest_of(admin: KubeClient, tag: str) -> str:
    return str(admin.read(f"{IMAGES}/imagestreamtags/{tag}")["image"]["metadata"]["name"])


def test_every_command_of_the_page_does_what_it_says(
    logged_out: Home, tmp_path: Path, corp: Server, settings_file: Path
) -> None:
    for program in ("kubectl", "curl"):
        require(program)
    (tmp_path / "corp-ca.pem").write_text(corp.authority.read_text())
    arguments = ("--config", str(settings_file))
    with serving(server_in(tmp_path, *arguments)) as server, kube_client(server) as admin:
        add_user(server, "ann", PASSWORD)
        admin.make("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        binding = role_binding("ann", "edit", "ann")
        admin.make("/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings", binding)
        typed = Typist(server, corp, logged_out, tmp_path)
        context, *_ = blocks(section("access.md", "### With kubectl"), "sh")
        typed.type([context])

        trusted = "## Only registries that we trust"
        typed(trusted)
        (attempt,) = blocks(section(PAGE, trusted), "sh refused")
        (told,) = blocks(section(PAGE, trusted), "text")
        assert told.strip() in typed.refused(attempt)

        now = "## Now people import"
        (importing,), (success,) = (blocks(section(PAGE, now), each) for each in ("sh", "text"))
        typed("## Registries that nobody uses")
        assert typed.type([importing]).stdout == "Failure\n"  # its authority is not known yet
        typed("## A certificate authority of our own")
        assert typed.type([importing]).stdout == success
        assert digest_of(admin, "app:1.0") == APP.digest

        typed("## Mirrors, for a site that is cut off or counted")
        typed("## One platform or all")
        typed("## The name of this registry")
        of_hub = importing.replace("registry.corp.example.com:8443/base", "docker.io/library")
        assert 'registry "registry-1.docker.io:443" is forbidden' in typed.refused(of_hub)
        by_admin = of_hub.replace(" --as=ann", "").replace("name: app}", "name: hub}")
        assert typed.type([by_admin]).stdout == success
        assert digest_of(admin, "hub:1.0") == APP.digest
        stream = admin.read(f"{IMAGES}/imagestreams/hub")
        (tag,), (history,) = stream["spec"]["tags"], stream["status"]["tags"]
        assert tag["importPolicy"] == {"importMode": "PreserveOriginal"}
        assert history["items"][0]["dockerImageReference"] == f"docker.io/library/app@{APP.digest}"
        public = stream["status"]["publicDockerImageRepository"]
        assert public == "images.corp.example.com/shop/hub"

        listed = typed("## What is in force").stdout
        assert re.search(r"^image\w*\S*/hub +docker\.io/library", listed, re.MULTILINE)
        found = json.loads((tmp_path / "in-force.json").read_text())
        assert found["importsFrom"][1:] == [corp.tls_address, "quay.io:443"]
        assert found["allowed"] == [corp.tls_address, "quay.io", "docker.io/library"]
        assert [each["contactSource"] for each in found["tagMirrors"]] == [False]
        assert found["authorities"][0]["registry"] == corp.tls_address
        assert found["importMode"] == "PreserveOriginal"
        assert "ignored" not in found


def test_the_page_is_found_from_the_others() -> None:
    for page in ("docs/sre.md", "docs/importing.md"):
        assert "import-policy.md" in (PROJECT / page).read_text("utf-8")


def test_every_field_of_the_configuration_is_on_the_page() -> None:
    text = (PROJECT / "docs" / PAGE).read_text("utf-8")
    declared = (
        *("allowedRegistriesForImport", "externalRegistryHostnames", "additionalTrustedCA"),
        *("insecureRegistries", "blockedRegistries", "allowedRegistries"),
        *("containerRuntimeSearchRegistries", "imageStreamImportMode"),
        *("ImageDigestMirrorSet", "ImageTagMirrorSet", "ImageContentSourcePolicy"),
    )
    assert [each for each in declared if each not in text] == []
