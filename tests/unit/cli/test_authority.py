import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509

from tidegate.cli.authority import own_certificate

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def names_in(path: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_the_first_start_makes_an_authority_and_a_certificate_that_it_signed(
    tmp_path: Path,
) -> None:
    made = own_certificate(tmp_path / "tls", ["registry.example.com", "192.0.2.1"], NOW)
    assert {"registry.example.com", "192.0.2.1", "localhost", "127.0.0.1"} <= names_in(made.chain)
    authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
    x509.load_pem_x509_certificate(made.chain.read_bytes()).verify_directly_issued_by(authority)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.chain, made.key)
    assert made.key.stat().st_mode & 0o777 == 0o600


def test_a_later_start_keeps_both(tmp_path: Path) -> None:
    first = own_certificate(tmp_path, [], NOW)
    before = first.chain.read_bytes(), first.authority.read_bytes()
    again = own_certificate(tmp_path, [], NOW + dt.timedelta(days=300))
    assert (again.chain.read_bytes(), again.authority.read_bytes()) == before


def test_a_certificate_near_its_end_is_renewed_by_the_same_authority(tmp_path: Path) -> None:
    first = own_certificate(tmp_path, [], NOW)
    before, authority = first.chain.read_bytes(), first.authority.read_bytes()
    again = own_certificate(tmp_path, [], NOW + dt.timedelta(days=380))
    assert again.chain.read_bytes() != before
    assert again.authority.read_bytes() == authority


def test_a_new_name_makes_a_new_certificate(tmp_path: Path) -> None:
    own_certificate(tmp_path, [], NOW)
    assert "new.example.com" in names_in(own_certificate(tmp_path, ["new.example.com"], NOW).chain)
