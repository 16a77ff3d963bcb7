"""A server, another registry behind a proxy that can fail, and images that are there."""

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.two_processes import Serving
from tests.fault_proxy import FaultProxy
from tests.images import (
    IMAGE_CONFIG,
    IMAGE_LAYER,
    IMAGE_MANIFEST,
    Content,
    Pushable,
    encode,
)
from tests.kube_client import CORE, PROJECTS, KubeClient, kube_client, project
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving, wait_until
from tests.upstream import Upstream, docker_registry, dockerconfigjson

IMAGES = "/apis/image.openshift.io/v1"
SETTINGS = {"allow_private_upstreams": "true"}

Json = dict[str, Any]


@dataclass(frozen=True)
class World:
    """A tidegate, its administrator, and another registry (`upstream`) that it knows as `far`."""

    server: Server
    upstream: Upstream
    far: FaultProxy
    admin: KubeClient
    registry: RegistryClient

    def project(self, **annotations: str) -> str:
        """A project of the test's own."""
        name = f"p{uuid.uuid4().hex[:12]}"
        self.admin.make(f"{PROJECTS}/projectrequests", project(name))
        if annotations:
            body = {"metadata": {"annotations": annotations}}
            answer = self.admin.patch(f"{CORE}/namespaces/{name}", body)
            assert answer.status_code == 200, answer.text
        return name

    def annotate(self, project_name: str, **annotations: str | None) -> None:
        """Change annotations of a project; names that only a mirror has are read with them."""
        body = {"metadata": {"annotations": annotations}}
        answer = self.admin.patch(f"{CORE}/namespaces/{project_name}", body)
        assert answer.status_code == 200, answer.text

    def stream(self, project_name: str, path: str) -> Json:
        """The stream that a repository of the other registry becomes in a project."""
        name = path.replace("/", ".").replace("--", "-").replace("__", "_")
        return self.admin.read(f"{IMAGES}/namespaces/{project_name}/imagestreams/{name}")

    def allow_without_tls(self) -> None:
        """Let the other registry be asked without TLS; each worker has heard of it then."""
        self.configure(insecureRegistries=[self.far.address])
        probe = self.project(**{"tidegate.io/proxy": self.far.address})
        for each in self.server.worker_ids():
            with contextlib.closing(Serving(self.server, each)) as worker:
                wait_until(partial(_speaks, worker.registry(), probe), what="plain HTTP")
        self.annotate(probe, **{"tidegate.io/proxy": None})
        self.far.forget()

    def configure(self, **sources: Any) -> None:
        """Change the cluster's rules for other registries."""
        body = {"spec": {"registrySources": sources}}
        answer = self.admin.patch("/apis/config.openshift.io/v1/images/cluster", body)
        assert answer.status_code == 200, answer.text

    def secret(self, project_name: str, *credentials: str) -> None:
        """A pull secret for the other registry."""
        config = dockerconfigjson(self.far.address, *credentials)
        secret = {
            "metadata": {"name": "far"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": config},
        }
        self.admin.make(f"{CORE}/namespaces/{project_name}/secrets", secret)

    def put(self, pushable: Pushable, repository: str = "", tag: str = "v1") -> str:
        """Push to the other registry, where nobody counts it; its repository there."""
        repository = repository or f"library/{uuid.uuid4().hex[:12]}"
        with self.upstream.client() as client:
            client.push(repository, pushable, tag)
        return repository

    def imported(
        self,
        pushable: Pushable,
        *,
        into: str = "",
        policy: str = "Local",
        repository: str = "",
        tag: str = "v1",
    ) -> str:
        """A stream that has imported the image from the other registry; its repository here."""
        repository = self.put(pushable, repository, tag)
        into = into or self.project()
        found = self.import_from(into, f"{self.far.address}/{repository}:{tag}", policy)
        assert found["status"]["status"] == "Success", found["status"]
        return f"{into}/app"

    def import_from(self, into: str, source: str, policy: str = "Local") -> Json:
        """What an import is answered about its image."""
        each = {
            "from": {"kind": "DockerImage", "name": source},
            "to": {"name": "v1"},
            "importPolicy": {"insecure": True, "importMode": "PreserveOriginal"},
            "referencePolicy": {"type": policy},
        }
        body = {"metadata": {"name": "app"}, "spec": {"import": True, "images": [each]}}
        path = f"{IMAGES}/namespaces/{into}/imagestreamimports"
        (answer,) = self.admin.make(path, body)["status"]["images"]
        self.far.forget()
        return dict(answer)


def _speaks(registry: RegistryClient, probe: str) -> bool:
    return "TLS" not in registry.manifest(f"{probe}/is/it/there", "v1").text


@contextlib.contextmanager
def world(
    directory: Path,
    *,
    credentials: tuple[str, str] | None = None,
    data: Path | None = None,
    settings: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[World]:
    """The two registries, with clients of each."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        upstream = enter(docker_registry(directory / "upstream", credentials=credentials))
        far = enter(FaultProxy(upstream.url))
        given = {**SETTINGS, **(settings or {})}
        server = Server(data or directory / "data", settings=given, **options)
        enter(serving(server))
        yield World(server, upstream, far, enter(kube_client(server)), enter(client_of(server)))
    assert "Traceback" not in server.log, server.log


def large(data: bytes) -> Pushable:
    """An image of one layer of just these bytes; the layer comes last."""
    layer = Content(data, IMAGE_LAYER)
    rootfs = {"type": "layers", "diff_ids": [layer.digest]}
    described = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    config = Content(encode(described), IMAGE_CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    }
    return Pushable(Content(encode(document), IMAGE_MANIFEST), (config, layer))
