"""Quotas of members; accounts in the order in which they are told; inquiries by institution."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the quotas and their meter, makes `overdue` the standing of an account, and sorts footprints by who asked."""
    op.add_column(
        "member",
        sa.Column(
            "quotas",
            sa.LargeBinary,
            nullable=False,
            server_default=sa.text("''::bytea"),
            comment="serialised tallystick.v1.MemberQuotas; empty is the server's defaults",
        ),
    )
    op.create_table(
        "member_usage",
        sa.Column("member_id", sa.Text, nullable=False),
        sa.Column("period", sa.SmallInteger, nullable=False, comment="tallystick.v1.QuotaPeriod"),
        sa.Column("start", sa.BigInteger, nullable=False, comment="when the period began, in seconds since 1970"),
        sa.Column("method", sa.Text, nullable=False, comment="its name without its service"),
        sa.Column("purpose", sa.SmallInteger, nullable=False, comment="0 for what is no query"),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("subjects", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("kept_bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("period", "start", "member_id", "method", "purpose", name="member_usage_pkey"),
    )
    op.add_column(
        "account",
        sa.Column("standing", sa.SmallInteger, comment="0 withdrawn, 1 without any overdue, 2 with overdue, running or past"),
    )
    op.execute("UPDATE account SET standing = CASE WHEN record IS NULL THEN 0 WHEN overdue THEN 2 ELSE 1 END")
    op.alter_column("account", "standing", nullable=False)
    op.drop_column("account", "overdue")
    op.create_index("account_live_idx", "account", ["subject", "standing", "member"], postgresql_where=sa.text("standing > 0"))
    op.create_index("account_withdrawn_idx", "account", ["subject"], postgresql_where=sa.text("standing = 0"))
    op.drop_index("audit_subject_footprint_idx", "audit_subject")
    op.create_index(
        "audit_subject_footprint_idx",
        "audit_subject",
        ["subject", "member", "entry_index"],
        postgresql_include=["purpose", "create_time"],
        postgresql_where=sa.text("footprint"),
    )


def downgrade() -> None:
    """Undoes it; quotas and what was metered are lost."""
    op.drop_index("audit_subject_footprint_idx", "audit_subject")
    op.create_index(
        "audit_subject_footprint_idx",
        "audit_subject",
        ["subject", "entry_index"],
        postgresql_include=["member", "purpose", "create_time"],
        postgresql_where=sa.text("footprint"),
    )
    op.drop_index("account_withdrawn_idx", "account")
    op.drop_index("account_live_idx", "account")
    op.add_column("account", sa.Column("overdue", sa.Boolean, comment="whether the record holds any overdue, running or past"))
    op.execute("UPDATE account SET overdue = standing = 2")
    op.alter_column("account", "overdue", nullable=False)
    op.drop_column("account", "standing")
    op.drop_table("member_usage")
    op.drop_column("member", "quotas")
