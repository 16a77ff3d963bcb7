"""`tidegate mirror` between real registries and files: whole closures, deltas, and after kills."""

import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.fault_proxy import FaultProxy
from tests.faults import Corrupt, Cut, Hang, asks, too_many
from tests.images import (
    IMAGE_INDEX,
    Content,
    Pushable,
    artifact,
    encode,
    image,
    index,
    layer,
    small_image,
)
from tests.server import PASSWORD, USERNAME, Server, tidegate, wait_until
from tests.tools import Outcome, must, run
from tests.upstream import Upstream, docker_registry, second_tidegate

BOTH = index(small_image("amd", "amd64"), small_image("arm", "arm64"))
SBOM = artifact("application/spdx+json", b"sbom", BOTH.children[0], {"made": "by a test"})
SIGNED_SBOM = artifact("application/vnd.sig", b"signature", SBOM)
COSIGN = artifact("application/vnd.cosign", b"cosign")
COSIGN_TAG = BOTH.digest.replace(":", "-") + ".sig"
LARGE_LAYER = layer({"large": os.urandom(12 << 20)})


@dataclass
class World:
    """Debian's registry, a tidegate, and a person with a home directory."""

    docker: Upstream
    ours: Upstream
    server: Server
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "DOCKER_CONFIG": str(self.home),
            "REGISTRY_AUTH_FILE": "",
        }

    def attempt(self, *words: str | Path) -> Outcome:
        return run(tidegate(), "mirror", *words, environment=self.environment)

    def mirror(self, *words: str | Path) -> str:
        outcome = self.attempt(*words)
        assert outcome.code == 0, str(outcome)
        return outcome.stdout

    def receipt(self, *words: str | Path) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.mirror("--json", *words))
        return document

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        """A run that the test will kill."""
        return subprocess.Popen(
            [tidegate(), "mirror", *words],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    data = tmp_path_factory.mktemp("ours")
    with (
        docker_registry(tmp_path_factory.mktemp("docker")) as docker,
        second_tidegate(data, workers=2) as (ours, server),
    ):
        (home / "config.json").write_text(ours.dockerconfigjson)
        yield World(docker, ours, server, home)
    assert "Traceback" not in server.log, server.log


def push_all(upstream: Upstream, repository: str) -> None:
    """An index with what refers to it; in a registry without a referrers list, its tags."""
    with upstream.client() as client:
        client.push(repository, BOTH, "1.0")
        for each in (SBOM, SIGNED_SBOM):
            client.push(repository, each)
        client.push(repository, COSIGN, COSIGN_TAG)
        for subject, referrer in ((BOTH.children[0], SBOM), (SBOM, SIGNED_SBOM)):
            listed = {
                "schemaVersion": 2,
                "mediaType": IMAGE_INDEX,
                "manifests": [referrer.manifest.descriptor()],
            }
            tag = subject.digest.replace(":", "-")
            client.put_manifest(repository, tag, Content(encode(listed), IMAGE_INDEX))


def check_all(upstream: Upstream, repository: str) -> None:
    """Every byte is there, and found in every way that clients look for it."""
    with upstream.client() as client:
        client.pull(repository, BOTH, "1.0")
        for each in (SBOM, SIGNED_SBOM):
            client.pull(repository, each)
        client.pull(repository, COSIGN, COSIGN_TAG)
        for subject, referrer in ((BOTH.children[0], SBOM), (SBOM, SIGNED_SBOM)):
            answer = client.http.get(f"/v2/{repository}/referrers/{subject.digest}")
            if answer.status_code == 404:
                answer = client.manifest(repository, subject.digest.replace(":", "-"))
            assert [each["digest"] for each in answer.json()["manifests"]] == [referrer.digest]


def test_a_closure_goes_from_a_registry_without_referrers_lists_to_ours_and_back(
    world: World,
) -> None:
    push_all(world.docker, "lib/closure")
    world.mirror(f"{world.docker.address}/lib/closure:1.0", f"{world.ours.address}/shop/closure")
    check_all(world.ours, "shop/closure")
    world.mirror(
        f"docker://{world.ours.address}/shop/closure:1.0",
        f"docker://{world.docker.address}/back/closure:1.0",
    )
    check_all(world.docker, "back/closure")


def test_what_is_there_is_not_sent_again_and_what_came_later_follows(world: World) -> None:
    source, target = f"{world.docker.address}/lib/later", f"{world.ours.address}/shop/later"
    signed = small_image("signed later")
    with world.docker.client() as client:
        client.push("lib/later", signed, "1")
        assert world.receipt(source + ":1", target)["bytes"]["copied"] > 0
        again = world.receipt(source + ":1", target)
        assert again["bytes"]["copied"] == 0
        assert [each["result"] for each in again["images"]] == ["unchanged"]
        client.push("lib/later", COSIGN, signed.digest.replace(":", "-") + ".sig")
        world.mirror(source + ":1", target)
    with world.ours.client() as client:
        client.pull("shop/later", COSIGN, signed.digest.replace(":", "-") + ".sig")


def test_tags_are_chosen_by_pattern_and_by_range_of_versions(world: World) -> None:
    with world.docker.client() as client:
        for tag in ("1.0.0", "1.4.2", "2.0.0", "v1.5.0", "latest", "nightly-1"):
            client.push("lib/many", small_image(tag), tag)
    source = f"{world.docker.address}/lib/many"
    world.mirror("--versions", "^1.4", "--tags", "night*", source, f"{world.ours.address}/shop/few")
    world.mirror("--all-tags", source, f"{world.ours.address}/shop/")
    with world.ours.client() as client:
        assert client.tags("shop/few") == ["1.4.2", "nightly-1", "v1.5.0"]
        assert len(client.tags("shop/lib.many")) == 6


def test_a_whole_repository_keeps_signatures_whose_image_has_no_tag(world: World) -> None:
    with world.docker.client() as client:
        client.push("lib/orphans", small_image("x"), "1")
        client.push("lib/orphans", COSIGN, COSIGN_TAG)
    source = f"{world.docker.address}/lib/orphans"
    world.mirror("--all-tags", source, f"{world.ours.address}/shop/orphans")
    with world.ours.client() as client:
        client.pull("shop/orphans", COSIGN, COSIGN_TAG)


def test_a_list_of_images_goes_into_one_archive_and_out_of_it_by_name(
    world: World, tmp_path: Path
) -> None:
    with world.docker.client() as client:
        for name in ("web", "db"):
            client.push(f"lib/{name}", small_image(name), "1")
    archive = tmp_path / "site.tar"
    sources = [f"{world.docker.address}/lib/{name}:1" for name in ("web", "db")]
    listed = tmp_path / "list"
    listed.write_text("".join(f"{each} oci-archive:{archive}  # a comment\n" for each in sources))
    world.mirror("--file", listed)
    world.mirror("--all-tags", f"oci-archive:{archive}", f"{world.ours.address}/site/")
    world.mirror(f"oci-archive:{archive}:{sources[1]}", f"{world.ours.address}/site/db:first")
    with world.ours.client() as client:
        client.pull("site/lib.web", small_image("web"), "1")
        client.pull("site/lib.db", small_image("db"), "1")
        client.pull("site/db", small_image("db"), "first")


def test_an_air_gapped_site_gets_what_it_lacks_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    base = layer({"base": b"x" * 5000})
    old, new = image(base, layer({"app": b"1"})), image(base, layer({"app": b"2"}))
    source, site = f"{world.docker.address}/lib/gap", f"{world.ours.address}/gap/app"
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    with world.docker.client() as client:
        client.push("lib/gap", old, "1")
        world.mirror("--all-tags", source, f"oci-archive:{first}")
        client.push("lib/gap", new, "2")
        client.push("lib/gap", COSIGN, old.digest.replace(":", "-") + ".sig")
    delta = world.mirror("--all-tags", "--delta-from", f"{first}.receipt.json", source,
                         f"oci-archive:{second}")  # fmt: skip
    assert "left out as the receipt has it" in delta
    with tarfile.open(second) as tar:
        inside = {name.rpartition("/")[2] for name in tar.getnames()}
    assert base.digest.removeprefix("sha256:") not in inside
    assert old.digest.removeprefix("sha256:") not in inside
    assert new.digest.removeprefix("sha256:") in inside
    # the second is of no use without the first
    refused = world.attempt("--all-tags", f"oci-archive:{second}", site)
    assert refused.code == 1
    assert "if it builds upon an earlier archive, bring that first" in refused.stderr
    world.mirror("--all-tags", f"oci-archive:{first}", site)
    world.mirror("--all-tags", "--verify", f"oci-archive:{second}", site)
    with world.ours.client() as client:
        client.pull("gap/app", old, "1")
        client.pull("gap/app", new, "2")
        client.pull("gap/app", COSIGN, old.digest.replace(":", "-") + ".sig")
    # the newest receipt knows the whole chain
    nothing = world.receipt("--all-tags", "--delta-from", f"{second}.receipt.json", source,
                            f"oci-archive:{tmp_path}/third.tar")  # fmt: skip
    assert nothing["bytes"]["copied"] == 0
    assert nothing["buildsOn"] == json.loads(Path(f"{second}.receipt.json").read_text())["digest"]


def test_a_receipt_that_was_changed_is_refused(world: World, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with world.docker.client() as client:
        client.push("lib/receipt", small_image("x"), "1")
    source = f"{world.docker.address}/lib/receipt:1"
    world.mirror(source, f"oci-archive:{archive}")
    receipt = Path(f"{archive}.receipt.json")
    receipt.write_text(receipt.read_text().replace('"how": "copied"', '"how": "present"'))
    outcome = world.attempt("--delta-from", receipt, source, f"oci-archive:{tmp_path}/b.tar")
    assert outcome.code == 2
    assert "its digest is not its own" in outcome.stderr


@pytest.mark.parametrize("target", ["ours", "docker", "directory", "archive"])
def test_a_killed_run_goes_on_in_the_middle_of_a_blob(
    world: World, tmp_path: Path, target: str
) -> None:
    large = image(LARGE_LAYER)
    with world.docker.client() as client:
        client.push("lib/large", large, "1")
    where, folder, files = {
        "ours": (f"{world.ours.address}/shop/killed:1", world.server.data, "uploads/*"),
        "docker": (
            f"{world.docker.address}/back/killed:1",
            world.docker.log_file.parent / "content",
            "**/_uploads/*/data",
        ),
        "directory": (f"oci:{tmp_path}/layout:1", tmp_path, "layout/ingest/*"),
        "archive": (f"oci-archive:{tmp_path}/a.tar:1", tmp_path, "a.tar.partial"),
    }[target]
    size, came = len(LARGE_LAYER.data), 6 << 20
    with FaultProxy(world.docker.url) as proxy:
        rule = proxy.when(
            lambda ask: asks("blob", "GET")(ask) and ask.reference == LARGE_LAYER.digest,
            Hang(after=8 << 20),
        )
        killed = world.begin(f"{proxy.address}/lib/large:1", where)
        wait_until(
            lambda: any(each.stat().st_size >= came for each in folder.glob(files)),
            what="most of the blob at the target",
        )
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        proxy.drop(rule)
        proxy.release()
        proxy.forget()
        world.mirror("--verify", f"{proxy.address}/lib/large:1", where)
        if target != "docker":  # Docker's registry drops an upload that was cut within a request
            assert proxy.sent("blob") < size - came, "what was there was sent again"
    check_large(world, large, where)


def check_large(world: World, large: Pushable, where: str) -> None:
    """The image is there, in a registry or in a layout that skopeo reads."""
    if where.startswith("oci"):
        outcome = run("skopeo", "inspect", where)
        assert outcome.code == 0, str(outcome)
        assert large.digest in outcome.stdout
        return
    address, _, rest = where.partition("/")
    upstream = world.ours if address == world.ours.address else world.docker
    repository, _, tag = rest.partition(":")
    with upstream.client() as client:
        client.pull(repository, large, tag)


def test_a_target_that_cuts_uploads_gets_the_rest_of_them(world: World) -> None:
    large = image(LARGE_LAYER)
    with world.docker.client() as client:
        client.push("lib/cut", large, "1")
    with FaultProxy(world.docker.url) as proxy:
        proxy.when(asks("upload", "PATCH"), Cut(), times=2)
        proxy.when(asks("manifest", "PUT"), Cut(), times=1)
        world.mirror(f"{world.docker.address}/lib/cut:1", f"{proxy.address}/back/cut:1")
    with world.docker.client() as client:
        client.pull("back/cut", large, "1")


def test_a_target_that_asks_to_wait_is_waited_for_and_one_that_goes_on_is_left(
    world: World,
) -> None:
    with world.docker.client() as client:
        client.push("lib/wait", BOTH, "1")
    with FaultProxy(world.docker.url) as proxy:
        rule = proxy.when(asks("manifest", "PUT"), too_many(retry_after=3600))
        source, target = f"{world.docker.address}/lib/wait:1", f"{proxy.address}/back/wait:1"
        outcome = world.attempt(source, target)
        assert outcome.code == 1
        assert "it asks to wait 1h" in outcome.stderr, str(outcome)
        proxy.drop(rule)
        proxy.when(asks("manifest", "PUT"), too_many(retry_after=1), times=1)
        proxy.forget()
        world.mirror(source, target)
        assert proxy.count("upload", "POST") == 0, "blobs that were there were sent again"
    with world.docker.client() as client:
        client.pull("back/wait", BOTH, "1")


def test_wrong_bytes_of_a_source_are_refused_and_the_tag_stays_as_it_was(world: World) -> None:
    before, after = small_image("before"), image(LARGE_LAYER)
    with world.docker.client() as client:
        client.push("lib/wrong", before, "1")
        source, target = "lib/wrong:1", f"{world.ours.address}/shop/wrong:1"
        world.mirror(f"{world.docker.address}/{source}", target)
        client.push("lib/wrong", after, "1")
    with FaultProxy(world.docker.url) as proxy:
        proxy.when(
            lambda ask: asks("blob", "GET")(ask) and ask.reference == LARGE_LAYER.digest,
            Corrupt(at=70_000),
        )
        outcome = world.attempt(f"{proxy.address}/{source}", target)
    assert outcome.code == 1
    assert LARGE_LAYER.digest in outcome.stderr
    with world.ours.client() as client:
        client.pull("shop/wrong", before, "1")
        assert not client.has_blob("shop/wrong", LARGE_LAYER.digest)


def test_a_dry_run_says_how_much_would_go_and_writes_nothing(world: World, tmp_path: Path) -> None:
    with world.docker.client() as client:
        client.push("lib/dry", image(LARGE_LAYER), "1")
    source = f"{world.docker.address}/lib/dry:1"
    for target in (
        f"{world.ours.address}/dry/app",
        f"oci:{tmp_path}/layout",
        f"oci-archive:{tmp_path}/a.tar",
    ):
        said = world.mirror("--dry-run", source, target)
        assert "1 image: 1 to copy" in said
        assert "MB to send" in said
    assert list(tmp_path.iterdir()) == []
    with world.ours.client() as client:
        assert client.manifest("dry/app", "1").status_code == 404


@pytest.mark.parametrize("form", ["oci:{}/layout:1", "oci-archive:{}/a.tar:1"])
def test_a_disk_that_is_full_is_said_and_gone_on_with_when_there_is_room(
    world: World, small_disk: Path, form: str
) -> None:
    """The disk has 64 MB, of which another file takes so much that the image does not fit."""
    large = image(LARGE_LAYER)
    with world.docker.client() as client:
        client.push("lib/full", large, "1")
    small_disk.mkdir()
    filler = small_disk.parent / "filler"
    filler.write_bytes(bytes(58 << 20))
    source, target = f"{world.docker.address}/lib/full:1", form.format(small_disk)
    outcome = world.attempt(source, target)
    assert outcome.code == 1
    assert "No space left" in outcome.stderr, str(outcome)
    assert not (small_disk / "a.tar").exists()
    filler.unlink()
    world.mirror(source, target)
    assert large.digest in run("skopeo", "inspect", target).stdout


def test_a_login_that_is_missing_or_wrong_is_said(world: World, tmp_path: Path) -> None:
    with world.docker.client() as client:
        client.push("lib/login", small_image("x"), "1")
    authfile = tmp_path / "auth.json"
    authfile.write_text('{"auths":{}}')
    words = (f"{world.docker.address}/lib/login:1", f"{world.ours.address}/shop/login")
    outcome = world.attempt("--authfile", authfile, *words)
    assert outcome.code == 1
    assert world.ours.address in outcome.stderr
    assert world.attempt("--authfile", tmp_path / "none.json", *words).code == 2


def test_a_login_at_a_server_of_ours_is_a_login_at_its_registry(
    world: World, tmp_path: Path
) -> None:
    with world.docker.client() as client:
        client.push("lib/ours", small_image("x"), "1")
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    must(
        *(tidegate(), "login", world.ours.url, "-u", USERNAME, "--password-stdin"),
        environment=environment,
        stdin=PASSWORD,
    )
    words = (f"{world.docker.address}/lib/ours:1", f"{world.ours.address}/shop/ours")
    must(tidegate(), "mirror", *words, environment=environment)
    with world.ours.client() as client:
        client.pull("shop/ours", small_image("x"), "1")


def test_a_registry_is_trusted_by_the_certificates_that_are_named(
    world: World, tmp_path: Path
) -> None:
    with docker_registry(tmp_path / "tls", tls=True) as encrypted:
        assert encrypted.authority is not None
        with encrypted.client() as client:
            client.push("lib/tls", small_image("x"), "1")
        source, target = f"{encrypted.address}/lib/tls:1", f"oci:{tmp_path}/layout"
        stranger = Authority(tmp_path / "stranger").certificate
        refused = world.attempt("--ca", stranger, source, target)
        assert refused.code == 1
        assert "certificate" in refused.stderr, str(refused)
        ca = f"{encrypted.address}={encrypted.authority.certificate}"
        world.mirror("--ca", ca, source, target)


def test_an_image_that_is_not_there_fails_alone(world: World, tmp_path: Path) -> None:
    with world.docker.client() as client:
        client.push("lib/some", small_image("x"), "1")
    listed = tmp_path / "list"
    listed.write_text(
        f"{world.docker.address}/lib/some:none {world.ours.address}/shop/none\n"
        f"{world.docker.address}/lib/some:1 {world.ours.address}/shop/some\n"
    )
    outcome = world.attempt("--file", listed)
    assert outcome.code == 1
    assert "2 images: 1 failed, 1 copied" in outcome.stdout
    with world.ours.client() as client:
        client.pull("shop/some", small_image("x"), "1")
