"""`tidegate serve`: from settings to listening workers, and what a person is told at the start."""

import asyncio
import datetime as dt
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from tidegate.app.triggers import cluster_access
from tidegate.cli import authority, datadir, setup
from tidegate.cli.listeners import Listener, listen
from tidegate.cli.refusal import Refused
from tidegate.cli.settings import ConfigFile, DataDirectory, effective
from tidegate.cli.supervisor import UNFIT, Supervisor
from tidegate.cli.worker import Certificate, Listening, run_worker, tls_context
from tidegate.config import Settings, split_address
from tidegate.metastore.errors import MetastoreError
from tidegate.remote.cluster.access import AccessInvalid
from tidegate.remote.cluster.client import tls_context as cluster_tls
from tidegate.storage.errors import StorageError

_GRACE_BEYOND_DRAIN = 5.0
"""Seconds between the end of the drain and a worker's being killed."""


def serve(
    data: DataDirectory = None,
    config: ConfigFile = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT [127.0.0.1:5000]")] = None,
    tls_listen: Annotated[str | None, typer.Option(help="HOST:PORT for TLS beside it")] = None,
    tls_cert: Annotated[str | None, typer.Option(help="PEM; makes --listen itself TLS")] = None,
    tls_key: Annotated[str | None, typer.Option(help="PEM key of --tls-cert")] = None,
    public_url: Annotated[str | None, typer.Option(help="URL that clients use")] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="network whose forwarded headers count; repeatable")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="processes [one per core]")] = None,
    database: Annotated[str | None, typer.Option(help="postgresql://… [SQLite in DATA]")] = None,
    anonymous_pull: Annotated[
        bool | None, typer.Option("--anonymous-pull", help="let anyone pull")
    ] = None,
    allow_private_upstreams: Annotated[
        bool | None,
        typer.Option("--allow-private-upstreams", help="reach registries at private addresses"),
    ] = None,
) -> None:
    """Serve the registry until SIGTERM or Ctrl-C."""
    settings = effective(
        config,
        data=data,
        listen=listen,
        tls_listen=tls_listen,
        tls_cert=tls_cert,
        tls_key=tls_key,
        public_url=public_url,
        trusted_proxies=tuple(trusted_proxy) if trusted_proxy else None,
        workers=workers,
        database=database,
        anonymous_pull=anonymous_pull,
        allow_private_upstreams=allow_private_upstreams,
    ).settings
    raise typer.Exit(_run(settings))


def _run(settings: Settings) -> int:
    datadir.prepare(settings.data, sqlite=settings.database_url.startswith("sqlite:"))
    datadir.hold(settings.data)
    listeners = _listen(settings)
    certificate = _certificate(settings, listeners)
    _check_cluster(settings)
    # what is there stays, and a page that no collection writes to is shared; to look for the little
    # garbage among it takes a tenth of the start
    gc.freeze()
    password = _in_child(lambda: asyncio.run(setup.prepare(settings)))
    supervisor = Supervisor(
        lambda number, lifeline, ready: _work(
            settings, certificate, listeners, number, lifeline, ready
        ),
        settings.worker_count,
        settings.drain_timeout + _GRACE_BEYOND_DRAIN,
    )
    return supervisor.run(lambda: _greet(settings, listeners, certificate, password))


def _listen(settings: Settings) -> list[Listener]:
    count = settings.worker_count
    host, port = split_address(settings.listen)
    listeners = [listen(host, port, count, tls=bool(settings.tls_cert))]
    if settings.tls_listen:
        host, port = split_address(settings.tls_listen)
        listeners.append(listen(host, port, count, tls=True))
    return listeners


def _certificate(settings: Settings, listeners: list[Listener]) -> Certificate | None:
    """The certificate of the TLS listeners: the one named, or of our own authority."""
    if settings.tls_cert:
        named = Certificate(Path(settings.tls_cert), Path(settings.tls_key))
        try:
            tls_context(named)
        except OSError as error:  # ssl's errors are OSErrors too
            raise Refused(
                f"certificate {named.chain} with key {named.key}: {error.strerror or error}"
            ) from error
        return named
    if not any(each.tls for each in listeners):
        return None
    names = [each.host for each in listeners if each.host not in ("0.0.0.0", "::")]  # noqa: S104
    public = urlsplit(settings.public_url).hostname
    own = authority.own_certificate(
        settings.data / "tls", [*names, *([public] if public else [])], dt.datetime.now(dt.UTC)
    )
    return Certificate(own.chain, own.key, own.authority)


def _check_cluster(settings: Settings) -> None:
    """Refuse to start with a cluster that nothing leads to; it need not answer yet."""
    try:
        access = cluster_access(settings)
        if access is not None:
            cluster_tls(access)
    except AccessInvalid as error:
        raise Refused(f"cluster: {error}") from error


def _work(
    settings: Settings,
    certificate: Certificate | None,
    listeners: list[Listener],
    number: int,
    lifeline: int,
    ready: Callable[[], None],
) -> None:
    """One worker process: its sockets, one event loop, until told to stop."""
    sockets = [Listening(each.sockets[number], each.tls) for each in listeners]
    try:
        run_worker(settings, certificate, sockets, lifeline, ready)
    except (MetastoreError, StorageError) as error:
        sys.stderr.write(f"tidegate: {error}\n")
        sys.exit(UNFIT)


def _in_child(work: Callable[[], str | None]) -> str | None:
    """Run `work` in a process of its own, and give back the text that it returns.

    The supervisor stays free of threads and connections, and of the memory that migrations need.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        code, report = 0, b""
        try:
            report = (work() or "").encode()
        except Exception as error:  # noqa: BLE001  the parent says it in one line
            code, report = 1, (str(error) or type(error).__name__).encode()
        os.write(writing, report)
        os._exit(code)
    os.close(writing)
    with open(reading, "rb") as pipe:
        report = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise Refused(report.decode() or "preparing the data directory failed")
    return report.decode() or None


def _greet(
    settings: Settings,
    listeners: list[Listener],
    certificate: Certificate | None,
    password: str | None,
) -> None:
    """Print the address, the password once, and three commands to try."""
    address = settings.public_url or listeners[0].url()
    registry = urlsplit(address).netloc
    lines = [f"tidegate serves {address}: {settings.worker_count} workers, data in {settings.data}"]
    if password is not None:
        lines.append(f"first start: user admin, password {password}  (not shown again)")
    secure = bool(settings.tls_cert) or address.startswith("https:")
    lines += ["", "try:", *_commands(registry, secure=secure), ""]
    for each in listeners:
        if each.tls and certificate is not None and certificate.authority is not None:
            lines += _tls_forms(each, certificate.authority)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _commands(registry: str, *, secure: bool) -> list[str]:
    flag, copy_flag = ("", "") if secure else (" --tls-verify=false", " --dest-tls-verify=false")
    image = f"{registry}/demo/busybox:1"
    return [
        f"  podman login{flag} -u admin {registry}",
        f"  skopeo copy{copy_flag} docker://docker.io/library/busybox docker://{image}",
        f"  podman pull{flag} {image}",
    ]


def _tls_forms(listener: Listener, authority_path: Path) -> list[str]:
    url, registry, directory = listener.url(), listener.authority(), authority_path.parent
    return [
        f"TLS on {url}, signed by this server's own authority; tell each client to trust it:",
        f"  oc, kubectl      --server={url} --certificate-authority={authority_path}",
        f"  podman, buildah  --cert-dir={directory}    (or --tls-verify=false)",
        f"  skopeo copy      --dest-cert-dir={directory}    (or --dest-tls-verify=false)",
        f"  docker           cp {authority_path} /etc/docker/certs.d/{registry}/ca.crt",
        f"  crane, oras      SSL_CERT_FILE={authority_path}    (or --insecure)",
        f"  curl             --cacert {authority_path}",
        "",
    ]
