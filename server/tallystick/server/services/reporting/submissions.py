"""Submissions: a reporter reads what became of its own earlier batches (tallystick.v1.ReportingService)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tallystick.contract.methods import GET_SUBMISSION, LIST_SUBMISSIONS
from tallystick.contract.request_fields import check_page_size, page_size
from tallystick.credit.requests import check_submission_asked_for, no_such_submission
from tallystick.server.errors import Refusal, refuse_violations
from tallystick.server.requests.operation import Operation, Work
from tallystick.server.services.page_tokens import PageTokens
from tallystick.server.storage.connection import Connection
from tallystick.v1 import reporting_service_pb2 as pb

_GET = """
SELECT request.member, request.request_id, create_time, accepted_count, superseded_count, rejected_count, entry_index, answer
FROM request
JOIN unnest(%s::bigint[], %s::bytea[]) AS asked (member, request_id) USING (member, request_id)
WHERE accepted_count IS NOT NULL
"""

_LIST = """
SELECT request_id, create_time, accepted_count, superseded_count, rejected_count, entry_index
FROM request
WHERE member = %s AND accepted_count IS NOT NULL AND entry_index < %s
ORDER BY entry_index DESC
LIMIT %s
"""
_MAX_INDEX = 2**63 - 1


class GetSubmission(Operation):
    """One submission with its verdicts."""

    contract = GET_SUBMISSION

    def validate(self, message: Any, now: datetime) -> None:
        check_submission_asked_for(message)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        asked = sorted({(work.caller.member, work.message.submission_request_id) for work in works})
        rows = await connection.fetch(_GET, ([member for member, _ in asked], [request_id for _, request_id in asked]))
        found = {(member, bytes(request_id)): (bytes(request_id), *rest) for member, request_id, *rest in rows}
        for work in works:
            row = found.get((work.caller.member, work.message.submission_request_id))
            if row is None:
                work.refusal = no_such_submission()
                continue
            *summary, answer = row
            verdicts = pb.SubmitReportsResponse.FromString(answer).verdicts
            work.answer = pb.GetSubmissionResponse(submission=_submission(*summary), verdicts=verdicts).SerializeToString()


class ListSubmissions(Operation):
    """The caller's submissions, newest first."""

    contract = LIST_SUBMISSIONS

    def __init__(self, page_secret: bytes) -> None:
        self._tokens = PageTokens(page_secret, self.method)

    def validate(self, message: Any, now: datetime) -> None:
        if violations := check_page_size(message.page_size):
            raise refuse_violations(violations)

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        for work in works:
            try:
                position = self._tokens.position(work)
            except Refusal as refusal:
                work.refusal = refusal
                continue
            before = _MAX_INDEX if position is None else int.from_bytes(position, "big")
            size = page_size(work.message.page_size)
            # Fetch one row past the limit, to detect another page.
            rows = await connection.fetch(_LIST, (work.caller.member, before, size + 1))
            page = [_submission(bytes(request_id), *rest) for request_id, *rest in rows[:size]]
            token = self._tokens.issue(work, page[-1].entry_index.to_bytes(8, "big")) if len(rows) > size else ""
            work.answer = pb.ListSubmissionsResponse(submissions=page, next_page_token=token).SerializeToString()


def _submission(
    request_id: bytes, create_time: datetime, accepted: int, superseded: int | None, rejected: int, entry_index: int
) -> pb.Submission:
    submission = pb.Submission(
        request_id=request_id,
        accepted_count=accepted,
        superseded_count=superseded,
        rejected_count=rejected,
        entry_index=entry_index,
    )
    submission.create_time.FromDatetime(create_time)
    return submission
