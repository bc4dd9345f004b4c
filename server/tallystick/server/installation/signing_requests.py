"""A member's certificate signing request (PKCS #10, RFC 2986): it comes from outside, so all of it is checked, and only its public
key is taken.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tallystick.contract.wire import MEMBER_URI
from tallystick.server.errors import Problem

MemberKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

MAX_SIZE = 1 << 16
"""Bytes of the file; a request of this kind has about 500, with a large RSA key 3,000."""
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192

_BLOCK = re.compile(
    rb"\s*-----BEGIN (?P<kind>(NEW )?CERTIFICATE REQUEST)-----\s[A-Za-z0-9+/=\s]+-----END (?P=kind)-----\s*",
)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_MAKE = "make it with the openssl req of docs/profile.md"


class SigningRequestProblem(Problem):
    """The request must not be signed; the text says why, and what to do."""


def read_signing_request(path: Path, member_id: str) -> MemberKey:
    """The public key of the request in this file, once it is known to be of a fit kind, held by who made the request, and asked
    for this member alone; raises SigningRequestProblem."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise SigningRequestProblem(f"{path}: {error.strerror}; give --csr the member's request") from None
    try:
        return _checked(content, member_id)
    except SigningRequestProblem as problem:
        raise SigningRequestProblem(f"{path}: {problem}") from None


def _checked(content: bytes, member_id: str) -> MemberKey:
    if len(content) > MAX_SIZE:
        raise SigningRequestProblem(f"is larger than {MAX_SIZE >> 10} KiB, and so no request: {_MAKE}")
    if not _BLOCK.fullmatch(content):
        raise SigningRequestProblem(f"is not one CERTIFICATE REQUEST in PEM and nothing else: {_MAKE}, without -text")
    try:
        request = x509.load_pem_x509_csr(content)
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise SigningRequestProblem(f"cannot be read as a request: {_MAKE}") from None
    # Before the signature: what it costs to verify depends on the key.
    fit = _fit(key)
    _check_signature(request)
    _check_name(request, member_id)
    return fit


def _fit(key: object) -> MemberKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        return key
    raise SigningRequestProblem(f"its key is neither P-256 nor RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits: make a new key")


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    """By the key itself: who asks must hold it."""
    try:
        algorithm, valid = request.signature_hash_algorithm, request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        algorithm, valid = None, False
    if not isinstance(algorithm, _HASHES):
        raise SigningRequestProblem("is not signed with SHA-256, SHA-384 or SHA-512: make it with openssl req -sha256")
    if not valid:
        raise SigningRequestProblem("is not signed by its own key: it was changed, or is damaged; have it sent again")


def _check_name(request: x509.CertificateSigningRequest, member_id: str) -> None:
    wanted = MEMBER_URI + member_id
    try:
        names = list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise SigningRequestProblem(f"its extensions cannot be read: {_MAKE}") from None
    if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier):
        found = "one that is no URI" if len(names) == 1 else str(len(names))
        raise SigningRequestProblem(f"must have {wanted} as the one name in subjectAltName, and has {found}: {_MAKE}")
    if names[0].value != wanted:
        raise SigningRequestProblem(f"does not name {wanted}: sign it for the member that it is of, or have it made again")
