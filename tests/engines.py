"""Container engines with a daemon, each with a store of its own that ends with the test.

Both keep to a short temporary directory, since the path of a Unix socket is at most 107 characters
long. Registries on 127.0.0.1 may speak plain HTTP: docker allows it there, `ctr` is told so.
"""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.server import wait_until
from tests.tools import SEARCH_PATH, Program, require, run, unavailable

WAIT_SECONDS = 60.0


@contextlib.contextmanager
def docker_engine(
    environment: Mapping[str, str], *options: str, mirrors: tuple[str, ...] = ()
) -> Iterator[Program]:
    """The docker command with a dockerd of its own; `mirrors` are URLs asked for docker.io."""
    client, daemon = require("docker"), require("dockerd")
    with tempfile.TemporaryDirectory(prefix="docker-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        (place / "daemon.json").write_text(json.dumps({"registry-mirrors": list(mirrors)}))
        command = [
            daemon,
            f"--config-file={place / 'daemon.json'}",
            f"--data-root={place / 'root'}",
            f"--exec-root={place / 'exec'}",
            f"--pidfile={place / 'pid'}",
            f"--host=unix://{place / 'docker.sock'}",
            "--storage-driver=vfs",  # overlays need more of a kernel than a sandbox may have
            "--bridge=none",  # nothing runs, so there is no network to set up
            "--iptables=false",
            "--ip6tables=false",
            *options,
        ]
        home = {**environment, "DOCKER_HOST": f"unix://{place / 'docker.sock'}"}
        with _daemon(command, place / "log", Program(client, home), "version"):
            yield Program(client, home)


@dataclass(frozen=True)
class Containerd:
    """`ctr` with a containerd of its own; `hosts` is a directory as `--hosts-dir` wants it."""

    ctr: Program
    hosts: Path

    def mirror(self, host: str, url: str) -> None:
        """Pulls from a host go to a URL, which is asked with `?ns=HOST`."""
        folder = self.hosts / host
        folder.mkdir(parents=True, exist_ok=True)
        text = f'server = "https://{host}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'
        (folder / "hosts.toml").write_text(text)


@contextlib.contextmanager
def containerd_engine() -> Iterator[Containerd]:
    """A containerd without what runs containers."""
    client, daemon = require("ctr"), require("containerd")
    with tempfile.TemporaryDirectory(prefix="ctrd-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        socket = place / "containerd.sock"
        settings = [
            "version = 2",
            f'root = "{place / "root"}"',
            f'state = "{place / "state"}"',
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
            f'[grpc]\naddress = "{socket}"',
            f'[ttrpc]\naddress = "{socket}.ttrpc"',
        ]
        (place / "config.toml").write_text("\n".join(settings) + "\n")
        home = {"HOME": name, "CONTAINERD_SNAPSHOTTER": "native"}
        ctr = Program(client, home, (f"--address={socket}",))
        command = [daemon, "--config", str(place / "config.toml")]
        with _daemon(command, place / "log", ctr, "version"):
            (place / "hosts").mkdir()
            yield Containerd(ctr, place / "hosts")


@contextlib.contextmanager
def _daemon(command: list[str], log: Path, client: Program, question: str) -> Iterator[None]:
    """The daemon runs and answers its client during the block."""
    if os.geteuid() != 0:
        unavailable(f"{command[0]} has to be started by root")
    environment = {"PATH": SEARCH_PATH, "HOME": str(log.parent)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )

    def answers() -> bool:
        assert process.poll() is None, f"{command[0]} ended:\n{log.read_text()[-3000:]}"
        asked = run(client.path, *client.options, question, environment=client.environment)
        return asked.code == 0

    try:
        wait_until(answers, seconds=WAIT_SECONDS, what=command[0])
        yield
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
