"""The certificate authority of a standalone server, in DATA/tls, and the certificate it serves.

`oc` and other clients drop credentials on plain HTTP; a registry that has no certificate yet makes
its own authority at the first start, whose certificate clients are told to trust.

    DATA/tls/
      ca.crt         the authority's certificate, ten years
      private/       ca.key, server.key, and server.crt, which is renewed at a start 30 days before
                     its end, or when a name is missing in it

Keys have a directory of their own: podman and skopeo read every file of the one that `--cert-dir`
names, and take a key there for a client's.
"""

import datetime as dt
import ipaddress
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_DAYS = 3650
_SERVER_DAYS = 397  # what browsers accept at most
_RENEW_DAYS = 30


class Certificate(NamedTuple):
    """Paths of a served certificate, its key, and the authority that clients must trust."""

    chain: Path
    key: Path
    authority: Path


def own_certificate(directory: Path, names: Iterable[str], now: dt.datetime) -> Certificate:
    """The certificate for `names` (host names and addresses), made or renewed if need be."""
    private = directory / "private"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = sorted({*names, "localhost", "127.0.0.1", "::1", socket.gethostname()})
    authority_path, authority_key_path = directory / "ca.crt", private / "ca.key"
    if not (authority_path.exists() and authority_key_path.exists()):
        _write_pair(authority_path, authority_key_path, *_make_authority(now))
    authority = x509.load_pem_x509_certificate(authority_path.read_bytes())
    served = Certificate(private / "server.crt", private / "server.key", authority_path)
    if not _serves(served, authority, wanted, now):
        key = serialization.load_pem_private_key(authority_key_path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101  we wrote it
        certificate, server_key = _make_server(authority, key, wanted, now)
        _write_pair(served.chain, served.key, certificate, server_key)
    return served


def _make_authority(
    now: dt.datetime,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"tidegate authority of {socket.gethostname()}"[:64])
    builder = _builder(name, name, key, now, _AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _make_server(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: list[str],
    now: dt.datetime,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name("tidegate"), authority.subject, key, now, _SERVER_DAYS)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
    )
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
    )
    return builder.sign(authority_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # clients' clocks differ
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _serves(
    served: Certificate, authority: x509.Certificate, names: list[str], now: dt.datetime
) -> bool:
    """Whether the certificate on disk is of this authority, lasts, and has every name."""
    if not (served.chain.exists() and served.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(served.chain.read_bytes())
    remaining = certificate.not_valid_after_utc - now
    has = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        certificate.issuer == authority.subject
        and remaining > dt.timedelta(days=_RENEW_DAYS)
        and {_general_name(name) for name in names} <= set(has)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write_pair(
    certificate_path: Path,
    key_path: Path,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
) -> None:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key_path, private, 0o600)
    _write(certificate_path, certificate.public_bytes(pem), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write beside and rename, so that no start finds half a file."""
    beside = path.with_suffix(path.suffix + ".new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
