"""How many reports of a submission changed nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; earlier submissions have none, and are shown as "not known". No row is touched."""
    comment = "of accepted_count; null also for submissions of before this column"
    op.add_column("request", sa.Column("superseded_count", sa.Integer, comment=comment))


def downgrade() -> None:
    """Drops it."""
    op.drop_column("request", "superseded_count")
