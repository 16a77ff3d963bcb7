"""A real Kubernetes API server, with the etcd that it stores in; nothing runs what it is told.

There are no controllers and no nodes: a Deployment stays as it was written until somebody patches
it, its status is the test's to write, and a deleted namespace never goes away. One server serves a
test session; each test uses a namespace of its own, by `Cluster.namespace`.
"""

import base64
import contextlib
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.certificates import Authority, Issued, private_pem
from tests.kube_client import CORE, RBAC, KubeClient
from tests.server import TRUST, free_port, wait_until
from tests.tools import Program, require

TOKENS = {"admin": "token-of-admin", "tidegate": "token-of-tidegate"}
"""Users by bearer token: admin may do everything, tidegate nothing until a test binds a role."""
START_SECONDS = 60.0
ISSUER = "https://cluster.test"


@dataclass
class Cluster:
    """The API server; it can be stopped and started again, and keeps its port and content."""

    directory: Path
    etcd: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @cached_property
    def authority(self) -> Authority:
        """Signs the server's certificate and those of clients."""
        return Authority(self.directory / "tls")

    @property
    def log(self) -> str:
        return (self.directory / "apiserver.log").read_text("utf-8", "replace")

    def client(self, user: str = "admin") -> KubeClient:
        """A client with the token of one of `TOKENS`."""
        return KubeClient(self.url, TOKENS[user], verify=self.authority.context())

    def kubeconfig(self, user: str = "admin", namespace: str = "default") -> Path:
        """The path of a kubeconfig with the token of one of `TOKENS`."""
        return self._write_kubeconfig(f"{user}-{namespace}", {"token": TOKENS[user]}, namespace)

    def certified(self, user: str, group: str = "") -> Path:
        """The path of a kubeconfig with a client certificate, for a user of any name."""
        issued: Issued = self.authority.issue(user, (), group)
        own = {"client-certificate": str(issued.certificate), "client-key": str(issued.key)}
        return self._write_kubeconfig(f"{user}-certified", own, "default")

    def kubectl(self, user: str = "admin") -> Program:
        """kubectl with a kubeconfig and a home of its own."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        settings = {"HOME": str(home), "KUBECONFIG": str(self.kubeconfig(user))}
        return Program(require("kubectl"), settings)

    def namespace(self, **labels: str) -> str:
        """A new namespace's name."""
        name = f"ns-{uuid.uuid4().hex[:8]}"
        with self.client() as client:
            client.make(f"{CORE}/namespaces", {"metadata": {"name": name, "labels": labels}})
        return name

    def bind(self, user: str, *rules: dict[str, Any], namespace: str = "") -> None:
        """Let a user do what the rules say, in a namespace or everywhere."""
        name = f"test-{uuid.uuid4().hex[:8]}"
        kind = "Role" if namespace else "ClusterRole"
        place = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
        group = RBAC.split("/")[2]
        role = {"kind": kind, "name": name, "apiGroup": group}
        subject = {"kind": "User", "name": user, "apiGroup": group}
        binding = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
        with self.client() as client:
            made = {"metadata": {"name": name}, "rules": list(rules)}
            client.make(f"{place}/{kind.lower()}s", made)
            client.make(f"{place}/{kind.lower()}bindings", binding)

    def service_account_token(self, namespace: str, name: str) -> str:
        """A token as a pod of the account has in its files; the account is made if missing."""
        accounts = f"{CORE}/namespaces/{namespace}/serviceaccounts"
        with self.client() as client:
            made = client.post(accounts, {"metadata": {"name": name}})
            assert made.status_code in (201, 409), made.text
            asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
            answer = client.make(f"{accounts}/{name}/token", asked)
        return str(answer["status"]["token"])

    # its life

    def start(self) -> None:
        """Start the API server and return when it is ready."""
        assert self.process is None, "the API server runs already"
        with (self.directory / "apiserver.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._ready_or_dead, seconds=START_SECONDS, what="the API server")

    def stop(self) -> None:
        """End it at once; what it told clients is in etcd."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Let it answer nothing until `thaw`, with its connections open."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def _ready_or_dead(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the API server ended:\n{self.log[-3000:]}"
        with self.client() as client, contextlib.suppress(httpx.HTTPError):
            return client.get("/readyz").status_code == 200
        return False

    def _command(self) -> list[str]:
        files = self._files()
        return [
            require("kube-apiserver"),
            f"--etcd-servers={self.etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={files.certificate}",
            f"--tls-private-key-file={files.key}",
            f"--client-ca-file={self.authority.certificate}",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            f"--service-account-key-file={self.directory / 'accounts.pub'}",
            f"--service-account-signing-key-file={self.directory / 'accounts.key'}",
            f"--service-account-issuer={ISSUER}",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--authorization-mode=RBAC",
            # No controller makes the account `default`, which this one waits for.
            "--disable-admission-plugins=ServiceAccount",
        ]

    def _files(self) -> Issued:
        """Write what the command names, once."""
        issued = Issued(
            self.directory / "tls" / "server.crt", self.directory / "tls" / "server.key"
        )
        if issued.key.exists():
            return issued
        lines = [
            f"{TOKENS['admin']},admin,admin,system:masters",
            f"{TOKENS['tidegate']},tidegate,tidegate",
        ]
        (self.directory / "tokens.csv").write_text("\n".join(lines) + "\n")
        key = ec.generate_private_key(ec.SECP256R1())
        (self.directory / "accounts.key").write_bytes(private_pem(key))
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public = key.public_key().public_bytes(serialization.Encoding.PEM, form)
        (self.directory / "accounts.pub").write_bytes(public)
        return self.authority.issue("server")

    def _write_kubeconfig(self, name: str, user: dict[str, str], namespace: str) -> Path:
        trusted = base64.b64encode(self.authority.certificate.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": trusted}
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": context}],
        }
        path = self.directory / f"{name}.kubeconfig"
        path.write_text(json.dumps(document))
        return path


@contextlib.contextmanager
def kube_cluster(directory: Path) -> Iterator[Cluster]:
    """An API server that is ready; nothing of it or its etcd is left after the block."""
    directory.mkdir(parents=True, exist_ok=True)
    with _etcd(directory) as address:
        cluster = Cluster(directory, address)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@contextlib.contextmanager
def _etcd(directory: Path) -> Iterator[str]:
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [
        require("etcd"),
        f"--data-dir={directory / 'etcd'}",
        "--unsafe-no-fsync",  # gone at the end of the session anyway
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]
    with (directory / "etcd.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def healthy() -> bool:
        assert process.poll() is None, (directory / "etcd.log").read_text()[-3000:]
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{client}/health", trust_env=False, verify=TRUST).status_code == 200
        return False

    try:
        wait_until(healthy, seconds=START_SECONDS, what="etcd")
        yield client
    finally:
        process.kill()
        process.wait()
