"""Credit histories: what all members reported of a subject, and who else asked."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.message import Message

from tallystick.contract.limits import INQUIRY_AGE, MAX_ACCOUNTS, MAX_LISTED_INQUIRIES, MAX_MESSAGE, ONE_MONTH, SIX_MONTHS
from tallystick.contract.methods import BATCH_QUERY_CREDIT_HISTORIES, QUERY_CREDIT_HISTORY
from tallystick.credit.codes import LENDING_PURPOSES
from tallystick.credit.dates import number_of_day
from tallystick.credit.overdue import has_overdue, summarise
from tallystick.credit.rating import RatingFacts, in_force, rate
from tallystick.credit.rating.listing import list_of
from tallystick.credit.requests import account_refusal, answer_too_large, check_batch_query, check_query, purpose_refusal
from tallystick.testing.reporting import Accounts
from tallystick.testing.requests import Operation, Request
from tallystick.v1 import account_pb2, codes_pb2
from tallystick.v1 import inquiry_service_pb2 as pb
from tallystick.v1 import rating_service_pb2 as list_pb

MAX_INQUIRIES = 300
"""Most inquiries by others about one subject: from so many on an exchange no longer counts them all."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """One inquiry by another member."""

    at: datetime
    institution: str
    purpose: int


@dataclass
class Histories:
    """Answers inquiries from the accounts, and from the footprints that a test has left."""

    accounts: Accounts
    footprints: dict[bytes, list[Footprint]] = field(default_factory=dict)

    def operations(self) -> dict[str, Operation]:
        """The methods of InquiryService."""
        key = self.accounts.token_key
        return {
            QUERY_CREDIT_HISTORY.path: Operation(self._query, lambda message, _now: check_query(message, epoch_id=key.epoch_id)),
            BATCH_QUERY_CREDIT_HISTORIES.path: Operation(
                self._batch, lambda message, _now: check_batch_query(message, epoch_id=key.epoch_id)
            ),
        }

    def scorecards(self, _request: bytes) -> list_pb.ListScorecardsResponse:
        """Those of the package: nothing is installed here."""
        return list_of(())

    def _query(self, request: Request) -> Message:
        (history,) = self._histories(request)
        return pb.QueryCreditHistoryResponse(credit_history=history)

    def _batch(self, request: Request) -> Message:
        return pb.BatchQueryCreditHistoriesResponse(credit_histories=self._histories(request))

    def _histories(self, request: Request) -> list[pb.CreditHistory]:
        if refusal := purpose_refusal(request.message, request.subjects, request.caller.purposes):
            raise refusal
        whose, now = request.caller.member_id, request.now
        living = [self.accounts.has_living(subject.element, whose, now) for subject in request.subjects]
        if refusal := account_refusal(request.message, request.subjects, living):
            raise refusal
        message = request.message
        asked = (message.inquiry,) if isinstance(message, pb.QueryCreditHistoryRequest) else message.inquiries
        histories = [
            self._history(subject.element, request, rated=pb.SECTION_RATING in inquiry.sections)
            for subject, inquiry in zip(request.subjects, asked, strict=True)
        ]
        if sum(history.ByteSize() for history in histories) > MAX_MESSAGE:
            raise answer_too_large(MAX_MESSAGE)
        return histories

    def _history(self, element: bytes, request: Request, *, rated: bool) -> pb.CreditHistory:
        known = sorted(self.accounts.live(element), key=lambda each: not has_overdue(each[1]))
        told = known[:MAX_ACCOUNTS]
        history = pb.CreditHistory(
            outcome=pb.HISTORY_OUTCOME_FOUND if known else pb.HISTORY_OUTCOME_NO_RECORD,
            overdue_summary=summarise((account for _, account in told), request.now.date()),
            inquiry_summary=_summary(self.footprints.get(element, ()), request.now),
            accounts=_reported(told, request.caller.member_id, element),
            truncated=len(known) > len(told),
        )
        history.as_of.FromDatetime(request.now)
        if rated:
            facts = [RatingFacts.of(account) for _, account in told]
            history.rating.CopyFrom(rate(in_force((), request.now.date()), facts, request.now.date()).to_message())
        return history


def _reported(accounts: Sequence[tuple[str, account_pb2.Account]], caller: str, element: bytes) -> list[pb.ReportedAccount]:
    """In an order, and with numbers of institutions, that mean nothing: for one subject always the same, so that a test that
    passed once passes again."""
    shuffled = list(accounts)
    random.Random(element).shuffle(shuffled)  # noqa: S311 - nothing secret hangs on it
    numbers: dict[str, int] = {}
    return [
        pb.ReportedAccount(
            institution=numbers.setdefault(institution, len(numbers) + 1), own=institution == caller, account=account
        )
        for institution, account in shuffled
    ]


def _summary(footprints: Sequence[Footprint], now: datetime) -> pb.InquirySummary:
    recent = sorted((each for each in footprints if each.at > now - INQUIRY_AGE), key=lambda each: each.at, reverse=True)
    half_year = [each for each in recent if each.at > now - SIX_MONTHS]
    places: Counter[str] = Counter()
    ranked = []
    for age, each in enumerate(recent):
        places[each.institution] += 1
        ranked.append((places[each.institution], age, each))
    ranked.sort(key=lambda item: item[:2])
    listed = sorted((age, each) for _, age, each in ranked[:MAX_LISTED_INQUIRIES])
    return pb.InquirySummary(
        inquiries=[
            pb.PastInquiry(date=number_of_day(each.at.date()), purpose=codes_pb2.Purpose.ValueType(each.purpose))
            for _, each in listed
        ],
        count_1_month=sum(each.at > now - ONE_MONTH for each in recent),
        count_6_months=len(half_year),
        institutions_6_months=len({each.institution for each in half_year}),
        lending_institutions_1_month=len(
            {each.institution for each in recent if each.at > now - ONE_MONTH and each.purpose in LENDING_PURPOSES}
        ),
    )
