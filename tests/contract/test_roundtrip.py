"""The SDK against real servers, from a bank's first report to the auditor who finds one changed byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.contract.requests import resident_number
from tests.contract.system import System

from tallystick.client import (
    AsyncExchange,
    DifferenceKind,
    EntryFilter,
    Exchange,
    Identity,
    Inquiry,
    NotAllowed,
    NotFound,
    Options,
    Purpose,
    Report,
    ReportOutcome,
    Server,
    WithdrawalReason,
)
from tallystick.credit.enums import AccountType, Disposition, HistoryOutcome, SubjectKind
from tallystick.credit.history import Account, AccountMonth
from tallystick.crypto import leaf_hash
from tallystick.v1 import log_pb2

NOW = datetime.now(UTC).replace(microsecond=0)
_serials: Iterator[int] = iter(range(100_000, 200_000))


def somebody() -> Identity:
    """A person of whom nothing is known yet."""
    return Identity.resident_id(resident_number(next(_serials)))


def account(balance: int = 0, *, as_of: datetime = NOW, overdue: bool = False, status: int = 1) -> Account:
    last = date(2025, 9, 1)
    months = [AccountMonth(month=date(2025, month, 1), disposition=Disposition.PAID_AS_AGREED) for month in (8, 7)]
    if overdue:
        worst = AccountMonth(month=last, disposition=Disposition.OVERDUE_2, days_past_due=45, overdue_amount=9_900)
        months = [worst, *months]
    return Account(
        as_of=as_of,
        account_type=AccountType.R2,
        status=status,
        currency="CNY",
        balance=balance,
        opened_date=date(2020, 5, 17),
        subject_kind=SubjectKind.PERSON,
        months=tuple(months),
    )


# --- Reporting and asking -------------------------------------------------------------------------------------------------------


def test_what_is_reported_is_what_others_are_told(system: System, sdk: Callable[[str], Exchange]) -> None:
    person, a, b = somebody(), sdk("bank-a"), sdk("bank-b")
    assert b.query(person, Purpose.LOAN_APPROVAL, "c-1").history.outcome is HistoryOutcome.NO_RECORD

    reported = account(1_234_500, overdue=True)
    result = a.report(Report(person, "6222-1", reported))
    assert result.outcome is ReportOutcome.ACCEPTED
    assert result.receipt is not None

    answer = b.query(person, Purpose.CREDIT_CARD_APPROVAL, "c-2")
    (told,) = answer.history.accounts
    assert (told.institution, told.own, told.account) == (1, False, reported)
    assert answer.history.overdue.worst_disposition is Disposition.OVERDUE_2
    assert answer.history.overdue.worst_month == date(2025, 9, 1)
    seen = a.query(person, Purpose.POST_LOAN_MANAGEMENT, "c-3").history
    assert seen.accounts[0].own
    assert {each.purpose for each in seen.inquiries.inquiries} == {Purpose.LOAN_APPROVAL, Purpose.CREDIT_CARD_APPROVAL}
    assert seen.inquiries.institutions_6_months == 1


def test_many_come_back_in_their_order(system: System, sdk: Callable[[str], Exchange]) -> None:
    people = [somebody() for _ in range(450)]
    reports = [Report(person, f"n-{i}", account(i, status=1 if i != 7 else 77)) for i, person in enumerate(people) if i % 3]
    results = list(sdk("bank-a").report_many(reports))
    assert [result.report for result in results] == reports
    (rejected,) = [result for result in results if not result.accepted]
    assert rejected.report.account_number == "n-7"
    assert [(each.field, each.reason) for each in rejected.violations] == [("account.status", "FIELDS_INCONSISTENT")]

    inquiries = [Inquiry(person, Purpose.LOAN_APPROVAL, f"c-{i}") for i, person in enumerate(people)]
    outcomes = list(sdk("bank-b").query_many(inquiries))
    assert [outcome.inquiry for outcome in outcomes] == inquiries
    told = [[each.account.balance for each in outcome.unwrap().history.accounts] for outcome in outcomes]
    assert told == [[i] if i % 3 and i != 7 else [] for i in range(450)]


def test_one_faulty_inquiry_of_many_stops_no_other(sdk: Callable[[str], Exchange]) -> None:
    denied = Purpose.JUDICIAL_INVESTIGATION
    inquiries = [Inquiry(somebody(), denied if i in (2, 5) else Purpose.LOAN_APPROVAL, f"c-{i}") for i in range(9)]
    outcomes = list(sdk("bank-b").query_many(inquiries))
    assert [i for i, outcome in enumerate(outcomes) if outcome.error] == [2, 5]
    for i in (2, 5):
        error = outcomes[i].error
        assert isinstance(error, NotAllowed)
        assert [each.field for each in error.violations] == ["inquiry.purpose"]
        assert error.receipt is not None


def test_withdrawn_account_is_gone(sdk: Callable[[str], Exchange]) -> None:
    person, a, b = somebody(), sdk("bank-a"), sdk("bank-b")
    a.report(Report(person, "6222-2", account(5, as_of=NOW - timedelta(hours=1))))
    assert a.withdraw(person, "6222-2", WithdrawalReason.REPORTED_IN_ERROR).withdrawn
    assert not a.withdraw(person, "6222-2", WithdrawalReason.REPORTED_IN_ERROR).withdrawn
    assert b.query(person, Purpose.LOAN_APPROVAL, "c-1").history.outcome is HistoryOutcome.NO_RECORD
    again = a.report(Report(person, "6222-2", account(5, as_of=NOW - timedelta(hours=1))))
    assert again.outcome is ReportOutcome.SUPERSEDED


def test_submissions_can_be_looked_up(sdk: Callable[[str], Exchange]) -> None:
    a, b = sdk("bank-a"), sdk("bank-b")
    results = list(a.report_many([Report(somebody(), "s-1", account()), Report(somebody(), "s-2", account(status=77))]))
    request_id = results[0].request_id
    assert request_id is not None
    latest = next(iter(a.list_submissions()))
    assert (latest.request_id, latest.accepted_count, latest.rejected_count) == (request_id, 1, 1)
    details = a.get_submission(request_id)
    assert [each.outcome for each in details.verdicts] == [ReportOutcome.ACCEPTED, ReportOutcome.REJECTED]
    with pytest.raises(NotFound):
        b.get_submission(request_id)


async def test_the_same_asynchronously(system: System, sdk: Callable[[str], Exchange]) -> None:
    people = [somebody() for _ in range(300)]
    without_state = Options(keep_state=False)
    async with (
        AsyncExchange.from_profile(system["bank-a"].folder, without_state) as a,
        AsyncExchange.from_profile(system["bank-b"].folder, without_state) as b,
        AsyncExchange.from_profile(system["auditor"].folder, without_state) as auditor,
    ):
        results = [each async for each in a.report_many(Report(person, f"a-{i}", account(i)) for i, person in enumerate(people))]
        assert all(result.outcome is ReportOutcome.ACCEPTED for result in results)
        inquiries = [Inquiry(person, Purpose.LOAN_APPROVAL, f"c-{i}") for i, person in enumerate(people)]
        outcomes = [each async for each in b.query_many(inquiries)]
        assert [each.unwrap().history.accounts[0].account.balance for each in outcomes] == list(range(300))
        single = await b.query(people[7], Purpose.LOAN_APPROVAL, "c-again")
        assert single.history.accounts[0].account == account(7)
        assert (await a.withdraw(people[7], "a-7", WithdrawalReason.FRAUD)).withdrawn
        submissions = [each.request_id async for each in a.list_submissions()]
        assert submissions[0] == results[0].request_id
        listed = [each async for each in auditor.audit_list(EntryFilter(identity=people[7]))]
        assert [each.consent_reference for each in listed] == ["", "c-again", "c-7", ""]
        opened = await auditor.audit_show(single.receipt.index)
        assert opened.subjects[0].consent_reference == "c-again"
        report = await auditor.audit_verify([single.receipt, *(each.unwrap().receipt for each in outcomes)])
        assert report.verified
        assert report.receipts_included > 1
        with pytest.raises(NotAllowed):
            await b.audit_verify()


# --- Auditing -------------------------------------------------------------------------------------------------------------------


def test_an_auditor_sees_who_asked_why_and_with_whose_consent(system: System, sdk: Callable[[str], Exchange]) -> None:
    person = somebody()
    sdk("bank-a").report(Report(person, "6222-3", account()))
    sdk("bank-b").query(person, Purpose.LOAN_APPROVAL, "consent-b")
    asked = sdk("lender-c").query(person, Purpose.LOAN_APPROVAL, "consent-c")
    auditor = sdk("auditor")

    listed = list(auditor.audit_list(EntryFilter(identity=person)))
    methods = [entry.method.rpartition("/")[2] for entry in listed]
    assert methods == ["QueryCreditHistory", "QueryCreditHistory", "SubmitReports"]
    assert [entry.member_id for entry in listed] == ["lender-c", "bank-b", "bank-a"]
    assert [entry.consent_reference for entry in listed] == ["consent-c", "consent-b", ""]
    assert [entry.purpose for entry in listed] == [Purpose.LOAN_APPROVAL, Purpose.LOAN_APPROVAL, Purpose.UNSPECIFIED]

    opened = auditor.audit_show(listed[0].index)
    (subject,) = opened.subjects
    assert (subject.purpose, subject.consent_reference) == (Purpose.LOAN_APPROVAL, "consent-c")
    assert subject.element in opened.request
    receipt = log_pb2.Receipt.FromString(asked.receipt.message)
    envelope = log_pb2.Envelope.FromString(receipt.envelope)
    assert (opened.signature, opened.answer_digest) == (envelope.signature, envelope.answer_digest)


def test_a_member_sees_its_own_entries_and_those_about_membership(system: System, sdk: Callable[[str], Exchange]) -> None:
    receipt = sdk("bank-b").query(somebody(), Purpose.LOAN_APPROVAL, "c-1").receipt
    own = sdk("lender-c").query(somebody(), Purpose.LOAN_APPROVAL, "c-2").receipt
    listed = list(sdk("lender-c").audit_list())
    about_membership = [entry for entry in listed if entry.method.startswith("/tallystick.v1.MembershipService/")]
    assert about_membership
    assert own.index in {entry.index for entry in listed}
    assert {entry.member_id for entry in listed if entry not in about_membership} == {"lender-c"}
    with pytest.raises(NotFound):
        sdk("lender-c").audit_show(receipt.index)
    assert sdk("bank-b").audit_show(receipt.index).subjects[0].consent_reference == "c-1"


@pytest.mark.parametrize("server", Server)
def test_the_log_verifies(system: System, sdk: Callable[[str], Exchange], server: Server) -> None:
    auditor = sdk("auditor")
    receipts = [sdk("bank-b").query(somebody(), Purpose.LOAN_APPROVAL, "c-1").receipt for _ in range(3)]
    report = auditor.audit_verify(receipts if server is Server.EXCHANGE else (), server=server)
    assert report.verified, report.differences
    assert report.entries_read == report.checkpoint.size
    assert report.recomputed_root == report.checkpoint.root
    again = auditor.audit_verify(server=server)
    assert again.previous == report.checkpoint


def _flip_a_bit(leaf: bytes) -> bytes:
    return leaf[:20] + bytes([leaf[20] ^ 1]) + leaf[21:]


def _blame_another(leaf: bytes) -> bytes:
    entry = log_pb2.AuditEntry.FromString(leaf)
    entry.member_id = "bank-a"
    return entry.SerializeToString()


def _whitewash(leaf: bytes) -> bytes:
    entry = log_pb2.AuditEntry.FromString(leaf)
    entry.outcome, entry.details_commitment = log_pb2.ENTRY_OUTCOME_REFUSED, bytes(32)
    return entry.SerializeToString()


@pytest.fixture
def tamper(system: System) -> Iterator[Callable[..., None]]:
    """Changes an entry in the database behind the exchange's back, and puts it right again."""
    stored = system.exchange.database_view
    kept: list[tuple[Any, ...]] = []

    def change(index: int, leaf: bytes, hashed: bytes | None = None) -> None:
        kept.extend(stored.rows("SELECT leaf, leaf_hash, index FROM audit_entry WHERE index = %s", (index,)))
        stored.rows("UPDATE audit_entry SET leaf = %s WHERE index = %s", (leaf, index))
        if hashed is not None:
            stored.rows("UPDATE audit_entry SET leaf_hash = %s WHERE index = %s", (hashed, index))

    yield change
    for row in kept:
        stored.rows("UPDATE audit_entry SET leaf = %s, leaf_hash = %s WHERE index = %s", row)
    stored.check_log()


@pytest.mark.parametrize("forge", [_flip_a_bit, _blame_another, _whitewash])
@pytest.mark.parametrize("with_its_hash", [False, True], ids=["leaf", "leaf and hash"])
def test_a_changed_entry_is_named(
    system: System,
    sdk: Callable[[str], Exchange],
    tamper: Callable[..., None],
    forge: Callable[[bytes], bytes],
    with_its_hash: bool,
) -> None:
    receipts = [sdk("bank-b").query(somebody(), Purpose.LOAN_APPROVAL, "c-1").receipt for _ in range(5)]
    auditor, index = sdk("auditor"), receipts[2].index
    assert auditor.audit_verify(receipts).verified
    forged = forge(system.exchange.database_view.entry(index).SerializeToString())
    tamper(index, forged, leaf_hash(forged) if with_its_hash else None)

    report = auditor.audit_verify(receipts)
    assert not report.verified
    named = [each for each in report.differences if each.begin <= index < each.end]
    assert named
    if not with_its_hash:
        # Its hash still proves what the entry was: this entry and no other is named.
        assert [(each.kind, each.begin, each.end) for each in report.differences] == [(DifferenceKind.CHANGED, index, index + 1)]
