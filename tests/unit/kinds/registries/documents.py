"""Stored objects of the configuration of registries, as tests write them."""

import json
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tidegate.apimachinery.store import Key

GROUPS = {"imagecontentsourcepolicies": "operator.openshift.io", "configmaps": ""}


def document(plural: str, name: str, **values: Any) -> tuple[Key, bytes]:
    """The place and the bytes of an object; of a ConfigMap in the namespace that counts."""
    group = GROUPS.get(plural, "config.openshift.io")
    namespace = "openshift-config" if plural == "configmaps" else ""
    resource = f"{plural}.{group}" if group else plural
    body = {"metadata": {"name": name, "namespace": namespace, "uid": name}, **values}
    return Key(resource, namespace, name), json.dumps(body).encode()


def image(**spec: Any) -> tuple[Key, bytes]:
    return document("images", "cluster", spec=spec)


def digest_mirrors(name: str, *mirrors: dict[str, Any]) -> tuple[Key, bytes]:
    return document("imagedigestmirrorsets", name, spec={"imageDigestMirrors": mirrors})


def tag_mirrors(name: str, *mirrors: dict[str, Any]) -> tuple[Key, bytes]:
    return document("imagetagmirrorsets", name, spec={"imageTagMirrors": mirrors})


def source_policy(name: str, *mirrors: dict[str, Any]) -> tuple[Key, bytes]:
    return document("imagecontentsourcepolicies", name, spec={"repositoryDigestMirrors": mirrors})


def mirrors(source: str, *places: str, policy: str = "") -> dict[str, Any]:
    said = {"mirrorSourcePolicy": policy} if policy else {}
    return {"source": source, "mirrors": list(places), **said}


def certificate(name: str = "Test Authority") -> str:
    """A self-signed certificate of somebody, good until the end of 2040, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 12, 31, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()
