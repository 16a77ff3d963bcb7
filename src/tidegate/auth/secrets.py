"""Secret: what only those who may read it should see, in the types that Kubernetes knows.

Declaration and rules; it reaches no store. Invariant: no value of a Secret is in an error, a `repr`
or a log: faults name keys, and a value that is no base64 is named by a position.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from tidegate.apimachinery.errors import FieldError, forbidden, invalid, required, too_long
from tidegate.apimachinery.meta import Object, doc
from tidegate.apimachinery.names import config_key_faults
from tidegate.apimachinery.octets import decoded, encoded
from tidegate.apimachinery.resource import Column, Resource, Strategy

SIZE_LIMIT = 1024 * 1024
"""Bytes in all values of one Secret, as in Kubernetes."""

OPAQUE = "Opaque"
DOCKERCFG = "kubernetes.io/dockercfg"
DOCKER_CONFIG_JSON = "kubernetes.io/dockerconfigjson"
BASIC_AUTH = "kubernetes.io/basic-auth"
SSH_AUTH = "kubernetes.io/ssh-auth"
TLS = "kubernetes.io/tls"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105  a type

DOCKERCFG_KEY, DOCKER_CONFIG_JSON_KEY = ".dockercfg", ".dockerconfigjson"
TOKEN_KEY, NAMESPACE_KEY = "token", "namespace"

SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"
SERVICE_ACCOUNT_UID = "kubernetes.io/service-account.uid"
"""Annotations of a token's Secret: whose token it is."""

_REDACTED = "<secret contents redacted>"
_FROZEN = "field is immutable when `immutable` is set"


class Secret(Object):
    """Secret holds a small amount of sensitive content: passwords, tokens, keys.

    Whoever may read a Secret reads its values; base64 is an encoding, no protection.
    """

    immutable: Annotated[
        bool | None,
        doc(
            "When true, data can no longer be changed, only metadata can, and it cannot be set "
            "back; the Secret has to be deleted and made anew."
        ),
    ] = None
    data: Annotated[
        dict[str, Annotated[str, Meta(extra_json_schema={"format": "byte"})]],
        doc("The values, in base64. A key consists of letters, digits, '-', '_' and '.'."),
    ] = field(default_factory=dict)
    string_data: Annotated[
        dict[str, str],
        doc(
            "Values as plain text, for writing only: each is put into data under its key, where "
            "it replaces what was there. Never answered."
        ),
    ] = field(default_factory=dict)
    type: Annotated[
        str,
        doc(
            "What the values are, for whoever reads them: Opaque (the default), "
            "kubernetes.io/dockerconfigjson, kubernetes.io/dockercfg, kubernetes.io/basic-auth, "
            "kubernetes.io/ssh-auth, kubernetes.io/tls, kubernetes.io/service-account-token. It "
            "says which keys there must be, and never changes."
        ),
    ] = ""

    def __repr__(self) -> str:
        """Where it is and of what type: its values are for nobody's log."""
        return f"Secret({self.metadata.namespace}/{self.metadata.name}, type={self.type!r})"


def value_of(secret: Secret, key: str) -> bytes | None:
    """A value's bytes; None when there is no such key."""
    text = secret.data.get(key)
    return None if text is None else decoded(text, "Secret")


def _prepare(new: Secret, old: Secret | None) -> None:
    new.data = {key: encoded(decoded(text, "Secret")) for key, text in new.data.items()}
    new.data.update((key, encoded(text.encode())) for key, text in new.string_data.items())
    new.string_data = {}
    new.type = new.type or (old.type if old is not None else OPAQUE)


def _validate(new: Secret, old: Secret | None) -> Sequence[FieldError]:
    faults: list[FieldError] = []
    if old is not None:
        if new.type != old.type:
            faults.append(invalid("type", new.type, "field is immutable"))
        if old.immutable:
            if not new.immutable:
                faults.append(forbidden("immutable", _FROZEN))
            if new.data != old.data:
                faults.append(forbidden("data", _FROZEN))
    for key in new.data:
        faults += [invalid(f"data[{key}]", key, why) for why in config_key_faults(key)]
    if sum(len(decoded(text, "Secret")) for text in new.data.values()) > SIZE_LIMIT:
        faults.append(too_long("data", SIZE_LIMIT))
    return [*faults, *_TYPES.get(new.type, _any)(new)]


def _any(_new: Secret) -> Sequence[FieldError]:
    return ()


def _all_of(*keys: str) -> Callable[[Secret], Sequence[FieldError]]:
    def faults(new: Secret) -> Sequence[FieldError]:
        return [required(f"data[{key}]") for key in keys if key not in new.data]

    return faults


def _basic_auth(new: Secret) -> Sequence[FieldError]:
    if "username" in new.data or "password" in new.data:
        return ()
    return [required("data[username]"), required("data[password]")]


def _ssh_auth(new: Secret) -> Sequence[FieldError]:
    return () if new.data.get("ssh-privatekey") else [required("data[ssh-privatekey]")]


def _token(new: Secret) -> Sequence[FieldError]:
    if new.metadata.annotations.get(SERVICE_ACCOUNT_NAME):
        return ()
    return [required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]")]


def _dockercfg(new: Secret) -> Sequence[FieldError]:
    return _json(new, DOCKERCFG_KEY, _are_objects)


def _docker_config_json(new: Secret) -> Sequence[FieldError]:
    return _json(new, DOCKER_CONFIG_JSON_KEY, lambda read: _are_objects(read.get("auths") or {}))


def _json(
    new: Secret, key: str, is_well_formed: Callable[[Mapping[str, Any]], bool]
) -> Sequence[FieldError]:
    """Kubernetes asks for any object; that its hosts are objects too saves a puzzling pull."""
    value = value_of(new, key)
    path = f"data[{key}]"
    if value is None:
        return [required(path)]
    try:
        read = msgspec.json.decode(value, type=dict[str, Any])
    except msgspec.MsgspecError:
        return [invalid(path, _REDACTED, "must be a JSON object")]
    if is_well_formed(read):
        return ()
    return [invalid(path, _REDACTED, "must be a JSON object of credentials by registry host")]


def _are_objects(hosts: object) -> bool:
    return isinstance(hosts, dict) and all(isinstance(each, dict) for each in hosts.values())


_TYPES: Mapping[str, Callable[[Secret], Sequence[FieldError]]] = {
    DOCKERCFG: _dockercfg,
    DOCKER_CONFIG_JSON: _docker_config_json,
    BASIC_AUTH: _basic_auth,
    SSH_AUTH: _ssh_auth,
    TLS: _all_of("tls.crt", "tls.key"),
    SERVICE_ACCOUNT_TOKEN: _token,
}

SECRETS = Resource(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    type=Secret,
    namespaced=True,
    columns=(
        Column("Type", lambda each, _now: each.type, "What the values are."),
        Column("Data", lambda each, _now: len(each.data), "How many values it holds."),
    ),
    fields={"type": lambda each: each.type},
    strategy=Strategy(prepare=_prepare, validate=_validate),
)
