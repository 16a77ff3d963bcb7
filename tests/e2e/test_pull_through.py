"""Images of another registry pulled through this one, whatever happens to either meanwhile."""

import concurrent.futures
import contextlib
import hashlib
import os
import random
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.e2e.pulling_through import IMAGES, World, large, world
from tests.e2e.two_processes import Serving
from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Corrupt, Cut, Hang, asks, too_many, wrong_length
from tests.images import Content, Pushable, digest_of, image, index, layer, small_image
from tests.kube_client import RBAC, add_user, role_binding
from tests.raw_http import connect, request
from tests.registry_client import RegistryClient, basic, client_of, error_codes
from tests.server import PASSWORD, wait_until

MEGABYTE = 1 << 20
CHANCE = random.Random(11)
SECRET = ("ann", "correct horse")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("through"), tls=True) as found:
        yield found


@pytest.fixture
def here(both: World) -> Iterator[World]:
    """The two, with a way between them that nothing is known of: failures are remembered."""
    with FaultProxy(both.upstream.url) as far:
        yield replace(both, far=far)


def fresh(size: int = 200_000) -> Pushable:
    """An image that nobody has pulled yet; its last blob has `size` bytes."""
    return large(CHANCE.randbytes(size))


def layer_of(pushable: Pushable) -> Content:
    return pushable.blobs[-1]


def stream(
    client: RegistryClient, repository: str, digest: str
) -> AbstractContextManager[httpx.Response]:
    return client.http.stream("GET", f"/v2/{repository}/blobs/{digest}")


def test_a_pull_asks_for_each_blob_once_and_for_no_manifest(here: World) -> None:
    pushable = index(fresh(), small_image("two", "arm64"))
    repository = here.imported(pushable)
    for _ in range(2):
        here.registry.pull(repository, pushable, "v1")
    here.registry.pull(repository, pushable)
    assert here.far.count("manifest") == 0
    assert here.far.count("blob", "GET") == len(
        {b.digest for c in pushable.children for b in c.blobs}
    )


def test_a_hundred_clients_of_a_cold_layer_read_the_other_registry_once(here: World) -> None:
    pushable = fresh(64 * MEGABYTE)
    repository, blob = here.imported(pushable), layer_of(pushable)

    def pull(number: int) -> str:
        """The digest, which costs more than reading, of some; of the others the number of bytes."""
        with connect(here.server.address, 120) as connection:
            connection.sendall(request("GET", f"/v2/{repository}/blobs/{blob.digest}", basic()))
            return received(connection, len(blob.data), hashed=number % 10 == 0)

    with concurrent.futures.ThreadPoolExecutor(100) as clients:
        got = list(clients.map(pull, range(100)))
    assert set(got) == {blob.digest, str(len(blob.data))}
    assert here.far.sent("blob") <= 1.1 * len(blob.data)
    assert here.far.count("blob", "GET") == 1


def received(connection: socket.socket, size: int, *, hashed: bool) -> str:
    """What came of a body of `size` bytes: its digest, or only how many bytes."""
    file, running, count = connection.makefile("rb"), hashlib.sha256(), 0
    assert b" 200 " in file.readline()
    while file.readline() != b"\r\n":
        pass
    while piece := file.read(min(MEGABYTE, size - count)):
        count += len(piece)
        if hashed:
            running.update(piece)
    return f"sha256:{running.hexdigest()}" if hashed else str(count)


def test_a_blob_comes_over_tls_while_it_comes_in(here: World) -> None:
    pushable = fresh(3 * MEGABYTE)
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.far.when(asks("blob", "GET"), Hang(after=MEGABYTE), times=1)
    trust = ssl.create_default_context(cafile=str(here.server.authority))
    with (
        RegistryClient(f"https://{here.server.tls_address}", verify=trust) as encrypted,
        stream(encrypted, repository, blob.digest) as answer,
    ):
        pieces = answer.iter_raw()
        content = next(pieces)
        here.far.wait_hanging()
        here.far.honest()
        content += b"".join(pieces)
    assert content == blob.data
    assert here.far.count("blob", "GET") == 1


def test_ranges_are_served_while_the_blob_comes_in(here: World) -> None:
    pushable = fresh(4 * MEGABYTE)
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.far.when(asks("blob", "GET"), Hang(after=MEGABYTE), times=1)
    answer = here.registry.blob(repository, blob.digest, Range="bytes=1000-1999")
    assert (answer.status_code, answer.content) == (206, blob.data[1000:2000])
    assert answer.headers["content-range"] == f"bytes 1000-1999/{len(blob.data)}"
    assert here.registry.blob(repository, blob.digest, Range="bytes=9999999-").status_code == 416
    with concurrent.futures.ThreadPoolExecutor(1) as clients:
        end = clients.submit(here.registry.blob, repository, blob.digest, Range="bytes=-1000")
        here.far.wait_hanging()
        here.far.honest()
        assert end.result().content == blob.data[-1000:]
    assert here.far.sent("blob") <= 1.1 * len(blob.data)


def test_head_says_the_size_and_fetches_nothing(here: World) -> None:
    pushable = fresh()
    repository, blob = here.imported(pushable), layer_of(pushable)
    answer = here.registry.http.head(f"/v2/{repository}/blobs/{blob.digest}")
    assert answer.headers["content-length"] == str(len(blob.data))
    assert answer.headers["docker-content-digest"] == blob.digest
    assert here.far.count("blob", "GET") == 0
    known = {"If-None-Match": f'"{blob.digest}"'}
    assert here.registry.blob(repository, blob.digest, **known).status_code == 304


def test_what_is_kept_is_served_when_the_other_registry_is_gone(here: World) -> None:
    pushable, other = fresh(), fresh()
    repository, cold = here.imported(pushable), here.imported(other)
    here.registry.pull(repository, pushable, "v1")
    here.far.unplug()
    try:
        here.registry.pull(repository, pushable, "v1")
        answer = here.registry.blob(cold, layer_of(other).digest)
        assert (answer.status_code, error_codes(answer)) == (404, ["BLOB_UNKNOWN"])
        assert here.far.address in answer.text
    finally:
        here.far.plug_in()


def test_a_blob_that_is_not_what_its_digest_says_never_comes_whole(here: World) -> None:
    pushable = fresh(3 * MEGABYTE)
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.far.when(asks("blob", "GET"), Corrupt(at=1000))
    assert not comes_whole(here, repository, blob)
    here.far.honest()
    assert here.registry.blob(repository, blob.digest).content == blob.data


def comes_whole(here: World, repository: str, blob: Content) -> bool:
    """Whether it does, and not an error, before the answer began or after."""
    try:
        return here.registry.blob(repository, blob.digest).status_code == 200
    except httpx.RemoteProtocolError:
        return False


def test_a_registry_that_lies_about_sizes_is_not_believed(here: World) -> None:
    pushable = fresh()
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.far.when(asks("blob"), wrong_length(len(blob.data) + 5))
    answer = here.registry.blob(repository, blob.digest)
    assert (answer.status_code, error_codes(answer)) == (404, ["BLOB_UNKNOWN"])


def test_connections_that_break_again_and_again_cost_the_client_nothing(here: World) -> None:
    pushable = fresh(4 * MEGABYTE)
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.far.when(asks("blob", "GET"), Cut(after=MEGABYTE), times=3)
    assert here.registry.blob(repository, blob.digest).content == blob.data
    assert here.far.count("blob", "GET") == 4
    assert here.far.sent("blob") <= 1.1 * len(blob.data)


def test_too_many_requests_are_told_with_how_long_to_wait(here: World) -> None:
    pushable = fresh()
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.far.when(asks("blob"), too_many(7))
    answer = here.registry.blob(repository, blob.digest)
    assert (answer.status_code, error_codes(answer)) == (429, ["TOOMANYREQUESTS"])
    assert 0 < int(answer.headers["retry-after"]) <= 8


def test_a_tag_with_the_policy_source_is_passed_on_and_not_kept(here: World) -> None:
    pushable = fresh()
    repository, blob = here.imported(pushable, policy="Source"), layer_of(pushable)
    assert here.registry.blob(repository, blob.digest).content == blob.data
    assert not copy_of(here, blob).exists()


def copy_of(here: World, blob: Content) -> Path:
    encoded = blob.digest.partition(":")[2]
    return here.server.data / "cache" / "sha256" / encoded[:2] / encoded


def wait_for_bytes(here: World, blob: Content, size: int) -> None:
    """Wait until so much of a blob has come in, which may be later than it was sent."""
    pattern = f"sha256/{blob.digest.partition(':')[2]}-*"

    def come() -> bool:
        with contextlib.suppress(FileNotFoundError):  # whole by now
            fills = here.server.data.joinpath("fills").glob(pattern)
            return any(each.stat().st_size >= size for each in fills)
        return False

    wait_until(come, what=f"{size} bytes of the blob")


def test_who_may_not_pull_makes_no_request_to_the_other_registry(here: World) -> None:
    pushable = fresh()
    repository = here.imported(pushable)
    add_user(here.server, "mallory")
    with client_of(here.server, credentials=("mallory", PASSWORD)) as mallory:
        for path in (f"blobs/{layer_of(pushable).digest}", "manifests/v1"):
            assert mallory.http.get(f"/v2/{repository}/{path}").status_code == 403
    unknown = digest_of(b"nobody's")
    assert here.registry.blob(repository, unknown).status_code == 404
    assert here.far.count() == 0


def test_a_copy_is_not_for_who_names_its_digest_in_an_image_of_her_own(here: World) -> None:
    """Mallory's own registry claims to have what she only knows the digest of."""
    pushable = fresh()
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.registry.pull(repository, pushable, "v1")
    mine = here.project()
    with FaultProxy(here.upstream.url) as hers:
        claims = {"Docker-Content-Digest": blob.digest, "Content-Length": str(len(blob.data))}
        hers.when(asks("blob", "HEAD"), Answer(200, claims))
        hers.when(lambda ask: ask.method == "GET" and ask.reference == blob.digest, Answer(404))
        source = here.put(pushable)
        found = here.import_from(mine, f"{hers.address}/{source}:v1")
        assert found["status"]["status"] == "Success"
        answer = here.registry.blob(f"{mine}/app", blob.digest)
        assert (answer.status_code, error_codes(answer)) == (404, ["BLOB_UNKNOWN"])
        assert hers.count("blob", "GET") > 0


def test_another_project_reads_a_copy_once_the_registry_says_that_it_may(tmp_path: Path) -> None:
    pushable = fresh()
    blob = layer_of(pushable)
    with world(tmp_path, credentials=SECRET) as here:
        ours, theirs = here.project(), here.project()
        for each in (ours, theirs):
            here.secret(each, *SECRET)
        source = here.put(pushable)
        for each in (ours, theirs):
            found = here.import_from(each, f"{here.far.address}/{source}:v1")
            assert found["status"]["status"] == "Success", found
        here.registry.pull(f"{ours}/app", pushable, "v1")
        gone = here.admin.delete(f"/api/v1/namespaces/{theirs}/secrets/far")
        assert gone.status_code == 200
        here.far.forget()
        answer = here.registry.blob(f"{theirs}/app", blob.digest)
        assert (answer.status_code, error_codes(answer)) == (404, ["BLOB_UNKNOWN"])
        assert "pull secrets" in answer.text
        here.secret(theirs, *SECRET)
        assert here.registry.blob(f"{theirs}/app", blob.digest).content == blob.data
        assert here.far.count("blob", "GET") == 0
        here.far.unplug()
        assert here.registry.blob(f"{theirs}/app", blob.digest).content == blob.data


def test_a_push_that_counts_on_an_imported_layer_lasts_without_the_other_registry(
    here: World,
) -> None:
    base = layer({"base": CHANCE.randbytes(100_000)})
    repository = here.imported(image(base))
    derived = image(base, layer({"mine": CHANCE.randbytes(1000)}))
    for blob in derived.blobs:
        if not here.registry.has_blob(repository, blob.digest):
            assert here.registry.put_blob(repository, blob).status_code == 201
    assert here.far.count("blob", "GET") == 0
    answer = here.registry.put_manifest(repository, "derived", derived.manifest)
    assert answer.status_code == 201, answer.text
    copy_of(here, base).unlink(missing_ok=True)
    here.far.unplug()
    try:
        here.registry.pull(repository, derived, "derived")
    finally:
        here.far.plug_in()


def test_a_push_that_counts_on_what_cannot_be_had_is_refused(here: World) -> None:
    base = layer({"base": CHANCE.randbytes(100_000)})
    repository = here.imported(image(base))
    derived = image(base, layer({"mine": CHANCE.randbytes(1000)}))
    for blob in (derived.blobs[0], derived.blobs[-1]):
        assert here.registry.put_blob(repository, blob).status_code == 201
    here.far.when(asks("blob"), Answer(500))
    answer = here.registry.put_manifest(repository, "derived", derived.manifest)
    assert (answer.status_code, error_codes(answer)) == (400, ["MANIFEST_BLOB_UNKNOWN"])


def test_a_layer_of_an_imported_image_is_mounted_from_its_copy(here: World) -> None:
    pushable = fresh()
    repository, blob = here.imported(pushable), layer_of(pushable)
    target = f"{here.project()}/mine"
    mount = f"/v2/{target}/blobs/uploads/?mount={blob.digest}&from={repository}"
    assert here.registry.http.post(mount).status_code == 202  # there is no copy yet
    assert here.registry.blob(repository, blob.digest).status_code == 200
    wait_until(lambda: here.registry.http.post(mount).status_code == 201, what="the mount")
    copy_of(here, blob).unlink()
    assert here.registry.blob(target, blob.digest).content == blob.data


def test_a_killed_worker_leaves_its_work_to_the_other(here: World) -> None:
    pushable = fresh(8 * MEGABYTE)
    repository, blob = here.imported(pushable), layer_of(pushable)
    first, second = (Serving(here.server, each) for each in here.server.worker_ids())
    here.far.when(asks("blob", "GET"), Hang(after=3 * MEGABYTE), times=1)
    with (
        contextlib.closing(first),
        contextlib.closing(second),
        concurrent.futures.ThreadPoolExecutor(2) as clients,
    ):
        lost = clients.submit(first.registry().blob, repository, blob.digest)
        here.far.wait_hanging()
        wait_for_bytes(here, blob, 2 * MEGABYTE)
        with stream(second.registry(), repository, blob.digest) as answer:
            pieces = answer.iter_raw()
            content = next(pieces)  # of what the first one brought
            os.kill(first.worker, signal.SIGKILL)
            content += b"".join(pieces)
        assert content == blob.data
        with pytest.raises(httpx.TransportError):
            lost.result()
    taken_up = here.far.seen("blob", "GET")[-1].headers["range"]
    assert MEGABYTE < int(taken_up.removeprefix("bytes=").removesuffix("-")) <= 3 * MEGABYTE
    wait_until(lambda: len(here.server.worker_ids()) == 2, what="another worker")


def test_what_came_before_a_kill_of_the_whole_server_is_gone_on_with(here: World) -> None:
    pushable = fresh(8 * MEGABYTE)
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.far.when(asks("blob", "GET"), Hang(after=3 * MEGABYTE), times=1)
    with concurrent.futures.ThreadPoolExecutor(1) as clients:
        lost = clients.submit(here.registry.blob, repository, blob.digest)
        here.far.wait_hanging()
        wait_until(lambda: coming(here, blob) > MEGABYTE, what="some of the blob")
        here.server.kill()
        with pytest.raises(httpx.TransportError):
            lost.result()
    here.server.start()
    assert here.registry.blob(repository, blob.digest).content == blob.data
    taken_up = here.far.seen("blob", "GET")[-1].headers["range"]
    assert MEGABYTE < int(taken_up.removeprefix("bytes=").removesuffix("-")) <= 3 * MEGABYTE


def coming(here: World, blob: Content) -> int:
    """Bytes of a blob that is on its way."""
    fills = here.server.data / "fills" / "sha256"
    found = list(fills.glob(f"{blob.digest.partition(':')[2]}-*"))
    return found[0].stat().st_size if found else 0


def test_a_client_who_leaves_early_stops_it_and_the_next_goes_on(here: World) -> None:
    pushable = fresh(8 * MEGABYTE)
    repository, blob = here.imported(pushable), layer_of(pushable)
    here.far.when(asks("blob", "GET"), Hang(after=2 * MEGABYTE), times=1)
    with connect(here.server.address) as connection:
        connection.sendall(request("GET", f"/v2/{repository}/blobs/{blob.digest}", basic()))
        here.far.wait_hanging()
        assert b" 200 " in connection.recv(100)
        wait_for_bytes(here, blob, 3 * MEGABYTE // 2)
    assert here.registry.blob(repository, blob.digest).content == blob.data
    assert here.far.sent("blob") <= 1.1 * len(blob.data)


def test_a_full_disk_keeps_nobody_from_pulling(small_disk: Path, tmp_path: Path) -> None:
    pushable = fresh(80 * MEGABYTE)
    with world(tmp_path, data=small_disk, settings={"audit_log": "off"}) as here:
        repository, blob = here.imported(pushable), layer_of(pushable)
        with stream(here.registry, repository, blob.digest) as answer:
            running = hashlib.sha256()
            for piece in answer.iter_raw():
                running.update(piece)
        assert f"sha256:{running.hexdigest()}" == blob.digest
        assert here.registry.put_blob(repository, Content(b"still taken")).status_code == 201


def test_a_manifest_that_an_event_names_and_nobody_stored_is_fetched_once(here: World) -> None:
    pushable = index(small_image("stored never"), small_image("nor this", "arm64"))
    source, name = here.put(pushable), here.project()
    path = f"{IMAGES}/namespaces/{name}/imagestreams"
    here.admin.make(path, {"metadata": {"name": "app"}})
    stream = here.admin.read(f"{path}/app")
    item = {
        "created": "2026-01-01T00:00:00Z",
        "dockerImageReference": f"{here.far.address}/{source}@{pushable.digest}",
        "image": pushable.digest,
        "generation": 1,
    }
    stream["status"]["tags"] = [{"tag": "v1", "items": [item]}]
    stream["metadata"]["annotations"] = {"openshift.io/image.insecureRepository": "true"}
    answer = here.admin.put(f"{path}/app/status", stream)
    assert answer.status_code == 200, answer.text
    here.allow_without_tls()
    for _ in range(2):
        here.registry.pull(f"{name}/app", pushable, "v1")
    assert here.far.count("manifest", "GET") == 3
    here.far.when(asks("manifest"), Answer(500))
    unknown = here.registry.manifest(f"{name}/app", digest_of(b"other"))
    assert (unknown.status_code, error_codes(unknown)) == (404, ["MANIFEST_UNKNOWN"])


def test_what_another_registry_does_not_give_is_said_with_its_name(here: World) -> None:
    pushable = small_image("refused")
    source, name = here.put(pushable), here.project()
    path = f"{IMAGES}/namespaces/{name}/imagestreams"
    here.admin.make(path, {"metadata": {"name": "app"}})
    stream = here.admin.read(f"{path}/app")
    reference = f"{here.far.address}/{source}@{pushable.digest}"
    item = {"created": "2026-01-01T00:00:00Z", "dockerImageReference": reference,
            "image": pushable.digest, "generation": 1}  # fmt: skip
    own = {**item, "dockerImageReference": f"{here.server.address}/{name}/app@{pushable.digest}"}
    stream["status"]["tags"] = [{"tag": "v1", "items": [item]}]
    assert here.admin.put(f"{path}/app/status", stream).status_code == 200
    here.allow_without_tls()
    here.far.when(asks("manifest"), Answer(403))
    answer = here.registry.manifest(f"{name}/app", "v1")
    assert (answer.status_code, error_codes(answer)) == (404, ["OPENSHIFT_PULLTHROUGH_MANIFEST"])
    assert reference in answer.text
    here.far.when(asks("manifest"), too_many(9))
    limited = here.registry.manifest(f"{name}/app", "v1")
    assert (limited.status_code, error_codes(limited)) == (429, ["TOOMANYREQUESTS"])
    here.far.honest()
    stream = here.admin.read(f"{path}/app")
    stream["status"]["tags"] = [{"tag": "v1", "items": [own]}]
    assert here.admin.put(f"{path}/app/status", stream).status_code == 200
    here.far.forget()
    circle = here.registry.manifest(f"{name}/app", "v1")
    assert (circle.status_code, error_codes(circle)) == (404, ["MANIFEST_UNKNOWN"])
    assert here.far.count() == 0


def test_a_request_that_came_from_the_other_registry_is_not_sent_back_there(here: World) -> None:
    pushable = fresh()
    repository, blob = here.imported(pushable), layer_of(pushable)
    source = here.stream(repository.partition("/")[0], "app")["status"]["tags"][0]["items"][0]
    name = source["dockerImageReference"].partition("/")[2].partition("@")[0]
    url = f"{here.far.url}/v2/{name}/blobs/{blob.digest}"
    answer = here.registry.blob(repository, blob.digest, **{"X-Registry-Request-URL": url})
    assert (answer.status_code, error_codes(answer)) == (404, ["BLOB_UNKNOWN"])
    assert "asks this registry" in answer.text
    assert here.far.count("blob") == 0
    assert here.registry.blob(repository, blob.digest).content == blob.data
    assert here.far.seen("blob", "GET")[0].headers["x-registry-request-url"] == url


def test_a_reader_of_the_stream_needs_no_credentials_of_the_other_registry(tmp_path: Path) -> None:
    pushable = fresh()
    with world(tmp_path, credentials=SECRET) as here:
        name = here.project()
        here.secret(name, *SECRET)
        found = here.import_from(name, f"{here.far.address}/{here.put(pushable)}:v1")
        assert found["status"]["status"] == "Success", found
        add_user(here.server, "bob")
        here.admin.make(
            f"{RBAC}/namespaces/{name}/rolebindings",
            role_binding("bob", "system:image-puller", "bob"),
        )
        with client_of(here.server, credentials=("bob", PASSWORD)) as bob:
            bob.pull(f"{name}/app", pushable, "v1")
        assert SECRET[1] not in here.server.log
