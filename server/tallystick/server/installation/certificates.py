"""Certificates for trying things out: a certificate authority of one's own, which issues the server's and the members'.

X.509 by RFC 5280 with P-256 keys. A member's certificate names it in one URI of its subjectAltName (docs/protocol.md,
"Transport"). In production an operator uses the authority that its members trust already, with the same URI.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tallystick.contract.wire import MEMBER_URI
from tallystick.server.errors import Problem
from tallystick.server.installation.key_folder import write_new_file
from tallystick.server.installation.signing_requests import MemberKey

AUTHORITY_VALIDITY = timedelta(days=3652)
CERTIFICATE_VALIDITY = timedelta(days=825)
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")

_BACKDATED = timedelta(minutes=5)
"""So that a peer whose clock is a little slow accepts a new certificate."""


class CertificateProblem(Problem):
    """A certificate or its key is missing or malformed, or a name cannot be in one."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate and its private key, both in PEM."""

    certificate: str = field(repr=False)
    key: str = field(repr=False)

    def write(self, certificate: Path, key: Path) -> None:
        """Writes both, the key with mode 0600. Raises CertificateProblem when one exists already."""
        # The key first: a key without a certificate is of no use to anybody, the other way round misleads.
        if not write_new_file(key, self.key):
            raise CertificateProblem(f"{key} exists already: move it away")
        if not write_new_file(certificate, self.certificate, mode=0o644):
            raise CertificateProblem(f"{certificate} exists already: move it away")


class CertificateAuthority:
    """A development certificate authority."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str) -> CertificateAuthority:
        """A new authority; `name` is the common name in its certificate, of at most 64 characters."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        builder = _builder(subject, None, key.public_key(), AUTHORITY_VALIDITY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(certificates=True), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate: Path, key: Path) -> CertificateAuthority:
        """Reads both from PEM; raises CertificateProblem."""
        try:
            private_key = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError):
            raise CertificateProblem(f"{key} is not a readable private key: restore it, or run tallystickd init") from None
        if not isinstance(private_key, ec.EllipticCurvePrivateKey):
            raise CertificateProblem(f"{key} is not an elliptic-curve key: give the one that tallystickd init made")
        return cls(_certificate_of(certificate, private_key), private_key)

    def issued(self) -> IssuedCertificate:
        """The authority's own certificate and key, to be stored."""
        return _pem(self.certificate, self._key)

    def issue_server(self, names: Sequence[str]) -> IssuedCertificate:
        """A server certificate for those DNS names and addresses beside LOCAL_NAMES."""
        wanted = list(dict.fromkeys([*names, *LOCAL_NAMES]))
        return self._issue(names[0] if names else LOCAL_NAMES[0], [_general_name(name) for name in wanted], client=False)

    def issue_client(self, member_id: str) -> IssuedCertificate:
        """A client certificate that names the member."""
        return self._issue(member_id, [x509.UniformResourceIdentifier(MEMBER_URI + member_id)], client=True)

    def sign_client(self, member_id: str, key: MemberKey, validity: timedelta = CERTIFICATE_VALIDITY) -> x509.Certificate:
        """A client certificate that names the member, for a key of its own."""
        return self._sign(member_id, [x509.UniformResourceIdentifier(MEMBER_URI + member_id)], key, validity, client=True)

    def _issue(self, name: str, alternatives: Sequence[x509.GeneralName], *, client: bool) -> IssuedCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        return _pem(self._sign(name, alternatives, key.public_key(), CERTIFICATE_VALIDITY, client=client), key)

    def _sign(
        self, name: str, alternatives: Sequence[x509.GeneralName], key: MemberKey, validity: timedelta, *, client: bool
    ) -> x509.Certificate:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = _builder(_name(name), self.certificate, key, validity)
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(certificates=False), True),
            (x509.ExtendedKeyUsage([usage]), False),
            (x509.SubjectAlternativeName(alternatives), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())


def load_certificate(path: Path) -> x509.Certificate:
    """Reads a certificate (the first of the file) from PEM; raises CertificateProblem."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CertificateProblem(f"{path}: {error.strerror}; set the path, or run tallystickd init") from None
    except ValueError:
        raise CertificateProblem(f"{path} is not a certificate in PEM: replace it") from None


def certificate_names(certificate: x509.Certificate) -> list[str]:
    """The DNS names and addresses of its subjectAltName."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = names.get_values_for_type(x509.IPAddress)
    return [*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)]


def belongs_to(certificate: x509.Certificate, key: Path) -> bool:
    """Whether the PEM file `key` holds the certificate's private key; raises CertificateProblem when it holds none."""
    try:
        private_key = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise CertificateProblem(f"{key}: {error.strerror}; set the path, or run this as the server's user") from None
    except (ValueError, TypeError):
        raise CertificateProblem(f"{key} is not an unencrypted private key in PEM: replace it") from None
    return bool(private_key.public_key() == certificate.public_key())


def check_pair(certificate: Path, key: Path) -> x509.Certificate:
    """The certificate, when both files are readable and belong together; raises CertificateProblem."""
    found = load_certificate(certificate)
    if not belongs_to(found, key):
        raise CertificateProblem(f"{key} is not the key of {certificate}: set both to one pair")
    return found


def _certificate_of(path: Path, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """The authority's own certificate: while members change to another authority the file holds both."""
    load_certificate(path)
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        raise CertificateProblem(f"{path} holds something that is not a certificate in PEM: take it out") from None
    for certificate in found:
        if certificate.public_key() == key.public_key():
            return certificate
    raise CertificateProblem(
        f"{path} holds no certificate of the authority that init made, so the server trusts none that it signs: ask the authority"
        " that you use"
    )


def _builder(
    subject: x509.Name, issuer: x509.Certificate | None, public_key: MemberKey, validity: timedelta
) -> x509.CertificateBuilder:
    """What every certificate has. It is never valid when its issuer is not: nobody would accept it then. Without one, of itself."""
    now = datetime.now(UTC)
    begin = now - _BACKDATED
    end = begin + validity
    if issuer is not None:
        if not issuer.not_valid_before_utc <= now < issuer.not_valid_after_utc:
            raise CertificateProblem(
                f"the authority's own certificate is valid from {issuer.not_valid_before_utc:%Y-%m-%d} to"
                f" {issuer.not_valid_after_utc:%Y-%m-%d}, and not now: set the clock, or change to another authority"
            )
        begin, end = max(begin, issuer.not_valid_before_utc), min(end, issuer.not_valid_after_utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError:
        raise CertificateProblem(f"{name!r} is neither an address nor a DNS name in ASCII") from None


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> IssuedCertificate:
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return IssuedCertificate(certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"), key_pem.decode("ascii"))
