"""`tallystickd certificate sign`: a member's request as docs/profile.md makes it with openssl, and hostile ones."""

import base64
import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.server.cli.running import Run, entries

from tallystick.server.installation import certificates
from tallystick.server.installation.certificates import CertificateAuthority
from tallystick.server.installation.signing_requests import SigningRequestProblem, read_signing_request

URI = "urn:tallystick:member:bank-a"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def openssl(*arguments: object, folder: Path) -> str:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout


def request(
    *names: x509.GeneralName,
    key: PrivateKey | None = None,
    algorithm: hashes.HashAlgorithm | None = hashes.SHA256(),  # noqa: B008 - a constant
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anything")]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), algorithm)  # type: ignore[arg-type] # the type of all keys


def uri(text: str = URI) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"-----END CERTIFICATE REQUEST-----\n"


@pytest.fixture
def member(server: Path, tallystickd: Run) -> str:
    """A member of the server."""
    create = ("member", "create", "bank-a", "--name", "Bank A", "--roles", "token-requester", "--config", server)
    assert tallystickd(*create)[0] == 0
    return "bank-a"


@pytest.mark.parametrize("key", [["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], ["rsa:2048"]])
def test_a_request_of_openssl(server: Path, tallystickd: Run, member: str, tmp_path: Path, key: list[str]) -> None:
    openssl(
        *("req", "-new", "-newkey", *key, "-nodes", "-subj", "/CN=bank-a"),
        *("-addext", f"subjectAltName=URI:{URI}", "-keyout", "client.key", "-out", "client.csr"),
        folder=tmp_path,
    )
    sign = ("certificate", "sign", member, "--csr", tmp_path / "client.csr", "--config", server)
    code, output, errors = tallystickd(*sign, "--out", tmp_path / "client.crt", "--days", 90)
    assert (code, errors) == (0, "")
    assert f"{datetime.now(UTC) + timedelta(days=90, minutes=-5):%Y-%m-%d}" in output
    ca = server.parent / "tls/ca.crt"
    verify = ("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", ca, "client.crt")
    assert openssl(*verify, folder=tmp_path) == "client.crt: OK\n"
    public = openssl("x509", "-in", "client.crt", "-noout", "-pubkey", folder=tmp_path)
    assert public == openssl("pkey", "-in", "client.key", "-pubout", folder=tmp_path)
    shown = openssl(
        "x509", "-in", "client.crt", "-noout", "-ext", "subjectAltName,extendedKeyUsage,basicConstraints", folder=tmp_path
    )
    assert [line.strip() for line in shown.splitlines()][1::2] == ["CA:FALSE", "TLS Web Client Authentication", f"URI:{URI}"]
    code, _, errors = tallystickd(*sign, "--out", tmp_path / "client.crt")
    assert (code, "exists already" in errors) == (1, True)
    assert tallystickd(*sign, "--out", tmp_path / "none" / "client.crt")[0] == 1
    for days in (0, 826):
        assert tallystickd(*sign, "--out", tmp_path / "other.crt", "--days", days)[0] == 2
    assert entries(server_database(tallystickd, server))[-1] == "ListMembers"


def server_database(tallystickd: Run, server: Path) -> str:
    return next(line for line in server.read_text().splitlines() if line.startswith("database")).split('"')[1]


def test_of_a_request_the_key_alone_is_taken(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("Test CA")
    file = tmp_path / "client.csr"
    more = (
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    )
    asked = request(uri(), extensions=more)
    file.write_bytes(asked.public_bytes(Encoding.PEM))
    signed = [authority.sign_client("bank-a", read_signing_request(file, "bank-a")) for _ in range(2)]
    for certificate in signed:
        assert certificate.public_key() == asked.public_key()
        assert certificate.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bank-a")])
        extensions = certificate.extensions
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        assert list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == [uri()]
        assert len(extensions) == 6
    assert signed[0].serial_number != signed[1].serial_number


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "nothing else"),
    "no PEM": (b"\x30\x82" + bytes(500), "nothing else"),
    "huge": (pem(bytes(1 << 17)), "64 KiB"),
    "a certificate": (
        CertificateAuthority.create("Another").issue_client("bank-a").certificate.encode(),
        "nothing else",
    ),
    "a private key": (CertificateAuthority.create("Another").issue_client("bank-a").key.encode(), "nothing else"),
    "two": (request(uri()).public_bytes(Encoding.PEM) * 2, "nothing else"),
    "text after it": (request(uri()).public_bytes(Encoding.PEM) + b"#", "nothing else"),
    "text before it": (b"# of bank-a\n" + request(uri()).public_bytes(Encoding.PEM), "nothing else"),
    "bytes after it": (pem(request(uri()).public_bytes(Encoding.DER) + b"\x05\x00"), "cannot be read"),
    "cut off": (pem(request(uri()).public_bytes(Encoding.DER)[:-10]), "cannot be read"),
    "no name": (request().public_bytes(Encoding.PEM), f"{URI} as the one name in subjectAltName, and has 0"),
    "two names": (request(uri(), uri("urn:tallystick:member:bank-b")).public_bytes(Encoding.PEM), "and has 2"),
    "the same name twice": (request(uri(), uri()).public_bytes(Encoding.PEM), "and has 2"),
    "a DNS name beside": (request(uri(), x509.DNSName("exchange.example")).public_bytes(Encoding.PEM), "and has 2"),
    "a DNS name": (request(x509.DNSName("bank-a")).public_bytes(Encoding.PEM), "one that is no URI"),
    "another member": (request(uri("urn:tallystick:member:bank-b")).public_bytes(Encoding.PEM), f"does not name {URI}"),
    "a longer name": (request(uri(URI + "a")).public_bytes(Encoding.PEM), f"does not name {URI}"),
    "upper case": (request(uri(URI.upper())).public_bytes(Encoding.PEM), f"does not name {URI}"),
    "P-384": (request(uri(), key=ec.generate_private_key(ec.SECP384R1())).public_bytes(Encoding.PEM), "P-256"),
    "Ed25519": (request(uri(), key=ed25519.Ed25519PrivateKey.generate(), algorithm=None).public_bytes(Encoding.PEM), "P-256"),
    "RSA of 1024 bits": (request(uri(), key=rsa.generate_private_key(65537, 1024)).public_bytes(Encoding.PEM), "2048"),
    "SHA-224": (request(uri(), algorithm=hashes.SHA224()).public_bytes(Encoding.PEM), "SHA-256"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_request_is_refused(server: Path, tallystickd: Run, tmp_path: Path, what: str) -> None:
    content, told = HOSTILE[what]
    (tmp_path / "client.csr").write_bytes(content)
    sign = ("certificate", "sign", "bank-a", "--csr", tmp_path / "client.csr", "--out", tmp_path / "client.crt", "--config", server)
    code, output, errors = tallystickd(*sign)
    assert (code, output, len(errors.splitlines()), told in errors) == (1, "", 1, True), errors
    assert errors.startswith(f"tallystickd: {tmp_path / 'client.csr'}: ")
    assert not (tmp_path / "client.crt").exists()


def test_a_request_with_another_s_signature(tmp_path: Path) -> None:
    """Who made it does not hold the key: the body of one request under the signature of another."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    mine, other = (request(uri(), key=key).public_bytes(Encoding.DER) for key in keys)
    file = tmp_path / "client.csr"
    file.write_bytes(pem(mine[:-256] + other[-256:]))
    with pytest.raises(SigningRequestProblem, match="not signed by its own key"):
        read_signing_request(file, "bank-a")


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)])
def test_no_changed_byte_is_signed_or_a_fault(key: PrivateKey, tmp_path: Path) -> None:
    der = request(uri(), key=key).public_bytes(Encoding.DER)
    file = tmp_path / "client.csr"
    file.write_bytes(pem(der))
    read_signing_request(file, "bank-a")
    draw = random.Random(20261125)
    for position in range(len(der)):
        changed = bytearray(der)
        changed[position] ^= draw.randrange(1, 256)
        file.write_bytes(pem(bytes(changed)))
        with pytest.raises(SigningRequestProblem):
            read_signing_request(file, "bank-a")


def test_who_is_no_member_gets_none(server: Path, tallystickd: Run, tmp_path: Path) -> None:
    (tmp_path / "client.csr").write_bytes(request(uri()).public_bytes(Encoding.PEM))
    sign = ("certificate", "sign", "bank-a", "--csr", tmp_path / "client.csr", "--out", tmp_path / "client.crt", "--config", server)
    code, _, errors = tallystickd(*sign)
    assert (code, "there is no member bank-a" in errors) == (1, True)
    assert not (tmp_path / "client.crt").exists()
    code, _, errors = tallystickd(*sign[:4], tmp_path / "none.csr", *sign[5:])
    assert (code, "No such file" in errors) == (1, True)


def test_without_an_authority_of_its_own(server: Path, tallystickd: Run, member: str, tmp_path: Path) -> None:
    (tmp_path / "client.csr").write_bytes(request(uri()).public_bytes(Encoding.PEM))
    sign = ("certificate", "sign", member, "--csr", tmp_path / "client.csr", "--out", tmp_path / "client.crt", "--config", server)
    ca = server.parent / "tls/ca.crt"
    own = ca.read_text()
    # Whom the server trusts is somebody else.
    ca.write_text(CertificateAuthority.create("Another").issued().certificate)
    code, _, errors = tallystickd(*sign)
    assert (code, "ask the authority that you use" in errors) == (1, True)
    # Both, while members change: its own signs, wherever in the file it stands.
    ca.write_text(ca.read_text() + own)
    assert tallystickd(*sign)[0] == 0
    (server.parent / "keys/tls-ca.key").unlink()
    code, _, errors = tallystickd(*sign)
    assert (code, "has no certificate authority of its own" in errors) == (1, True)


def test_never_longer_than_the_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "AUTHORITY_VALIDITY", timedelta(days=30))
    authority = CertificateAuthority.create("Short CA")
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    end = authority.certificate.not_valid_after_utc
    assert authority.sign_client("bank-a", key).not_valid_after_utc == end
    assert authority.sign_client("bank-a", key, timedelta(days=7)).not_valid_after_utc < end
    server = x509.load_pem_x509_certificate(authority.issue_server(["exchange.example"]).certificate.encode())
    assert server.not_valid_after_utc == end
    assert server.not_valid_before_utc >= authority.certificate.not_valid_before_utc
    monkeypatch.setattr(certificates, "AUTHORITY_VALIDITY", timedelta(seconds=1))
    with pytest.raises(certificates.CertificateProblem, match="not now"):
        CertificateAuthority.create("Expired CA").sign_client("bank-a", key)
