import asyncio
from collections.abc import Callable, Sequence

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.kinds.registries.documents import certificate, digest_mirrors, document, image
from tidegate.apimachinery.store import Change, DocumentTransaction, Key, Listing
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.oci.pull_spec import PullSpec


class LossyStore(MemoryStore):
    """Loses changes when it is told to, as compaction may."""

    lossy = False
    reset: Callable[[], None]

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        def told(change: Change) -> None:
            if not self.lossy:
                apply(change)

        super().follow(resources, told, reset)
        assert reset is not None
        self.reset = reset


async def put(store: MemoryStore, *documents: tuple[Key, bytes]) -> None:
    def unit(tx: DocumentTransaction) -> None:
        for key, body in documents:
            tx.put(key, key.name, lambda _, body=body: body)  # type: ignore[misc]

    await store.write(unit)


def blocking(*registries: str) -> tuple[Key, bytes]:
    return image(registrySources={"blockedRegistries": list(registries)})


def blocked(config: RegistryConfig) -> list[str]:
    return [each for each in config.rules().blocked if ":" not in each]


def test_what_is_there_at_the_start_is_in_force() -> None:
    async def story() -> None:
        store = MemoryStore()
        await put(
            store, blocking("quay.io"), digest_mirrors("a", {"source": "b", "mirrors": ["c"]})
        )
        config = RegistryConfig(store, "own:5000")
        await config.start()
        assert blocked(config) == ["quay.io"]
        assert config.rules().digest_mirrors[0].source == "b"
        assert config.import_mode() == "Legacy"
        assert config.external_hostnames() == ()
        await config.close()

    asyncio.run(story())


def test_every_change_is_in_force_at_once() -> None:
    async def story() -> None:
        store = MemoryStore()
        config = RegistryConfig(store)
        await config.start()
        listed = [{"domainName": "gcr.io"}]
        await put(store, image(allowedRegistriesForImport=listed, imageStreamImportMode="Legacy"))
        assert config.imports().fault_of(PullSpec.parse("quay.io/a/b"))
        key, body = digest_mirrors("a", {"source": "b", "mirrors": ["c"]})
        await put(store, (key, body))
        assert len(config.rules().digest_mirrors) == 1
        await store.write(lambda tx: tx.delete(key))
        assert config.rules().digest_mirrors == ()
        await put(store, image(externalRegistryHostnames=["a.example.com"]))
        assert config.external_hostnames() == ("a.example.com",)
        assert config.imports().fault_of(PullSpec.parse("quay.io/a/b")) == ""

    asyncio.run(story())


def test_certificates_follow_the_reference_and_the_config_map() -> None:
    async def story() -> None:
        store = MemoryStore()
        config = RegistryConfig(store)
        await config.start()
        one, two = certificate("one"), certificate("two")
        await put(store, document("configmaps", "a", data={"x.local": one}))
        assert not config.rules().authorities
        await put(store, image(additionalTrustedCA={"name": "a"}))
        assert config.rules().authorities == {"x.local": one}
        await put(store, document("configmaps", "a", data={"x.local": two}))
        assert config.rules().authorities == {"x.local": two}
        key, body = document("configmaps", "a", data={"x.local": one})
        await put(store, (key._replace(namespace="shop"), body))
        assert config.rules().authorities == {"x.local": two}
        await store.write(lambda tx: tx.delete(key))
        assert not config.rules().authorities

    asyncio.run(story())


def test_after_changes_were_missed_all_is_read_again() -> None:
    async def story() -> None:
        store = LossyStore()
        await put(store, blocking("quay.io"))
        config = RegistryConfig(store)
        await config.start()
        store.lossy = True
        await put(store, blocking("gcr.io"))
        assert blocked(config) == ["quay.io"]
        store.lossy = False
        store.reset()
        assert blocked(config) == ["quay.io"]  # until then what was in force stays
        await put(store, digest_mirrors("a", {"source": "b", "mirrors": ["c"]}))
        assert blocked(await config.current()) == ["gcr.io"]
        assert len(config.rules().digest_mirrors) == 1
        await config.close()

    asyncio.run(story())


def test_it_reads_again_though_nobody_asks_and_the_store_is_away_for_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tidegate.kinds.registries.config.RETRY_SECONDS", 0.0)

    class AwayStore(LossyStore):
        away = 0

        async def list(self, *arguments: object, **options: object) -> Listing:
            if self.away:
                self.away -= 1
                raise OSError("away")
            return await super().list(*arguments, **options)  # type: ignore[arg-type]

    async def story() -> None:
        store = AwayStore()
        config = RegistryConfig(store)
        await config.start()
        store.lossy = True
        await put(store, blocking("gcr.io"))
        store.lossy, store.away = False, 2
        store.reset()
        for _ in range(100):  # turns of the loop
            await asyncio.sleep(0)
        assert blocked(config) == ["gcr.io"]
        assert store.away == 0
        await config.close()

    asyncio.run(story())
    assert "will try again" in caplog.text


def test_what_is_ignored_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        store = MemoryStore()
        config = RegistryConfig(store)
        await config.start()
        await put(store, blocking("https://quay.io"))
        await put(store, blocking("https://quay.io", "gcr.io"))

    asyncio.run(story())
    (line,) = [each.getMessage() for each in caplog.records]
    assert line.startswith("configuration of registries: images/cluster: 'https://quay.io' is igno")
