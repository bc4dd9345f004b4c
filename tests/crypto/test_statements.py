"""Receipts, references and key registration: the documented bytes, and nothing that cannot be in them."""

import base64
import hmac
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import (
    CryptoError,
    IdentityError,
    ReceiptError,
    account_reference,
    account_secret_id,
    framed,
    is_origin,
    key_statement,
    receipt_statement,
    sign_receipt,
    subject_key,
    verify_receipt_signature,
)
from tallystick.crypto.ed25519 import raw_public_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = raw_public_key(KEY)
ORIGIN = "exchange.example/log"
LEAF = bytes(range(32))

BAD_ORIGINS = ["", " ", "a b", "a+b", "a\nb", "a\tb", "é", "a\u00a0b", "a" * 256, "a\ud800", "a\x7f"]


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_origins(origin: str) -> None:
    assert not is_origin(origin)
    with pytest.raises(ReceiptError):
        receipt_statement(origin, 0, LEAF)
    with pytest.raises(CryptoError):
        key_statement(origin, "bank-a", PUBLIC)


# --- Receipts ---------------------------------------------------------------------------------------------------------


def test_receipt_statement_is_the_documented_text() -> None:
    expected = f"tallystick-receipt-v1\n{ORIGIN}\n12\n{base64.b64encode(LEAF).decode()}\n"
    assert receipt_statement(ORIGIN, 12, LEAF) == expected.encode()


@given(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32))
def test_receipt_signature_holds_for_its_entry_alone(index: int, leaf: bytes) -> None:
    signature = sign_receipt(KEY, ORIGIN, index, leaf)
    verify_receipt_signature(PUBLIC, ORIGIN, index, leaf, signature)
    other = bytes([leaf[0] ^ 1]) + leaf[1:]
    for changed in (
        (PUBLIC, "staging.example/log", index, leaf, signature),
        (PUBLIC, ORIGIN, index ^ 1, leaf, signature),
        (PUBLIC, ORIGIN, index, other, signature),
        (PUBLIC, ORIGIN, index, leaf, signature[:63]),
        (PUBLIC, ORIGIN, index, leaf, bytes(64)),
        (raw_public_key(Ed25519PrivateKey.from_private_bytes(leaf)), ORIGIN, index, leaf, signature),
        (bytes([1]) + bytes(31), ORIGIN, index, leaf, bytes([1]) + bytes(63)),
    ):
        with pytest.raises(ReceiptError) as caught:
            verify_receipt_signature(*changed)
        assert caught.value.step == 2


@pytest.mark.parametrize(("index", "leaf"), [(-1, LEAF), (2**64, LEAF), (0, b""), (0, LEAF[:31]), (0, LEAF + b"x")])
def test_receipts_that_cannot_be(index: int, leaf: bytes) -> None:
    with pytest.raises(ReceiptError):
        sign_receipt(KEY, ORIGIN, index, leaf)


# --- References -------------------------------------------------------------------------------------------------------


def test_account_reference_is_the_documented_digest() -> None:
    secret_id, digest = account_reference(LEAF, "6222-1")
    assert secret_id == account_secret_id(LEAF) == sha256(b"tallystick-account-secret-v1" + LEAF).digest()[:8]
    assert digest == hmac.new(LEAF, framed("tallystick-account-v1", b"6222-1"), sha256).digest()


def test_account_numbers_are_the_same_in_every_unicode_form_and_nothing_more() -> None:
    assert account_reference(LEAF, "Cafe\u0301") == account_reference(LEAF, "Caf\u00e9")
    assert len({account_reference(LEAF, number) for number in ("1", " 1", "1 ", "１", "01")}) == 5
    assert account_reference(bytes(32), "1") != account_reference(LEAF, "1")


@pytest.mark.parametrize(
    ("number", "reason"), [("", "FIELD_REQUIRED"), ("1" * 257, "FIELD_MALFORMED"), ("\ud800", "FIELD_MALFORMED")]
)
def test_account_numbers_that_cannot_be(number: str, reason: str) -> None:
    with pytest.raises(IdentityError) as caught:
        account_reference(LEAF, number)
    assert (caught.value.field, caught.value.reason) == ("account_number", reason)


def test_subject_key_is_the_documented_digest() -> None:
    assert subject_key(LEAF, bytes(20), bytes(32)) == hmac.new(LEAF, bytes(52), sha256).digest()


@pytest.mark.parametrize("lengths", [(31, 20, 32), (33, 20, 32), (32, 19, 33), (32, 21, 31), (32, 20, 31), (32, 0, 0)])
def test_subject_key_lengths(lengths: tuple[int, int, int]) -> None:
    with pytest.raises(CryptoError):
        subject_key(*map(bytes, lengths))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_account_secret_lengths(length: int) -> None:
    with pytest.raises(CryptoError):
        account_secret_id(bytes(length))
    with pytest.raises(CryptoError):
        account_reference(bytes(length), "1")


# --- Key registration -------------------------------------------------------------------------------------------------


def test_key_statement_is_the_documented_text() -> None:
    assert key_statement(ORIGIN, "bank-a", PUBLIC) == f"tallystick-key-v1\n{ORIGIN}\nbank-a\n{PUBLIC.hex()}\n".encode()


@pytest.mark.parametrize("member_id", ["", "ab", "1bank", "-bank", "Bank", "bank_a", "bank a", "bank-a\n", "b" * 33, "bänk"])
def test_member_ids_that_cannot_be(member_id: str) -> None:
    with pytest.raises(CryptoError):
        key_statement(ORIGIN, member_id, PUBLIC)


@pytest.mark.parametrize("public_key", [b"", bytes(31), bytes(32), PUBLIC + b"x", bytes([1]) + bytes(31)])
def test_keys_that_cannot_be_registered(public_key: bytes) -> None:
    with pytest.raises(CryptoError):
        key_statement(ORIGIN, "bank-a", public_key)
