"""Showing what is in force: values as the object that `images/cluster/inforce` answers with."""

import msgspec

from tidegate.apimachinery.errors import missing
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import Call
from tidegate.kinds.registries.authorities import certificates
from tidegate.kinds.registries.compiling import InForce
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.kinds.registries.image_config import CLUSTER, IMAGE_CONFIGS
from tidegate.kinds.registries.in_force import (
    AuthorityInForce,
    MirrorsInForce,
    RegistriesInForce,
)
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.remote.rules import MirrorRule


class InForceStorage:
    """Serves the subresource, of what is committed when it is asked."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config

    async def get(self, call: Call, name: str) -> bytes:
        """See `storage.Getter`."""
        del call
        if name != CLUSTER:
            raise missing(IMAGE_CONFIGS.qualified, name)
        config = await self._config.current()
        return msgspec.json.encode(shown(config.in_force()))


def shown(in_force: InForce) -> RegistriesInForce:
    """The object that says what is in force."""
    rules = in_force.rules
    return RegistriesInForce(
        api_version="tidegate.io/v1",
        kind="RegistriesInForce",
        metadata=ObjectMeta(name=CLUSTER),
        imports_from=in_force.imports.hosts(),
        insecure=list(rules.insecure),
        blocked=list(rules.blocked),
        allowed=list(rules.allowed),
        digest_mirrors=[_mirrors(each) for each in rules.digest_mirrors],
        tag_mirrors=[_mirrors(each) for each in rules.tag_mirrors],
        authorities=[
            AuthorityInForce(
                registry=registry,
                subject=each.subject.rfc4514_string(),
                expires=rfc3339_seconds(each.not_valid_after_utc.timestamp()),
            )
            for registry, pem in rules.authorities.items()
            for each in certificates(pem)
        ],
        import_mode=in_force.import_mode,
        external_hostnames=list(in_force.external),
        ignored=list(in_force.ignored),
    )


def _mirrors(rule: MirrorRule) -> MirrorsInForce:
    return MirrorsInForce(
        source=rule.source, mirrors=list(rule.mirrors), contact_source=rule.contact_source
    )
