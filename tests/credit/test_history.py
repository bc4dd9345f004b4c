"""The SDK's values and the messages say the same, and what cannot be read is an error and never left out."""

import dataclasses
import datetime as dt
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tallystick.credit import history as values
from tallystick.credit.enums import AccountType, AnnotationType, Disposition, HistoryOutcome, ObligorRole, Purpose, SubjectKind
from tallystick.credit.validation import validate_account
from tallystick.v1 import account_pb2, codes_pb2, inquiry_service_pb2


def test_an_account_comes_back_from_its_message_as_it_was(account: account_pb2.Account, now: dt.datetime) -> None:
    read = values.Account.from_message(account)
    assert read.to_message() == account
    assert values.Account.from_message(read.to_message()) == read
    assert validate_account(read.to_message(), now) == []


def test_what_is_not_known_stays_unknown() -> None:
    account = values.Account(
        as_of=dt.datetime(2025, 9, 1, tzinfo=dt.UTC),
        account_type=AccountType.D1,
        status=1,
        currency="CNY",
        opened_date=dt.date(2020, 1, 1),
        subject_kind=SubjectKind.PERSON,
        months=(
            values.AccountMonth(month=dt.date(2025, 9, 1), disposition=Disposition.OVERDUE_1),
            values.AccountMonth(month=dt.date(2025, 8, 1), disposition=Disposition.OVERDUE_1, days_past_due=0, overdue_amount=0),
        ),
    )
    message = account.to_message()
    assert not message.HasField("balance")
    assert not message.HasField("running_overdue")
    assert [month.HasField("days_past_due") for month in message.months] == [False, True]
    assert ObligorRole(message.role) is ObligorRole.BORROWER
    assert account.is_open
    assert values.Account.from_message(message) == account


def test_an_instant_of_another_zone_is_sent_in_utc(account: account_pb2.Account) -> None:
    beijing = dt.timezone(dt.timedelta(hours=8))
    as_of = dt.datetime(2025, 9, 20, 8, tzinfo=beijing)
    sent = dataclasses.replace(values.Account.from_message(account), as_of=as_of).to_message()
    assert sent.as_of.seconds == int(as_of.timestamp())


def test_an_instant_without_a_zone_is_refused(account: account_pb2.Account) -> None:
    naive = dataclasses.replace(values.Account.from_message(account), as_of=dt.datetime(2025, 9, 1))
    with pytest.raises(ValueError, match="time zone"):
        naive.to_message()


def test_values_cannot_be_changed(account: account_pb2.Account) -> None:
    read = values.Account.from_message(account)
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.balance = 0  # type: ignore[misc]  # the very thing that must not work


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("account_type", 99, "account_type"),
        ("asset_quality", 7, "asset_quality"),
        ("opened_date", 20250231, "opened_date"),
        ("closed_date", 1, "closed_date"),
        ("months.disposition", 8, "disposition"),
        ("months.month", 0, "month"),
        ("running_overdue.since_date", 99999999, "since_date"),
        ("running_overdue.collection_stage", 40, "collection_stage"),
        ("special_transactions.type", 10, "type"),
        ("related_obligors.kind", 3, "kind"),
        ("as_of.seconds", 2**61, "as_of"),
        ("as_of.seconds", -60_000_000_000, "as_of"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_field(
    account: account_pb2.Account, path: str, value: int, field: str
) -> None:
    *parents, last = path.split(".")
    target: Any = account
    for parent in parents:
        target = getattr(target, parent)
        target = target if hasattr(target, "DESCRIPTOR") else target[0]
    setattr(target, last, value)
    with pytest.raises(values.HistoryError) as caught:
        values.Account.from_message(account)
    assert caught.value.field == field


def _whole_history(account: account_pb2.Account) -> inquiry_service_pb2.CreditHistory:
    """A history of which every field is set."""
    return inquiry_service_pb2.CreditHistory(
        outcome=inquiry_service_pb2.HISTORY_OUTCOME_FOUND,
        as_of=Timestamp(seconds=1_758_369_600, nanos=250_000_000),
        accounts=[inquiry_service_pb2.ReportedAccount(institution=2, own=True, account=account)],
        overdue_summary=inquiry_service_pb2.OverdueSummary(
            accounts_overdue_now=1,
            max_days_past_due_now=45,
            overdue_amounts_now=[inquiry_service_pb2.CurrencyAmount(currency="CNY", amount=5)],
            windows=[
                inquiry_service_pb2.OverdueWindow(
                    months=3,
                    overdue_months=2,
                    overdue_accounts=1,
                    worst_disposition=codes_pb2.DISPOSITION_OVERDUE_2,
                    max_days_past_due=45,
                    max_overdue_amounts=[inquiry_service_pb2.CurrencyAmount(currency="CNY", amount=7)],
                ),
                inquiry_service_pb2.OverdueWindow(months=6),
            ],
            worst_disposition=codes_pb2.DISPOSITION_OVERDUE_2,
            worst_month=20250901,
        ),
        inquiry_summary=inquiry_service_pb2.InquirySummary(
            inquiries=[inquiry_service_pb2.PastInquiry(date=20250919, purpose=codes_pb2.PURPOSE_LOAN_APPROVAL)],
            count_1_month=1,
            count_6_months=2,
            institutions_6_months=3,
        ),
    )


def test_a_history_is_read_whole(account: account_pb2.Account) -> None:
    message = _whole_history(account)
    assert values.credit_history_from_message(message) == values.CreditHistory(
        outcome=HistoryOutcome.FOUND,
        as_of=dt.datetime(2025, 9, 20, 12, 0, 0, 250_000, tzinfo=dt.UTC),
        accounts=(values.ReportedAccount(institution=2, own=True, account=values.Account.from_message(account)),),
        overdue=values.OverdueSummary(
            accounts_overdue_now=1,
            max_days_past_due_now=45,
            overdue_amounts_now=(values.CurrencyAmount("CNY", 5),),
            windows=(
                values.OverdueWindow(
                    months=3,
                    overdue_months=2,
                    overdue_accounts=1,
                    worst_disposition=Disposition.OVERDUE_2,
                    max_days_past_due=45,
                    max_overdue_amounts=(values.CurrencyAmount("CNY", 7),),
                ),
                values.OverdueWindow(months=6),
            ),
            worst_disposition=Disposition.OVERDUE_2,
            worst_month=dt.date(2025, 9, 1),
        ),
        inquiries=values.InquirySummary(
            inquiries=(values.PastInquiry(date=dt.date(2025, 9, 19), purpose=Purpose.LOAN_APPROVAL),),
            count_1_month=1,
            count_6_months=2,
            institutions_6_months=3,
        ),
    )


def test_no_record_is_a_history_without_accounts() -> None:
    message = inquiry_service_pb2.CreditHistory(outcome=inquiry_service_pb2.HISTORY_OUTCOME_NO_RECORD, as_of=Timestamp(seconds=0))
    history = values.credit_history_from_message(message)
    assert history.outcome is HistoryOutcome.NO_RECORD
    assert history.accounts == ()
    assert history.overdue.worst_month is None
    assert not history.overdue.worst_disposition


def test_an_unknown_outcome_or_purpose_is_an_error() -> None:
    message = inquiry_service_pb2.CreditHistory(as_of=Timestamp(seconds=0))
    message.inquiry_summary.inquiries.add(date=20250919).purpose = 77  # type: ignore[assignment]  # not on the list
    with pytest.raises(values.HistoryError, match="77"):
        values.credit_history_from_message(message)


def test_annotations_are_read_by_name(account: account_pb2.Account) -> None:
    assert values.Account.from_message(account).annotations == (AnnotationType.SUBJECT_STATEMENT,)
