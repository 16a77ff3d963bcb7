"""A Mirror of two servers on one PostgreSQL: when one dies in the middle, the other goes on."""

import base64
import contextlib
import os
from pathlib import Path
from typing import Any

from tests.conformance import postgresql
from tests.e2e.test_mirror_kind import MIRRORS, sizes
from tests.fault_proxy import FaultProxy
from tests.faults import Hang, asks
from tests.images import image, layer
from tests.kube_client import CORE, PROJECTS, KubeClient, log_in
from tests.server import Server, serving, wait_until
from tests.upstream import Upstream, docker_registry, second_tidegate
from tidegate.metastore.postgresql import connect

LARGE = image(layer({"large": os.urandom(16 << 20)}))
WHOLE, CUT = LARGE.blobs


def test_the_other_server_goes_on_where_a_killed_one_was(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(stack.enter_context(postgresql.server()).database())
        source = stack.enter_context(docker_registry(tmp_path / "source"))
        target, keeper = stack.enter_context(second_tidegate(tmp_path / "target"))
        proxy = stack.enter_context(FaultProxy(source.url))
        with source.client() as client:
            client.push("org/large", LARGE, "1")
        rule = proxy.when(
            lambda ask: asks("blob", "GET")(ask) and ask.reference == CUT.digest,
            Hang(after=12 << 20),
        )
        settings = {"database": database, "allow_private_upstreams": "true"}
        one, other = (Server(tmp_path / name, 1, settings) for name in ("one", "other"))
        stack.enter_context(serving(one))
        with KubeClient(one.url, log_in(one.url)) as kube:
            log_in_at(target, kube)
            sides = (f"{proxy.address}/org/large", f"{target.address}/out/large")
            make(kube, "m", *({"repository": each, "insecure": True} for each in sides))
        wait_until(lambda: any(size > 8 << 20 for size in sizes(keeper)), what="half of the blob")
        wait_until(
            lambda: CUT.digest in str(ask(database, "SELECT position FROM jobs")),
            what="a note of where the upload is",
        )
        stack.enter_context(serving(other))
        one.kill()
        proxy.drop(rule)
        proxy.release()
        proxy.forget()
        # the lease of the killed server, of 20 s, which nothing extends any more
        let_go = "UPDATE jobs SET lease_until = 1, due_at = 1 WHERE kind = 'mirror' RETURNING name"
        assert ask(database, let_go) == [("shop/m",)]
        with KubeClient(other.url, log_in(other.url)) as kube:
            make(kube, "wakes", {"stream": "none"}, {"stream": "nothing"})  # who looks for work
            path = MIRRORS.format("shop") + "/m"
            wait_until(
                lambda: kube.read(path)["status"].get("lastSuccess"), what="the end of the run"
            )
            status = kube.read(path)["status"]
        assert proxy.sent("blob") < 10 << 20, "what was there was sent again"
        assert all(each.reference != WHOLE.digest for each in proxy.seen("blob", "GET"))
        assert status["lastRun"]["copied"] == 1
        with target.client() as client:
            client.pull("out/large", LARGE, "1")
        assert "Traceback" not in one.log + other.log + keeper.log


def log_in_at(target: Upstream, kube: KubeClient) -> None:
    """A project with the login of a registry."""
    kube.make(f"{PROJECTS}/projectrequests", {"metadata": {"name": "shop"}})
    value = base64.b64encode(target.dockerconfigjson.encode()).decode()
    secret = {
        "metadata": {"name": "target"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": value},
    }
    kube.make(f"{CORE}/namespaces/shop/secrets", secret)


def make(kube: KubeClient, name: str, source: dict[str, Any], target: dict[str, Any]) -> None:
    """A Mirror that runs once."""
    body = {
        "apiVersion": "tidegate.io/v1",
        "kind": "Mirror",
        "metadata": {"name": name},
        "spec": {"source": source, "target": target},
    }
    kube.make(MIRRORS.format("shop"), body)


def ask(database: str, sql: str) -> list[tuple[object, ...]]:
    """The rows that a statement of this test gives, which is committed."""
    with connect(database) as connection:
        return list(connection.execute(sql.encode()).fetchall())
