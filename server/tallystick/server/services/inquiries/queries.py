"""Inquiries: what all members reported of a subject, and who else asked (tallystick.v1.InquiryService)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from tallystick.contract.limits import (
    INQUIRY_AGE,
    MAX_ACCOUNTS,
    MAX_INQUIRIES,
    MAX_LISTED_INQUIRIES,
    MAX_MESSAGE,
    ONE_MONTH,
    SIX_MONTHS,
)
from tallystick.contract.methods import BATCH_QUERY_CREDIT_HISTORIES, QUERY_CREDIT_HISTORY
from tallystick.credit.codes import LENDING_PURPOSES
from tallystick.credit.overdue import summarise
from tallystick.credit.requests import answer_too_large, check_batch_query, check_query
from tallystick.server.requests.operation import FULL_BATCH, Operation, Work
from tallystick.server.services.inquiries.grounds import refuse_without_grounds
from tallystick.server.services.inquiries.ratings import rated_places, rating_of
from tallystick.server.services.inquiries.wire import submessage
from tallystick.server.services.rating.installed import Cards, InstalledCards
from tallystick.server.services.standing import OVERDUE
from tallystick.server.storage.array_literals import integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import account_pb2, codes_pb2, inquiry_service_pb2

MAX_RECORD_BYTES = 32 * 1024 * 1024
"""Most bytes of accounts that one run reads, and most that it answers: what is over is asked for in several runs, or refused."""
MAX_SUBJECT_BYTES = MAX_MESSAGE - 256 * 1024
"""Most bytes of accounts of one subject: any one subject can be answered, whatever is reported of it."""
MAX_COUNTED_ALL = 300
"""Up to so many inquiries about a subject all are counted. Of a subject with more, only the newest of each institution are, so that
nobody's are hidden by another's."""
SHARE = 20
"""How many of each institution."""
MAX_INSTITUTIONS = 1000

# Fetch one row past the limit, to detect that the answer is cut.
_ACCOUNTS = """
SELECT subject, member, record, standing, facts, reported, total
FROM (
  SELECT *, sum(octet_length(record)) OVER (ROWS UNBOUNDED PRECEDING) AS total
  FROM (
    SELECT asked.subject, account.*, count(*) OVER (PARTITION BY asked.subject) AS reported,
           sum(octet_length(record)) OVER (PARTITION BY asked.subject ORDER BY standing DESC ROWS UNBOUNDED PRECEDING) AS own
    FROM unnest(%(accounts_of)s) AS asked (subject)
    CROSS JOIN LATERAL (
      SELECT member, record, standing, CASE WHEN %(rated)s THEN rating_facts END AS facts FROM account
      WHERE account.subject = asked.subject AND standing > 0 ORDER BY standing DESC LIMIT %(count)s
    ) AS account
  ) AS cut
  WHERE own <= %(of_subject)s
) AS found
WHERE total - octet_length(record) <= %(budget)s
"""

# Summed up here: a batch of subjects with hundreds of footprints each would be a lot to read. Listed are the newest of each
# institution before the second newest of any.
_SUMMED_UP = {
    "subjects": "bytea[]",
    "members": "bigint[]",
    "month": "timestamptz",
    "half_year": "timestamptz",
    "oldest": "timestamptz",
    "listed": "integer",
    "lending": "smallint[]",
}
_SUM_UP = """
SELECT asked.subject, asked.member, past.*
FROM unnest(%(subjects)s, %(members)s) AS asked (subject, member)
CROSS JOIN LATERAL (
  SELECT count(*),
         count(*) FILTER (WHERE others AND create_time > %(month)s),
         count(*) FILTER (WHERE others AND create_time > %(half_year)s),
         count(DISTINCT member) FILTER (WHERE others AND create_time > %(half_year)s),
         count(DISTINCT member) FILTER (WHERE others AND create_time > %(month)s AND purpose = ANY (%(lending)s)),
         (array_agg(entry_index ORDER BY place, entry_index DESC) FILTER (WHERE others))[:%(listed)s],
         (array_agg(to_char(create_time AT TIME ZONE 'UTC', 'YYYYMMDD')::int ORDER BY place, entry_index DESC)
           FILTER (WHERE others))[:%(listed)s],
         (array_agg(purpose::int ORDER BY place, entry_index DESC) FILTER (WHERE others))[:%(listed)s]
  FROM (
    SELECT entry_index, member, purpose, create_time, member <> asked.member AND create_time > %(oldest)s AS others,
           row_number() OVER (PARTITION BY member ORDER BY entry_index DESC) AS place
    FROM ({found}) AS footprint
  ) AS ranked
  HAVING {worth}
) AS past (found, one_month, six_months, institutions, lenders, places, days, purposes)
"""

# Most subjects were asked about by the asker alone: nothing is to be said of that.
_FOOTPRINTS = _SUM_UP.format(
    worth=f"bool_or(others) OR count(*) > {MAX_COUNTED_ALL}",
    found="""
      SELECT entry_index, member, purpose, create_time FROM audit_subject
      WHERE audit_subject.subject = asked.subject AND footprint LIMIT %(footprints)s""",
)

# Both in one read: accounts, with nulls for what is said of inquiries, and inquiries, with nulls for what is said of accounts.
_KNOWN = Statement(
    "known_of_subjects",
    {
        "accounts_of": "bytea[]",
        "count": "bigint",
        "of_subject": "bigint",
        "budget": "bigint",
        "rated": "boolean",
        "footprints": "bigint",
    }
    | _SUMMED_UP,
    f"""
SELECT account.*, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM ({_ACCOUNTS}) AS account
UNION ALL
SELECT subject, member, NULL, NULL, NULL, NULL, NULL, found, one_month, six_months, institutions, lenders, places, days,
       purposes
FROM ({_FOOTPRINTS}) AS inquiry
""",  # noqa: S608 - the inserted texts are constants of this module
)

# From one institution to the next by the index, however many inquiries lie between.
_SHARES = Statement(
    "inquiries_by_institution",
    _SUMMED_UP | {"institutions": "bigint", "share": "bigint"},
    _SUM_UP.format(
        worth="count(*) > 0",
        found="""
      WITH RECURSIVE institution (member) AS (
        (SELECT member FROM audit_subject
         WHERE audit_subject.subject = asked.subject AND footprint ORDER BY member LIMIT 1)
        UNION ALL
        SELECT following.member FROM institution CROSS JOIN LATERAL (
          SELECT member FROM audit_subject
          WHERE audit_subject.subject = asked.subject AND footprint AND audit_subject.member > institution.member
          ORDER BY member LIMIT 1
        ) AS following
      )
      SELECT newest.* FROM (SELECT member FROM institution LIMIT %(institutions)s) AS institution
      CROSS JOIN LATERAL (
        SELECT entry_index, member, purpose, create_time FROM audit_subject
        WHERE audit_subject.subject = asked.subject AND footprint AND audit_subject.member = institution.member
        ORDER BY entry_index DESC LIMIT %(share)s
      ) AS newest""",
    ),
)

_LENDING = integers(sorted(LENDING_PURPOSES))

# What is said of most subjects, of whatever day.
_NO_OVERDUE = summarise((), date.max)
_NO_INQUIRIES = inquiry_service_pb2.InquirySummary()

# What institution is which number must not be told by the order of the database's rows, nor be guessable.
_random = random.SystemRandom()


@dataclass(slots=True)
class _Known:
    """What the database holds of one subject."""

    accounts: list[tuple[int, bytes, bool]] = field(default_factory=list)
    """Member, record, whether it holds any overdue."""
    facts: list[bytes | None] = field(default_factory=list)
    """What the rating must know of each account; None where the record was not reported since facts are kept, or nobody asks."""
    rating: bytes = b""
    """As a field of CreditHistory, the same for all who ask; empty until somebody does."""
    truncated: bool = False
    """Whether there are more accounts than are told."""
    inquiries: dict[int, inquiry_service_pb2.InquirySummary] = field(default_factory=dict)
    """For each asking member: inquiries by others, if there were any."""


class InquiryAnswers:
    """What both methods share: the tokens that are good here, and the answer to one inquiry."""

    def __init__(self, epoch_id: bytes, reciprocity: timedelta) -> None:
        self.epoch_id = epoch_id
        """The key epoch whose tokens are good here."""
        self._reciprocity = reciprocity
        self._cards = InstalledCards()

    async def answer(self, connection: Connection, works: Sequence[Work], clock: datetime, limit: int) -> None:
        """Answers each work with the credit histories of its subjects, in `limit` bytes; refuses those that may not ask, or ask for
        too much. Nothing is written here, so a work that is refused leaves nothing behind.

        Raises Refusal when all of them together are too much: each is then to be run by itself."""
        await refuse_without_grounds(connection, works, clock, self._reciprocity)
        asking = [work for work in works if work.refusal is None]
        rated = any(map(rated_places, asking))
        known = await _read(connection, asking, clock, limit, rated=rated)
        cards = await self._cards.in_force(connection, clock.date()) if rated else {}
        if known is None and len(asking) == 1:
            asking[0].refusal = answer_too_large(limit)
        elif known is None:
            raise answer_too_large(limit)
        else:
            _answer(asking, known, cards, clock, limit)


class QueryCreditHistory(Operation):
    """One subject."""

    contract = QUERY_CREDIT_HISTORY

    def __init__(self, answers: InquiryAnswers) -> None:
        self._answers = answers

    def validate(self, message: Any, now: datetime) -> None:
        check_query(message, epoch_id=self._answers.epoch_id)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        await self._answers.answer(connection, works, clock, self.max_answer)


class BatchQueryCreditHistories(Operation):
    """Many subjects; one faulty inquiry refuses them all."""

    contract = BATCH_QUERY_CREDIT_HISTORIES
    item_cost = FULL_BATCH // 4 // MAX_INQUIRIES

    def __init__(self, answers: InquiryAnswers) -> None:
        self._answers = answers

    def validate(self, message: Any, now: datetime) -> None:
        check_batch_query(message, epoch_id=self._answers.epoch_id)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        await self._answers.answer(connection, works, clock, self.max_answer)


async def _read(
    connection: Connection, works: Sequence[Work], clock: datetime, limit: int, *, rated: bool
) -> dict[bytes, _Known] | None:
    """What is known of the subjects of all works; None if it is too much, be it for answers of `limit` bytes each."""
    pairs = sorted({(key, work.caller.member) for work in works for key in work.request.subject_keys})
    known = {key: _Known() for key, _ in pairs}
    if not pairs:
        return known
    # What is more than that does not fit into so many answers, even if each subject is asked for by one work alone.
    budget = min(MAX_RECORD_BYTES, limit * len(works))
    windows = {"month": clock - ONE_MONTH, "half_year": clock - SIX_MONTHS, "oldest": clock - INQUIRY_AGE}
    # One subject over the limit is enough to know that it is over.
    read = _KNOWN(
        accounts_of=short_bytes(known),
        count=MAX_ACCOUNTS + 1,
        of_subject=MAX_SUBJECT_BYTES,
        budget=budget,
        rated=rated,
        footprints=MAX_COUNTED_ALL + 1,
        **_asked(pairs),
        **windows,
    )
    rows = await connection.run(read)
    accounts = [row for row in rows if row[2] is not None]
    if accounts and max(row[6] for row in accounts) > budget:
        return None
    _take_accounts(accounts, known)
    crowded = []
    for subject, asker, _, _, _, _, _, found, *summary in rows:
        if found is None:
            continue
        if found > MAX_COUNTED_ALL:
            crowded.append((bytes(subject), asker))
        else:
            known[bytes(subject)].inquiries[asker] = _inquiry_summary(*summary, truncated=False)
    if crowded:
        shares = _SHARES(institutions=MAX_INSTITUTIONS, share=SHARE, **_asked(crowded), **windows)
        for subject, asker, _, *summary in await connection.run(shares):
            known[bytes(subject)].inquiries[asker] = _inquiry_summary(*summary, truncated=True)
    return known


def _asked(pairs: Sequence[tuple[bytes, int]]) -> dict[str, object]:
    """Who asks about whom, as the statements take it."""
    return {
        "subjects": short_bytes(key for key, _ in pairs),
        "members": integers(member for _, member in pairs),
        "listed": MAX_LISTED_INQUIRIES,
        "lending": _LENDING,
    }


def _take_accounts(rows: list[tuple[Any, ...]], known: Mapping[bytes, _Known]) -> None:
    """Those with overdue first."""
    rows.sort(key=lambda row: -int(row[3]))
    for subject, member, record, standing, facts, reported, *_ in rows:
        of_subject = known[bytes(subject)]
        if len(of_subject.accounts) < MAX_ACCOUNTS:
            of_subject.accounts.append((member, bytes(record), standing == OVERDUE))
            of_subject.facts.append(None if facts is None else bytes(facts))
        of_subject.truncated = reported > len(of_subject.accounts)


def _answer(works: Sequence[Work], known: dict[bytes, _Known], cards: Cards, clock: datetime, limit: int) -> None:
    """Sets each work's answer or refusal."""
    size = 0
    as_of = inquiry_service_pb2.CreditHistory()
    as_of.as_of.FromDatetime(clock)
    answered_at = as_of.SerializeToString()
    for work in works:
        answer = bytearray()
        rated = rated_places(work)
        for place, key in enumerate(work.request.subject_keys):
            history = _history(known[key], work.caller.member, clock.date())
            rating = _rating(known[key], cards, clock.date()) if place in rated else b""
            answer += submessage(1, answered_at + history + rating)
            if len(answer) > limit:
                work.refusal = answer_too_large(limit)
                break
        else:
            work.answer, work.footprint = bytes(answer), True
            size += len(answer)
            # The same subject in many works was read once, and is answered to each.
            if size > MAX_RECORD_BYTES:
                raise answer_too_large(limit)


def _history(known: _Known, caller: int, today: date) -> bytes:
    """A serialised CreditHistory but for its as_of. Accounts without any overdue are copied unread."""
    overdue = [account_pb2.Account.FromString(record) for _, record, overdue in known.accounts if overdue]
    history = inquiry_service_pb2.CreditHistory(
        outcome=inquiry_service_pb2.HISTORY_OUTCOME_FOUND if known.accounts else inquiry_service_pb2.HISTORY_OUTCOME_NO_RECORD,
        overdue_summary=summarise(overdue, today) if overdue else _NO_OVERDUE,
        inquiry_summary=known.inquiries.get(caller, _NO_INQUIRIES),
        truncated=known.truncated,
    )
    return history.SerializeToString() + b"".join(_reported_accounts(known.accounts, caller))


def _rating(known: _Known, cards: Cards, today: date) -> bytes:
    """The rating by what is known, as a field of CreditHistory."""
    if not known.rating:
        records = [record for _, record, _ in known.accounts]
        known.rating = submessage(7, rating_of(known.facts, records, cards, today))
    return known.rating


def _reported_accounts(accounts: Iterable[tuple[int, bytes, bool]], caller: int) -> list[bytes]:
    """Each as a field of CreditHistory, institutions numbered and accounts ordered at random."""
    shuffled = list(accounts)
    _random.shuffle(shuffled)
    numbers: dict[int, int] = {}
    fields = []
    for member, record, _ in shuffled:
        number = numbers.setdefault(member, len(numbers) + 1)
        fields.append(submessage(3, _institution(number, own=member == caller) + submessage(3, record)))
    return fields


@lru_cache(maxsize=2 * MAX_ACCOUNTS)
def _institution(number: int, *, own: bool) -> bytes:
    """A serialised ReportedAccount but for its account."""
    return inquiry_service_pb2.ReportedAccount(institution=number, own=own).SerializeToString()


def _inquiry_summary(
    one_month: int,
    six_months: int,
    institutions: int,
    lenders: int,
    places: Sequence[int] | None,
    days: Sequence[int] | None,
    purposes: Sequence[int] | None,
    *,
    truncated: bool,
) -> inquiry_service_pb2.InquirySummary:
    listed = sorted(zip(places or (), days or (), purposes or (), strict=True), reverse=True)
    return inquiry_service_pb2.InquirySummary(
        inquiries=[
            inquiry_service_pb2.PastInquiry(date=day, purpose=codes_pb2.Purpose.ValueType(purpose)) for _, day, purpose in listed
        ],
        count_1_month=one_month,
        count_6_months=six_months,
        institutions_6_months=institutions,
        lending_institutions_1_month=lenders,
        truncated=truncated,
    )
