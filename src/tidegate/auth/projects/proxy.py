"""A project that mirrors another registry: what the annotations of its namespace say.

    tidegate.io/proxy: docker.io            reads of the project are reads of that registry
    tidegate.io/proxy-freshness: 30s        how long a tag is served without asking it
    tidegate.io/proxy-stale-limit: 24h      how old a tag may be that cannot be asked; else any age
    tidegate.io/proxy-default: "true"       of several that mirror it, the one that `?ns=` means

Values only. Whoever may update namespaces may write them, which no project's administrator may:
what a mirror serves is relied on by everybody who pulls through it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.apimachinery.errors import FieldError, invalid
from tidegate.oci.pull_spec import DOCKER_HUB, HUB_ALIASES, PullSpec, PullSpecInvalid

HOST = "tidegate.io/proxy"
FRESHNESS = "tidegate.io/proxy-freshness"
STALE_LIMIT = "tidegate.io/proxy-stale-limit"
DEFAULT = "tidegate.io/proxy-default"

_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)
_UNITS = (86400, 3600, 60, 1)


@dataclass(frozen=True, slots=True)
class Proxy:
    """Which registry a project mirrors; seconds, None for what is not said."""

    host: str
    freshness: float | None = None
    stale_limit: float | None = None
    is_default: bool = False


def proxy_of(annotations: Mapping[str, str]) -> Proxy | None:
    """What the annotations say; None for a project that mirrors nothing."""
    host = _host(annotations.get(HOST, ""))
    if host is None:
        return None
    return Proxy(
        host,
        _seconds(annotations.get(FRESHNESS, "")),
        _seconds(annotations.get(STALE_LIMIT, "")),
        annotations.get(DEFAULT) == "true",
    )


def proxy_faults(annotations: Mapping[str, str]) -> Sequence[FieldError]:
    """What is wrong with them."""
    faults = []
    if HOST in annotations and _host(annotations[HOST]) is None:
        why = "must be the host of a registry, and perhaps its port, as in docker.io or host:5000"
        faults.append(invalid(f"metadata.annotations[{HOST}]", annotations[HOST], why))
    for name in (FRESHNESS, STALE_LIMIT):
        if name in annotations and _seconds(annotations[name]) is None:
            why = "must be a duration: days, hours, minutes and seconds as in 1d12h30m"
            faults.append(invalid(f"metadata.annotations[{name}]", annotations[name], why))
    if annotations.get(DEFAULT, "true") not in ("true", "false"):
        why = 'must be "true" or "false"'
        faults.append(invalid(f"metadata.annotations[{DEFAULT}]", annotations[DEFAULT], why))
    return faults


def canonical(host: str) -> str:
    """A registry's host in the one way that it is compared."""
    lower = host.lower()
    return DOCKER_HUB if lower in HUB_ALIASES else lower


def _host(text: str) -> str | None:
    try:
        spec = PullSpec.parse(f"{text}/name")
    except PullSpecInvalid:
        return None
    return canonical(text) if spec == PullSpec(registry=text, name="name") else None


def _seconds(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    return float(
        sum(int(number or 0) * unit for number, unit in zip(match.groups(), _UNITS, strict=True))
    )
