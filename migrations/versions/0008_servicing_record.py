"""The servicing record: what institutions did after the loan."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the table."""
    op.create_table(
        "servicing_event",
        sa.Column("subject", sa.LargeBinary, nullable=False, comment="subject key, as in account"),
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("account_reference", sa.LargeBinary, nullable=False, comment="as in account"),
        sa.Column("event_id", sa.LargeBinary, nullable=False, comment="the member's own"),
        sa.Column(
            "event",
            sa.LargeBinary,
            nullable=False,
            comment="serialised tallystick.v1.ServicingEvent without what the key says",
        ),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "member", "account_reference", "event_id", name="servicing_event_pkey"),
    )
    op.create_index("servicing_event_create_time_idx", "servicing_event", ["create_time"], postgresql_using="brin")


def downgrade() -> None:
    """Drops it with all events."""
    op.drop_table("servicing_event")
