"""Account numbers: one account however it is spelled, and nothing that nobody sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import IdentityError, account_reference, normalise_account_number

SECRET = bytes(range(32))


@pytest.mark.parametrize(
    "spelled",
    [
        "6222-0017a",
        "6222 - 0017A",
        "6222\u00a0-0017A",
        "６２２２－００１７Ａ",
        "6222\u20130017a",
        "6222\u22120017 a",
        " 6222-0017A ",
    ],
)
def test_spellings_of_one_account(spelled: str) -> None:
    assert normalise_account_number(spelled) == "6222-0017A"


def test_what_is_more_than_a_space_tells_accounts_apart() -> None:
    numbers = [
        "1",
        "01",
        "1_1",
        "1:1",
        "1#1",
        "账1",
        "Café1",
        "Cafe1",
        "1-11",
        "11-1",
        "111",
        "1/11",
        "11/1",
        "1.11",
        "11.1",
        "(1)11",
    ]
    assert len({account_reference(SECRET, normalise_account_number(number)) for number in numbers}) == len(numbers)


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad", "\x00", "\x1f", "\u2028", "\ud800", "\ue000", "\u202e", "\ufe0f"])
def test_what_nobody_sees_is_refused(unseen: str) -> None:
    with pytest.raises(IdentityError) as refused:
        normalise_account_number(f"6222{unseen}0017")
    assert (refused.value.field, refused.value.reason) == ("account_number", "FIELD_MALFORMED")


@pytest.mark.parametrize(
    ("number", "reason"), [("", "FIELD_REQUIRED"), (" \u00a0 ", "FIELD_REQUIRED"), ("1" * 257, "FIELD_MALFORMED")]
)
def test_what_is_no_number(number: str, reason: str) -> None:
    with pytest.raises(IdentityError) as refused:
        normalise_account_number(number)
    assert refused.value.reason == reason


@given(st.text(max_size=40))
def test_normal_is_normal_for_good(number: str) -> None:
    try:
        normal = normalise_account_number(number)
    except IdentityError:
        return
    assert normalise_account_number(normal) == normal
    account_reference(SECRET, normal)
