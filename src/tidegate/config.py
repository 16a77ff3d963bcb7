"""Every setting, declared once: its default, meaning and unit; where its value came from.

A setting comes from the TOML file, a `TIDEGATE_*` variable or a flag, the later winning. This
module alone reads files and the environment; rooms are given values. `tidegate config` prints the
declarations below with the values in force.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tidegate.auth.oidc.ci import CiIssuer
from tidegate.auth.oidc.configuration import ci_issuers, oidc_issuers
from tidegate.auth.oidc.logins import OidcIssuer

ENVIRONMENT_PREFIX = "TIDEGATE_"

_PATH_SECRET = re.compile(r"[A-Za-z0-9_-]{32,128}", re.ASCII)
"""A secret that stands in a path as it is, and is too long to be guessed."""


IN_CLUSTER = "in-cluster"
"""As the setting `cluster`: the one that this process runs in a pod of."""

SHORTEST_IMPORT_INTERVAL = 10.0
"""Seconds between looks at a tag of another registry."""


class SettingInvalid(ValueError):
    """A setting that cannot be used; the message names the setting, its origin and the rule."""


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The effective settings; times are in seconds, sizes in bytes."""

    data: Path = _setting(Path("tidegate-data"), "directory of everything that is stored")
    listen: str = _setting("127.0.0.1:5000", "HOST:PORT to serve; TLS when tls_cert is set")
    tls_listen: str = _setting("", "HOST:PORT to serve the same over TLS")
    tls_cert: str = _setting("", "certificate chain, PEM; without it one is made in DATA/tls")
    tls_key: str = _setting("", "private key of tls_cert, PEM")
    public_url: str = _setting("", "URL that clients use, when it is not the one they connect to")
    trusted_proxies: tuple[str, ...] = _setting(
        (), "networks whose forwarded headers count, such as 10.0.0.0/8"
    )
    workers: int = _setting(0, "processes that serve; 0 for one per core")
    database: str = _setting(
        "", "postgresql://… for the metadata; empty for SQLite in DATA", secret=True
    )
    anonymous_pull: bool = _setting(
        False, "whether anyone may pull from any project without logging in"
    )
    provision_projects: bool = _setting(
        True, "whether a push into a missing project makes it, for who may request projects"
    )
    registry_hosts: tuple[str, ...] = _setting(
        (), "HOST[:PORT] that pull secrets are for; empty for the addresses served"
    )
    sparse_manifests: bool = _setting(
        False, "whether an image may be pushed before its blobs, as some mirrors do"
    )
    admin_password: str = _setting(
        "", "password of the first administrator; empty to generate one", secret=True
    )
    oidc: tuple[OidcIssuer, ...] = _setting(
        (), "identity providers whose ID tokens log users in; [[oidc]] tables of the settings file"
    )
    ci: tuple[CiIssuer, ...] = _setting(
        (), "CI systems whose jobs get tokens in exchange; [[ci]] tables of the settings file"
    )
    admission_secret: str = _setting(
        "", "what the admission webhook's path contains; empty for no webhook", secret=True
    )
    allow_private_upstreams: bool = _setting(
        False, "whether other registries and webhooks may be at private and loopback addresses"
    )
    upstream_networks: tuple[str, ...] = _setting(
        (), "private networks in which they may be, such as 10.20.0.0/16"
    )
    import_interval: float = _setting(
        900.0, "seconds between looks at a scheduled tag, unless tag or project say otherwise"
    )
    imports_per_minute: int = _setting(
        60, "scheduled tags looked at in a minute, all registries together; 0 for no limit"
    )
    cache_size: int = _setting(
        0, "bytes of copies kept of other registries' blobs; 0 for what leaves 10 % of the disk"
    )
    proxy_freshness: float = _setting(
        60.0, "seconds for which a proxied tag is served without asking its registry"
    )
    cluster: str = _setting(
        "", "kubeconfig of the cluster whose workloads follow tags, or in-cluster; empty for none"
    )
    token_lifetime: int = _setting(300, "seconds that a registry token is good for")
    key_lifetime: float = _setting(
        2592000.0, "seconds after which another key signs tokens; the old one still verifies"
    )
    upload_expiry: float = _setting(
        86400.0, "seconds after which an upload without progress is dropped"
    )
    purge_interval: float = _setting(600.0, "seconds between looks for expired uploads")
    undelete_window: float = _setting(
        604800.0, "seconds for which a deleted stream or tag can be brought back"
    )
    drain_timeout: float = _setting(30.0, "seconds that requests in flight get at shutdown")
    headers_timeout: float = _setting(10.0, "seconds for a request's header to arrive")
    idle_timeout: float = _setting(75.0, "seconds that an idle connection is kept")
    stall_timeout: float = _setting(60.0, "seconds without progress after which a transfer ends")
    max_connections: int = _setting(0, "connections per process; 0 for what the system allows")
    audit_log: str = _setting("", "file for the audit log, `-` for standard output, `off`; "
                                  "empty for DATA/audit.log")  # fmt: skip
    log_format: str = _setting("plain", "plain or json")

    @property
    def database_url(self) -> str:
        """The metadata database, SQLite in the data directory unless another is named."""
        return self.database or f"sqlite:///{self.data.absolute() / 'metadata.db'}"

    @property
    def pull_secret_hosts(self) -> tuple[str, ...]:
        """HOST[:PORT] by which pods and clients know the registry."""
        if self.registry_hosts:
            return self.registry_hosts
        public = urlsplit(self.public_url).netloc
        return tuple(dict.fromkeys(filter(None, (public, self.listen, self.tls_listen))))

    @property
    def image_hosts(self) -> tuple[str, str]:
        """HOST[:PORT] in pull specs of images: for pods, and for everybody; "" when not known."""
        return next(iter(self.pull_secret_hosts), ""), urlsplit(self.public_url).netloc

    @property
    def worker_count(self) -> int:
        return self.workers or len(_usable_cores())


class Setting(NamedTuple):
    """One effective setting, for people: secrets are hidden."""

    name: str
    value: str
    origin: str
    meaning: str


class Configuration(NamedTuple):
    """Effective settings and, for each, where its value came from."""

    settings: Settings
    origins: Mapping[str, str]

    def table(self) -> list[Setting]:
        """A row per setting in declaration order."""
        return [
            Setting(
                declared.name,
                _shown(declared, getattr(self.settings, declared.name)),
                self.origins.get(declared.name, "default"),
                declared.metadata["meaning"],
            )
            for declared in fields(Settings)
        ]


def load(
    flags: Mapping[str, Any] | None = None,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Configuration:
    """Settings from `file`, the environment and `flags` (a None there was not given)."""
    environment = os.environ if environment is None else environment
    if file is None and environment.get("TIDEGATE_CONFIG"):
        file = Path(environment["TIDEGATE_CONFIG"])
    declared = {each.name: each for each in fields(Settings)}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, given in (
        (f"file {file}", _read_file(file)),
        ("environment", _read_environment(environment)),
        ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
    ):
        for name, value in given.items():
            if name not in declared:
                raise SettingInvalid(
                    f"{origin}: there is no setting {name!r}; see `tidegate config`"
                )
            values[name] = _convert(declared[name], value, origin)
            origins[name] = origin
    settings = Settings(**values)
    _validate(settings)
    return Configuration(settings, origins)


def _read_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingInvalid(f"settings file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"settings file {file}: {error}") from error


def _read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Values of the variables that name a setting.

    Others with the prefix are let be: Kubernetes gives a pod `TIDEGATE_SERVICE_HOST` and the like
    for a Service named tidegate.
    """
    given = {}
    for declared in fields(Settings):
        variable = ENVIRONMENT_PREFIX + declared.name.upper()
        if variable in environment:
            given[declared.name] = environment[variable]
    return given


_TABLES: dict[str, Callable[[Any], Any]] = {"oidc": oidc_issuers, "ci": ci_issuers}
"""Settings that are tables of their own, and what reads them."""


def _convert(declared: Field[Any], value: Any, origin: str) -> Any:
    if declared.name in _TABLES:
        return _convert_tables(declared.name, value, origin)
    kind = type(_default(declared))
    try:
        if kind is bool:
            return _boolean(value)
        if kind is tuple:
            return tuple(value.replace(",", " ").split() if isinstance(value, str) else value)
        if isinstance(value, (bool, list, dict)):
            raise ValueError(value)
        return Path(value) if isinstance(_default(declared), Path) else kind(value)
    except (TypeError, ValueError) as error:
        wanted = "path" if kind is type(Path()) else kind.__name__
        raise SettingInvalid(f"{declared.name} ({origin}): {value!r} is no {wanted}") from error


def _convert_tables(name: str, value: Any, origin: str) -> Any:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise SettingInvalid(f"{name} ({origin}): write [[{name}]] tables in the settings file")
    try:
        return _TABLES[name](value)
    except ValueError as error:
        raise SettingInvalid(f"{name} ({origin}): {error}") from error


def _boolean(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False, "": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError(value)
    return words[value.lower()]


def _default(declared: Field[Any]) -> Any:
    assert declared.default is not MISSING  # noqa: S101  every setting has a default
    return declared.default


def _shown(declared: Field[Any], value: Any) -> str:
    if declared.metadata["secret"] and value:
        return "(hidden)"
    if declared.name in _TABLES:
        return ", ".join(f"{each.name} ({each.issuer})" for each in value)
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def cluster_server(environment: Mapping[str, str] | None = None) -> str:
    """Where a pod finds its cluster's API server: the kubelet says so in two variables."""
    environment = os.environ if environment is None else environment
    host = environment.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """`HOST:PORT` as its parts; an IPv6 host stands in brackets, port 0 asks for a free one."""
    host, colon, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in bare and host == bare):
        raise SettingInvalid(f"{address!r} is no HOST:PORT")
    return bare or "0.0.0.0", int(port)  # noqa: S104  `:5000` asks for every interface


def _validate(settings: Settings) -> None:
    split_address(settings.listen)
    if settings.tls_listen:
        split_address(settings.tls_listen)
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingInvalid("tls_cert and tls_key come together")
    if settings.public_url and urlsplit(settings.public_url).scheme not in ("http", "https"):
        raise SettingInvalid(f"public_url: {settings.public_url!r} is no http or https URL")
    for name in ("trusted_proxies", "upstream_networks"):
        for network in getattr(settings, name):
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise SettingInvalid(f"{name}: {error}") from error
    if settings.database and not settings.database.startswith(("postgresql://", "sqlite:///")):
        raise SettingInvalid("database: write postgresql://… or sqlite:///…")
    if settings.log_format not in ("plain", "json"):
        raise SettingInvalid("log_format: plain or json")
    if settings.admission_secret and not _PATH_SECRET.fullmatch(settings.admission_secret):
        raise SettingInvalid("admission_secret: 32 to 128 letters, digits, '-' or '_'")
    _validate_numbers(settings)


def _validate_numbers(settings: Settings) -> None:
    for name in ("token_lifetime", "key_lifetime", "upload_expiry", "purge_interval",
                 "undelete_window", "import_interval", "proxy_freshness",
                 "drain_timeout", "headers_timeout", "idle_timeout", "stall_timeout"):  # fmt: skip
        if getattr(settings, name) <= 0:
            raise SettingInvalid(f"{name}: more than 0 seconds")
    if not 0 <= settings.workers <= 256 or settings.max_connections < 0:
        raise SettingInvalid("workers is 0 to 256, max_connections 0 or more")
    if settings.import_interval < SHORTEST_IMPORT_INTERVAL:
        raise SettingInvalid(f"import_interval: {SHORTEST_IMPORT_INTERVAL:.0f} seconds or more")
    if settings.imports_per_minute < 0 or settings.cache_size < 0:
        raise SettingInvalid("imports_per_minute and cache_size are 0 or more")


def _usable_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
