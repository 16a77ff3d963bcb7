"""The servers that are compared: how each is configured, started and asked.

Each has a directory and ports of its own and holds the same blobs and manifests (`scene.py`). A
peer runs as its makers ship it: without access control.
"""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import httpx

from tests.bench.certificate import write_certificate
from tests.bench.peers import Processes
from tests.server import PASSWORD, USERNAME, free_port, tidegate


class Tidegate:
    """Ours: one worker per core, a bearer token on each request, audit events written."""

    name = "tidegate"

    def __init__(self, directory: Path, scratch: Path) -> None:
        self.directory = directory
        self.port, self.tls_port = free_port(), free_port()
        self._processes = Processes(scratch / "tidegate.log")
        self._first = 0
        self._tokens: dict[str, tuple[float, str]] = {}

    @property
    def version(self) -> str:
        said = subprocess.run([tidegate(), "version"], capture_output=True, text=True, check=False)
        return said.stdout.strip().removeprefix("tidegate ")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        listen = ["--listen", f"127.0.0.1:{self.port}"]
        listen += ["--tls-listen", f"127.0.0.1:{self.tls_port}"]
        self._first = self._processes.launch(
            [tidegate(), "serve", "--data", str(self.directory), *listen],
            {"TIDEGATE_ADMIN_PASSWORD": PASSWORD},
        )
        seconds = self._processes.wait_for(f"{self.url}/readyz")
        self._tokens.clear()
        return seconds

    def stop(self) -> None:
        self._processes.stop()

    def process(self, tls: bool) -> int:
        return self._first

    def headers(self, repository: str) -> dict[str, str]:
        """A token for the repository, as a client gets one after a challenge."""
        until, token = self._tokens.get(repository, (0.0, ""))
        if time.monotonic() > until:
            challenge = httpx.get(f"{self.url}/v2/", trust_env=False).headers["www-authenticate"]
            wanted = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
            scope = f"repository:{repository}:pull,push"
            answer = httpx.get(
                wanted["realm"],
                params={"service": wanted.get("service", ""), "scope": scope},
                auth=(USERNAME, PASSWORD),
                trust_env=False,
            )
            token = answer.raise_for_status().json()["token"]
            self._tokens[repository] = (time.monotonic() + 60, token)
        return {"Authorization": f"Bearer {token}"}

    def blob_path(self, repository: str, digest: str) -> str:
        return f"/v2/{repository}/blobs/{digest}"


class Distribution:
    """The Go reference registry; with another binary, any registry that reads its configuration.

    Configured as its own example, which logs each request; without access control. It serves
    plain HTTP and TLS from two processes on one directory, since it cannot do both in one.
    """

    name = "registry"

    def __init__(self, directory: Path, scratch: Path, program: str) -> None:
        self.directory = directory
        self.port, self.tls_port = free_port(), free_port()
        self._program = program
        self._scratch = scratch
        self._processes = Processes(Path(os.devnull))
        self._first: dict[bool, int] = {}

    @property
    def version(self) -> str:
        said = subprocess.run(
            [self._program, "--version"], capture_output=True, text=True, check=False
        )
        words = said.stdout.split()
        return " ".join(words[1:]) or Path(self._program).name

    def start(self) -> float:
        certificate, key = self._scratch / "registry.crt", self._scratch / "registry.key"
        write_certificate(certificate, key)
        seconds = 0.0
        for tls, port in ((False, self.port), (True, self.tls_port)):
            settings: dict[str, object] = {
                "version": 0.1,
                "log": {"level": "info"},
                "storage": {
                    "cache": {"blobdescriptor": "inmemory"},
                    "filesystem": {"rootdirectory": str(self.directory)},
                    "tag": {"concurrencylimit": 8},
                },
                "http": {
                    "addr": f"127.0.0.1:{port}",
                    "headers": {"X-Content-Type-Options": ["nosniff"]},
                    **({"tls": {"certificate": str(certificate), "key": str(key)}} if tls else {}),
                },
                "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
            }
            written = self._scratch / f"registry-{port}.yml"
            written.write_text(json.dumps(settings))  # JSON is YAML
            self._first[tls] = self._processes.launch(
                [self._program, "serve", str(written)], {"OTEL_TRACES_EXPORTER": "none"}
            )
            scheme = "https" if tls else "http"
            seconds = max(seconds, self._processes.wait_for(f"{scheme}://127.0.0.1:{port}/v2/"))
        return seconds

    def stop(self) -> None:
        self._processes.stop()

    def process(self, tls: bool) -> int:
        return self._first[tls]

    def headers(self, repository: str) -> dict[str, str]:
        return {}

    def blob_path(self, repository: str, digest: str) -> str:
        return f"/v2/{repository}/blobs/{digest}"


class Nginx:
    """The limit: the blobs as plain files, sent with sendfile, one worker per core, no log."""

    name = "nginx"

    def __init__(self, directory: Path, scratch: Path, program: str) -> None:
        self.directory = directory
        self.port, self.tls_port = free_port(), free_port()
        self._program = program
        self._scratch = scratch
        self._processes = Processes(scratch / "nginx.log")
        self._first = 0

    @property
    def version(self) -> str:
        said = subprocess.run([self._program, "-v"], capture_output=True, text=True, check=False)
        return said.stderr.rpartition("nginx/")[2].strip()

    def start(self) -> float:
        certificate, key = self._scratch / "nginx.crt", self._scratch / "nginx.key"
        write_certificate(certificate, key)
        written = self._scratch / "nginx.conf"
        written.write_text(f"""\
daemon off; pid {self._scratch}/nginx.pid; worker_processes auto;
{"user root;" if os.geteuid() == 0 else ""}
error_log {self._scratch}/nginx.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  open_file_cache max=1000; default_type application/octet-stream;
  client_body_temp_path {self._scratch}/nginx-body; proxy_temp_path {self._scratch}/nginx-proxy;
  fastcgi_temp_path {self._scratch}/nginx-fcgi; uwsgi_temp_path {self._scratch}/nginx-uwsgi;
  scgi_temp_path {self._scratch}/nginx-scgi;
  server {{ listen 127.0.0.1:{self.port} backlog=4096; root {self.directory}; }}
  server {{
    listen 127.0.0.1:{self.tls_port} ssl backlog=4096; root {self.directory};
    ssl_protocols TLSv1.3; ssl_certificate {certificate}; ssl_certificate_key {key};
  }}
}}
""")
        command = [self._program, "-c", str(written), "-e", str(self._scratch / "nginx.log")]
        self._first = self._processes.launch(command, {})
        return self._processes.wait_for(f"http://127.0.0.1:{self.port}/")

    def stop(self) -> None:
        self._processes.stop()

    def process(self, tls: bool) -> int:
        return self._first

    def headers(self, repository: str) -> dict[str, str]:
        return {}

    def blob_path(self, repository: str, digest: str) -> str:
        return "/" + digest.replace(":", "-")
