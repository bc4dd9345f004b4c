"""The one tree of errors that this package raises; no parser of untrusted bytes lets another kind out.

CryptoError
├── IdentityError               an identifier of a person, organisation or account is not well formed
├── ElementError                bytes are not a usable ristretto255 element
├── ProofError                  a token evaluation is not proved by the authority's key
├── SignatureFormatError        a request's signature headers are missing, doubled or not canonical
├── SignatureVerificationError  a request's signature or content digest does not hold
├── MerkleError                 a tree, range or proof is malformed or does not hold
├── NoteError                   a signed note or checkpoint is malformed or not signed by a known key
└── ReceiptError                a receipt does not hold

Messages say what is wrong and what to do. None holds a token, a key, a secret, a number or a reference.
"""

from typing import Literal

IdentityReason = Literal["FIELD_REQUIRED", "FIELD_MALFORMED", "FIELD_OUT_OF_RANGE", "CODE_UNKNOWN", "FIELDS_INCONSISTENT"]
"""The names of `tallystick.v1.ErrorReason`, without prefix, that an identifier can be refused for."""


class CryptoError(Exception):
    """Something handed to this package is malformed or does not verify."""


class IdentityError(CryptoError):
    """An identifier is refused before anything leaves the member that holds it."""

    def __init__(self, field: str, reason: IdentityReason, description: str) -> None:
        super().__init__(f"{field}: {description} ({reason})")
        self.field = field
        """The field that is wrong: "kind", "type", "country", "number" or "account_number"."""
        self.reason: IdentityReason = reason
        """Why, as a name of ErrorReason without its prefix."""
        self.description = description
        """What is wrong and what to do, for a person to read."""

    def __reduce__(self) -> tuple[type["IdentityError"], tuple[str, IdentityReason, str]]:
        return IdentityError, (self.field, self.reason, self.description)


class ElementError(CryptoError):
    """Bytes are not the canonical encoding of a ristretto255 element but the identity, or not a usable scalar."""

    def __init__(self, description: str, index: int | None = None) -> None:
        super().__init__(description if index is None else f"element {index}: {description}")
        self.description = description
        """What is wrong, without the position."""
        self.index = index
        """The element's position in its batch, from 0; None when it stands alone."""

    def __reduce__(self) -> tuple[type["ElementError"], tuple[str, int | None]]:
        return ElementError, (self.description, self.index)


class ProofError(CryptoError):
    """The proof does not show that the evaluations were made with the authority's key."""


class SignatureFormatError(CryptoError):
    """A request's signature headers are missing, doubled, malformed or not in canonical form."""


class SignatureVerificationError(CryptoError):
    """A request's content digest or its signature does not hold."""


class MerkleError(CryptoError):
    """A size, index, range or proof of a Merkle tree is malformed or does not hold."""


class NoteError(CryptoError):
    """A signed note or a checkpoint is malformed, or no known key signed it."""


class ReceiptError(CryptoError):
    """A receipt does not hold."""

    def __init__(self, step: int, description: str) -> None:
        super().__init__(f"receipt, step {step}: {description}")
        self.step = step
        """Which of the seven steps of docs/protocol.md, "Receipt", failed."""
        self.description = description
        """What is wrong, without the step."""

    def __reduce__(self) -> tuple[type["ReceiptError"], tuple[int, str]]:
        return ReceiptError, (self.step, self.description)
