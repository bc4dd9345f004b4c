"""Development certificates: what they say, and that TLS libraries accept them."""

import socket
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tallystick.server.installation.certificates import (
    CertificateAuthority,
    CertificateProblem,
    IssuedCertificate,
    belongs_to,
    certificate_names,
    load_certificate,
)


@pytest.fixture
def authority() -> CertificateAuthority:
    return CertificateAuthority.create("Test CA")


def parse(issued: IssuedCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate.encode())


def test_the_authority_may_sign_certificates_and_nothing_else(authority: CertificateAuthority) -> None:
    extensions = authority.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    assert (authority.certificate.not_valid_after_utc - datetime.now(UTC)).days in range(3640, 3660)


def test_a_client_certificate_names_the_member(authority: CertificateAuthority) -> None:
    certificate = parse(authority.issue_client("bank-a"))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("urn:tallystick:member:bank-a")]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    issuer_key = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    identifier = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert identifier.key_identifier == issuer_key
    certificate.verify_directly_issued_by(authority.certificate)


def test_a_server_certificate_names_this_machine_and_what_is_given(authority: CertificateAuthority) -> None:
    certificate = parse(authority.issue_server(["exchange.example", "10.1.2.3", "localhost"]))
    names = certificate_names(certificate)
    assert sorted(names) == ["10.1.2.3", "127.0.0.1", "::1", "exchange.example", "localhost"]
    assert (certificate.not_valid_after_utc - datetime.now(UTC)).days in range(820, 826)


def test_a_name_that_cannot_stand_in_a_certificate(authority: CertificateAuthority) -> None:
    with pytest.raises(CertificateProblem, match="DNS name"):
        authority.issue_server(["bänk.example"])


def test_files(authority: CertificateAuthority, tmp_path: Path) -> None:
    certificate, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    authority.issued().write(certificate, key)
    assert key.stat().st_mode & 0o777 == 0o600
    loaded = CertificateAuthority.load(certificate, key)
    assert loaded.certificate == authority.certificate
    assert belongs_to(loaded.certificate, key)
    with pytest.raises(CertificateProblem, match="exists already"):
        authority.issued().write(certificate, key)
    other = tmp_path / "other.crt", tmp_path / "other.key"
    authority.issue_client("bank-a").write(*other)
    assert not belongs_to(loaded.certificate, other[1])


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_certificate_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "server.crt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CertificateProblem, match=r"server\.crt"):
        load_certificate(path)


def test_keys_are_not_shown(authority: CertificateAuthority) -> None:
    assert "PRIVATE" not in repr(authority.issued())


def test_a_strict_handshake_in_both_directions(authority: CertificateAuthority, tmp_path: Path) -> None:
    """OpenSSL with X509_STRICT accepts both sides, and the name that is asked for."""
    authority.issued().write(tmp_path / "ca.crt", tmp_path / "ca.key")
    authority.issue_server([]).write(tmp_path / "server.crt", tmp_path / "server.key")
    authority.issue_client("bank-a").write(tmp_path / "client.crt", tmp_path / "client.key")
    contexts = {}
    for side, purpose in (("server", ssl.Purpose.CLIENT_AUTH), ("client", ssl.Purpose.SERVER_AUTH)):
        context = contexts[side] = ssl.create_default_context(purpose, cafile=str(tmp_path / "ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_cert_chain(tmp_path / f"{side}.crt", tmp_path / f"{side}.key")
    here, there = socket.socketpair()
    seen: list[object] = []

    def serve() -> None:
        with contexts["server"].wrap_socket(there, server_side=True) as connection:
            seen.append(connection.getpeercert())
            connection.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    with contexts["client"].wrap_socket(here, server_hostname="127.0.0.1") as connection:
        assert connection.recv(1) == b"x"
    thread.join()
    (peer,) = seen
    assert isinstance(peer, dict)
    assert peer["subjectAltName"] == (("URI", "urn:tallystick:member:bank-a"),)
