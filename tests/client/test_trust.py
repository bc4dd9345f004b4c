"""What the SDK does when an answer is not what an honest exchange sends: it raises NotTrusted, and shows nothing of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from google.protobuf.message import Message
from tests.client.test_exchange import account, resident

from tallystick.client import (
    AnswerMalformed,
    DetailsFalse,
    EpochRolledBack,
    Identity,
    InclusionFalse,
    Inquiry,
    LimitExceeded,
    NotAllowed,
    NotTrusted,
    ProfileError,
    Purpose,
    ReceiptFalse,
    ReceiptMissing,
    Refused,
    Report,
    TokenProofFalse,
)
from tallystick.client.protocol.calls import RawFailure
from tallystick.contract.methods import EVALUATE_TOKENS
from tallystick.credit.enums import AccountType, SubjectKind
from tallystick.credit.history import Account
from tallystick.crypto import evaluate, generate_private_key, salted_leaf_hash, subject_leaf
from tallystick.testing.requests import Operation, Request
from tallystick.testing.tokens import TokenKey
from tallystick.v1 import log_pb2, subject_token_service_pb2

SUBJECT = Identity.passport("DE", "C01X00T47")
ACCOUNT = Account(
    as_of=dt.datetime(2025, 9, 30, tzinfo=dt.UTC),
    account_type=AccountType.D1,
    status=1,
    currency="CNY",
    opened_date=dt.date(2024, 1, 1),
    subject_kind=SubjectKind.PERSON,
)


def ask(system: Any) -> Any:
    with system.open() as exchange:
        return exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "consent-1")


def test_an_answer_without_its_receipt_is_not_shown(system: Any) -> None:
    system.exchange.tamper_receipt = lambda receipt: None
    with pytest.raises(ReceiptMissing):
        ask(system)


def test_a_refusal_without_its_receipt_is_not_believed(system: Any) -> None:
    def refuse(method: str, request: Any) -> None:
        raise system.refusal("PERMISSION_DENIED", "PURPOSE_NOT_ALLOWED", logged=False)

    system.exchange.refuse = refuse
    with pytest.raises(ReceiptMissing, match="PURPOSE_NOT_ALLOWED"):
        ask(system)


def test_a_refusal_brings_its_reason_and_its_receipt(system: Any) -> None:
    def refuse(method: str, request: Any) -> None:
        raise system.refusal("PERMISSION_DENIED", "PURPOSE_NOT_ALLOWED")

    system.exchange.refuse = refuse
    with pytest.raises(NotAllowed) as caught:
        ask(system)
    assert caught.value.reason == "PURPOSE_NOT_ALLOWED"
    assert caught.value.receipt is not None
    assert caught.value.receipt.index == 0


def test_a_reason_of_a_newer_exchange_is_a_refusal(system: Any) -> None:
    def refuse(method: str, request: Any) -> None:
        raise system.refusal("FAILED_PRECONDITION", "SOMETHING_NEW")

    system.exchange.refuse = refuse
    with pytest.raises(Refused) as caught:
        ask(system)
    assert (type(caught.value), caught.value.reason) == (Refused, "SOMETHING_NEW")


def test_a_message_above_the_transport_limit_is_a_limit_and_not_tried_again(system: Any) -> None:
    system.exchange.faults = [lambda: RawFailure("RESOURCE_EXHAUSTED", "Received message larger than max")] * 9
    with pytest.raises(LimitExceeded):
        ask(system)
    assert len(system.exchange.calls) == 1


def test_a_receipt_for_another_answer_is_found(system: Any) -> None:
    def other(receipt: log_pb2.Receipt) -> log_pb2.Receipt:
        receipt.index += 1
        return receipt

    system.exchange.tamper_receipt = other
    with pytest.raises(ReceiptFalse) as caught:
        ask(system)
    assert caught.value.step == 2


def test_a_doubled_receipt_is_no_answer(system: Any) -> None:
    original = system.exchange.unary

    def doubled(*arguments: Any) -> Any:
        raw = original(*arguments)
        raw.trailing.extend(raw.trailing)
        return raw

    system.exchange.unary = doubled
    with pytest.raises(AnswerMalformed):
        ask(system)


def test_tokens_of_another_key_are_refused(system: Any) -> None:
    system.token_key.private_key = generate_private_key()
    with system.open() as exchange:
        # An honest authority refuses an epoch id that is not its key's; this one lets it pass, so that only the proof speaks.
        system.authority.operations[EVALUATE_TOKENS.path] = Operation(lambda request: _evaluated(system.token_key, request))
        with pytest.raises(TokenProofFalse):
            exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "consent-1")
    assert system.exchange.calls == [], "nothing may be asked under a token that is not proved"


def _evaluated(key: TokenKey, request: Request) -> Message:
    evaluated, proof = evaluate(key.private_key, key.public_key, list(request.message.blinded_elements))
    return subject_token_service_pb2.EvaluateTokensResponse(evaluated_elements=evaluated, proof=proof)


@pytest.mark.parametrize("what", ["fewer", "swapped", "no proof"])
def test_an_evaluation_that_does_not_hold_is_refused(system: Any, what: str) -> None:
    def tamper(method: str, answer: Any) -> Any:
        if method == "EvaluateTokens":
            elements = list(answer.evaluated_elements)
            changed = {"fewer": elements[:-1], "swapped": elements[::-1], "no proof": elements}[what]
            del answer.evaluated_elements[:]
            answer.evaluated_elements.extend(changed)
            answer.proof = b"" if what == "no proof" else answer.proof
        return answer

    system.authority.tamper_answer = tamper
    reports = [Report(Identity.passport("DE", f"C01X00T4{n}"), str(n), ACCOUNT) for n in range(2)]
    with system.open() as exchange, pytest.raises(TokenProofFalse):
        list(exchange.report_many(reports))
    assert system.exchange.calls == []


@pytest.mark.parametrize("method", ["BatchQueryCreditHistories", "SubmitReports"])
def test_an_answer_with_fewer_items_than_were_asked_for_is_refused(system: Any, method: str) -> None:
    def tamper(called: str, answer: Any) -> Any:
        if called == method:
            items = answer.credit_histories if called.startswith("Batch") else answer.verdicts
            del items[-1]
        return answer

    system.exchange.tamper_answer = tamper
    inquiry, report = Inquiry(SUBJECT, Purpose.LOAN_APPROVAL, "consent-1"), Report(SUBJECT, "1", ACCOUNT)
    with system.open() as exchange:
        results = exchange.report_many([report]) if method == "SubmitReports" else exchange.query_many([inquiry])
        with pytest.raises(AnswerMalformed):
            next(results)


def test_a_history_with_a_code_that_is_not_known_is_not_shown(system: Any) -> None:
    def tamper(method: str, answer: Any) -> Any:
        if method == "QueryCreditHistory":
            answer.credit_history.overdue_summary.worst_disposition = 99
        return answer

    system.exchange.tamper_answer = tamper
    with pytest.raises(AnswerMalformed, match="worst_disposition"):
        ask(system)


def test_an_epoch_that_was_left_behind_is_not_taken_up_again(system: Any) -> None:
    file = system.folder / "token-authority.toml"
    first = file.read_text()
    file.write_text(first.replace("sequence = 1", "sequence = 2"))
    system.token_key.sequence = 2
    ask(system)
    file.write_text(first)
    with pytest.raises(EpochRolledBack):
        system.open()
    (system.folder / "state" / "epoch").write_text("?")
    with pytest.raises(EpochRolledBack, match="damaged"):
        system.open()


def test_an_authority_that_moved_on_or_back_is_told_apart(system: Any) -> None:
    key = system.token_key.private_key
    with system.open() as exchange:
        assert exchange.check_token_key().sequence == 1
        system.token_key.sequence = 2
        with pytest.raises(ProfileError, match="now at key epoch 2"):
            exchange.query(SUBJECT, Purpose.LOAN_APPROVAL, "consent-1")
        system.token_key.sequence = 1
        system.token_key.private_key = generate_private_key()
        with pytest.raises(EpochRolledBack, match="another key"):
            exchange.check_token_key()
        system.token_key.private_key = key
        system.token_key.sequence = 0
        with pytest.raises(EpochRolledBack, match="went back"):
            exchange.check_token_key()


@pytest.mark.parametrize("what", ["envelope", "subject", "request", "salt", "order", "nothing"])
def test_details_that_do_not_open_the_commitment_are_not_shown(system: Any, what: str) -> None:
    def tamper(method: str, answer: Any) -> Any:
        if method == "GetAuditEntry":
            if what == "envelope":
                answer.details[0].envelope += b"\x00"
            elif what == "subject":
                answer.details[1].subject.consent_reference = "another"
            elif what == "request":
                answer.request += b"\x00"
            elif what == "salt":
                answer.details[1].salt = b""
            elif what == "order":
                first, second = log_pb2.DetailLeaf(), log_pb2.DetailLeaf()
                first.CopyFrom(answer.details[0])
                second.CopyFrom(answer.details[1])
                del answer.details[:]
                answer.details.extend([second, first])
        return answer

    ask(system)
    system.exchange.tamper_answer = tamper
    with system.open() as exchange:
        if what == "nothing":
            opened = exchange.audit_show(0)
            assert opened.subjects[0].consent_reference == "consent-1"
        else:
            with pytest.raises(DetailsFalse):
                exchange.audit_show(0)


def test_an_entry_that_is_not_what_was_signed_is_not_shown(system: Any) -> None:
    ask(system)
    logged = system.exchange.log.entries[0]
    entry = log_pb2.AuditEntry.FromString(logged.leaf)
    entry.member_id = "somebody-else"
    logged.leaf = entry.SerializeToString()
    with system.open() as exchange, pytest.raises(InclusionFalse, match="entry 0"):
        exchange.audit_show(0)


def test_an_erased_detail_stands_for_itself_by_its_hash(system: Any) -> None:
    def erase(method: str, answer: Any) -> Any:
        if method == "GetAuditEntry":
            detail = answer.details[1]
            subject = detail.subject
            content = subject_leaf(subject.subject.epoch_id, subject.subject.element, subject.purpose, subject.consent_reference)
            erased = salted_leaf_hash(detail.salt, content)
            del answer.details[1]
            answer.details.add(erased_leaf_hash=erased)
            answer.request = b""
        return answer

    ask(system)
    system.exchange.tamper_answer = erase
    with system.open() as exchange:
        opened = exchange.audit_show(0)
    assert opened.subjects[0].erased
    assert opened.disclosed


def test_every_refusal_to_trust_is_one_family() -> None:
    for kind in (ReceiptMissing, ReceiptFalse, TokenProofFalse, DetailsFalse, EpochRolledBack, AnswerMalformed):
        assert issubclass(kind, NotTrusted)


def test_no_submission_has_fewer_accepted_reports_than_none(system: Any) -> None:
    with system.open() as exchange:
        exchange.report(Report(resident(1), "1", account()))

        def more(method: str, answer: Any) -> Any:
            if method == "ListSubmissions":
                answer.submissions[0].superseded_count = 2
            return answer

        system.exchange.tamper_answer = more
        with pytest.raises(AnswerMalformed, match="superseded"):
            list(exchange.list_submissions())
