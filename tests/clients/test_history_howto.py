"""What docs/history.md tells people to type works, on a release that is live since a minute ago.

The page's digest, number and time stand for the first image of `prod/web:live` and for a moment
when the tag was at it.
"""

import time
from pathlib import Path

from tests.clients.conftest import Home
from tests.clients.test_access_howto import blocks, section, server_in, type_in
from tests.clients.test_releases_howto import ContainerHome
from tests.images import small_image
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving
from tests.tools import PROJECT, Outcome, require

PAGE = "history.md"
FIRST, SECOND = small_image("first"), small_image("second")

LOGIN = """
echo "$PASSWORD" | tidegate login https://127.0.0.1:6443 -u admin --password-stdin \
    --certificate-authority tidegate-data/tls/ca.crt
echo "$PASSWORD" | skopeo login --tls-verify=false -u admin --password-stdin 127.0.0.1:5000
"""


class Typist:
    """Types what sections of the page say into one server, on which two images were live."""

    def __init__(self, server: Server, home: Home, directory: Path) -> None:
        self._server, self._home, self._directory = server, home, directory
        with client_of(server) as api:
            api.push("prod/web", FIRST, "live")
            self._moment = time.gmtime()
            time.sleep(1.1)  # the page's times have whole seconds
            api.push("prod/web", SECOND, "live")
        context, *_ = blocks(section("access.md", "### With kubectl"), "sh")
        type_in(server, home, [LOGIN, context], directory)

    def __call__(self, *script: str) -> Outcome:
        text = "\n".join(script)
        for written, form in (
            ("20261123T101500Z", "%Y%m%dT%H%M%SZ"),
            ("2026-11-23T10:15:00Z", "%Y-%m-%dT%H:%M:%SZ"),
        ):
            text = text.replace(written, time.strftime(form, self._moment))
        text = text.replace("sha256:9d3f0c2b7a11", FIRST.digest[:19])
        return type_in(self._server, self._home, [text], self._directory)


def test_every_command_of_the_page_does_what_it_says(logged_out: Home, tmp_path: Path) -> None:
    for program in ("podman", "skopeo", "kubectl", "curl"):
        require(program)
    home = ContainerHome(logged_out.directory)
    with serving(server_in(tmp_path)) as server, client_of(server) as api:
        typed = Typist(server, home, tmp_path)
        (look,) = blocks(section(PAGE, "## What a tag was"), "sh")
        heading, newest, oldest = typed(look).stdout.splitlines()
        assert heading.split() == ["NUMBER", "CREATED", "IMAGE", "HOW", "WHO", "FROM"]
        assert newest.split()[:2] == ["*", "2"]
        assert oldest.split()[0] == "1"

        (back,) = blocks(section(PAGE, "## Back to what it was"), "sh")
        for command in back.splitlines():
            assert live(api) == SECOND.digest
            assert FIRST.digest in typed(command).stdout
            assert live(api) == FIRST.digest
            typed("tidegate tag rollback prod/web:live --to 2")

        (pull,) = blocks(section(PAGE, "## Pull it as it was"), "sh")
        config = FIRST.blobs[0].digest.removeprefix("sha256:")
        assert typed(pull).stdout.strip() == config

        tag, stream, image = blocks(section(PAGE, "## Bring back what was deleted"), "sh")
        assert typed(tag).stdout.count(f"Tag web:live is back at {SECOND.digest}.") == 2
        assert live(api) == SECOND.digest
        before = typed(look).stdout
        assert "Image stream web is back." in typed(stream).stdout
        assert typed(look).stdout == before
        api.pull("prod/web", SECOND, "live")

        api.push("prod/other", small_image("other"), "1")
        kept = f"IMAGE={small_image('other').digest}"
        typed("kubectl delete imagestream other -n prod", kept, image, 'kubectl get image "$IMAGE"')


def live(api: RegistryClient) -> str:
    return str(api.manifest("prod/web", "live").headers["docker-content-digest"])


def test_the_page_is_found_from_the_others() -> None:
    for page in ("README.md", "docs/devops.md", "docs/sre.md", "docs/naming.md"):
        assert "history.md" in (PROJECT / page).read_text("utf-8")
