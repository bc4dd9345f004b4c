"""How many reports of a submission changed nothing."""

import sqlalchemy as sa
from alembic import op

from tallystick.v1.reporting_service_pb2 import REPORT_OUTCOME_SUPERSEDED, SubmitReportsResponse

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STEP = 500
"""Answers that are read at once: one has up to a thousand verdicts."""


def upgrade() -> None:
    """Adds the column, and counts in the answers to earlier submissions."""
    op.add_column("request", sa.Column("superseded_count", sa.Integer, comment="of accepted_count; set for submissions alone"))
    connection = op.get_bind()
    stored = sa.text("SELECT member, request_id, answer FROM request WHERE accepted_count IS NOT NULL AND answer IS NOT NULL")
    update = sa.text("UPDATE request SET superseded_count = :count WHERE member = :member AND request_id = :request_id")
    with connection.execute(stored.execution_options(stream_results=True)) as rows:
        for page in rows.partitions(_STEP):
            connection.execute(
                update,
                [{"member": member, "request_id": request_id, "count": _superseded(answer)} for member, request_id, answer in page],
            )


def _superseded(answer: bytes) -> int:
    verdicts = SubmitReportsResponse.FromString(bytes(answer)).verdicts
    return sum(verdict.outcome == REPORT_OUTCOME_SUPERSEDED for verdict in verdicts)


def downgrade() -> None:
    """Drops it."""
    op.drop_column("request", "superseded_count")
