"""Identities: every document's own check, one normal form for every way to write a number, nothing told by repr."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import (
    Identity,
    IdentityError,
    account_reference,
    framed,
    normalise,
    region_is_known,
    resident_id_check_digit,
)

SEPARATORS = [" ", "\u3000", "\u00a0", "-", "－", "–", "—", "\u2212", ".", "．", "/", "·", "・", "(", ")", "（", "）"]
WIDE = {ord(c): ord(c) + 0xFEE0 for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def test_every_accepted_form(vectors: Callable[[str], Any]) -> None:
    for case in vectors("protocol")["identities"]["accepted"]:
        identity = normalise(*case["given"])
        assert [identity.kind, identity.type, identity.country, identity.number] == case["normalised"]
        assert identity.canonical_bytes().hex() == case["canonical_bytes"]


def test_every_refused_form_names_field_and_reason(vectors: Callable[[str], Any]) -> None:
    for case in vectors("protocol")["identities"]["refused"]:
        with pytest.raises(IdentityError) as caught:
            normalise(*case["given"])
        assert (caught.value.field, caught.value.reason) == (case["field"], case["reason"]), case
        number = case["given"][3].strip()
        assert len(number) < 4 or number not in str(caught.value)


def test_vectors_cover_every_document(vectors: Callable[[str], Any]) -> None:
    from tallystick.crypto.identity_documents import DOCUMENTS

    identities = vectors("protocol")["identities"]
    assert {tuple(case["given"][:2]) for case in identities["accepted"]} == set(DOCUMENTS)
    with_bad_numbers = {tuple(case["given"][:2]) for case in identities["refused"] if case["field"] == "number"}
    # The eight registrations share one check, of which 01 stands for all.
    assert with_bad_numbers >= {key for key in DOCUMENTS if key[1] not in {f"0{n}" for n in range(2, 9)}}


birth_dates = st.dates(min_value=datetime.date(1800, 1, 1), max_value=datetime.date(2099, 12, 31))


@st.composite
def resident_ids(draw: st.DrawFn) -> str:
    region = draw(st.integers(110000, 839999))
    first17 = f"{region}{draw(birth_dates):%Y%m%d}{draw(st.integers(0, 999)):03}"
    return first17 + resident_id_check_digit(first17)


@given(resident_ids())
def test_check_digit_is_iso_7064_mod_11_2(number: str) -> None:
    # GB 11643 annex A: the weighted sum is 1 modulo 11, X counting 10.
    weights = [2 ** (17 - position) % 11 for position in range(18)]
    assert sum(w * (10 if c == "X" else int(c)) for w, c in zip(weights, number, strict=True)) % 11 == 1
    assert normalise("person", "10", "CN", number).number == number


@given(resident_ids(), st.data())
def test_one_normal_form_for_every_spelling(number: str, data: st.DataObject) -> None:
    spelled = "".join(
        data.draw(st.sampled_from([c, c.lower(), c.translate(WIDE)])) + data.draw(st.sampled_from(["", *SEPARATORS]))
        for c in number
    )
    assert normalise("person", "10", "CN", spelled) == normalise("person", "10", "CN", number)


@given(resident_ids(), st.integers(0, 17), st.integers(1, 9))
def test_one_wrong_digit_is_found(number: str, position: int, shift: int) -> None:
    digits = list(number)
    digits[position] = str(((10 if digits[position] == "X" else int(digits[position])) + shift) % 10)
    changed = "".join(digits)
    if changed != number:
        with pytest.raises(IdentityError):
            normalise("person", "10", "CN", changed)


@given(resident_ids(), st.integers(0, 15))
def test_two_swapped_digits_are_found(number: str, position: int) -> None:
    swapped = number[:position] + number[position + 1] + number[position] + number[position + 2 :]
    if swapped != number:
        with pytest.raises(IdentityError):
            normalise("person", "10", "CN", swapped)


@given(resident_ids())
def test_old_number_becomes_the_new_one(number: str) -> None:
    if number[6:8] == "19":
        assert normalise("person", "10", "CN", number[:6] + number[8:17]).number == number


@pytest.mark.parametrize("last", range(10))
def test_hong_kong_check_digit_is_unique(last: int) -> None:
    if last == 3:
        assert normalise("person", "A", "HK", f"A123456{last}").number == "A1234563"
    else:
        with pytest.raises(IdentityError):
            normalise("person", "A", "HK", f"A123456{last}")


def test_same_code_means_another_document_for_an_organisation() -> None:
    person = normalise("person", "2", "CN", "E12345678").canonical_bytes()
    assert person == framed("tallystick-identity-v1", b"person", b"2", b"CN", b"E12345678")
    with pytest.raises(IdentityError):
        normalise("organisation", "10", "CN", "11010519491231002X")
    with pytest.raises(IdentityError):
        normalise("person", "20", "CN", "91110000600037341L1234")


def test_numbers_are_not_shown() -> None:
    identity = normalise("person", "10", "CN", "11010519491231002X")
    assert "1949" not in repr(identity)
    assert "1949" not in f"{identity}"


@pytest.mark.parametrize(
    ("kind", "type_", "country", "number", "known"),
    [
        ("person", "10", "CN", "11010519491231002X", True),
        ("person", "10", "CN", "810000199408230021", True),
        ("person", "10", "CN", "990000199001010017", False),
        ("person", "1", "CN", "990000199001010017", False),
        ("person", "8", "CN", "911124198108030024", True),
        ("person", "8", "CN", "CAN110076022301", True),
        ("person", "2", "CN", "990000199001010", True),
        ("organisation", "30", "CN", "600037341", True),
    ],
)
def test_region_is_advice(kind: str, type_: str, country: str, number: str, known: bool) -> None:
    assert region_is_known(normalise(kind, type_, country, number)) is known


def test_permanent_residence_permit_of_an_unknown_province() -> None:
    first17 = "90012419810803002"
    identity = normalise("person", "8", "CN", first17 + resident_id_check_digit(first17))
    assert not region_is_known(identity)


@pytest.mark.parametrize("first17", ["", "1101051949123100", "110105194912310021", "1101051949123100X", "１" * 17])
def test_check_digit_needs_17_digits(first17: str) -> None:
    with pytest.raises(IdentityError):
        resident_id_check_digit(first17)


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(number: str) -> None:
    try:
        once = normalise("person", "X", "FR", number)
    except IdentityError:
        return
    assert normalise("person", "X", "FR", once.number) == once
    assert isinstance(once, Identity)


def test_the_result_does_not_depend_on_the_unicode_of_the_interpreter() -> None:
    # U+1F130 (squared A) decomposes since Unicode 5.2, U+1CCD6 (outlined A) since 16; U+2E3A is a dash since 6.1.
    for character in "\U0001f130\U0001ccd6\u2e3a\u0378":
        with pytest.raises(IdentityError) as caught:
            normalise("person", "2", "CN", f"E1234{character}5678")
        assert (caught.value.field, caught.value.reason) == ("number", "FIELD_MALFORMED")
        with pytest.raises(IdentityError):
            account_reference(bytes(32), f"6222{character}")


def test_spaces_and_dashes_are_dropped_whatever_their_kind() -> None:
    given = "E\u00a01\u16802\u20093\u30004-5\u05be6\u20117\u20148\ufe639"
    assert normalise("person", "2", "CN", given).number == "E123456789"
