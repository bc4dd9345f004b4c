"""The documents by which a subject can be named, each with its check (docs/protocol.md, "Identity")."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from stdnum import lei
from stdnum.cn import ric, uscc

from tallystick.crypto.errors import IdentityError

ANY_COUNTRY = ""
"""Stands for every issuing country in a document's `country`."""
GLOBAL_COUNTRY = "ZZ"
"""The country of codes that no country issues."""


@dataclass(frozen=True, slots=True)
class Document:
    """One row of the table: what it is called, who issues it, and the check that a normalised number must pass."""

    name: str
    country: str
    check: Callable[[str], str]
    """Takes the normalised number, returns it as it is to be kept; raises IdentityError."""


def malformed(description: str) -> IdentityError:
    """The error for a number that does not have its document's form."""
    return IdentityError("number", "FIELD_MALFORMED", description)


def resident_id_check_digit(first17: str) -> str:
    """Returns the check digit, "0" to "9" or "X", for the first 17 digits of a resident ID (GB 11643).

    Raises IdentityError unless these are 17 ASCII digits.
    """
    if not re.fullmatch(r"[0-9]{17}", first17):
        raise malformed("a check digit follows exactly 17 digits")
    return ric.calc_check_digit(first17 + "0")


def _form(pattern: str, description: str) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.ASCII)

    def check(number: str) -> str:
        if compiled.fullmatch(number) is None:
            raise malformed(description)
        return number

    return check


def _resident_id(number: str) -> str:
    if re.fullmatch(r"[0-9]{15}", number):
        first17 = f"{number[:6]}19{number[6:]}"
        number = first17 + resident_id_check_digit(first17)
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        raise malformed("give the 18 characters of the resident ID, or the 15 digits of an old one")
    _check_birth_date(number[6:14])
    if number[17] != resident_id_check_digit(number[:17]):
        raise malformed("the check digit does not fit; compare the number with the document")
    return number


def _check_birth_date(digits: str) -> None:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise malformed("digits 7 to 14 are not a date; compare the number with the document") from None
    if not 1800 <= born.year <= 2099:
        raise IdentityError("number", "FIELD_OUT_OF_RANGE", "the year in digits 7 to 10 must be 1800 to 2099")


def _without_issue_count(pattern: str, length: int, description: str) -> Callable[[str], str]:
    """A travel permit: two digits behind its `length` characters count its issues; they change, the holder does not."""
    check = _form(pattern, description)
    return lambda number: check(number)[:length]


def _permanent_residence_permit(number: str) -> str:
    if re.fullmatch(r"[A-Z]{3}[0-9]{12}", number):
        return number
    if len(number) == 18 and number.startswith("9"):
        return _resident_id(number)
    raise malformed("give 3 letters and 12 digits, or the 18 characters of the newer card, which begin with 9")


def _hong_kong_identity_card(number: str) -> str:
    match = re.fullmatch(r"([A-Z]{1,2})([0-9]{6})([0-9A])", number)
    if match is None:
        raise malformed("give 1 or 2 letters, 6 digits and the check digit that is in parentheses")
    # The check digit makes the weighted sum a multiple of 11; letters count from 10, a missing first letter as 36.
    letters = [int(letter, 36) for letter in match[1]]
    values = [*([36] if len(letters) == 1 else []), *letters, *map(int, match[2]), int(match[3], 16)]
    if sum(weight * value for weight, value in zip(range(9, 0, -1), values, strict=True)) % 11:
        raise malformed("the check digit does not fit; compare the number with the card")
    return number


# In the order of the numbers 10 to 35 that the letters stand for.
_TAIWAN_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_TAIWAN_WEIGHTS = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)


def _taiwan_identity_card(number: str) -> str:
    if not re.fullmatch(r"[A-Z][0-9]{9}", number):
        raise malformed("give 1 letter and 9 digits")
    digits = f"{_TAIWAN_LETTERS.index(number[0]) + 10}{number[1:]}"
    if sum(weight * int(digit) for weight, digit in zip(_TAIWAN_WEIGHTS, digits, strict=True)) % 10:
        raise malformed("the check digit does not fit; compare the number with the card")
    return number


def _social_credit_code(number: str) -> str:
    # stdnum's own validation refuses the letters that GB 32100 allows in the first two places, such as "N2" of rural
    # collectives.
    if not re.fullmatch(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}", number):
        raise malformed("give the 18 characters of the unified social credit code; I, O, S, V and Z do not occur in it")
    if number[17] != uscc.calc_check_digit(number[:17]):
        raise malformed("the check digit does not fit; compare the code with the licence")
    return number


def _organisation_code(number: str) -> str:
    if not re.fullmatch(r"[0-9A-Z]{8}[0-9X]", number):
        raise malformed("give the 9 characters of the organisation code")
    weighted = sum(weight * int(sign, 36) for weight, sign in zip((3, 7, 9, 10, 5, 8, 4, 2), number, strict=False))
    if number[8] != "0123456789X0"[11 - weighted % 11]:
        raise malformed("the check digit does not fit; compare the code with the certificate")
    return number


def _legal_entity_identifier(number: str) -> str:
    if not re.fullmatch(r"[0-9A-Z]{18}[0-9]{2}", number):
        raise malformed("give the 20 characters of the LEI, the last two of them digits")
    if not lei.is_valid(number):
        raise malformed("the check digits do not fit; compare the LEI with its record")
    return number


_REGISTRATION = Document("registration number", "CN", _form(r"[0-9A-Z]{4,40}", "give 4 to 40 letters and digits"))
_TAX_REGISTRATION = Document("tax registration", "CN", _form(r"[0-9A-Z]{15,20}", "give 15 to 20 letters and digits"))
_SERVICE_CARD = _form(r"[0-9A-Z]{4,20}", "give the card's 4 to 20 letters and digits, without Chinese characters")

DOCUMENTS: Mapping[tuple[str, str], Document] = {
    ("person", "10"): Document("resident ID", "CN", _resident_id),
    ("person", "1"): Document("household register", "CN", _resident_id),
    ("person", "2"): Document("passport", ANY_COUNTRY, _form(r"[0-9A-Z]{5,15}", "give 5 to 15 letters and digits")),
    ("person", "5"): Document(
        "travel permit of Hong Kong and Macao residents",
        "CN",
        _without_issue_count(r"[HM][0-9]{8}(?:[0-9]{2})?", 9, "give H or M and 8 digits, or 10 with the issue count"),
    ),
    ("person", "6"): Document(
        "travel permit of Taiwan residents",
        "CN",
        _without_issue_count(r"[0-9]{8}(?:[0-9]{2})?", 8, "give 8 digits, or 10 with the issue count"),
    ),
    ("person", "8"): Document("foreigner's permanent residence permit", "CN", _permanent_residence_permit),
    ("person", "9"): Document("police officer's card", "CN", _SERVICE_CARD),
    ("person", "20"): Document("military card", "CN", _SERVICE_CARD),
    ("person", "A"): Document("Hong Kong identity card", "HK", _hong_kong_identity_card),
    ("person", "B"): Document(
        "Macao identity card",
        "MO",
        _form(r"[157][0-9]{7}", "give the 8 digits of the card, the first of them 1, 5 or 7"),
    ),
    ("person", "C"): Document("Taiwan identity card", "TW", _taiwan_identity_card),
    ("person", "X"): Document("other document", ANY_COUNTRY, _form(r"[0-9A-Z]{4,40}", "give 4 to 40 letters and digits")),
    ("organisation", "10"): Document("Zhongzheng code", "CN", _form(r"[0-9A-Z]{16}", "give 16 letters and digits")),
    ("organisation", "20"): Document("unified social credit code", "CN", _social_credit_code),
    ("organisation", "30"): Document("organisation code", "CN", _organisation_code),
    **{("organisation", f"{number:02}"): _REGISTRATION for number in range(1, 9)},
    ("organisation", "41"): _TAX_REGISTRATION,
    ("organisation", "42"): _TAX_REGISTRATION,
    ("organisation", "LEI"): Document("legal entity identifier", GLOBAL_COUNTRY, _legal_entity_identifier),
}
"""Every kind and type that is known. The same type means different documents for a person and for an organisation."""

_PROVINCE_CODES = "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71"
PROVINCES = frozenset([*_PROVINCE_CODES.split(), "81", "82", "83"])
"""The first two digits of GB/T 2260's divisions; 81, 82, 83 are residence permits for Hong Kong, Macao and Taiwan."""

_COUNTRY_CODES = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(_COUNTRY_CODES.split())
"""ISO 3166-1 alpha-2, and XK, under which passports of Kosovo are entered."""
