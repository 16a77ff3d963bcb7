"""docs/releases.md does what it says, command by command, and there are ten."""

import re
from pathlib import Path

from tests.clients.conftest import Home
from tests.clients.test_access_howto import blocks, section, server_in, type_in
from tests.clients.test_readme_tour import storage_for
from tests.registry_client import client_of
from tests.server import serving
from tests.tools import PROJECT, require

PAGE = "releases.md"


class ContainerHome(Home):
    """A home in which podman and buildah work in any container or VM."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **storage_for(self)}


def commands(script: str) -> list[str]:
    return [line for line in script.replace("\\\n", " ").splitlines() if line]


def test_the_ten_commands_bring_an_image_to_prod_and_back(logged_out: Home, tmp_path: Path) -> None:
    for program in ("podman", "buildah"):
        require(program)
    before = blocks(section(PAGE, "## Before"), "sh")
    ten = blocks(section(PAGE, "## The ten commands"), "sh")
    assert len(commands("".join(ten))) == 10
    home = ContainerHome(logged_out.directory)
    with serving(server_in(tmp_path)) as server:
        outcome = type_in(server, home, [*before, *ten], tmp_path)
        with client_of(server) as api:
            live, new = (
                api.manifest("prod/web", tag).headers["docker-content-digest"]
                for tag in ("live", "1.0")
            )
            assert new == (tmp_path / "digest").read_text()
            assert live == api.manifest("dev/web", "0.9").headers["docker-content-digest"]
            assert live != new
    told, _, history = outcome.stdout.partition("NUMBER")
    assert f"*   now   127.0.0.1:{server.port}/dev/web@{new}" in re.sub(
        r"(Less than a second|\d+ seconds?|About a minute) ago", "now", told
    )
    lines = [line.split() for line in history.splitlines()[1:]]
    assert [line[line.index("admin") - 1] for line in lines[:2]] == ["tag", "push"]
    assert outcome.stdout.endswith(f"Tag web:live rolled back to {live}.\n")


def test_every_command_has_its_like_in_oc() -> None:
    table = section(PAGE, "## The same with oc")
    told = set(re.findall(r"^\| `(tidegate \w+(?: history| rollback)?)", table, re.MULTILINE))
    ten = "\n".join(blocks(section(PAGE, "## The ten commands"), "sh"))
    used = set(re.findall(r"(?:^|\| )(tidegate \w+(?: history| rollback)?)", ten, re.MULTILINE))
    assert told == used


def test_the_page_is_found_from_the_others() -> None:
    for page in ("README.md", "docs/devops.md"):
        assert "releases.md" in (PROJECT / page).read_text("utf-8")
