import asyncio
import json
from typing import Any

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.errors import Forbidden, Invalid, NotFound
from tidegate.apimachinery.http.endpoints import Endpoints
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, DeleteOptions, ListOptions
from tidegate.kinds.registries.compiling import IMAGE_KEY
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.kinds.registries.image_config import Image, ImageSpec
from tidegate.kinds.registries.serving import serve
from tidegate.kinds.registries.singleton import KnownHosts, ensure_image

KNOWN = KnownHosts("registry.svc:5000", "images.example.com")
ADMIN = User("admin")


def call(verb: str, subresource: str = "") -> Call:
    return Call(user=ADMIN, verb=verb, name="cluster", subresource=subresource)


async def begun() -> tuple[MemoryStore, RegistryConfig]:
    store = MemoryStore()
    await store.write(lambda tx: ensure_image(tx, KNOWN, 0.0))
    config = RegistryConfig(store, KNOWN.internal)
    await config.start()
    return store, config


def stored(store: MemoryStore) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.documents[IMAGE_KEY].body)
    return found


def test_it_is_there_from_the_start_with_what_is_so() -> None:
    store, _ = asyncio.run(begun())
    found = stored(store)
    assert found["spec"] == {}
    assert found["status"] == {
        "internalRegistryHostname": "registry.svc:5000",
        "externalRegistryHostnames": ["images.example.com"],
        "imageStreamImportMode": "Legacy",
    }
    assert (found["apiVersion"], found["kind"]) == ("config.openshift.io/v1", "Image")
    assert found["metadata"]["resourceVersion"] == str(store.newest)
    assert found["metadata"]["generation"] == 1


def test_another_start_changes_nothing_but_what_is_no_longer_so() -> None:
    async def story() -> MemoryStore:
        store, _ = await begun()
        before = store.newest
        await store.write(lambda tx: ensure_image(tx, KNOWN, 9.0))
        assert store.newest == before
        await store.write(lambda tx: ensure_image(tx, KnownHosts("other:5000"), 9.0))
        return store

    store = asyncio.run(story())
    assert stored(store)["status"] == {
        "internalRegistryHostname": "other:5000",
        "imageStreamImportMode": "Legacy",
    }
    assert stored(store)["metadata"]["creationTimestamp"] == "1970-01-01T00:00:00Z"


def test_it_cannot_be_deleted_nor_have_a_sibling() -> None:
    async def story() -> None:
        store, config = await begun()
        storage = serve(store, config, KNOWN)[0].storage
        text = (
            'images.config.openshift.io "cluster" is forbidden: deleting required '
            "images.config.openshift.io resource, named cluster, is not allowed"
        )
        with pytest.raises(Forbidden) as refused:
            await storage.delete(call("delete"), "cluster", DeleteOptions())
        assert str(refused.value) == text
        with pytest.raises(Forbidden):
            await storage.delete_collection(
                call("deletecollection"), ListOptions(selection=Selection()), DeleteOptions()
            )
        with pytest.raises(Invalid) as invalid:
            await storage.create(call("create"), Image(metadata=ObjectMeta(name="other")))
        assert str(invalid.value) == (
            'Image.config.openshift.io "other" is invalid: metadata.name: Invalid value: "other": '
            "must be cluster"
        )
        assert IMAGE_KEY in store.documents

    asyncio.run(story())


def test_nobody_says_what_is_so() -> None:
    async def story() -> None:
        store, config = await begun()
        served = serve(store, config, KNOWN)[0]
        mode = ImageSpec(image_stream_import_mode="PreserveOriginal")

        def wanted(_current: object) -> Image:
            changed = Image(metadata=ObjectMeta(name="cluster"), spec=mode)
            changed.status.internal_registry_hostname = "evil.example.com"
            return changed

        await served.storage.update(call("update"), "cluster", wanted)
        assert stored(store)["status"]["internalRegistryHostname"] == "registry.svc:5000"
        assert stored(store)["status"]["imageStreamImportMode"] == "PreserveOriginal"
        assert stored(store)["metadata"]["generation"] == 2
        mode = ImageSpec(image_stream_import_mode="Legacy")
        status = served.subresources["status"]
        await status.update(call("update", "status"), "cluster", wanted)
        assert stored(store)["spec"] == {"imageStreamImportMode": "PreserveOriginal"}
        assert stored(store)["status"]["internalRegistryHostname"] == "registry.svc:5000"

    asyncio.run(story())


def test_what_is_in_force_can_be_read() -> None:
    async def story() -> None:
        store, config = await begun()
        served = serve(store, config, KNOWN)[0]
        assert served.subresources["inforce"]
        body = await served.subresources["inforce"].get(call("get", "inforce"), "cluster")
        assert json.loads(body) == {
            "apiVersion": "tidegate.io/v1",
            "kind": "RegistriesInForce",
            "metadata": {"name": "cluster"},
            "importsFrom": ["*:*"],
            "importMode": "Legacy",
        }
        with pytest.raises(NotFound):
            await served.subresources["inforce"].get(call("get", "inforce"), "other")

    asyncio.run(story())


def test_every_resource_is_served_with_all_its_verbs() -> None:
    store = MemoryStore()
    served = serve(store, RegistryConfig(store), KNOWN)
    assert [each.resource.plural for each in served] == [
        "images",
        "imagedigestmirrorsets",
        "imagetagmirrorsets",
        "imagecontentsourcepolicies",
    ]
    Endpoints(served, lambda: 0.0)  # raises when a storage lacks a verb
