"""Exchange and AsyncExchange against a in-memory exchange: every operation, in order, in bounded batches."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tallystick.client import (
    EntryFilter,
    Identity,
    IdentityInvalid,
    InputInvalid,
    Inquiry,
    NotAllowed,
    NotFound,
    Options,
    Purpose,
    Report,
    ReportOutcome,
    Section,
    WithdrawalReason,
)
from tallystick.credit.enums import AccountType, Disposition, HistoryOutcome, SubjectKind
from tallystick.credit.history import Account, AccountMonth
from tallystick.crypto import resident_id_check_digit

CONSENT = "consent-1"


def resident(serial: int) -> Identity:
    first17 = f"110101199003{serial // 1000 % 28 + 1:02d}{serial % 1000:03d}"
    return Identity.resident_id(first17 + resident_id_check_digit(first17))


def account(currency: str = "CNY", months: int = 2) -> Account:
    return Account(
        as_of=dt.datetime(2025, 9, 30, tzinfo=dt.UTC),
        account_type=AccountType.R2,
        status=1,
        currency=currency,
        opened_date=dt.date(2020, 1, 1),
        subject_kind=SubjectKind.PERSON,
        balance=12_345,
        months=tuple(AccountMonth(month=dt.date(2025, 9 - n, 1), disposition=Disposition.PAID_AS_AGREED) for n in range(months)),
    )


def test_a_reported_account_is_told_to_who_queries(system: Any) -> None:
    with system.open() as exchange:
        reported = exchange.report(Report(resident(1), "4000-1", account()))
        assert reported.outcome is ReportOutcome.ACCEPTED
        assert reported.accepted
        result = exchange.query(resident(1), Purpose.LOAN_APPROVAL, CONSENT)
        assert result.history.outcome is HistoryOutcome.FOUND
        assert result.history.accounts[0].account == account()
        assert result.receipt.index == 1
        assert exchange.query(resident(2), Purpose.LOAN_APPROVAL, CONSENT).history.accounts == ()
    assert system.exchange.closed
    sent = b"".join(message for _, message, _ in system.exchange.calls + system.authority.calls)
    assert b"4000-1" not in sent
    assert resident(1).number.encode() not in sent


def test_an_identity_that_does_not_hold_is_an_error_before_anything_is_sent(system: Any) -> None:
    wrong = Identity.resident_id("110101199003010011")
    with system.open() as exchange, pytest.raises(IdentityInvalid) as caught:
        exchange.query(wrong, Purpose.LOAN_APPROVAL, CONSENT)
    assert caught.value.field == "number"
    assert wrong.number not in str(caught.value)
    assert wrong.number not in repr(wrong)
    assert system.exchange.calls == system.authority.calls == []


def test_tokens_are_asked_for_once_also_by_a_later_run(system: Any) -> None:
    inquiries = [Inquiry(resident(n), Purpose.LOAN_APPROVAL, CONSENT) for n in range(20)]
    with system.open() as exchange:
        assert all(outcome.result for outcome in exchange.query_many(inquiries))
    with system.open() as exchange:
        assert all(outcome.result for outcome in exchange.query_many(inquiries))
    requests = [message for name, message, _ in system.authority.calls if name == "EvaluateTokens"]
    assert len(requests) == 1
    assert len(system.authority.log.entries) == 1


@pytest.mark.parametrize(
    "given", [(Section.RATING,), [Section.RATING], {Section.RATING}, frozenset({Section.RATING}), iter([Section.RATING])]
)
def test_sections_are_given_in_whatever_holds_them(system: Any, given: Any) -> None:
    """Such as a policy's own: a frozenset."""
    inquiry = Inquiry(resident(1), Purpose.LOAN_APPROVAL, CONSENT, sections=given)
    assert (inquiry.sections, hash(inquiry)) == ((Section.RATING,), hash(replace(inquiry)))
    with system.open() as exchange:
        (outcome,) = exchange.query_many([inquiry])
        assert outcome.unwrap().history.rating is not None
        again = exchange.query(resident(1), Purpose.LOAN_APPROVAL, CONSENT, sections=inquiry.sections)
        assert again.history.rating is not None


@pytest.mark.parametrize("given", [Section.RATING, None, "rating", [None], {"rating", 1}, 1.5, [99]])
def test_what_are_no_sections_is_refused_before_it_is_sent(system: Any, given: Any) -> None:
    with system.open() as exchange:
        with pytest.raises(InputInvalid, match="sections"):
            exchange.query(resident(1), Purpose.LOAN_APPROVAL, CONSENT, sections=given)
        (outcome,) = exchange.query_many([Inquiry(resident(1), Purpose.LOAN_APPROVAL, CONSENT, sections=given)])
        assert isinstance(outcome.error, InputInvalid)


def test_many_queries_keep_their_order_and_take_their_input_as_needed(system: Any) -> None:
    taken = []

    def inquiries() -> Iterator[Inquiry]:
        for n in range(1500):
            taken.append(n)
            yield Inquiry(resident(n % 300), Purpose.LOAN_APPROVAL, CONSENT, applicant_id=str(n))

    with system.open(Options(in_flight=2)) as exchange:
        exchange.report(Report(resident(7), "a", account()))
        outcomes = exchange.query_many(inquiries())
        first = next(outcomes)
        assert len(taken) <= 600
        rest = [first, *outcomes]
    assert [outcome.inquiry.applicant_id for outcome in rest] == [str(n) for n in range(1500)]
    found = {n for n, outcome in enumerate(rest) if outcome.unwrap().history.accounts}
    assert found == {n for n in range(1500) if n % 300 == 7}


def test_one_faulty_inquiry_stops_no_other(system: Any) -> None:
    inquiries = [Inquiry(resident(n), Purpose.LOAN_APPROVAL, CONSENT) for n in range(6)]
    inquiries[1] = Inquiry(Identity.resident_id("123"), Purpose.LOAN_APPROVAL, CONSENT)
    inquiries[3] = Inquiry(resident(3), Purpose.JUDICIAL_INVESTIGATION, CONSENT)
    inquiries[4] = Inquiry(resident(4), Purpose.JUDICIAL_INVESTIGATION, CONSENT)
    with system.open() as exchange:
        outcomes = list(exchange.query_many(inquiries))
    assert [outcome.result is not None for outcome in outcomes] == [True, False, True, False, False, True]
    assert isinstance(outcomes[1].error, IdentityInvalid)
    refused = outcomes[3].error
    assert isinstance(refused, NotAllowed)
    assert [violation.field for violation in refused.violations] == ["inquiry.purpose"]
    with pytest.raises(NotAllowed):
        outcomes[4].unwrap()
    assert system.methods() == ["BatchQueryCreditHistories"] * 2
    request_ids = {bytes(message[:18]) for _, message, _ in system.exchange.calls}
    assert len(request_ids) == 2, "other content needs another request_id"


def test_two_applications_of_one_person_are_both_answered(system: Any) -> None:
    persons = [1, 2, 1, 3, 1, 2]
    inquiries = [Inquiry(resident(n), Purpose.LOAN_APPROVAL, f"c-{place}") for place, n in enumerate(persons)]
    inquiries[0] = Inquiry(resident(1), Purpose.JUDICIAL_INVESTIGATION, "c-0")
    with system.open() as exchange:
        outcomes = list(exchange.query_many(inquiries))
    assert [outcome.inquiry.consent_reference for outcome in outcomes] == [f"c-{place}" for place in range(6)]
    assert [outcome.error is None for outcome in outcomes] == [False, True, True, True, True, True]
    assert sorted(each.consent_reference for each in system.memory.inquiries(resident(1))) == ["c-0", "c-2", "c-4"]


NO_PURPOSE = [(99**9, "c"), (-1, "c"), (0, "c"), (7, "c"), ("02", "c")]
NO_CONSENT = [(2, ""), (2, "a b"), (2, "a\n"), (2, "x" * 65), (2, "同意"), (2, "\ud800"), (2, 7)]


@pytest.mark.parametrize(("purpose", "consent"), [*NO_PURPOSE, *NO_CONSENT])
def test_what_nobody_may_send_concerns_its_own_item_alone(system: Any, purpose: Any, consent: Any) -> None:
    good = Inquiry(resident(1), Purpose.LOAN_APPROVAL, CONSENT)
    with system.open() as exchange:
        bad, after = exchange.query_many([Inquiry(resident(2), purpose, consent), good])
        assert isinstance(bad.error, InputInvalid)
        assert after.result is not None
        with pytest.raises(InputInvalid):
            exchange.query(resident(2), purpose, consent)
    assert len(system.exchange.calls) == 1


def test_an_instant_needs_a_time_zone(system: Any) -> None:
    naive = dt.datetime(2025, 9, 30)
    with system.open() as exchange:
        with pytest.raises(InputInvalid, match="time zone"):
            exchange.withdraw(resident(1), "1", WithdrawalReason.FRAUD, naive)
        with pytest.raises(InputInvalid, match="start"):
            next(exchange.audit_list(EntryFilter(start=naive)))
        unsent = Report(resident(1), "1", replace(account(), as_of=naive))
        assert exchange.report(unsent).violations[0].field == "account"
    assert system.exchange.calls == []


def test_an_answer_that_is_too_large_is_asked_for_in_halves(system: Any) -> None:
    refusal = system.refusal

    def refuse(method: str, request: Any) -> None:
        if method == "BatchQueryCreditHistories" and len(request.inquiries) > 2:
            raise refusal("RESOURCE_EXHAUSTED", "ANSWER_TOO_LARGE")

    system.exchange.refuse = refuse
    with system.open() as exchange:
        outcomes = list(exchange.query_many(Inquiry(resident(n), Purpose.LOAN_APPROVAL, CONSENT) for n in range(7)))
    assert all(outcome.result for outcome in outcomes)
    assert [outcome.inquiry.identity for outcome in outcomes] == [resident(n) for n in range(7)]


def test_many_reports_get_a_verdict_each_in_order(system: Any) -> None:
    reports = [Report(resident(n % 50), f"account-{n}", account("CNY" if n % 10 else "XXX")) for n in range(2300)]
    reports[5] = Report(Identity.resident_id("x"), "account-5", account())
    reports[6] = Report(resident(6), "", account())
    with system.open() as exchange:
        results = list(exchange.report_many(iter(reports)))
    assert [result.report for result in results] == reports
    assert [n for n, result in enumerate(results) if not result.accepted] == [0, 5, 6, *range(10, 2300, 10)]
    assert results[0].violations[0].field == "account.currency"
    assert results[1500].violations[0].field == "account.currency"
    assert results[5].violations[0].field == "identity.number"
    assert results[6].violations[0].field == "account_number"
    assert results[5].receipt is None
    assert results[7].receipt is not None
    assert system.methods() == ["SubmitReports"] * 3


def test_batches_stay_below_the_size_limit(system: Any) -> None:
    months = [dt.date(2025 - n // 12, 12 - n % 12, 1) for n in range(3, 63)]
    paid = Disposition.PAID_AS_AGREED
    large = replace(account(), months=tuple(AccountMonth(month=month, disposition=paid, days_past_due=0) for month in months))
    with system.open() as exchange:
        results = list(exchange.report_many(Report(resident(n), str(n), large) for n in range(1000)))
    assert all(result.accepted for result in results)
    assert len(system.exchange.calls) >= 2
    assert max(len(message) for _, message, _ in system.exchange.calls) < 3_700_000


def test_withdrawals_and_submissions(system: Any) -> None:
    with system.open() as exchange:
        results = [exchange.report(Report(resident(n), str(n), account("CNY" if n else "XXX"))) for n in range(5)]
        listed = list(exchange.list_submissions())
        assert [each.request_id for each in listed] == [each.request_id for each in reversed(results)]
        assert results[0].request_id is not None
        details = exchange.get_submission(results[0].request_id)
        assert details.submission.rejected_count == 1
        assert details.verdicts[0].violations[0].reason == "CODE_UNKNOWN"
        with pytest.raises(NotFound) as caught:
            exchange.get_submission(uuid.uuid4())
        assert caught.value.receipt is not None
        reason = WithdrawalReason.REPORTED_IN_ERROR
        assert exchange.withdraw(resident(3), "3", reason).withdrawn
        assert not exchange.withdraw(resident(3), "3", reason).withdrawn
        assert exchange.query(resident(3), Purpose.LOAN_APPROVAL, CONSENT).history.outcome is HistoryOutcome.NO_RECORD


async def test_the_asynchronous_exchange_says_the_same(system: Any) -> None:
    async with system.open_async(Options(in_flight=3)) as exchange:
        reports = [Report(resident(n), str(n), account()) for n in range(30)]
        assert all([result.accepted async for result in exchange.report_many(reports)])
        result = await exchange.query(resident(3), Purpose.LOAN_APPROVAL, CONSENT)
        assert result.history.accounts[0].account == account()
        inquiries = [Inquiry(resident(n), Purpose.LOAN_APPROVAL, CONSENT) for n in range(700)]
        outcomes = [outcome async for outcome in exchange.query_many(inquiries)]
        assert [outcome.inquiry for outcome in outcomes] == inquiries
        assert sum(bool(outcome.unwrap().history.accounts) for outcome in outcomes) == 30
        submissions = [each async for each in exchange.list_submissions()]
        assert [each.accepted_count for each in submissions] == [30]
        entries = [entry async for entry in exchange.audit_list(EntryFilter(identity=resident(3)))]
        assert {entry.consent_reference for entry in entries} == {CONSENT, ""}
        report = await exchange.audit_verify([result.receipt])
        assert report.verified
        assert report.receipts_included == 1
        opened = await exchange.audit_show(result.receipt.index)
        assert opened.subjects[0].purpose is Purpose.LOAN_APPROVAL
        assert (await exchange.check_token_key()).sequence == 1


async def test_leaving_an_asynchronous_query_early_leaves_nothing_running(system: Any) -> None:
    async with system.open_async(Options(in_flight=2)) as exchange:
        outcomes = exchange.query_many(Inquiry(resident(n % 300), Purpose.LOAN_APPROVAL, CONSENT) for n in range(2000))
        async for _ in outcomes:
            break
        await outcomes.aclose()
        count = len(system.exchange.calls)
    assert len(system.exchange.calls) == count < 8
