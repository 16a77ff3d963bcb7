"""A data directory of 64 MB fills up during a push.

The client gets a clear error, pulls go on, the space comes back, and nothing is corrupt.
"""

import contextlib
import os
import random
from pathlib import Path

from tests.e2e.conftest import Start
from tests.images import Content, image, layer, small_image
from tests.registry_client import RegistryClient, client_of, error_codes
from tests.server import Server, wait_until

MEGABYTE = 1 << 20
NOISE = random.Random(64)


def free(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def fill(client: RegistryClient, repository: str) -> list[Content]:
    """Push blobs of 4 MB until one is refused; those that were accepted."""
    accepted: list[Content] = []
    for _ in range(32):
        blob = Content(NOISE.randbytes(4 * MEGABYTE))
        answer = client.put_blob(repository, blob)
        if answer.status_code != 201:
            assert answer.status_code == 507, answer.text
            assert error_codes(answer) == ["UNAVAILABLE"]
            assert "full" in answer.text
            return accepted
        accepted.append(blob)
    raise AssertionError("128 MB fit into 64 MB")


def check_is_clean(server: Server) -> None:
    checked = server.check()
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_disk_that_fills_up_refuses_pushes_and_goes_on_with_pulls(
    start: Start, small_disk: Path
) -> None:
    server = start(small_disk)
    kept = image(layer({"kept": NOISE.randbytes(2 * MEGABYTE)}))
    with client_of(server) as client:
        client.push("disk/kept", kept, "1")
        accepted = fill(client, "disk/filling")
        # the refused upload gave its space back, so the rest can be filled more closely
        client.pull("disk/kept", kept, "1")
        for blob in accepted:
            assert client.blob("disk/filling", blob.digest).content == blob.data
        assert server.files("uploads") == []
    check_is_clean(server)


def test_a_streamed_layer_larger_than_the_disk_is_refused_and_its_space_comes_back(
    start: Start, small_disk: Path
) -> None:
    server = start(small_disk)
    kept = image(layer({"kept": NOISE.randbytes(MEGABYTE)}))
    with client_of(server) as client:
        client.push("disk/kept", kept, "1")
        before = free(small_disk)
        location = client.open_upload("disk/streamed")
        with contextlib.suppress(ConnectionError):
            answer = client.append(location, (NOISE.randbytes(MEGABYTE) for _ in range(100)))
            assert answer.status_code == 507, answer.text
        client.pull("disk/kept", kept, "1")
        wait_until(lambda: free(small_disk) > before - 4 * MEGABYTE, what="the space to come back")
        client.push("disk/after", small_image("after"), "1")
        client.pull("disk/after", small_image("after"), "1")
    check_is_clean(server)


def test_cancelling_or_expiring_uploads_makes_room_again(start: Start, small_disk: Path) -> None:
    server = start(small_disk, settings={"upload_expiry": "1", "purge_interval": "0.5"})
    with client_of(server) as client:
        held = []
        for _ in range(10):
            location = client.open_upload("disk/held")
            appended = client.append(location, NOISE.randbytes(4 * MEGABYTE))
            assert appended.status_code == 202, appended.text
            held.append(appended.headers["location"])
        for location in held[:5]:
            assert client.http.delete(location).status_code in (204, 404)  # or expired already
        wait_until(lambda: not server.files("uploads"), what="uploads to expire")
        large = image(layer({"large": NOISE.randbytes(30 * MEGABYTE)}))
        client.push("disk/large", large, "1")
        client.pull("disk/large", large, "1")
    check_is_clean(server)


def test_a_disk_without_a_single_free_block_refuses_metadata_too_and_recovers(
    start: Start, small_disk: Path
) -> None:
    server = start(small_disk)
    kept = small_image("kept")
    ballast = small_disk.parent / "ballast"
    with client_of(server) as client:
        client.push("disk/kept", kept, "1")
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))
        for number in range(40):  # the database's own file may have room for some
            answer = client.put_manifest("disk/kept", f"t{number}", kept.manifest)
            assert answer.status_code in (201, 507), answer.text
        answer = client.http.post("/v2/disk/kept/blobs/uploads/")
        assert answer.status_code in (202, 507), answer.text
        client.pull("disk/kept", kept, "1")
        ballast.unlink()
        client.push("disk/after", small_image("after"), "1")
        client.pull("disk/after", small_image("after"), "1")
    check_is_clean(server)


def test_a_server_on_a_full_disk_says_so_or_starts(start: Start, small_disk: Path) -> None:
    server = start(small_disk)
    with client_of(server) as client:
        client.push("disk/kept", small_image("kept"), "1")
        fill(client, "disk/filling")
    server.kill()
    server.start()
    with client_of(server) as client:
        client.pull("disk/kept", small_image("kept"), "1")
