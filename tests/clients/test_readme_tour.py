"""The tour in the README does what it says, command by command.

Every fenced block marked `sh` below the heading "## Tour" is run, in order, by one shell that stops
at the first failure. The README's addresses stand for the server of this run, `tidegate-data` for
its data directory, `.venv` for the environment that `make serve` makes, and $PASSWORD holds the
administrator's password. A block that starts with `make serve` starts what runs here already.
"""

import re
import sys
from pathlib import Path

from tests.clients.conftest import Home
from tests.server import PASSWORD, Server, serving
from tests.tools import PROJECT, require, run

README = PROJECT / "README.md"
PROGRAMS = (
    "kubectl",
    "skopeo",
    "podman",
    "buildah",
    "umoci",
    "crane",
    "oras",
    "regctl",
    "helm",
    "curl",
)


def tour() -> list[str]:
    """The shell blocks of the tour."""
    _, _, section = README.read_text("utf-8").partition("\n## Tour\n")
    section = re.split(r"^## ", section, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    return [block for block in blocks if not block.startswith("make serve")]


def storage_for(home: Home) -> dict[str, str]:
    """Storage settings with which podman and buildah work in any container or VM."""
    settings = home.directory / "storage.conf"
    settings.write_text(
        "[storage]\n"
        'driver = "vfs"\n'
        f'graphroot = "{home.directory}/store"\n'
        f'runroot = "{home.directory}/run"\n'
    )
    return {"CONTAINERS_STORAGE_CONF": str(settings), "BUILDAH_ISOLATION": "chroot"}


def test_every_command_of_the_tour_succeeds(logged_out: Home, tmp_path: Path) -> None:
    blocks = tour()
    assert blocks, "the README has no section `## Tour` with blocks marked ```sh"
    for program in PROGRAMS:
        if any(re.search(rf"\b{program}\b", block) for block in blocks):
            require(program)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    with serving(Server(tmp_path / "tidegate-data", tls=True)) as server:
        script = "\n".join(("set -euo pipefail", *blocks))
        for written, actual in (("5000", server.port), ("6443", server.tls_port)):
            script = re.sub(rf"(127\.0\.0\.1|localhost):{written}\b", rf"\1:{actual}", script)
        outcome = run(
            *("bash", "-x", "-c", script),
            environment={
                **logged_out.environment,
                **storage_for(logged_out),
                "PASSWORD": PASSWORD,
            },
            directory=tmp_path,
            seconds=600,
        )
    assert outcome.code == 0, str(outcome)
