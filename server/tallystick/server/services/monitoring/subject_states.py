"""What is known of watched subjects beside single reports: the accounts of all members, and who asked in order to lend.

It is what a query would be answered with: the same accounts, the same inquiries, up to the same limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tallystick.contract.limits import MAX_ACCOUNTS, ONE_MONTH
from tallystick.credit.codes import LENDING_PURPOSES
from tallystick.credit.monitoring import Graded, SubjectFacts
from tallystick.credit.rating import RatingFacts, card_for
from tallystick.server.services.rating.installed import Cards
from tallystick.server.storage.array_literals import integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import account_pb2

CHUNK = 200
"""Subjects that are read at once, like a full batch of queries."""
_MAX_INSTITUTIONS = 1000
_SHARE = 20
"""Inquiries of each institution that are looked at: an answer counts as many at the least."""
_MAX_RECORD_BYTES = 32 * 1024 * 1024
"""Most bytes of accounts that are read at once: subjects that have more together are read in halves."""

_ACCOUNTS = Statement(
    "accounts_of_watched",
    {"subjects": "bytea[]", "count": "bigint", "budget": "bigint"},
    """
SELECT subject, member, record, rating_facts, total FROM (
  SELECT asked.subject, account.member, account.record, account.rating_facts,
         sum(octet_length(account.record)) OVER (ROWS UNBOUNDED PRECEDING) AS total
  FROM unnest(%(subjects)s) AS asked (subject)
  CROSS JOIN LATERAL (
    SELECT member, record, rating_facts FROM account
    WHERE account.subject = asked.subject AND standing > 0 ORDER BY standing DESC LIMIT %(count)s
  ) AS account
) AS found
WHERE total - octet_length(record) <= %(budget)s
""",
)

# From one institution to the next by the index, however many inquiries lie between.
_LENDERS = Statement(
    "lenders_of_watched",
    {"subjects": "bytea[]", "purposes": "smallint[]", "since": "timestamptz", "institutions": "bigint", "share": "bigint"},
    """
SELECT asked.subject, lender.member
FROM unnest(%(subjects)s) AS asked (subject)
CROSS JOIN LATERAL (
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
  SELECT institution.member FROM (SELECT member FROM institution LIMIT %(institutions)s) AS institution
  CROSS JOIN LATERAL (
    SELECT bool_or(newest.purpose = ANY (%(purposes)s) AND newest.create_time > %(since)s) AS lends FROM (
      SELECT purpose, create_time FROM audit_subject
      WHERE audit_subject.subject = asked.subject AND footprint AND audit_subject.member = institution.member
      ORDER BY entry_index DESC LIMIT %(share)s
    ) AS newest
  ) AS asks
  WHERE asks.lends
) AS lender
""",
)


@dataclass(slots=True)
class SubjectState:
    """What is known of one subject."""

    accounts: list[tuple[int, account_pb2.Account]] = field(default_factory=list)
    """Member and record."""
    rated: list[RatingFacts] = field(default_factory=list)
    """What a rating looks at of each."""
    lenders: set[int] = field(default_factory=set)
    """Members that asked within a month in order to lend."""
    graded: Graded | None = None

    def facts_for(self, member: int, clock: datetime) -> SubjectFacts:
        """As they are for one member: its own accounts and inquiries are no news to it."""
        others = [account for owner, account in self.accounts if owner != member]
        own = [account for owner, account in self.accounts if owner == member]
        return SubjectFacts.of(others, own, len(self.lenders - {member}), clock.date(), self.graded)


def chunks(subjects: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """As many subjects as are read at once."""
    for start in range(0, len(subjects), CHUNK):
        yield subjects[start : start + CHUNK]


async def read_states(
    connection: Connection, subjects: Sequence[bytes], cards: Cards, clock: datetime
) -> dict[bytes, SubjectState]:
    """What is known of each of these subjects, CHUNK at the most; rated by the cards that are in force."""
    asked = short_bytes(subjects)
    rows = await connection.run(_ACCOUNTS(subjects=asked, count=MAX_ACCOUNTS, budget=_MAX_RECORD_BYTES))
    if len(subjects) > 1 and rows and max(row[4] for row in rows) > _MAX_RECORD_BYTES:
        half = len(subjects) // 2
        first = await read_states(connection, subjects[:half], cards, clock)
        return first | await read_states(connection, subjects[half:], cards, clock)
    states = {subject: SubjectState() for subject in subjects}
    for subject, member, record, stored, _ in rows:
        state, content = states[bytes(subject)], bytes(record)
        state.accounts.append((member, account_pb2.Account.FromString(content)))
        state.rated.append(RatingFacts.beside(None if stored is None else bytes(stored), content))
    for state in states.values():
        if state.rated:
            card = card_for(cards, state.rated)
            state.graded = Graded.of(card.grade(state.rated, clock.date()), card.digest)
    purposes = integers(sorted(LENDING_PURPOSES))
    lenders = _LENDERS(subjects=asked, purposes=purposes, since=clock - ONE_MONTH, institutions=_MAX_INSTITUTIONS, share=_SHARE)
    for subject, member in await connection.run(lenders):
        states[bytes(subject)].lenders.add(member)
    return states
