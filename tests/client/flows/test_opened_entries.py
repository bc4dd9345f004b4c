"""An opened entry names the subjects of its own request; and one whose request was not kept says so."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import pytest

from tallystick.client import DetailsFalse, EntryFilter, Exchange, Identity, Inquiry, OpenedEntry, Purpose, Report, WithdrawalReason
from tallystick.client.cli.context import Tool
from tallystick.client.cli.program import run
from tallystick.credit.enums import AccountType, SubjectKind
from tallystick.credit.history import Account
from tallystick.crypto import details_commitment, leaf_hash, salted_leaf_hash, subject_leaf
from tallystick.v1 import audit_service_pb2, inquiry_service_pb2, log_pb2, reporting_service_pb2, subject_pb2

SUBJECT, OTHER = Identity.passport("DE", "C01X00T47"), Identity.passport("DE", "C01X00T48")
INQUIRIES = "/tallystick.v1.InquiryService/"
REPORTING = "/tallystick.v1.ReportingService/"
AUDIT = "/tallystick.v1.AuditService/"
ACCOUNT = Account(
    as_of=dt.datetime(2025, 9, 30, tzinfo=dt.UTC),
    account_type=AccountType.D1,
    status=1,
    currency="CNY",
    opened_date=dt.date(2024, 1, 1),
    subject_kind=SubjectKind.PERSON,
)

Subject = tuple[bytes, bytes, int, str]


def relog(
    system: Any, *, subjects: list[Subject] | None = None, request: bytes | None = None, method: str | None = None, reason: str = ""
) -> None:
    """Has an operator log entry 0 as it likes: a commitment that opens, in a leaf that it signs for."""
    logged = system.exchange.log.entries[0]
    logged.subjects = logged.subjects if subjects is None else subjects
    logged.request = logged.request if request is None else request
    envelope = log_pb2.Envelope.FromString(logged.envelope)
    envelope.request_digest = hashlib.sha256(logged.request).digest()
    envelope.reason = reason
    logged.envelope = envelope.SerializeToString()
    entry = log_pb2.AuditEntry.FromString(logged.leaf)
    entry.method = method or entry.method
    entry.outcome = log_pb2.ENTRY_OUTCOME_REFUSED if reason else log_pb2.ENTRY_OUTCOME_OK
    leaves = [subject_leaf(*subject) for subject in logged.subjects]
    entry.details_commitment = details_commitment(logged.seed, logged.envelope, leaves)
    logged.leaf = entry.SerializeToString()
    logged.hash = leaf_hash(logged.leaf)


def ask(system: Any) -> list[Subject]:
    with system.open() as exchange:
        exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "consent-1")
    return list(system.exchange.log.entries[0].subjects)


def show(system: Any, index: int = 0) -> OpenedEntry:
    with system.open() as exchange:
        opened: OpenedEntry = exchange.audit_show(index)
    return opened


def _each(exchange: Exchange) -> None:
    exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "consent-1")
    list(exchange.query_many([Inquiry(SUBJECT, Purpose.LOAN_APPROVAL, "a"), Inquiry(OTHER, Purpose.CREDIT_CARD_APPROVAL, "b")]))
    list(exchange.report_many([Report(SUBJECT, "1", ACCOUNT), Report(OTHER, "2", ACCOUNT)]))
    exchange.withdraw(SUBJECT, "1", WithdrawalReason.FRAUD)
    list(exchange.audit_list(EntryFilter(identity=SUBJECT)))
    list(exchange.list_submissions())


def test_every_method_names_the_subjects_of_its_request(system: Any) -> None:
    with system.open() as exchange:
        _each(exchange)
        entries = list(enumerate(list(system.exchange.log.entries)))
        shown = {opened.entry.method.rpartition("/")[2]: opened for opened in (exchange.audit_show(n) for n, _ in entries)}
    assert {name: len(opened.subjects) for name, opened in shown.items()} == {
        "QueryCreditHistory": 1,
        "BatchQueryCreditHistories": 2,
        "SubmitReports": 2,
        "WithdrawAccount": 1,
        "ListAuditEntries": 1,
        "ListSubmissions": 0,
    }
    assert all(opened.request_kept for opened in shown.values())


@pytest.mark.parametrize("index", range(6))
def test_an_entry_that_names_one_more_or_none_is_not_shown(system: Any, index: int) -> None:
    with system.open() as exchange:
        _each(exchange)
    system.exchange.log.entries[0], system.exchange.log.entries[index] = (
        system.exchange.log.entries[index],
        system.exchange.log.entries[0],
    )
    true = list(system.exchange.log.entries[0].subjects)
    relog(system, subjects=[*true, (b"e" * 20, b"t" * 32, 0, "")])
    with pytest.raises(DetailsFalse, match="subjects shown are not those of its request"):
        show(system)
    if true:
        relog(system, subjects=[])
        with pytest.raises(DetailsFalse, match="subjects shown"):
            show(system)
    relog(system, subjects=true)
    assert len(show(system).subjects) == len(true)


@pytest.mark.parametrize("field", range(4))
def test_no_part_of_a_subject_may_differ_from_the_request(system: Any, field: int) -> None:
    (true,) = ask(system)
    others: list[Subject] = [
        (b"e" * 20, *true[1:]),
        (true[0], b"t" * 32, *true[2:]),
        (*true[:2], int(Purpose.POST_LOAN_MANAGEMENT), true[3]),
        (*true[:3], "consent-2"),
    ]
    relog(system, subjects=[others[field]])
    with pytest.raises(DetailsFalse, match="subjects shown"):
        show(system)


def test_subjects_in_another_order_are_not_those_of_the_request(system: Any) -> None:
    with system.open() as exchange:
        list(exchange.query_many([Inquiry(SUBJECT, Purpose.LOAN_APPROVAL, "a"), Inquiry(OTHER, Purpose.LOAN_APPROVAL, "b")]))
    relog(system, subjects=system.exchange.log.entries[0].subjects[::-1])
    with pytest.raises(DetailsFalse, match="subjects shown"):
        show(system)


def _crowd(method: str, count: int) -> tuple[list[Subject], bytes]:
    """The subjects of a request of many items, and its bytes."""
    subjects: list[Subject] = [(b"e" * 20, n.to_bytes(32, "big"), 0, "") for n in range(count)]
    tokens = [subject_pb2.SubjectToken(epoch_id=epoch, element=element) for epoch, element, _, _ in subjects]
    if method.startswith(INQUIRIES):
        inquiries = [inquiry_service_pb2.Inquiry(subject=token) for token in tokens]
        return subjects, inquiry_service_pb2.BatchQueryCreditHistoriesRequest(inquiries=inquiries).SerializeToString()
    reports = [reporting_service_pb2.AccountReport(subject=token) for token in tokens]
    return subjects, reporting_service_pb2.SubmitReportsRequest(reports=reports).SerializeToString()


@pytest.mark.parametrize(("method", "limit"), [(INQUIRIES + "BatchQueryCreditHistories", 200), (REPORTING + "SubmitReports", 1000)])
def test_a_refused_request_with_too_many_items_has_no_subjects(system: Any, method: str, limit: int) -> None:
    ask(system)
    for count, refused_has in ((limit, limit), (limit + 1, 0)):
        subjects, request = _crowd(method, count)
        relog(system, subjects=subjects[:refused_has], request=request, method=method, reason="BATCH_TOO_LARGE")
        assert len(show(system).subjects) == refused_has
    relog(system, subjects=subjects, request=request, method=method, reason="BATCH_TOO_LARGE")
    with pytest.raises(DetailsFalse, match="subjects shown"):
        show(system)
    for shown in ([], subjects):
        relog(system, subjects=shown, request=request, method=method)
        with pytest.raises(DetailsFalse, match="subjects shown"):
            show(system)


def test_a_refused_request_that_cannot_be_read_has_no_subjects_and_cannot_have_been_carried_out(system: Any) -> None:
    true = ask(system)
    relog(system, subjects=[], request=b"\xff\xff\xff", reason="MESSAGE_MALFORMED")
    assert show(system).subjects == ()
    relog(system, subjects=[], request=b"\xff\xff\xff")
    with pytest.raises(DetailsFalse, match="subjects shown"):
        show(system)
    relog(system, subjects=true, request=b"\xff\xff\xff", reason="MESSAGE_MALFORMED")
    with pytest.raises(DetailsFalse, match="subjects shown"):
        show(system)


def test_a_refused_subject_stands_as_it_was_sent_even_if_it_is_none(system: Any) -> None:
    ask(system)
    message = inquiry_service_pb2.QueryCreditHistoryRequest()
    message.inquiry.subject.element = b"short"
    message.inquiry.consent_reference = "c"
    wrong: list[Subject] = [(b"", b"short", 0, "c")]
    relog(system, subjects=wrong, request=message.SerializeToString(), reason="ELEMENT_INVALID")
    assert show(system).subjects[0].element == b"short"


@pytest.mark.parametrize(
    ("method", "subjects"),
    [
        (INQUIRIES + "QueryCreditHistory", [(b"", b"", 0, "")]),
        (REPORTING + "WithdrawAccount", [(b"", b"", 0, "")]),
        (INQUIRIES + "BatchQueryCreditHistories", []),
        (AUDIT + "ListAuditEntries", []),
        (AUDIT + "GetAuditEntry", []),
    ],
)
def test_a_request_without_any_field_is_shown_by_its_digest(system: Any, method: str, subjects: list[Subject]) -> None:
    ask(system)
    relog(system, subjects=subjects, request=b"", method=method, reason="FIELD_REQUIRED")
    opened = show(system)
    assert (len(opened.subjects), opened.request, opened.request_kept) == (len(subjects), b"", True)
    relog(system, subjects=[*subjects, (b"e" * 20, b"t" * 32, 0, "")], request=b"", method=method, reason="FIELD_REQUIRED")
    with pytest.raises(DetailsFalse, match="subjects shown"):
        show(system)


def test_a_subject_is_not_passed_off_as_an_envelope(system: Any) -> None:
    (true,) = ask(system)

    def tamper(method: str, answer: Any) -> Any:
        if isinstance(answer, audit_service_pb2.GetAuditEntryResponse):
            answer.details[1].envelope = subject_leaf(*true)
            answer.request = b""
        return answer

    system.exchange.tamper_answer = tamper
    with pytest.raises(DetailsFalse, match="as an envelope"):
        show(system)


def _not_kept(method: str, answer: Any) -> Any:
    """As the exchange answers for a request that it did not keep: the envelope, and each subject's leaf hash alone."""
    if isinstance(answer, audit_service_pb2.GetAuditEntryResponse):
        for detail in answer.details[1:]:
            token, subject = detail.subject.subject, detail.subject
            content = subject_leaf(token.epoch_id, token.element, subject.purpose, subject.consent_reference)
            hashed = salted_leaf_hash(detail.salt, content)
            detail.Clear()
            detail.erased_leaf_hash = hashed
        answer.request = b""
    return answer


def test_a_request_that_was_not_kept_says_so(system: Any, capsys: pytest.CaptureFixture[str]) -> None:
    true = ask(system)
    relog(system, subjects=true, reason="ROLE_MISSING")
    system.exchange.tamper_answer = _not_kept
    opened = show(system)
    assert (opened.request_kept, opened.disclosed, opened.reason, opened.request) == (False, True, "ROLE_MISSING", b"")
    assert [subject.erased for subject in opened.subjects] == [True]
    assert opened.signature
    assert run(["audit", "show", "0"], Tool(open_exchange=lambda _: system.open())) == 0
    out = capsys.readouterr().out
    assert "The request was not kept" in out
    assert "refused: ROLE_MISSING" in out
    assert "erased" not in out
    assert run(["audit", "show", "0", "--json"], Tool(open_exchange=lambda _: system.open())) == 0
    assert '"request_kept": false' in capsys.readouterr().out


def test_a_request_that_was_not_kept_and_could_not_be_read_says_so(system: Any) -> None:
    ask(system)
    relog(system, subjects=[], request=b"\xff\xff\xff", reason="MESSAGE_MALFORMED")
    system.exchange.tamper_answer = _not_kept
    opened = show(system)
    assert (opened.request_kept, opened.subjects) == (False, ())


def test_what_was_erased_or_was_too_large_to_show_had_been_kept(system: Any, capsys: pytest.CaptureFixture[str]) -> None:
    true = ask(system)
    relog(system, subjects=true, reason="PURPOSE_NOT_ALLOWED")

    def erased(method: str, answer: Any) -> Any:
        if isinstance(answer, audit_service_pb2.GetAuditEntryResponse):
            first = answer.details[0]
            hashed = salted_leaf_hash(first.salt, first.envelope)
            first.Clear()
            first.erased_leaf_hash = hashed
        return _not_kept(method, answer)

    def omitted(method: str, answer: Any) -> Any:
        if isinstance(answer, audit_service_pb2.GetAuditEntryResponse):
            answer.request, answer.request_omitted = b"", True
        return answer

    system.exchange.tamper_answer = omitted
    assert show(system).request_kept
    system.exchange.tamper_answer = erased
    assert show(system).request_kept
    assert run(["audit", "show", "0"], Tool(open_exchange=lambda _: system.open())) == 0
    out = capsys.readouterr().out
    assert "erased" in out
    assert "not kept" not in out
