"""An auditor's questions: entries by consent, and counts over a period."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the two indexes of audit_subject. They are made in one go: nothing can be written meanwhile."""
    op.create_index(
        "audit_subject_consent_idx",
        "audit_subject",
        ["consent_reference", "entry_index"],
        postgresql_where=sa.text("consent_reference <> ''"),
    )
    op.create_index("audit_subject_create_time_idx", "audit_subject", ["create_time"], postgresql_using="brin")


def downgrade() -> None:
    """Drops them."""
    op.drop_index("audit_subject_create_time_idx", "audit_subject")
    op.drop_index("audit_subject_consent_idx", "audit_subject")
