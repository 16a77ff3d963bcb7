import asyncio

import pytest

from tidegate.storage.errors import StorageFull
from tidegate.storage.memory import Memory


def test_a_memory_store_of_some_capacity_fills_up_as_a_disk_does() -> None:
    async def scenario() -> None:
        driver = Memory(capacity=10)
        writer = await driver.append("uploads/a", 0)
        writer.write(memoryview(b"1234567"))
        with pytest.raises(StorageFull):
            writer.write(memoryview(b"1234"))
        assert writer.offset == 7
        writer.write(memoryview(b"890"))
        await driver.publish(writer, "blobs/a")
        with pytest.raises(StorageFull):
            (await driver.append("uploads/b", 0)).write(memoryview(b"x"))
        await driver.delete("blobs/a")
        (await driver.append("uploads/c", 0)).write(memoryview(b"1234567890"))

    asyncio.run(scenario())
