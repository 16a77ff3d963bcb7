"""Many clients, many workers, one truth."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.images import Content, digest_of, image, layer, small_image
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """More workers than cores, so that a client meets several of them."""
    with serving(Server(tmp_path_factory.mktemp("crowded") / "data", workers=4)) as running:
        yield running


def together(*actions: Callable[[], object]) -> list[object]:
    """What the actions return when they begin at one moment."""
    gate = threading.Barrier(len(actions))

    def act(action: Callable[[], object]) -> object:
        gate.wait(30)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions, timeout=120))


def test_two_pushes_of_one_digest_both_succeed_and_it_is_stored_once(
    server: Server, api: RegistryClient, repository: str
) -> None:
    blob = Content(repository.encode() * MEGABYTE)

    def push(number: int) -> int:
        with client_of(server) as client:
            return client.put_blob(f"{repository}-{number % 2}", blob).status_code

    answers = together(*(lambda number=number: push(number) for number in range(8)))
    assert answers == [201] * 8
    stored = [path for path in server.files("blobs") if path.stat().st_size == len(blob.data)]
    assert len(stored) == 1
    for number in range(2):
        assert api.blob(f"{repository}-{number}", blob.digest).content == blob.data


def test_an_upload_is_continued_by_whichever_worker_gets_the_next_chunk(
    server: Server, repository: str
) -> None:
    chunks = [bytes([number]) * 1000 for number in range(40)]
    with client_of(server) as client:
        location = client.open_upload(repository)
    for number, chunk in enumerate(chunks):
        begin = number * 1000
        with client_of(server) as client:  # a connection of its own, so any worker
            answer = client.append(location, chunk, f"{begin}-{begin + 999}")
            assert answer.status_code == 202, (number, answer.text)
            location = answer.headers["location"]
    data = b"".join(chunks)
    with client_of(server) as client:
        assert client.received(location) == len(data)
        assert client.close_upload(location, digest_of(data)).status_code == 201
        assert client.blob(repository, digest_of(data)).content == data


def test_what_one_worker_acknowledged_every_worker_knows_at_once(
    server: Server, repository: str
) -> None:
    for number in range(25):
        pushed = small_image(f"{repository} {number}")
        with client_of(server) as writer:
            writer.push(repository, pushed, "moving")
        for _ in range(4):
            with client_of(server) as reader:
                assert reader.manifest(repository, "moving").content == pushed.manifest.data
        with client_of(server) as writer:
            deleted = writer.http.delete(f"/v2/{repository}/manifests/{pushed.digest}")
            assert deleted.status_code == 202
        for _ in range(4):
            with client_of(server) as reader:
                assert reader.manifest(repository, "moving").status_code == 404
                assert reader.manifest(repository, pushed.digest).status_code == 404
                assert reader.tags(repository) == []


def test_commands_beside_a_running_server_take_nothing_from_it(
    server: Server, repository: str
) -> None:
    # a process that closes a SQLite file last deletes its log: no command may believe it is that
    for number in range(3):
        assert server.check().returncode == 0
        assert not [name for name in server.open_files() if name.endswith("(deleted)")]
        pushed = small_image(f"{repository} {number}")
        with client_of(server) as writer:
            writer.push(repository, pushed, "1")
        for _ in range(8):
            with client_of(server) as reader:
                assert reader.manifest(repository, "1").content == pushed.manifest.data


def test_a_tag_pushed_by_many_at_once_ends_up_with_one_of_their_images(
    server: Server, api: RegistryClient, repository: str
) -> None:
    candidates = [small_image(f"{repository} {number}") for number in range(8)]

    def push(number: int) -> None:
        with client_of(server) as client:
            client.push(repository, candidates[number], "latest")
            client.push(repository, candidates[number], f"t{number}")

    together(*(lambda number=number: push(number) for number in range(8)))
    assert api.manifest(repository, "latest").content in [
        candidate.manifest.data for candidate in candidates
    ]
    assert api.tags(repository) == ["latest", *(f"t{number}" for number in range(8))]
    for number, candidate in enumerate(candidates):
        api.pull(repository, candidate, f"t{number}")


def test_a_blob_deleted_while_an_image_with_it_is_pushed_is_never_missing_from_it(
    server: Server, api: RegistryClient, repository: str
) -> None:
    pushed = image(layer({"contended": repository.encode()}))

    def push() -> None:
        for _ in range(15):
            with client_of(server) as client:
                for blob in pushed.blobs:
                    client.put_blob(repository, blob)
                client.put_manifest(repository, "1", pushed.manifest)

    def delete() -> None:
        for _ in range(60):
            with client_of(server) as client:
                client.http.delete(f"/v2/{repository}/blobs/{pushed.blobs[1].digest}")

    together(push, delete)
    # whoever came last: an image that is there can be pulled, or its push says what is missing
    again = api.put_manifest(repository, "1", pushed.manifest)
    if again.status_code == 201:
        api.pull(repository, pushed, "1")
    else:
        assert again.json()["errors"][0]["code"] == "MANIFEST_BLOB_UNKNOWN"


def test_downloads_of_one_blob_by_many_are_all_whole(
    server: Server, api: RegistryClient, repository: str
) -> None:
    blob = Content(repository.encode() * (MEGABYTE // 4))
    assert api.put_blob(repository, blob).status_code == 201

    def pull() -> str:
        with client_of(server) as client:
            return digest_of(client.blob(repository, blob.digest).content)

    assert set(together(*(pull for _ in range(16)))) == {blob.digest}
