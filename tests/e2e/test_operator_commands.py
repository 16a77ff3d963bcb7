"""What an SRE types beside a running server: check, passwd, config; and what the audit log says."""

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.images import Content, small_image
from tests.registry_client import RegistryClient, client_of
from tests.server import PASSWORD, USERNAME, Server, tidegate, wait_until


def command(server: Server, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A `tidegate` command on the server's data directory."""
    return subprocess.run(
        [tidegate(), *words, "--data", str(server.data)],
        input=stdin,
        capture_output=True,
        text=True,
        env=server.environment(),
        timeout=120,
        check=False,
    )


def stored(server: Server, blob: Content) -> list[Any]:
    """The file, or files, in which a blob is kept."""
    return [path for path in server.files("blobs") if path.name == blob.digest.partition(":")[2]]


def flip_a_bit(server: Server, blob: Content) -> None:
    (path,) = stored(server, blob)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(damaged)


def cut_short(server: Server, blob: Content) -> None:
    (path,) = stored(server, blob)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])


def remove(server: Server, blob: Content) -> None:
    (path,) = stored(server, blob)
    path.unlink()


def test_check_finds_nothing_wrong_with_what_was_pushed(server: Server, repository: str) -> None:
    with client_of(server) as client:
        for number in range(5):
            client.push(repository, small_image(f"{number}"), f"t{number}")
    for options in ((), ("--json",), ("--sample", "50"), ("--repair",)):
        checked = server.check(*options)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    json.loads(server.check("--json").stdout)


@pytest.mark.parametrize("damage", [flip_a_bit, cut_short, remove])
def test_check_finds_damage_and_repair_makes_a_new_push_possible(
    server: Server, repository: str, damage: Any
) -> None:
    whole, hurt = (small_image(f"{each} {repository}") for each in ("whole", "hurt"))
    blob = hurt.blobs[1]
    with client_of(server) as client:
        client.push(repository, whole, "whole")
        client.push(repository, hurt, "hurt")
        damage(server, blob)
        found = server.check("--json")
        assert found.returncode == 1, found.stdout + found.stderr
        assert blob.digest in found.stdout
        json.loads(found.stdout)
        assert blob.digest in server.check("--repair", "--json").stdout
        assert not client.has_blob(repository, blob.digest)  # so that a client sends it again
        client.push(repository, hurt, "hurt")
        client.pull(repository, hurt, "hurt")
        client.pull(repository, whole, "whole")
    checked = server.check()
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_check_on_a_pipe_names_digests_in_full(server: Server, repository: str) -> None:
    hurt = small_image(f"hurt {repository}")
    with client_of(server) as client:
        client.push(repository, hurt, "1")
    flip_a_bit(server, hurt.blobs[1])
    assert hurt.blobs[1].digest in server.check("--repair").stdout


def test_a_new_password_counts_at_once_and_the_old_one_no_more(
    start: Start, repository: str
) -> None:
    server = start()
    with client_of(server) as old:
        old.push(repository, small_image(repository), "1")  # so that the password is remembered
        changed = command(
            server, "user", "passwd", USERNAME, "--password-stdin", stdin="a brand new password\n"
        )
        assert changed.returncode == 0, changed.stdout + changed.stderr
        wait_until(
            lambda: old.http.get("/v2/").status_code == 401, what="the old password to be refused"
        )
    for _ in range(3):  # whichever worker answers; a fifth failure would make her wait
        with client_of(server) as stale:
            assert stale.http.get("/v2/").status_code == 401
    with client_of(server, credentials=(USERNAME, "a brand new password")) as new:
        new.pull(repository, small_image(repository), "1")


def test_config_tells_values_and_origins_and_no_secret(start: Start) -> None:
    server = start(settings={"stall_timeout": "33"})
    shown = command(server, "config")
    assert shown.returncode == 0, shown.stderr
    assert PASSWORD not in shown.stdout
    (line,) = [line for line in shown.stdout.splitlines() if "stall_timeout" in line]
    assert "33" in line
    assert "environment" in line
    document = command(server, "config", "--json")
    assert PASSWORD not in document.stdout
    json.loads(document.stdout)


def events(server: Server) -> list[dict[str, Any]]:
    lines = (server.data / "audit.log").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_audit_log_tells_who_did_what_and_who_was_refused(
    start: Start, repository: str
) -> None:
    server = start()
    pushed = small_image(repository)
    with client_of(server) as client:
        client.push(repository, pushed, "1")
        client.pull(repository, pushed, "1")
        client.http.delete(f"/v2/{repository}/manifests/{pushed.digest}")
    with RegistryClient(server.url, credentials=(USERNAME, "wrong")) as stranger:
        stranger.manifest(repository, "1")
    server.stop()  # what was gathered is written
    told = events(server)
    by_action = {(each["action"], each.get("status")) for each in told}
    assert {("push", 201), ("pull", 200), ("delete", 202)} <= by_action
    (push,) = [
        each
        for each in told
        if each["action"] == "push" and each.get("reference") == "1" and each["status"] == 201
    ]
    assert push["user"] == USERNAME
    assert push["repository"] == repository
    assert push["digest"] == pushed.digest
    assert push["source"].startswith("127.0.0.1")
    assert [each for each in told if each["status"] == 401]
    assert PASSWORD not in (server.data / "audit.log").read_text("utf-8")
