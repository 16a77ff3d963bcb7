"""Which projects mirror a registry, and what names of theirs mean there."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tidegate.apimachinery.store import Key
from tidegate.auth.projects.proxy import DEFAULT, HOST
from tidegate.images.proxies import Proxies, ProxyAmbiguous
from tidegate.metastore.documents import Documents
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.errors import NameInvalid


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path


@asynccontextmanager
async def store_of(file: Path) -> AsyncIterator[Documents]:
    database = await open_database(f"sqlite:///{file}")
    store = Documents(database)
    await store.start()
    try:
        yield store
    finally:
        await store.close()
        await database.close()


async def put(store: Documents, name: str, **metadata: object) -> None:
    """A namespace with this metadata."""
    body = json.dumps({"metadata": {"name": name, **metadata}}).encode()
    await store.write(lambda tx: tx.put(Key("namespaces", "", name), name, lambda _: body))


async def mirror(store: Documents, name: str, host: str, **more: str) -> None:
    await put(store, name, annotations={HOST: host, **more})


def test_names_become_streams_and_repositories_elsewhere(migrated: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with store_of(Path(shutil.copy(migrated, tmp_path))) as store:
            await mirror(store, "hub", "docker.io")
            await mirror(store, "k8s", "registry.k8s.io")
            proxies = Proxies(store)
            await proxies.ready()
            for name, repository, elsewhere in (
                ("hub/library/nginx", "hub/library.nginx", "docker.io/library/nginx"),
                ("hub/nginx", "hub/nginx", "docker.io/library/nginx"),
                ("k8s/pause", "k8s/pause", "registry.k8s.io/pause"),
                ("k8s/a/b/c", "k8s/a.b.c", "registry.k8s.io/a/b/c"),
            ):
                found = proxies.proxied(name)
                assert found is not None
                assert (str(found.repository), str(found.location)) == (repository, elsewhere)
            assert proxies.proxied("shop/web") is None
            with pytest.raises(NameInvalid):
                proxies.proxied("hub/Not/a/name")

    asyncio.run(scenario())


def test_a_registry_s_own_names_are_answered_by_the_project_that_mirrors_it(
    migrated: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with store_of(Path(shutil.copy(migrated, tmp_path))) as store:
            await mirror(store, "hub", "docker.io")
            proxies = Proxies(store)
            await proxies.catch_up()
            for name in ("library/nginx", "hub/library/nginx"):
                found = proxies.answering(name, "registry-1.docker.io")
                assert found is not None
                assert str(found.repository) == "hub/library.nginx"
            assert proxies.answering("library/nginx", "quay.io") is None
            await mirror(store, "other", "docker.io")
            await proxies.catch_up()
            with pytest.raises(ProxyAmbiguous):
                proxies.answering("library/nginx", "docker.io")
            await mirror(store, "other", "docker.io", **{DEFAULT: "true"})
            await proxies.catch_up()
            chosen = proxies.answering("library/nginx", "docker.io")
            assert chosen is not None
            assert chosen.repository.project == "other"

    asyncio.run(scenario())


def test_what_is_changed_counts_at_once_for_who_catches_up(migrated: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with store_of(Path(shutil.copy(migrated, tmp_path))) as store:
            proxies = Proxies(store)
            await proxies.ready()
            assert proxies.of("hub") is None
            await mirror(store, "hub", "docker.io")
            await proxies.catch_up()
            assert proxies.of("hub") is not None
            await put(store, "hub", annotations={})
            await proxies.catch_up()
            assert proxies.of("hub") is None
            await mirror(store, "hub", "docker.io")
            ending = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
            await put(store, "hub", annotations={HOST: "docker.io"}, **ending)
            await proxies.catch_up()
            assert proxies.of("hub") is None  # it ends

    asyncio.run(scenario())
