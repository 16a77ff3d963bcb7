import multiprocessing
from multiprocessing.connection import Connection

import pytest

from tidegate.observability.request_id import accept_request_id, new_request_id


@pytest.mark.parametrize(
    "header", ["a", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "Root=1-67891233-abcdef012345678912"]
)
def test_a_well_formed_id_of_the_caller_is_kept(header: str) -> None:
    assert accept_request_id(header) == header


@pytest.mark.parametrize("header", [None, "", "a b", "a\nb", "a\n", "é", '"', "x" * 129, "a,b"])
def test_any_other_is_replaced(header: str | None) -> None:
    assert accept_request_id(header) != header
    assert len(accept_request_id(header)) == 32


def test_new_ids_differ() -> None:
    assert len({new_request_id() for _ in range(1000)}) == 1000


def _send_id(connection: Connection) -> None:
    connection.send(new_request_id())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # 3.12 warns beside threads
def test_forked_workers_make_different_ids() -> None:
    new_request_id()
    context = multiprocessing.get_context("fork")
    ids = set()
    for _ in range(3):
        receiving, sending = context.Pipe()
        worker = context.Process(target=_send_id, args=(sending,))
        worker.start()
        ids.add(receiving.recv())
        worker.join()
    assert len(ids) == 3
