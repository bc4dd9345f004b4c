"""The grounds of an inquiry: a purpose that is allowed to the member, reports of its own, and a living account where the purpose
takes one. Each refusal names the inquiries that it is for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tallystick.credit.living import LIVING_PURPOSES, REPORT_AGE
from tallystick.credit.requests import account_refusal, purpose_refusal
from tallystick.server.errors import Refusal
from tallystick.server.requests.operation import Work
from tallystick.server.storage.array_literals import integers, short_bytes
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.statements import Statement
from tallystick.v1 import errors_pb2

# By the newest of a member's submissions: those that were rejected whole report nothing.
_REPORTERS = Statement(
    "who_reported_since",
    {"members": "bigint[]", "since": "timestamptz"},
    """
SELECT member FROM unnest(%(members)s) AS asked (member)
WHERE EXISTS (
  SELECT FROM (
    SELECT accepted_count, create_time FROM request
    WHERE request.member = asked.member AND accepted_count IS NOT NULL ORDER BY entry_index DESC LIMIT 100
  ) AS newest
  WHERE accepted_count > 0 AND create_time > %(since)s
)
""",
)

# An account is written whenever a report of it is taken, so its update_time is that of the newest.
_LIVING = Statement(
    "living_accounts",
    {"subjects": "bytea[]", "members": "bigint[]", "since": "timestamptz"},
    """
SELECT subject, member FROM unnest(%(subjects)s, %(members)s) AS asked (subject, member)
WHERE EXISTS (
  SELECT FROM account
  WHERE (account.subject, account.member) = (asked.subject, asked.member) AND live AND update_time > %(since)s
)
""",
)


async def refuse_without_grounds(connection: Connection, works: Sequence[Work], clock: datetime, reciprocity: timedelta) -> None:
    """Sets the refusal of each work that may not ask. `reciprocity` is the age of a member's newest report from which on it may ask
    for nothing; zero asks for no report."""
    for work in works:
        work.refusal = purpose_refusal(work.message, work.request.subjects, work.caller.purposes)
    if reciprocity:
        await _refuse_who_does_not_report(connection, works, clock - reciprocity, reciprocity.days)
    await _refuse_without_account(connection, works, clock)


async def _refuse_who_does_not_report(connection: Connection, works: Sequence[Work], since: datetime, days: int) -> None:
    members = sorted({work.caller.member for work in works if work.refusal is None})
    rows = await connection.run(_REPORTERS(members=members, since=since))
    reporting = {member for (member,) in rows}
    for work in works:
        if work.refusal is None and work.caller.member not in reporting:
            text = f"who queries must have reported within {days} days: submit reports first"
            work.refusal = Refusal(errors_pb2.ERROR_REASON_RECIPROCITY_REQUIRED, text)


async def _refuse_without_account(connection: Connection, works: Sequence[Work], clock: datetime) -> None:
    """Refuses who asks for a purpose that takes a contract, about a subject of whom it has no living account.

    Judged here, in the transaction that answers: an account that was withdrawn before is no ground any more."""
    asked = {
        (key, work.caller.member)
        for work in works
        if work.refusal is None
        for key, subject in zip(work.request.subject_keys, work.request.subjects, strict=True)
        if subject.purpose in LIVING_PURPOSES
    }
    if not asked:
        return
    pairs = sorted(asked)
    living = _LIVING(
        subjects=short_bytes(key for key, _ in pairs), members=integers(member for _, member in pairs), since=clock - REPORT_AGE
    )
    found = {(bytes(key), member) for key, member in await connection.run(living)}
    for work in works:
        if work.refusal is None:
            has = [(key, work.caller.member) in found for key in work.request.subject_keys]
            work.refusal = account_refusal(work.message, work.request.subjects, has)
