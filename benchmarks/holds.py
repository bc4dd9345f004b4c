"""What one message costs at the edge of a server, stage by stage: hostile ones, and the largest honest ones.

python -m benchmarks.holds

All of it is done by a worker's one event loop before anything is known of the caller but its signature. Validation stops after each
item, and parsing between its steps; what every other caller of that worker waits for is the longest step.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from benchmarks.traffic import account, random_tokens
from rich.console import Console
from rich.table import Table

from tallystick.contract.evaluations import check_evaluation
from tallystick.contract.limits import BATCH_REQUEST, MAX_ELEMENTS, MAX_INQUIRIES, MAX_REPORTS
from tallystick.contract.messages import parse_request
from tallystick.contract.methods import BATCH_QUERY_CREDIT_HISTORIES, EVALUATE_TOKENS, SUBMIT_REPORTS, Method
from tallystick.credit.requests import check_batch_query, check_submission, rejection
from tallystick.crypto import subject_key
from tallystick.server.errors import Refusal
from tallystick.server.services.inquiries.wire import varint
from tallystick.v1 import codes_pb2, inquiry_service_pb2, reporting_service_pb2, subject_token_service_pb2

SIZE = 4 << 20
EPOCH = bytes(20)
Check = Callable[[Any], object]


def _submission(message: Any) -> object:
    return [each.violations for each in check_submission(message, datetime.now(UTC), epoch_id=EPOCH)]


def _batch_query(message: Any) -> object:
    check_batch_query(message, epoch_id=EPOCH)
    return None


def _evaluation(message: Any) -> object:
    check_evaluation(message, epoch_id=EPOCH, sequence=1)
    return None


def report(token: bytes, number: int, months: int) -> reporting_service_pb2.AccountReport:
    """A valid report."""
    found = reporting_service_pb2.AccountReport()
    found.subject.epoch_id, found.subject.element = EPOCH, token
    found.account_reference.secret_id, found.account_reference.digest = bytes(8), number.to_bytes(32, "big")
    found.account.CopyFrom(account(months))
    return found


Message = tuple[str, Method[Any, Any], Check, bytes]
"""Its name, whose request it is, and how that is validated."""


def family() -> Iterator[Message]:
    """The largest honest messages first."""
    tokens = random_tokens(MAX_REPORTS)
    for name, data in (*_full(tokens), *_made_up(tokens[0])):
        yield name, SUBMIT_REPORTS, _submission, data
    for name, data in _batches(tokens):
        yield name, BATCH_QUERY_CREDIT_HISTORIES, _batch_query, data
    for name, data in _evaluations(tokens):
        yield name, EVALUATE_TOKENS, _evaluation, data


def _of(reports: list[reporting_service_pb2.AccountReport]) -> bytes:
    return reporting_service_pb2.SubmitReportsRequest(request_id=bytes(16), reports=reports).SerializeToString()


def _full(tokens: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """As many reports as one message may hold."""

    def valid(months: int) -> list[reporting_service_pb2.AccountReport]:
        return [report(token, i, months) for i, token in enumerate(tokens)]

    for months in (24, 60):
        yield f"{MAX_REPORTS:,} reports of {months} months", _of(valid(months))
    wrong = valid(60)
    for each in wrong:
        for month in each.account.months:
            month.disposition = codes_pb2.Disposition.ValueType(99)
    yield "each month wrong", _of(wrong)
    crowded = valid(0)
    for each in crowded:
        for _ in range(100):
            each.account.special_transactions.add(type=codes_pb2.SpecialTransactionType.ValueType(1), date=20200101, amount=1)
        for _ in range(50):
            each.account.related_obligors.add(role=codes_pb2.ObligorRole.ValueType(2))
        each.account.annotations.extend(map(codes_pb2.AnnotationType.ValueType, range(1, 11)))
    yield "most parts that an account may have", _of(crowded)
    parts = valid(0)
    for each in parts:
        for _ in range(SIZE // MAX_REPORTS // 10):
            each.account.months.add(month=20200101)
    yield "hundreds of months each", _of(parts)


def _made_up(token: bytes) -> Iterator[tuple[str, bytes]]:
    """As many bytes as one message may have, of whatever is short."""
    yield "empty reports", b"\x12\x00" * (SIZE // 2)
    yield "unknown fields", b"\x9a\x06\x00" * (SIZE // 3)
    yield "unknown varints", b"\x98\x06\x00" * (SIZE // 3)
    yield "unknown groups in each other", (b"\x9b\x06" * 90 + b"\x9c\x06" * 90) * (SIZE // 360)
    yield "unknown groups in each other, too many", b"\x9b\x06" * (SIZE // 2)
    yield "one unknown field", b"\x9a\x06" + varint(SIZE - 8) + bytes(SIZE - 8)
    yield "a field repeated", (b"\x0a\x10" + bytes(16)) * (SIZE // 18)
    one = report(token, 0, 0)
    one.account.annotations.extend([codes_pb2.AnnotationType.ValueType(1)] * (SIZE - 1000))
    yield "one account with millions of annotations", _of([one])
    one = report(token, 0, 0)
    for _ in range(SIZE // 2 - 1000):
        one.account.months.add()
    yield "one account with millions of empty months", _of([one])
    yield "noise", secrets.token_bytes(SIZE)


def _batches(tokens: list[bytes]) -> Iterator[tuple[str, bytes]]:
    inquiries = []
    for token in tokens[:MAX_INQUIRIES]:
        inquiry = inquiry_service_pb2.Inquiry(purpose=codes_pb2.Purpose.ValueType(1), consent_reference="c")
        inquiry.subject.epoch_id, inquiry.subject.element = EPOCH, token
        inquiries.append(inquiry)
    batch = inquiry_service_pb2.BatchQueryCreditHistoriesRequest(request_id=bytes(16), inquiries=inquiries)
    yield f"{MAX_INQUIRIES} inquiries", batch.SerializeToString()
    yield "empty inquiries", b"\x12\x00" * (BATCH_REQUEST // 2)
    batch.inquiries.extend(inquiries * 8)
    yield f"{len(batch.inquiries):,} inquiries", batch.SerializeToString()


def _evaluations(tokens: list[bytes]) -> Iterator[tuple[str, bytes]]:
    def asked(elements: list[bytes]) -> bytes:
        return subject_token_service_pb2.EvaluateTokensRequest(
            request_id=bytes(16), epoch_id=EPOCH, blinded_elements=elements
        ).SerializeToString()

    yield f"{MAX_ELEMENTS:,} elements", asked(tokens[:MAX_ELEMENTS])
    yield f"{MAX_ELEMENTS:,} that are none", asked([b"\xff" * 32] * MAX_ELEMENTS)
    yield "empty elements", b"\x1a\x00" * (BATCH_REQUEST // 2)


def stages(method: Method[Any, Any], check: Check, data: bytes) -> tuple[float, float, float, float, str]:
    """Processor seconds of parsing, validating, finding subjects and telling what is wrong; and what came of it."""
    began = time.process_time()
    parsed = parse_request(method, data)
    read = time.process_time()
    verdict, found = "taken", None
    if parsed.invalid is None:
        try:
            found = check(parsed.message)
            verdict = f"{sum(map(bool, found))} rejected" if isinstance(found, list) else verdict
        except Refusal as refusal:
            verdict = refusal.reason_name
    else:
        verdict = parsed.invalid.reason_name
    checked = time.process_time()
    for subject in parsed.subjects or ():
        if len(subject.element) == 32:
            subject_key(bytes(32), EPOCH, subject.element)
    named = time.process_time()
    if isinstance(found, list):
        # Later, in the transaction, and so again while all others of the worker wait.
        verdicts = [rejection(violations) for violations in found if violations]
        reporting_service_pb2.SubmitReportsResponse(verdicts=verdicts).SerializeToString()
    return read - began, checked - read, named - checked, time.process_time() - named, verdict


def main() -> None:
    """Prints what each costs."""
    console = Console() if sys.stdout.isatty() else Console(width=130)
    table = Table(title="processor milliseconds of one message")
    for heading in ("message", "bytes", "parsed", "validated", "subjects", "told", "which is"):
        table.add_column(heading, justify="left" if heading in ("message", "which is") else "right")
    for name, method, check, data in family():
        *spent, verdict = min((stages(method, check, data) for _ in range(3)), key=lambda each: sum(each[:4]))
        table.add_row(name, f"{len(data):,}", *(f"{seconds * 1e3:.1f}" for seconds in spent), verdict)
    console.print(table)


if __name__ == "__main__":
    main()
