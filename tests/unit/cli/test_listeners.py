import socket

import pytest

from tidegate.cli.listeners import listen
from tidegate.cli.refusal import Refused


def test_every_worker_has_a_socket_on_the_same_port() -> None:
    listener = listen("127.0.0.1", 0, 3, tls=False)
    try:
        assert len(listener.sockets) == 3
        assert {each.getsockname()[1] for each in listener.sockets} == {listener.port}
        socket.create_connection(("127.0.0.1", listener.port)).close()
    finally:
        for each in set(listener.sockets):
            each.close()


def test_a_taken_port_is_refused_with_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            Refused, match=rf"127\.0\.0\.1:{port} is taken.*try --listen"
        ) as refused:
            listen("127.0.0.1", port, 1, tls=False)
    free = int(str(refused.value).rpartition(":")[2])
    assert free not in (0, port)


def test_the_port_of_another_tidegate_is_refused_although_it_is_shared_among_workers() -> None:
    first = listen("127.0.0.1", 0, 2, tls=False)
    try:
        with pytest.raises(Refused, match="is taken"):
            listen("127.0.0.1", first.port, 2, tls=False)
    finally:
        for each in set(first.sockets):
            each.close()


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(Refused, match="cannot listen"):
        listen("192.0.2.1", 0, 1, tls=False)


def test_urls_show_addresses_that_clients_can_use() -> None:
    listener = listen("0.0.0.0", 0, 1, tls=True)
    for each in set(listener.sockets):
        each.close()
    assert listener.url() == f"https://127.0.0.1:{listener.port}"
    assert listener._replace(host="::1").authority() == f"[::1]:{listener.port}"
