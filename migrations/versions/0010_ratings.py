"""What a rating must know of each account, and scorecards."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column that is filled when an account is next reported, and the table of scorecards.

    Until then a rating reckons an account's facts from its record, which gives the same: to write the largest table anew would be
    an outage as long as that takes."""
    comment = "what a rating must know of the record (credit.rating.facts); null when withdrawn, or reported before 0010"
    op.add_column("account", sa.Column("rating_facts", sa.LargeBinary, comment=comment))
    op.create_table(
        "scorecard",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("toml", sa.LargeBinary, nullable=False, comment="as it was installed; never changed"),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="SHA-256 of toml: what ratings name it by"),
        sa.PrimaryKeyConstraint("name", name=op.f("scorecard_pkey")),
    )


def downgrade() -> None:
    """Drops both."""
    op.drop_table("scorecard")
    op.drop_column("account", "rating_facts")
