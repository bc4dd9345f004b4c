"""The tables, as SQLAlchemy metadata; migrations/ holds the same schema, and a test fails when the two differ.

Rules that let this schema run on Citus: `subject` comes first in the primary key of each large table about subjects and is its
distribution column; the log, the head, nonces and request ids are ordinary tables of one coordinator; ids are bigint; no triggers,
and so no foreign keys on what grows with the traffic (each row would lock its member's row): members are never deleted.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

TIMESTAMP = DateTime(timezone=True)

# --- Whose database this is -----------------------------------------------------------------------------------------------------

server_identity = Table(
    "server_identity",
    metadata,
    Column("singleton", Boolean, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("store_check", LargeBinary, nullable=False, comment="derived from store.key, of which it tells nothing"),
    Column("receipt_key", LargeBinary, nullable=False, comment="public"),
    Column("checkpoint_key", LargeBinary, nullable=False, comment="public"),
    Column("token_epoch", LargeBinary, nullable=False, comment="epoch_id of every token in here"),
    CheckConstraint("singleton", name="singleton"),
)

# --- Who takes part -------------------------------------------------------------------------------------------------------------

member = Table(
    "member",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("member_id", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("roles", ARRAY(SmallInteger), nullable=False),
    Column("purposes", ARRAY(SmallInteger), nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("daily_evaluations", BigInteger, nullable=False, comment="0 is no limit"),
    Column("create_time", TIMESTAMP, nullable=False),
    Column(
        "quotas",
        LargeBinary,
        nullable=False,
        server_default=text("''::bytea"),
        comment="serialised tallystick.v1.MemberQuotas; empty is the server's defaults",
    ),
    UniqueConstraint("member_id"),
)

member_key = Table(
    "member_key",
    metadata,
    Column("keyid", LargeBinary, primary_key=True, comment="SHA-256 of public_key"),
    Column("member", BigInteger, ForeignKey("member.id"), nullable=False),
    Column("public_key", LargeBinary, nullable=False, comment="Ed25519"),
    Column("create_time", TIMESTAMP, nullable=False),
    Column("revoke_time", TIMESTAMP),
    # The keys of a page of members, and whether a member has one already.
    Index(None, "member"),
)

# --- Each request once ----------------------------------------------------------------------------------------------------------

nonce = Table(
    "nonce",
    metadata,
    Column("minute", Integer, primary_key=True, comment="the signature's created, in minutes since 1970"),
    Column("keyid", LargeBinary, primary_key=True),
    Column("nonce", LargeBinary, primary_key=True),
)

replay_horizon = Table(
    "replay_horizon",
    metadata,
    Column("singleton", Boolean, primary_key=True),
    Column(
        "minute",
        Integer,
        nullable=False,
        comment="nonces up to this minute are purged; what was signed then is refused for ever",
    ),
    CheckConstraint("singleton", name="singleton"),
)

request = Table(
    "request",
    metadata,
    Column("member", BigInteger, primary_key=True),
    Column("request_id", LargeBinary, primary_key=True),
    Column("method", Text, nullable=False),
    Column(
        "digest",
        LargeBinary,
        nullable=False,
        comment="keyed digest of method and message, its key not in the database; empty once a subject of it was erased",
    ),
    Column("entry_index", BigInteger, nullable=False, comment="the entry of the request that had the effect"),
    Column("create_time", TIMESTAMP, nullable=False),
    Column(
        "answer",
        LargeBinary,
        comment="the first answer, where a retry is to get it again; never one about a subject's history",
    ),
    Column("accepted_count", Integer, comment="set for submissions alone"),
    Column("rejected_count", Integer, comment="set for submissions alone"),
    Column("superseded_count", Integer, comment="of accepted_count; set for submissions alone"),
    # A member's submissions, newest first.
    Index("request_submission_idx", "member", "entry_index", postgresql_where=text("accepted_count IS NOT NULL")),
    # Purging by age.
    Index("request_create_time_idx", "create_time", postgresql_using="brin"),
)

token_meter = Table(
    "token_meter",
    metadata,
    Column("member", BigInteger, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("evaluations", BigInteger, nullable=False),
)

member_usage = Table(
    "member_usage",
    metadata,
    Column("member_id", Text, primary_key=True),
    Column("period", SmallInteger, primary_key=True, comment="tallystick.v1.QuotaPeriod"),
    Column("start", BigInteger, primary_key=True, comment="when the period began, in seconds since 1970"),
    Column("method", Text, primary_key=True, comment="its name without its service"),
    Column("purpose", SmallInteger, primary_key=True, comment="0 for what is no query"),
    Column("calls", BigInteger, nullable=False),
    Column("subjects", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("kept_bytes", BigInteger, nullable=False),
    # What all members used in the periods that run.
    PrimaryKeyConstraint("period", "start", "member_id", "method", "purpose"),
)

# --- What is known --------------------------------------------------------------------------------------------------------------

account = Table(
    "account",
    metadata,
    Column(
        "subject",
        LargeBinary,
        primary_key=True,
        comment="subject key: keyed digest of a token; the key is not in the database",
    ),
    Column("member", BigInteger, primary_key=True),
    Column("account_reference", LargeBinary, primary_key=True, comment="secret id, then digest: the member's own"),
    Column("record", LargeBinary, comment="serialised tallystick.v1.Account, copied into answers; null when withdrawn"),
    Column(
        "versions",
        LargeBinary,
        nullable=False,
        comment="serialised tallystick.v1.AccountVersions: what merging needs beside the record",
    ),
    Column("update_time", TIMESTAMP, nullable=False),
    Column("standing", SmallInteger, nullable=False, comment="0 withdrawn, 1 without any overdue, 2 with overdue, running or past"),
    Column("live", Boolean, nullable=False, comment="whether it is open or owed: its member may go on asking about the subject"),
    Column(
        "rating_facts",
        LargeBinary,
        comment="what a rating must know of the record (credit.rating.facts); null when withdrawn, or reported before 0010",
    ),
    # What is told of a subject, overdue first; and how many one member reports of it.
    Index("account_live_idx", "subject", "standing", "member", postgresql_where=text("standing > 0")),
    # Withdrawn accounts, to be forgotten by age.
    Index("account_withdrawn_idx", "subject", postgresql_where=text("standing = 0")),
)

scorecard = Table(
    "scorecard",
    metadata,
    Column("name", Text, primary_key=True),
    Column("toml", LargeBinary, nullable=False, comment="as it was installed; never changed"),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of toml: what ratings name it by"),
)

servicing_event = Table(
    "servicing_event",
    metadata,
    Column("subject", LargeBinary, primary_key=True, comment="subject key, as in account"),
    Column("member", BigInteger, primary_key=True),
    Column("account_reference", LargeBinary, primary_key=True, comment="as in account"),
    Column("event_id", LargeBinary, primary_key=True, comment="the member's own"),
    Column(
        "event",
        LargeBinary,
        nullable=False,
        comment="serialised tallystick.v1.ServicingEvent without what the key says",
    ),
    Column("create_time", TIMESTAMP, nullable=False),
    # Purging by age.
    Index("servicing_event_create_time_idx", "create_time", postgresql_using="brin"),
)

# --- What is watched ------------------------------------------------------------------------------------------------------------

watch = Table(
    "watch",
    metadata,
    Column("subject", LargeBinary, primary_key=True, comment="subject key, as in account"),
    Column("member", BigInteger, primary_key=True),
    Column("account_reference", LargeBinary, primary_key=True, comment="as in account: the ground"),
    Column("watch_id", LargeBinary, nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("consent_reference", Text, nullable=False),
    Column("triggers", LargeBinary, nullable=False, comment="serialised tallystick.v1.WatchTriggers"),
    Column("end_date", Date, nullable=False, comment="its last day; of one that was ended, the day on which it was"),
    Column("end_reason", SmallInteger, nullable=False, comment="tallystick.v1.WatchStateReason; 0 while nobody ended it"),
    Column(
        "sealed_token",
        LargeBinary,
        nullable=False,
        comment="the subject's token, AES-256-GCM under a key that is not in the database, for this row alone",
    ),
    Column("baseline", LargeBinary, nullable=False, comment="serialised tallystick.v1.WatchBaseline: what the sweep last knew"),
    # A member's own, to be listed and ended.
    UniqueConstraint("member", "watch_id"),
    # Those that are to be forgotten.
    Index(None, "end_date"),
)

sweep = Table(
    "sweep",
    metadata,
    Column("singleton", Boolean, primary_key=True),
    Column("subject", LargeBinary, nullable=False, comment="with the next two the key of the watch that was looked at last"),
    Column("member", BigInteger, nullable=False),
    Column("account_reference", LargeBinary, nullable=False),
    CheckConstraint("singleton", name="singleton"),
)

message = Table(
    "message",
    metadata,
    Column("member", BigInteger, primary_key=True),
    Column("release_time", TIMESTAMP, primary_key=True, comment="the end of its release window: told from then on"),
    Column("subject_order", LargeBinary, primary_key=True, comment="keyed digest of the subject key for the window: a shuffling"),
    Column("entry_index", BigInteger, primary_key=True, comment="the entry that it came of"),
    Column("ordinal", Integer, primary_key=True, comment="of all messages of that entry's transaction"),
    Column("message_id", LargeBinary, nullable=False),
    Column("subject", LargeBinary, nullable=False, comment="subject key: with member and account_reference the key of its watch"),
    Column("account_reference", LargeBinary, nullable=False),
    Column("type", SmallInteger, nullable=False, comment="tallystick.v1.TriggerType; 0 for the end of the watch"),
    Column("before", Integer, nullable=False, comment="as in the alert; of the end of a watch the reason"),
    Column("after", Integer, nullable=False, comment="as in the alert; of the end of a watch how many alerts were discarded"),
    Column("band", LargeBinary, nullable=False, comment="serialised tallystick.v1.AmountBand; empty where there is none"),
    Column("repeats", Integer, nullable=False),
    PrimaryKeyConstraint("member", "release_time", "subject_order", "entry_index", "ordinal"),
    # What a subject's watch has to tell: to be discarded, merged or erased with it.
    Index(None, "subject", "member", "account_reference"),
    # Purging by age.
    Index("message_release_time_idx", "release_time", postgresql_using="brin"),
)

message_cursor = Table(
    "message_cursor",
    metadata,
    Column("member", BigInteger, primary_key=True),
    Column("release_time", TIMESTAMP, nullable=False, comment="with the next three the key of the last message acknowledged"),
    Column("subject_order", LargeBinary, nullable=False),
    Column("entry_index", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column(
        "crowded", Boolean, nullable=False, comment="whether too many messages wait: alerts of one watch and type are then merged"
    ),
)

# --- The log --------------------------------------------------------------------------------------------------------------------

log_head = Table(
    "log_head",
    metadata,
    Column("singleton", Boolean, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("compact_range", LargeBinary, nullable=False, comment="hashes of the complete subtrees, largest first"),
    Column("last_time", TIMESTAMP, nullable=False),
    Column("registry_version", BigInteger, nullable=False, comment="grows with each change of members or keys"),
    Column("watch_index", BigInteger, nullable=False, comment="behind the last entry that put watches"),
    Column("fence_time", TIMESTAMP, nullable=False, comment="no later entry is earlier: what was released by then is complete"),
    CheckConstraint("singleton", name="singleton"),
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "leaf",
        LargeBinary,
        nullable=False,
        comment="serialised tallystick.v1.AuditEntry: what is hashed; the columns below repeat it",
    ),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("create_time", TIMESTAMP, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    # A member's own entries, newest first.
    Index("audit_entry_member_idx", "member", "index"),
    # Entries about membership and keys, which every member may read.
    Index(
        "audit_entry_membership_idx",
        "index",
        postgresql_where=text("starts_with(method, '/tallystick.v1.MembershipService/')"),
    ),
    # Refusals.
    Index("audit_entry_refused_idx", "index", postgresql_where=text("outcome = 2")),
    # Where in the log a period begins and ends.
    Index("audit_entry_create_time_idx", "create_time", postgresql_using="brin"),
)

audit_subject = Table(
    "audit_subject",
    metadata,
    Column("subject", LargeBinary, primary_key=True, comment="subject key"),
    Column("entry_index", BigInteger, primary_key=True),
    Column("ordinal", Integer, primary_key=True, comment="which leaf of the details: 1 for the first subject"),
    Column("member", BigInteger, nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("consent_reference", Text, nullable=False),
    Column("create_time", TIMESTAMP, nullable=False),
    Column(
        "footprint",
        Boolean,
        nullable=False,
        comment="true for an answered query that was not a retry: others are told of it",
    ),
    # Inquiries about a subject, and the newest of each institution, without a look at the table.
    Index(
        "audit_subject_footprint_idx",
        "subject",
        "member",
        "entry_index",
        postgresql_include=["purpose", "create_time"],
        postgresql_where=text("footprint"),
    ),
    # Who stated a consent, newest first.
    Index(
        "audit_subject_consent_idx",
        "consent_reference",
        "entry_index",
        postgresql_where=text("consent_reference <> ''"),
    ),
    # Rows are appended in the order of time: counting over a period.
    Index("audit_subject_create_time_idx", "create_time", postgresql_using="brin"),
)

log_tile = Table(
    "log_tile",
    metadata,
    Column("level", SmallInteger, primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("hashes", LargeBinary, nullable=False, comment="256 hashes of tree level 8 x level; full tiles only"),
    Column("root", LargeBinary, nullable=False, comment="the hash above them: one hash of the tile a level up"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("month", Date, primary_key=True),
    Column("entry_index", BigInteger, primary_key=True),
    Column("sealed", LargeBinary, nullable=False, comment="AES-256-GCM under the month's key, which is not in the database"),
    postgresql_partition_by="RANGE (month)",
)
