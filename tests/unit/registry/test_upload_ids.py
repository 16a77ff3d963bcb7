"""An upload's id says what its session is, to who made it, for a while."""

import asyncio

import pytest

from tidegate.auth.keys import Keys
from tidegate.metastore.keys import Key
from tidegate.oci.name import RepositoryName
from tidegate.registry.upload_ids import AHEAD, BELIEVED_FOR, Opened, UploadIds

NOW = 1_790_000_000.0
WEB, API = RepositoryName("shop/web"), RepositoryName("shop/api")
UID = "uid-of-shop"
OLD, NEW = Key("old", b"o" * 32, 0.0, 1.0), Key("new", b"n" * 32, 1.0)


def ids(*keys: Key) -> UploadIds:
    async def held(now: float) -> Keys:
        assert now > 0
        return Keys({key.kid: key for key in keys}, keys[-1])

    return UploadIds(held)


def made(algorithm: str = "sha256", now: float = NOW, key: Key = NEW) -> str:
    return asyncio.run(ids(key).make(WEB, UID, algorithm, now))


def read(
    upload_id: str,
    now: float = NOW,
    repository: RepositoryName = WEB,
    *keys: Key,
    project: str = UID,
) -> Opened | None:
    return asyncio.run(ids(*(keys or (NEW,))).read(repository, project, upload_id, now))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_id_says_when_and_how(algorithm: str) -> None:
    upload_id = made(algorithm)
    assert len(upload_id) == 32
    assert read(upload_id) == Opened(NOW, algorithm)


def test_ids_differ() -> None:
    assert len({made() for _ in range(1000)}) == 1000


def test_an_id_is_of_one_repository() -> None:
    assert read(made(), NOW, API) is None


def test_nothing_of_an_id_is_left_in_a_later_project_of_the_name() -> None:
    assert read(made(), project="uid-of-another-shop") is None
    assert read(made(), project="") is None


def test_an_id_is_believed_for_a_while() -> None:
    upload_id = made()
    assert read(upload_id, NOW + BELIEVED_FOR) is not None
    assert read(upload_id, NOW + BELIEVED_FOR + 1) is None
    assert read(upload_id, NOW - AHEAD) is not None
    assert read(upload_id, NOW - AHEAD - 1) is None


def test_keys_that_rotate_end_no_upload() -> None:
    upload_id = made(key=OLD)
    assert read(upload_id, NOW, WEB, OLD, NEW) is not None
    assert read(upload_id, NOW, WEB, NEW) is None


@pytest.mark.parametrize("place", range(0, 32, 3))
def test_no_digit_can_be_changed(place: int) -> None:
    upload_id = made()
    other = "0" if upload_id[place] != "0" else "1"
    assert read(upload_id[:place] + other + upload_id[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "0" * 32, "f" * 32, "x" * 32, "0" * 31, "0" * 34, "٣" * 32])
def test_what_is_no_id_is_none(text: str) -> None:
    assert read(text) is None


def test_an_id_is_written_in_one_way_only() -> None:
    upload_id = made()
    assert read(upload_id.upper()) is None
    assert read(f"{upload_id[:16]} {upload_id[16:]}") is None
