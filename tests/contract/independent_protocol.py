"""The protocol's formats, written from the .proto files and docs/protocol.md alone, as somebody would in another language.

It shares no code with Tallystick but the generated messages; a test holds it to that. Read it beside that page: the sections here
are the page's, in its order. Where the two disagree, one of them is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import rbcl
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.message import DecodeError

from tallystick.v1 import log_pb2

Metadata = tuple[tuple[str, str], ...]


class DistrustError(Exception):
    """What came back is not what an honest server sends."""


class ReceiptError(DistrustError):
    """A receipt does not hold; `step` is the first of the seven that fails."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the receipt fails step {step}")
        self.step = step


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def framed(tag: str, *parts: bytes) -> bytes:
    return b"".join(u32(len(part)) + part for part in (tag.encode(), *parts))


# --- Identity -------------------------------------------------------------------------------------------------------------------

UNICODE = unicodedata.ucd_3_2_0
DROPPED = set(" \u1680-\u058a\u05be\u1806\u2010\u2012\u2013\u2014\u2015\u301c\u3030\u30a0./()\u2212\u00b7\u2022\u2027\u30fb")
UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def resident_identity(number: str) -> bytes:
    """The canonical bytes of a resident ID; raises ValueError for a number that is none."""
    if len(number) > 200:
        raise ValueError("too long")
    if any(UNICODE.category(c) == "Cn" for c in number):
        raise ValueError("unassigned")
    kept = "".join(c for c in UNICODE.normalize("NFKC", number) if c not in DROPPED).translate(UPPER)
    if not kept.isascii() or not kept[:15].isdigit():
        raise ValueError("not a resident ID")
    if len(kept) == 15:
        kept = kept[:6] + "19" + kept[6:]
        kept += resident_check_digit(kept)
    if len(kept) != 18 or not kept[:17].isdigit() or kept[17] != resident_check_digit(kept[:17]):
        raise ValueError("length or check digit")
    born = date(int(kept[6:10]), int(kept[10:12]), int(kept[12:14]))
    if not 1800 <= born.year <= 2099:
        raise ValueError("date")
    return framed("tallystick-identity-v1", b"person", b"10", b"CN", kept.encode())


def resident_check_digit(first17: str) -> str:
    """GB 11643: ISO 7064, MOD 11-2."""
    return "10X98765432"[sum(int(digit) << (17 - i) for i, digit in enumerate(first17)) % 11]


# --- Subject token --------------------------------------------------------------------------------------------------------------

SUITE = b"ristretto255-SHA512-tallystick-element-v1"
CONTEXT = b"OPRFV1-\x01-" + SUITE
IDENTITY = bytes(32)


def expand(message: bytes, dst: bytes) -> bytes:
    """RFC 9380, expand_message_xmd with SHA-512, 64 bytes."""
    suffix = dst + bytes([len(dst)])
    first = hashlib.sha512(bytes(128) + message + b"\x00\x40" + b"\x00" + suffix).digest()
    return hashlib.sha512(first + b"\x01" + suffix).digest()


def hash_to_group(data: bytes) -> bytes:
    return bytes(rbcl.crypto_core_ristretto255_from_hash(expand(data, b"HashToGroup-" + CONTEXT)))


def hash_to_scalar(data: bytes) -> bytes:
    return bytes(rbcl.crypto_core_ristretto255_scalar_reduce(expand(data, b"HashToScalar-" + CONTEXT)))


def require_element(data: bytes) -> None:
    if len(data) != 32 or data == IDENTITY or data[31] & 0x80 or not rbcl.crypto_core_ristretto255_is_valid_point(data):
        raise DistrustError("not an element")


def require_scalar(data: bytes) -> None:
    reduced = bytes(rbcl.crypto_core_ristretto255_scalar_reduce(data.ljust(64, b"\x00")))
    if len(data) != 32 or data == bytes(32) or reduced != data:
        raise DistrustError("not a scalar")


def times(scalar: bytes, element: bytes) -> bytes:
    return bytes(rbcl.crypto_scalarmult_ristretto255(scalar, element))


def plus(left: bytes, right: bytes) -> bytes:
    return bytes(rbcl.crypto_core_ristretto255_add(left, right))


def blind(data: bytes, scalar: bytes | None = None) -> tuple[bytes, bytes]:
    """The blind, which is kept, and the blinded element, which is sent."""
    scalar = scalar or bytes(rbcl.crypto_core_ristretto255_scalar_random())
    return scalar, times(scalar, hash_to_group(data))


def unblind(scalar: bytes, evaluated: bytes) -> bytes:
    return times(bytes(rbcl.crypto_core_ristretto255_scalar_invert(scalar)), evaluated)


def verify_evaluation(public_key: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], proof: bytes) -> None:
    """RFC 9497, VerifyProof (section 2.2.2) over ComputeComposites (section 2.2.1)."""
    if len(blinded) != len(evaluated) or len(proof) != 64:
        raise DistrustError("another number of elements, or a proof of another length")
    for element in (public_key, *evaluated):
        require_element(element)
    challenge, response = proof[:32], proof[32:]
    require_scalar(challenge)
    require_scalar(response)

    def with_length(data: bytes) -> bytes:
        return len(data).to_bytes(2, "big") + data

    seed = hashlib.sha512(with_length(public_key) + with_length(b"Seed-" + CONTEXT)).digest()
    left, right = IDENTITY, IDENTITY
    for i, (c, d) in enumerate(zip(blinded, evaluated, strict=True)):
        weight = hash_to_scalar(
            with_length(seed) + i.to_bytes(2, "big") + with_length(c) + with_length(d) + b"Composite",
        )
        left, right = plus(left, times(weight, c)), plus(right, times(weight, d))
    t2 = plus(bytes(rbcl.crypto_scalarmult_ristretto255_base(response)), times(challenge, public_key))
    t3 = plus(times(response, left), times(challenge, right))
    transcript = b"".join(map(with_length, (public_key, left, right, t2, t3))) + b"Challenge"
    if not hmac.compare_digest(hash_to_scalar(transcript), challenge):
        raise DistrustError("the proof does not verify")


def epoch_id(sequence: int, public_key: bytes) -> bytes:
    return u32(sequence) + hashlib.sha256(SUITE + public_key).digest()[:16]


# --- Account reference ----------------------------------------------------------------------------------------------------------


def account_reference(secret: bytes, number: str) -> tuple[bytes, bytes]:
    secret_id = hashlib.sha256(b"tallystick-account-secret-v1" + secret).digest()[:8]
    text = UNICODE.normalize("NFC", number).encode()
    return secret_id, hmac.digest(secret, framed("tallystick-account-v1", text), "sha256")


# --- Request signature ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signed:
    """A request as it was signed."""

    path: str
    message: bytes
    params: str
    signature: bytes
    metadata: Metadata


def sign(key: Ed25519PrivateKey, path: str, message: bytes, audience: str, created: int, expires: int, nonce: bytes) -> Signed:
    content = b"\x00" + u32(len(message)) + message
    digest = f"sha-256=:{b64(hashlib.sha256(content).digest())}:"
    components = '("@method" "@path" "content-digest" "tallystick-audience")'
    params = (
        f'{components};created={created};expires={expires};nonce="{b64(nonce)}";keyid="{keyid(key).hex()}"'
        ';alg="ed25519";tag="tallystick-v1"'
    )
    lines = (
        '"@method": POST',
        f'"@path": {path}',
        f'"content-digest": {digest}',
        f'"tallystick-audience": {audience}',
        f'"@signature-params": {params}',
    )
    signature = key.sign("\n".join(lines).encode())
    metadata = (
        ("content-digest", digest),
        ("tallystick-audience", audience),
        ("signature-input", f"tallystick={params}"),
        ("signature", f"tallystick=:{b64(signature)}:"),
    )
    return Signed(path, message, params, signature, metadata)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def keyid(key: Ed25519PrivateKey) -> bytes:
    return hashlib.sha256(key.public_key().public_bytes_raw()).digest()


# --- Log entry ------------------------------------------------------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def merkle_root(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, over one hash or more."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(merkle_root(hashes[:split]), merkle_root(hashes[split:]))


def subject_leaf(epoch: bytes, element: bytes, purpose: int, consent: str) -> bytes:
    return framed("tallystick-subject-v1", epoch, element, str(purpose).encode(), consent.encode())


def details_commitment(seed: bytes, envelope: bytes, subjects: Sequence[bytes]) -> bytes:
    contents = (envelope, *subjects)
    salts = [hmac.digest(seed, u32(i), "sha256")[:16] for i in range(len(contents))]
    root = merkle_root([leaf_hash(salt + content) for salt, content in zip(salts, contents, strict=True)])
    return hashlib.sha256(framed("tallystick-details-v1", u32(len(contents)), root)).digest()


# --- Receipt --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A server as it was told of out of band."""

    origin: str
    receipt_key: bytes
    checkpoint_key: bytes


def is_signed(public_key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def verify_receipt(
    data: bytes, server: Server, member_id: str, key: bytes, sent: Signed, answer: bytes, reason: str, subjects: Sequence[bytes]
) -> log_pb2.Receipt:
    """The seven steps. `answer` is the answer's bytes or a refusal's status bytes, `reason` empty for an answer."""

    def require(step: int, holds: bool) -> None:
        if not holds:
            raise ReceiptError(step)

    def parsed(step: int, parse: Callable[[bytes], Any], content: bytes) -> Any:
        try:
            return parse(content)
        except DecodeError:
            raise ReceiptError(step) from None

    receipt: log_pb2.Receipt = parsed(1, log_pb2.Receipt.FromString, data)
    require(1, len(receipt.seed) == 32)
    statement = f"tallystick-receipt-v1\n{server.origin}\n{receipt.index}\n{b64(leaf_hash(receipt.entry))}\n".encode()
    require(2, is_signed(server.receipt_key, receipt.signature, statement))
    entry = parsed(3, log_pb2.AuditEntry.FromString, receipt.entry)
    require(3, entry.format_version == 1)
    require(3, (entry.member_id, entry.keyid, entry.method) == (member_id, key, sent.path))
    envelope = parsed(4, log_pb2.Envelope.FromString, receipt.envelope)
    require(4, envelope.request_digest == hashlib.sha256(sent.message).digest())
    require(4, (envelope.signature_params, envelope.signature) == (sent.params, sent.signature))
    require(5, envelope.answer_digest == hashlib.sha256(answer).digest())
    require(6, entry.outcome == (log_pb2.ENTRY_OUTCOME_REFUSED if reason else log_pb2.ENTRY_OUTCOME_OK))
    require(6, envelope.reason == reason)
    require(7, details_commitment(receipt.seed, receipt.envelope, subjects) == entry.details_commitment)
    return receipt


# --- Checkpoint and proofs ------------------------------------------------------------------------------------------------------


def verify_checkpoint(note: str, server: Server) -> tuple[int, bytes]:
    """The size and root that the note's signature vouches for."""
    body, _, signatures = note.rpartition("\n\n")
    origin, size, root, *_ = body.split("\n")
    key_hash = hashlib.sha256(server.origin.encode() + b"\n\x01" + server.checkpoint_key).digest()[:4]
    found = False
    for line in signatures.splitlines():
        name, encoded = line.removeprefix("— ").split(" ")
        signature = base64.b64decode(encoded, validate=True)
        if (name, signature[:4]) == (server.origin, key_hash):
            if not is_signed(server.checkpoint_key, signature[4:], body.encode() + b"\n"):
                raise DistrustError("a signature under the known key fails")
            found = True
    if not found or origin != server.origin:
        raise DistrustError("not a checkpoint of this log")
    return int(size), base64.b64decode(root, validate=True)


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        raise DistrustError("outside the tree")
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            raise DistrustError("the proof is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or r != root:
        raise DistrustError("the proof does not lead to the root")
