"""The trade's lists against the trade's own tables, and the names that people read."""

from itertools import pairwise

import pytest

from tallystick.credit import codes
from tallystick.credit.enums import AccountType, AssetQuality, Disposition, Purpose

STATUSES = {
    AccountType.D1: {1, 2, 3, 4, 5, 6, 7, 8},
    AccountType.R1: {1, 2, 3, 4, 5, 6, 8},
    AccountType.R2: {1, 2, 3, 31, 4, 5, 6, 8},
    AccountType.R3: {1, 2, 3, 31, 4, 5, 6, 8},
    AccountType.R4: {1, 2, 3, 4, 6, 8},
    AccountType.C1: {1, 2},
    AccountType.D2: {1, 2, 3, 4},
}
REPAYMENT_STATUS = "1234567N*MDZBCGA#/"


def test_each_account_type_has_its_statuses() -> None:
    assert {account_type: set(statuses) for account_type, statuses in codes.ACCOUNT_STATUSES.items()} == STATUSES


@pytest.mark.parametrize(
    ("account_type", "status", "name"),
    [(1, 1, "normal"), (6, 1, "in collection"), (1, 5, "transferred out"), (2, 5, "stopped by the bank"), (3, 5, "bad debt")],
)
def test_a_status_means_what_its_account_type_says(account_type: int, status: int, name: str) -> None:
    assert codes.describe_status(account_type, status) == name


def test_a_status_that_a_type_does_not_have_is_unknown() -> None:
    assert codes.describe_status(AccountType.C1, 5) == "unknown"


def test_bad_debt_is_4_for_a_loan_and_5_for_a_card() -> None:
    assert codes.BAD_DEBT_STATUSES[AccountType.D1] == {4}
    assert codes.BAD_DEBT_STATUSES[AccountType.R2] == {5}
    assert codes.BAD_DEBT_STATUSES[AccountType.C1] == frozenset()


def test_every_disposition_has_one_code_and_comes_back_from_it() -> None:
    stated = [disposition for disposition in Disposition if disposition]
    assert {codes.disposition_code(disposition) for disposition in stated} == set(REPAYMENT_STATUS)
    assert [codes.disposition_from_code(codes.disposition_code(disposition)) for disposition in stated] == stated
    assert codes.disposition_code(Disposition.UNSPECIFIED) == ""


@pytest.mark.parametrize("code", ["", "8", "0", "n", "NN", "不"])
def test_no_other_code_is_a_disposition(code: str) -> None:
    with pytest.raises(ValueError, match="the codes are"):
        codes.disposition_from_code(code)


def test_overdue_is_ranked_from_one_day_to_bad_debt() -> None:
    ranked = sorted(codes.OVERDUE_DISPOSITIONS, key=codes.OVERDUE_DISPOSITIONS.__getitem__)
    assert "".join(map(codes.disposition_code, ranked)) == "1234567DZB"


def test_the_ranges_of_days_past_due_meet_without_a_gap() -> None:
    ranges = [codes.DAYS_PAST_DUE_RANGES[Disposition(number)] for number in range(1, 8)]
    assert ranges[0][0] == 1
    assert all(after[0] == before[1] + 1 for before, after in pairwise(ranges))


@pytest.mark.parametrize("code", ["CNY", "USD", "EUR", "JPY", "TWD", "HKD"])
def test_currencies_in_use_are_known(code: str) -> None:
    assert codes.is_currency(code)


@pytest.mark.parametrize("code", ["", "cny", "RMB", "XXX", "XAU", "XTS", "CN", "CNYY", "None"])
def test_other_texts_are_no_currency(code: str) -> None:
    assert not codes.is_currency(code)
    with pytest.raises(ValueError, match="ISO 4217"):
        codes.minor_units(code)


@pytest.mark.parametrize(
    ("currency", "amount", "text"),
    [
        ("CNY", 123_450, "1,234.50 CNY"),
        ("CNY", -5, "-0.05 CNY"),
        ("JPY", 1_234, "1,234 JPY"),
        ("KWD", 1_001, "1.001 KWD"),
        ("XXX", -1_234, "-1,234 minor units of XXX"),
    ],
)
def test_amounts_are_written_in_major_units(currency: str, amount: int, text: str) -> None:
    assert codes.format_amount(currency, amount) == text


def test_people_read_names_and_not_numbers() -> None:
    assert codes.describe_disposition(Disposition.OVERDUE_3) == "61–90 days past due"
    assert codes.describe_disposition(Disposition.UNSPECIFIED) == "not stated"
    assert codes.describe_purpose(Purpose.LOAN_APPROVAL) == "02 loan approval"
    assert codes.describe_purpose(Purpose.OWN_QUERY) == "own query"
    assert codes.describe_account_type(AccountType.R2) == "R2 credit card"
    assert codes.describe_purpose(Purpose.UNSPECIFIED) == "not stated"
    assert codes.describe_account_type(0) == "not stated"
    assert codes.describe(AssetQuality.SPECIAL_MENTION) == "special mention"
    assert all(codes.describe_disposition(disposition) != "not stated" for disposition in Disposition if disposition)
    assert all(codes.describe_account_type(account_type) != "not stated" for account_type in AccountType if account_type)


def test_a_code_of_a_later_version_is_named_by_its_number() -> None:
    assert codes.describe_disposition(99) == codes.describe_purpose(99) == codes.describe_account_type(99) == "unknown code 99"
    assert codes.describe_status(99, 1) == "unknown"
    with pytest.raises(ValueError, match="99"):
        codes.disposition_code(99)
