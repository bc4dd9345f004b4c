"""Keyed digests that stand for account numbers and tokens (docs/protocol.md, "Account reference")."""

import hmac
from hashlib import sha256

from tallystick.crypto.errors import CryptoError, IdentityError
from tallystick.crypto.framing import framed
from tallystick.crypto.unicode import UNICODE, has_unassigned, without_spaces

SECRET_BYTES = 32
SECRET_ID_BYTES = 8
MAX_ACCOUNT_NUMBER_CHARACTERS = 256
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories of characters that are not seen: controls, formats, halves of pairs, private ones, separators of lines."""
_UNSEEN_BESIDE = frozenset("\u00ad\u034f\u115f\u1160\u200b\u2800\u3164" + "".join(map(chr, range(0xFE00, 0xFE10))))
"""Others, which Unicode 3.2 has under spaces, dashes, letters, marks or symbols."""


def account_secret_id(secret: bytes) -> bytes:
    """Returns the 8 bytes that name a member's account secret. Raises CryptoError unless the secret is 32 bytes."""
    _check_secret(secret)
    return sha256(b"tallystick-account-secret-v1" + secret).digest()[:SECRET_ID_BYTES]


def normalise_account_number(account_number: str) -> str:
    """Returns an account number in normal form KC, without spaces, with one kind of dash and in upper case.

    An identity's number loses its separators. An account's keeps dashes, dots and slashes: they may be all that tells 1-11 from
    11-1, and of two accounts that became one a debt would disappear.

    Raises IdentityError (field "account_number") for what is empty then, is too long, or holds characters that nobody sees.
    """
    if len(account_number) > MAX_ACCOUNT_NUMBER_CHARACTERS:
        raise IdentityError("account_number", "FIELD_MALFORMED", f"give at most {MAX_ACCOUNT_NUMBER_CHARACTERS} characters")
    if has_unassigned(account_number):
        raise IdentityError("account_number", "FIELD_MALFORMED", "leave out characters that Unicode 3.2 does not have")
    normalised = without_spaces(account_number)
    if any(each in _UNSEEN_BESIDE or UNICODE.category(each) in _UNSEEN for each in normalised):
        raise IdentityError("account_number", "FIELD_MALFORMED", "holds a character that nobody sees, such as a zero-width space")
    if not normalised:
        raise IdentityError("account_number", "FIELD_REQUIRED", "give the account's number")
    return normalised


def account_reference(secret: bytes, account_number: str) -> tuple[bytes, bytes]:
    """Returns (secret id, digest), which stand for an account of the member that keeps `secret`.

    The number is put into normal form C of Unicode 3.2 and otherwise taken as it is. Raises IdentityError (field
    "account_number") when it is empty or too long or cannot be encoded, CryptoError unless the secret is 32 bytes.
    """
    _check_secret(secret)
    if not account_number:
        raise IdentityError("account_number", "FIELD_REQUIRED", "give the account's number")
    if len(account_number) > MAX_ACCOUNT_NUMBER_CHARACTERS:
        raise IdentityError("account_number", "FIELD_MALFORMED", f"give at most {MAX_ACCOUNT_NUMBER_CHARACTERS} characters")
    if has_unassigned(account_number):
        raise IdentityError("account_number", "FIELD_MALFORMED", "leave out characters that Unicode 3.2 does not have")
    try:
        number = UNICODE.normalize("NFC", account_number).encode()
    except UnicodeEncodeError:
        raise IdentityError("account_number", "FIELD_MALFORMED", "leave out characters that UTF-8 cannot encode") from None
    return account_secret_id(secret), hmac.digest(secret, framed("tallystick-account-v1", number), "sha256")


def subject_key(store_secret: bytes, epoch_id: bytes, element: bytes) -> bytes:
    """Returns what a database stores instead of a token: HMAC-SHA-256(store_secret, epoch_id ‖ element), 32 bytes.

    Raises CryptoError unless the secret is 32 bytes, epoch_id 20 and element 32: joined without lengths, nothing else
    keeps them apart.
    """
    _check_secret(store_secret)
    if len(epoch_id) != 20 or len(element) != 32:
        raise CryptoError("epoch_id must be 20 bytes and element 32")
    return hmac.digest(store_secret, epoch_id + element, "sha256")


def _check_secret(secret: bytes) -> None:
    if len(secret) != SECRET_BYTES:
        raise CryptoError(f"the secret must be {SECRET_BYTES} bytes")
