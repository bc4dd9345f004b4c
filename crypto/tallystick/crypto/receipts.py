"""The signature of a receipt (docs/protocol.md, "Receipt"): the statement, and step 2 of its verification."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.crypto import base64_canonical
from tallystick.crypto.ed25519 import is_signed
from tallystick.crypto.errors import ReceiptError
from tallystick.crypto.merkle import HASH_BYTES
from tallystick.crypto.origins import is_origin

SIGNATURE_STEP = 2
"""Which step of docs/protocol.md's list of seven this module carries out."""


def receipt_statement(origin: str, index: int, leaf_hash: bytes) -> bytes:
    """Returns the bytes that a receipt's signature is over.

    Raises ReceiptError when a value cannot be in them: origin not 1 to 255 visible ASCII characters without "+",
    index outside 0 to 2⁶⁴ - 1, leaf hash not 32 bytes.
    """
    if not is_origin(origin):
        raise ReceiptError(SIGNATURE_STEP, "the origin is not 1 to 255 visible ASCII characters without '+'")
    if not 0 <= index < 2**64 or len(leaf_hash) != HASH_BYTES:
        raise ReceiptError(SIGNATURE_STEP, "the index does not fit in eight bytes, or the leaf hash is not 32 bytes")
    return f"tallystick-receipt-v1\n{origin}\n{index}\n{base64_canonical.encode(leaf_hash)}\n".encode()


def sign_receipt(private_key: Ed25519PrivateKey, origin: str, index: int, leaf_hash: bytes) -> bytes:
    """Returns the receipt key's signature, 64 bytes. Raises ReceiptError as `receipt_statement`."""
    return private_key.sign(receipt_statement(origin, index, leaf_hash))


def verify_receipt_signature(public_key: bytes, origin: str, index: int, leaf_hash: bytes, signature: bytes) -> None:
    """Verifies a receipt's signature. Raises ReceiptError with step 2 when it does not hold."""
    if not is_signed(public_key, signature, receipt_statement(origin, index, leaf_hash)):
        raise ReceiptError(SIGNATURE_STEP, "the signature does not verify under the receipt key")
