"""The first schema: members, replay protection, accounts, the log and its evidence."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates every table, with the rows that stand for an empty log."""
    create_identity()
    create_registry()
    create_replay_protection()
    create_accounts()
    create_log()
    create_log_search()


def downgrade() -> None:
    """Drops every table and all data. The partitions of evidence go with it."""
    for table in (
        "evidence",
        "log_tile",
        "audit_subject",
        "audit_entry",
        "log_head",
        "account",
        "token_meter",
        "request",
        "replay_horizon",
        "nonce",
        "member_key",
        "member",
        "server_identity",
    ):
        op.drop_table(table)


def create_identity() -> None:
    """Whose database this is; the row is written by what knows the keys."""
    op.create_table(
        "server_identity",
        sa.Column("singleton", sa.Boolean, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("store_check", sa.LargeBinary, nullable=False, comment="derived from store.key, of which it tells nothing"),
        sa.Column("receipt_key", sa.LargeBinary, nullable=False, comment="public"),
        sa.Column("checkpoint_key", sa.LargeBinary, nullable=False, comment="public"),
        sa.Column("token_epoch", sa.LargeBinary, nullable=False, comment="epoch_id of every token in here"),
        sa.PrimaryKeyConstraint("singleton", name="server_identity_pkey"),
        sa.CheckConstraint("singleton", name=op.f("server_identity_singleton_check")),
    )


def create_registry() -> None:
    """Who takes part."""
    op.create_table(
        "member",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True)),
        sa.Column("member_id", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("roles", ARRAY(sa.SmallInteger), nullable=False),
        sa.Column("purposes", ARRAY(sa.SmallInteger), nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("daily_evaluations", sa.BigInteger, nullable=False, comment="0 is no limit"),
        sa.Column("create_time", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("id", name="member_pkey"),
        sa.UniqueConstraint("member_id", name="member_member_id_key"),
    )
    op.create_table(
        "member_key",
        sa.Column("keyid", sa.LargeBinary, nullable=False, comment="SHA-256 of public_key"),
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False, comment="Ed25519"),
        sa.Column("create_time", TIMESTAMP, nullable=False),
        sa.Column("revoke_time", TIMESTAMP),
        sa.PrimaryKeyConstraint("keyid", name="member_key_pkey"),
        sa.ForeignKeyConstraint(["member"], ["member.id"], name="member_key_member_fkey"),
    )
    op.create_index("member_key_member_idx", "member_key", ["member"])


def create_replay_protection() -> None:
    """Each request once."""
    op.create_table(
        "nonce",
        sa.Column("minute", sa.Integer, nullable=False, comment="the signature's created, in minutes since 1970"),
        sa.Column("keyid", sa.LargeBinary, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("minute", "keyid", "nonce", name="nonce_pkey"),
    )
    op.create_table(
        "replay_horizon",
        sa.Column("singleton", sa.Boolean, nullable=False),
        sa.Column(
            "minute",
            sa.Integer,
            nullable=False,
            comment="nonces up to this minute are purged; what was signed then is refused for ever",
        ),
        sa.PrimaryKeyConstraint("singleton", name="replay_horizon_pkey"),
        sa.CheckConstraint("singleton", name=op.f("replay_horizon_singleton_check")),
    )
    op.execute("INSERT INTO replay_horizon (singleton, minute) VALUES (true, 0)")
    op.create_table(
        "request",
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column(
            "digest",
            sa.LargeBinary,
            nullable=False,
            comment="keyed digest of method and message, its key not in the database; empty once a subject of it was erased",
        ),
        sa.Column("entry_index", sa.BigInteger, nullable=False, comment="the entry of the request that had the effect"),
        sa.Column("create_time", TIMESTAMP, nullable=False),
        sa.Column(
            "answer",
            sa.LargeBinary,
            comment="the first answer, where a retry is to get it again; never one about a subject's history",
        ),
        sa.Column("accepted_count", sa.Integer, comment="set for submissions alone"),
        sa.Column("rejected_count", sa.Integer, comment="set for submissions alone"),
        sa.PrimaryKeyConstraint("member", "request_id", name="request_pkey"),
    )
    op.create_index(
        "request_submission_idx",
        "request",
        ["member", "entry_index"],
        postgresql_where=sa.text("accepted_count IS NOT NULL"),
    )
    op.create_index("request_create_time_idx", "request", ["create_time"], postgresql_using="brin")
    op.create_table(
        "token_meter",
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("evaluations", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("member", "day", name="token_meter_pkey"),
    )


def create_accounts() -> None:
    """What is known."""
    op.create_table(
        "account",
        sa.Column(
            "subject",
            sa.LargeBinary,
            nullable=False,
            comment="subject key: keyed digest of a token; the key is not in the database",
        ),
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("account_reference", sa.LargeBinary, nullable=False, comment="secret id, then digest: the member's own"),
        sa.Column(
            "record",
            sa.LargeBinary,
            comment="serialised tallystick.v1.Account, copied into answers; null when withdrawn",
        ),
        sa.Column(
            "versions",
            sa.LargeBinary,
            nullable=False,
            comment="serialised tallystick.v1.AccountVersions: what merging needs beside the record",
        ),
        sa.Column("overdue", sa.Boolean, nullable=False, comment="whether the record holds any overdue, running or past"),
        sa.Column("update_time", TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("subject", "member", "account_reference", name="account_pkey"),
    )


def create_log() -> None:
    """The log: its head, its entries, its tiles, and the sealed evidence in month partitions."""
    op.create_table(
        "log_head",
        sa.Column("singleton", sa.Boolean, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("compact_range", sa.LargeBinary, nullable=False, comment="hashes of the complete subtrees, largest first"),
        sa.Column("last_time", TIMESTAMP, nullable=False),
        sa.Column("registry_version", sa.BigInteger, nullable=False, comment="grows with each change of members or keys"),
        sa.PrimaryKeyConstraint("singleton", name="log_head_pkey"),
        sa.CheckConstraint("singleton", name=op.f("log_head_singleton_check")),
    )
    op.execute(
        "INSERT INTO log_head (singleton, size, compact_range, last_time, registry_version) "
        "VALUES (true, 0, ''::bytea, timestamptz '1970-01-01 00:00:00+00', 0)"
    )
    op.create_table(
        "audit_entry",
        sa.Column("index", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column(
            "leaf",
            sa.LargeBinary,
            nullable=False,
            comment="serialised tallystick.v1.AuditEntry: what is hashed; the columns below repeat it",
        ),
        sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
        sa.Column("create_time", TIMESTAMP, nullable=False),
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("outcome", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("index", name="audit_entry_pkey"),
    )
    op.create_table(
        "log_tile",
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column(
            "hashes",
            sa.LargeBinary,
            nullable=False,
            comment="256 hashes of tree level 8 x level; full tiles only",
        ),
        sa.Column("root", sa.LargeBinary, nullable=False, comment="the hash above them: one hash of the tile a level up"),
        sa.PrimaryKeyConstraint("level", "index", name="log_tile_pkey"),
    )
    op.create_table(
        "evidence",
        sa.Column("month", sa.Date, nullable=False),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
        sa.Column(
            "sealed",
            sa.LargeBinary,
            nullable=False,
            comment="AES-256-GCM under the month's key, which is not in the database",
        ),
        sa.PrimaryKeyConstraint("month", "entry_index", name="evidence_pkey"),
        postgresql_partition_by="RANGE (month)",
    )


def create_log_search() -> None:
    """What finds entries: by member, kind, outcome, time and subject."""
    op.create_index("audit_entry_member_idx", "audit_entry", ["member", "index"])
    op.create_index(
        "audit_entry_membership_idx",
        "audit_entry",
        ["index"],
        postgresql_where=sa.text("starts_with(method, '/tallystick.v1.MembershipService/')"),
    )
    op.create_index("audit_entry_refused_idx", "audit_entry", ["index"], postgresql_where=sa.text("outcome = 2"))
    op.create_index("audit_entry_create_time_idx", "audit_entry", ["create_time"], postgresql_using="brin")
    op.create_table(
        "audit_subject",
        sa.Column("subject", sa.LargeBinary, nullable=False, comment="subject key"),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False, comment="which leaf of the details: 1 for the first subject"),
        sa.Column("member", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.SmallInteger, nullable=False),
        sa.Column("consent_reference", sa.Text, nullable=False),
        sa.Column("create_time", TIMESTAMP, nullable=False),
        sa.Column(
            "footprint",
            sa.Boolean,
            nullable=False,
            comment="true for an answered query that was not a retry: others are told of it",
        ),
        sa.PrimaryKeyConstraint("subject", "entry_index", "ordinal", name="audit_subject_pkey"),
    )
    op.create_index(
        "audit_subject_footprint_idx",
        "audit_subject",
        ["subject", "entry_index"],
        postgresql_include=["member", "purpose", "create_time"],
        postgresql_where=sa.text("footprint"),
    )
