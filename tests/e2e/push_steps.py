"""A push of which every step can be the last: for `test_push_steps.py`.

    python -m tests.e2e.push_steps DIRECTORY kill|fail first|next

The registry, its files and its database are the real ones, in a forked process for each step. A
step is a statement of a unit of work (BEGIN, SAVEPOINT and COMMIT are steps too) or a call that
changes files. At its turn the process is killed, or the call fails once. Then another process looks
at what is there and pushes again. Prints a line of JSON for each step.
"""

import asyncio
import errno
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.images import small_image
from tests.registry_client import RegistryClient
from tests.unit.registry.in_process import in_process
from tidegate.apimachinery.store import Key
from tidegate.images.adoption import DONE, MARK
from tidegate.metastore import document_rows, manifests, stream_tags
from tidegate.metastore.database import Database
from tidegate.metastore.errors import MetastoreUnavailable
from tidegate.metastore.open import open_database
from tidegate.metastore.sqlite import SqliteSession
from tidegate.oci.name import RepositoryName, Tag
from tidegate.registry.findings import Order
from tidegate.registry.verification import Verification
from tidegate.storage.blobs import BlobStore
from tidegate.storage.filesystem import Filesystem

REPOSITORY = RepositoryName("shop/web")
OLD, NEW = small_image("old"), small_image("new")
TAG = Tag("1")
FILE_CALLS = ("fdatasync", "fsync", "ftruncate", "mkdir", "pwrite", "rename", "unlink", "utime")


class Steps:
    """Counts steps, and lets one be the last, or fail."""

    def __init__(self, fatal: int, mode: str) -> None:
        self._fatal = fatal
        self._mode = mode
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, failure: Callable[[], Exception]) -> None:
        with self._lock:
            self._taken += 1
            its_turn = self._taken == self._fatal
        if not its_turn:
            return
        if self._mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise failure()

    @property
    def kills(self) -> bool:
        return self._mode == "kill"

    @property
    def over(self) -> bool:
        """Whether the fatal step came."""
        return self._taken >= self._fatal


def instrument(steps: Steps) -> None:
    """Have every statement of the writing connection and every call of a file count."""

    def of_database(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            steps.take(lambda: MetastoreUnavailable("the database fails at this step"))
            return method(*args)

        return call

    def of_files(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            steps.take(lambda: OSError(errno.EIO, "the disk fails at this step"))
            return function(*args, **more)

        return call

    for name in ("execute", "execute_many", "fetch"):
        setattr(SqliteSession, name, of_database(getattr(SqliteSession, name)))
    commit = SqliteSession.commit

    def committed(session: SqliteSession) -> None:
        commit(session)
        if steps.kills:  # it cannot fail any more
            steps.take(AssertionError)

    setattr(SqliteSession, "commit", committed)  # noqa: B010  a method is no attribute to mypy
    for name in FILE_CALLS:
        setattr(os, name, of_files(getattr(os, name)))


class Pushed(NamedTuple):
    """What a client saw of its push."""

    acknowledged: bool
    steps_over: bool


def push(client: RegistryClient) -> bool:
    """Push `NEW` under the tag; whether every answer was a success."""
    for blob in NEW.blobs:
        if client.has_blob(REPOSITORY, blob.digest):
            continue
        begun = client.http.post(f"/v2/{REPOSITORY}/blobs/uploads/")
        if begun.status_code != 202:
            return False
        if client.close_upload(begun.headers["location"], blob.digest, blob.data).is_error:
            return False
    return client.put_manifest(REPOSITORY, TAG, NEW.manifest).status_code == 201


def attempt(data: Path, steps: Steps, token: str) -> Pushed:
    """Push with the fatal step in it."""
    with in_process(data, driver=Filesystem(data)) as registry:
        client = registry.bearer(token)
        instrument(steps)
        return Pushed(push(client), steps.over)


def look(data: Path) -> str:
    """`all` or `nothing` of the push is there and everything agrees, or what is wrong."""

    async def read() -> str:
        db = await open_database(f"sqlite:///{data / 'metadata.db'}")
        driver = Filesystem(data)
        try:
            await db.write(lambda tx: document_rows.put(tx, MARK, "", _over))
            order = Order(repair=False, sample=100, stale_before=0)
            checked = Verification(db, BlobStore(driver), order, Silent(), random.Random(1))
            problems = (await checked.run()).problems
            return f"check finds {problems}" if problems else await story(db)
        finally:
            driver.close()
            await db.close()

    return asyncio.run(read())


def _over(_revision: int) -> bytes:
    """Says that no older data waits, so that whatever lacks an Image or event is a fault."""
    return json.dumps({"stage": DONE}).encode()


async def story(db: Database) -> str:
    """How much of the push the tables have, each asked alone."""
    image = await document_rows.find(db, Key("images.image.openshift.io", "", NEW.digest))
    rows = await db.fetch("SELECT id FROM repositories WHERE name = ?", (REPOSITORY,))
    shown = await stream_tags.read_one(db, rows[0][0], TAG) if rows else None
    tag = await manifests.by_tag(db, REPOSITORY, TAG)
    found = {
        "image": image is not None,
        "event": shown is not None and shown.events[0].image == NEW.digest,
        "manifest": await has_manifest(db),
        "tag": tag is not None and tag.digest == NEW.digest,
    }
    if len(set(found.values())) > 1:
        return f"torn: {found}"
    return "all" if found["tag"] else "nothing"


async def has_manifest(db: Database) -> bool:
    rows = await db.fetch(
        "SELECT 1 FROM manifests WHERE digest = ? AND deleted_at IS NULL", (NEW.digest,)
    )
    return bool(rows)


class Silent:
    def begin(self, step: str, total: int) -> None:
        pass

    def advance(self, count: int) -> None:
        pass


def again(data: Path, token: str) -> str:
    """Push once more, which has to go well whatever was left behind."""
    with in_process(data, driver=Filesystem(data)) as registry:
        return "pushed" if push(registry.bearer(token)) else "refused"


def forked(work: Callable[[], str]) -> str:
    """What `work` says, done in a process of its own; "" when that is killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            os.write(writer, work().encode())
        except BaseException as error:  # noqa: BLE001  the parent tells of it
            os.write(writer, f"error: {error!r}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as said:
        words = said.read().decode()
    os.waitpid(child, 0)
    return words


def template(directory: Path, *, first: bool) -> str:
    """A registry with a project, and a token of who may push to it.

    What is to be pushed makes its stream; or it moves a tag, and its blobs are there.
    """
    with in_process(directory, driver=Filesystem(directory)) as registry:
        client = registry.client()
        client.push("shop/other" if first else REPOSITORY, OLD, TAG)
        if not first:
            for blob in NEW.blobs:
                client.put_blob(REPOSITORY, blob)
        return registry.token(f"repository:{REPOSITORY}:pull,push")


def main(directory: Path, mode: str, *, first: bool) -> None:
    ready = directory / "ready"
    ready.mkdir(parents=True)
    token = forked(lambda: template(ready, first=first))
    for number in itertools.count(1):
        data = directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(ready, data)
        steps = Steps(number, mode)
        said = forked(lambda: json.dumps(attempt(data, steps, token)))  # noqa: B023
        acknowledged, over = json.loads(said) if said.startswith("[") else (False, said == "")
        seen = forked(lambda: json.dumps([look(data), again(data, token), look(data)]))  # noqa: B023
        found, repeated, then = json.loads(seen) if seen.startswith("[") else (seen, "", "")
        line = {
            "step": number,
            "acknowledged": acknowledged,
            "said": said if said.startswith("error") else "",
            "found": found,
            "again": repeated,
            "then": then,
        }
        print(json.dumps(line), flush=True)
        if not over:
            return


if __name__ == "__main__":
    main(Path(tempfile.mkdtemp(dir=sys.argv[1])), sys.argv[2], first=sys.argv[3] == "first")
