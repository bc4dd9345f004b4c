"""Monitoring: watches over borrowers, and the messages that come of them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the tables, and what the head must know of them."""
    _create_watch()
    _create_message()
    op.create_table(
        "sweep",
        sa.Column("singleton", sa.Boolean, nullable=False),
        sa.Column(
            "subject", sa.LargeBinary, nullable=False, comment="with the next two the key of the watch that was looked at last"
        ),
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("account_reference", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("singleton", name="sweep_pkey"),
        sa.CheckConstraint("singleton", name=op.f("sweep_singleton_check")),
    )
    op.execute("INSERT INTO sweep (singleton, subject, member, account_reference) VALUES (true, '', 0, '')")
    op.add_column(
        "log_head",
        sa.Column(
            "watch_index", sa.BigInteger, nullable=False, server_default="0", comment="behind the last entry that put watches"
        ),
    )
    op.add_column(
        "log_head",
        sa.Column(
            "fence_time",
            TIMESTAMP,
            nullable=False,
            server_default=sa.text("'epoch'"),
            comment="no later entry is earlier: what was released by then is complete",
        ),
    )
    op.alter_column("log_head", "watch_index", server_default=None)
    op.alter_column("log_head", "fence_time", server_default=None)


def _create_watch() -> None:
    op.create_table(
        "watch",
        sa.Column("subject", sa.LargeBinary, nullable=False, comment="subject key, as in account"),
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("account_reference", sa.LargeBinary, nullable=False, comment="as in account: the ground"),
        sa.Column("watch_id", sa.LargeBinary, nullable=False),
        sa.Column("purpose", sa.SmallInteger, nullable=False),
        sa.Column("consent_reference", sa.Text, nullable=False),
        sa.Column("triggers", sa.LargeBinary, nullable=False, comment="serialised tallystick.v1.WatchTriggers"),
        sa.Column("end_date", sa.Date, nullable=False, comment="its last day; of one that was ended, the day on which it was"),
        sa.Column("end_reason", sa.SmallInteger, nullable=False, comment="tallystick.v1.WatchStateReason; 0 while nobody ended it"),
        sa.Column(
            "sealed_token",
            sa.LargeBinary,
            nullable=False,
            comment="the subject's token, AES-256-GCM under a key that is not in the database, for this row alone",
        ),
        sa.Column(
            "baseline",
            sa.LargeBinary,
            nullable=False,
            comment="serialised tallystick.v1.WatchBaseline: what the sweep last knew",
        ),
        sa.PrimaryKeyConstraint("subject", "member", "account_reference", name="watch_pkey"),
        sa.UniqueConstraint("member", "watch_id", name="watch_member_watch_id_key"),
    )
    op.create_index("watch_end_date_idx", "watch", ["end_date"])


def _create_message() -> None:
    op.create_table(
        "message",
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("release_time", TIMESTAMP, nullable=False, comment="the end of its release window: told from then on"),
        sa.Column(
            "subject_order",
            sa.LargeBinary,
            nullable=False,
            comment="keyed digest of the subject key for the window: a shuffling",
        ),
        sa.Column("entry_index", sa.BigInteger, nullable=False, comment="the entry that it came of"),
        sa.Column("ordinal", sa.Integer, nullable=False, comment="of all messages of that entry's transaction"),
        sa.Column("message_id", sa.LargeBinary, nullable=False),
        sa.Column(
            "subject",
            sa.LargeBinary,
            nullable=False,
            comment="subject key: with member and account_reference the key of its watch",
        ),
        sa.Column("account_reference", sa.LargeBinary, nullable=False),
        sa.Column("type", sa.SmallInteger, nullable=False, comment="tallystick.v1.TriggerType; 0 for the end of the watch"),
        sa.Column("before", sa.Integer, nullable=False, comment="as in the alert; of the end of a watch the reason"),
        sa.Column(
            "after",
            sa.Integer,
            nullable=False,
            comment="as in the alert; of the end of a watch how many alerts were discarded",
        ),
        sa.Column("band", sa.LargeBinary, nullable=False, comment="serialised tallystick.v1.AmountBand; empty where there is none"),
        sa.Column("repeats", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("member", "release_time", "subject_order", "entry_index", "ordinal", name="message_pkey"),
    )
    op.create_index("message_subject_member_account_reference_idx", "message", ["subject", "member", "account_reference"])
    op.create_index("message_release_time_idx", "message", ["release_time"], postgresql_using="brin")
    op.create_table(
        "message_cursor",
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column(
            "release_time", TIMESTAMP, nullable=False, comment="with the next three the key of the last message acknowledged"
        ),
        sa.Column("subject_order", sa.LargeBinary, nullable=False),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column(
            "crowded",
            sa.Boolean,
            nullable=False,
            comment="whether too many messages wait: alerts of one watch and type are then merged",
        ),
        sa.PrimaryKeyConstraint("member", name="message_cursor_pkey"),
    )


def downgrade() -> None:
    """Drops them with all watches and messages."""
    op.drop_column("log_head", "fence_time")
    op.drop_column("log_head", "watch_index")
    for table in ("message_cursor", "message", "sweep", "watch"):
        op.drop_table(table)
