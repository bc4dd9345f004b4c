"""Identities: the one normal form of a document's number, from which every member derives the same token."""

import re
from dataclasses import dataclass, field

from tallystick.crypto.errors import IdentityError
from tallystick.crypto.framing import framed
from tallystick.crypto.identity_documents import (
    ANY_COUNTRY,
    COUNTRIES,
    DOCUMENTS,
    GLOBAL_COUNTRY,
    PROVINCES,
    Document,
    malformed,
    resident_id_check_digit,
)
from tallystick.crypto.unicode import has_unassigned, without_separators

__all__ = ["Identity", "identity_faults", "normalise", "region_is_known", "resident_id_check_digit"]

# Before normalisation; far above any number with its separators, and a bound on the work that NFKC does.
_MAX_GIVEN_CHARACTERS = 200
_NORMALISED = re.compile(r"[0-9A-Z]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity in its normal form. Made by `normalise`; the number is not shown by repr."""

    kind: str
    type: str
    country: str
    number: str = field(repr=False)

    def canonical_bytes(self) -> bytes:
        """Returns the bytes that are blinded for the token protocol."""
        return framed(
            "tallystick-identity-v1",
            self.kind.encode(),
            self.type.encode(),
            self.country.encode(),
            self.number.encode(),
        )


def normalise(kind: str, type: str, country: str, number: str) -> Identity:  # noqa: A002  the trade's word, and API
    """Returns the identity in its normal form.

    `kind` is "person" or "organisation"; `type` a code of the table in docs/protocol.md; `country` the issuing
    country's ISO 3166-1 alpha-2 code, upper case. Raises IdentityError with the field and the reason when the document
    is not known, or the number does not pass its check.
    """
    document = _document(kind, type)
    return Identity(kind, type, _country(document, country), document.check(_normalised_number(number)))


def identity_faults(kind: str, type: str, country: str, number: str) -> list[IdentityError]:  # noqa: A002  as above
    """All that is wrong with a document, for who will correct it: at the most one fault a field, in the order of the fields."""
    found: list[IdentityError] = []
    document: Document | None = None
    try:
        document = _document(kind, type)
    except IdentityError as error:
        found.append(error)
    try:
        _country(document, country)
    except IdentityError as error:
        found.append(error)
    try:
        normalised = _normalised_number(number)
        if document is not None:
            document.check(normalised)
    except IdentityError as error:
        found.append(error)
    return found


def region_is_known(identity: Identity) -> bool:
    """Whether the number's region digits are a province's; True where a document has none.

    Advice alone: nothing is refused for it.
    """
    if identity.kind != "person" or identity.type not in ("10", "1", "8"):
        return True
    if identity.type == "8":
        # The newer card has 9 before the province; the older one has no province's digits.
        return len(identity.number) != 18 or identity.number[1:3] in PROVINCES
    return identity.number[:2] in PROVINCES


def _document(kind: str, type_: str) -> Document:
    if not kind:
        raise IdentityError("kind", "FIELD_REQUIRED", 'give "person" or "organisation"')
    if kind not in ("person", "organisation"):
        raise IdentityError("kind", "CODE_UNKNOWN", 'give "person" or "organisation"')
    if not type_:
        raise IdentityError("type", "FIELD_REQUIRED", "give the document's code")
    document = DOCUMENTS.get((kind, type_))
    if document is None:
        known = ", ".join(sorted(code for of_kind, code in DOCUMENTS if of_kind == kind))
        raise IdentityError("type", "CODE_UNKNOWN", f"the codes for this kind are {known}")
    return document


def _country(document: Document | None, country: str) -> str:
    """The country in its normal form; of a document that is not known it must be one at least, if it is given."""
    if document is None and not country:
        return country
    if document is not None and document.country == GLOBAL_COUNTRY:
        # No country issues this code: two members that enter different ones mean the same subject.
        return GLOBAL_COUNTRY
    if not country:
        raise IdentityError("country", "FIELD_REQUIRED", "give the issuing country's ISO 3166-1 alpha-2 code")
    if not re.fullmatch(r"[A-Z]{2}", country):
        raise IdentityError("country", "FIELD_MALFORMED", "give two upper-case letters (ISO 3166-1 alpha-2)")
    if country not in COUNTRIES:
        raise IdentityError("country", "CODE_UNKNOWN", "not a code of ISO 3166-1 alpha-2")
    if document is not None and document.country not in (ANY_COUNTRY, country):
        raise IdentityError("country", "FIELDS_INCONSISTENT", f"{document.name}: the country is {document.country}")
    return country


def _normalised_number(number: str) -> str:
    if len(number) > _MAX_GIVEN_CHARACTERS:
        raise malformed(f"longer than {_MAX_GIVEN_CHARACTERS} characters")
    if has_unassigned(number):
        raise malformed("holds a character that Unicode 3.2 does not have")
    normalised = without_separators(number)
    if not normalised:
        raise IdentityError("number", "FIELD_REQUIRED", "give the document's number")
    if _NORMALISED.fullmatch(normalised) is None:
        raise malformed("besides separators only the digits 0-9 and the letters A-Z are allowed, 40 at most")
    return normalised
