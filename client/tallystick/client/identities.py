"""Subjects as the caller knows them: identity documents, which never leave this machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from tallystick.client.exceptions import IdentityInvalid, InputInvalid
from tallystick.crypto import Identity as CanonicalIdentity
from tallystick.crypto import IdentityError, normalise

PERSON = "person"
ORGANISATION = "organisation"


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity document as it was given: checked only when it is used, so that one bad row does not stop a file.

    `kind` is "person" or "organisation", `type` a code of docs/protocol.md ("10" is a resident ID), `country` ISO 3166-1 alpha-2.
    """

    kind: str
    type: str
    country: str
    number: str = field(repr=False)

    @classmethod
    def resident_id(cls, number: str) -> Identity:
        """A resident ID of China, with 18 characters or the old 15."""
        return cls(PERSON, "10", "CN", number)

    @classmethod
    def passport(cls, country: str, number: str) -> Identity:
        """A person's passport."""
        return cls(PERSON, "2", country, number)

    @classmethod
    def credit_code(cls, number: str) -> Identity:
        """An organisation's unified social credit code (GB 32100)."""
        return cls(ORGANISATION, "20", "CN", number)

    @classmethod
    def lei(cls, number: str) -> Identity:
        """An organisation's legal entity identifier (ISO 17442)."""
        return cls(ORGANISATION, "LEI", "ZZ", number)

    def normalised(self) -> CanonicalIdentity:
        """The canonical form; raises IdentityInvalid when the document does not hold."""
        return canonical(self)


AnyIdentity = Identity | CanonicalIdentity
"""A document as given, or one that was normalised before."""


def canonical(identity: AnyIdentity) -> CanonicalIdentity:
    """The canonical form; raises IdentityInvalid, and InputInvalid for what is no identity at all.

    Also what claims to be canonical is normalised: a token of anything else would be another subject's, and nobody would notice.
    """
    if not isinstance(identity, Identity | CanonicalIdentity):
        raise InputInvalid("identity", "FIELD_MALFORMED", f"give an Identity, such as Identity.resident_id(…), {_not_a(identity)}")
    for name in ("kind", "type", "country", "number"):
        if not isinstance(value := getattr(identity, name), str):
            raise IdentityInvalid(name, "FIELD_MALFORMED", f"give a text, {_not_a(value)}")
    try:
        return normalise(identity.kind, identity.type, identity.country, identity.number)
    except IdentityError as error:
        raise IdentityInvalid(error.field, error.reason, error.description) from None


def _not_a(value: object) -> str:
    return f"not a value of type {type(value).__name__}"


def input_invalid(error: IdentityError) -> InputInvalid:
    """The SDK's exception for an account number that cannot be referred to."""
    return InputInvalid(error.field, error.reason, error.description)
