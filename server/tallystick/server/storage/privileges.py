"""What a role that serves may do in the database, and no more: `migrate` grants it, `doctor` compares.

The role that migrates owns the tables. The one that serves appends to the log and can change nothing that is in it: an entry, a
tile, the schema, or whose database it is. What it may change besides is what an operation changes: the registry, accounts, the
head, and by erasure search rows and evidence (docs/adr/0021).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg2 import extensions, sql

from tallystick.server.storage import tables

VERSION_TABLE = "alembic_version"
FUNCTIONS = ("create_evidence_partition", "drop_evidence_partition")
LOCK = 0x74616C6C7961
"""Advisory lock: of several who grant at once one does it at a time, since PostgreSQL refuses to change a row of rights twice."""

_OF_TABLES = ("DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_OF_COLUMNS = ("SELECT", "INSERT", "UPDATE")
"""Privileges that PostgreSQL knows for a column by itself too."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What serving may do with a table beside reading it."""

    insert: bool = False
    update: tuple[str, ...] = ()
    """The columns."""
    delete: bool = False

    def allows(self, privilege: str, column: str = "") -> bool:
        """Whether this privilege of PostgreSQL's is among it."""
        if privilege == "UPDATE":
            return column in self.update
        return privilege == "SELECT" or (privilege == "INSERT" and self.insert) or (privilege == "DELETE" and self.delete)


SERVING: dict[str, Allowed] = {
    VERSION_TABLE: Allowed(),
    tables.server_identity.name: Allowed(),
    tables.member.name: Allowed(insert=True, update=("display_name", "roles", "purposes", "state", "daily_evaluations", "quotas")),
    tables.member_key.name: Allowed(insert=True, update=("revoke_time",)),
    tables.nonce.name: Allowed(insert=True, delete=True),
    tables.replay_horizon.name: Allowed(update=("minute",)),
    tables.request.name: Allowed(insert=True, update=("digest",), delete=True),
    tables.token_meter.name: Allowed(insert=True, update=("evaluations",)),
    tables.member_usage.name: Allowed(insert=True, update=("calls", "subjects", "bytes", "kept_bytes"), delete=True),
    tables.account.name: Allowed(
        insert=True, update=("record", "versions", "standing", "live", "rating_facts", "update_time"), delete=True
    ),
    # A scorecard is installed, and never changed.
    tables.scorecard.name: Allowed(insert=True),
    # What is recorded stays as it is: retention and erasure delete it.
    tables.servicing_event.name: Allowed(insert=True, delete=True),
    tables.watch.name: Allowed(
        insert=True,
        update=("purpose", "consent_reference", "triggers", "end_date", "end_reason", "sealed_token", "baseline"),
        delete=True,
    ),
    tables.sweep.name: Allowed(update=("subject", "member", "account_reference")),
    tables.message.name: Allowed(insert=True, delete=True),
    tables.message_cursor.name: Allowed(insert=True, update=("release_time", "subject_order", "entry_index", "ordinal", "crowded")),
    tables.log_head.name: Allowed(update=("size", "compact_range", "last_time", "registry_version", "watch_index", "fence_time")),
    tables.audit_entry.name: Allowed(insert=True),
    # A search row says whom an entry is about: erasure deletes it, and the log's own leaf stays.
    tables.audit_subject.name: Allowed(insert=True, delete=True),
    tables.log_tile.name: Allowed(insert=True),
    # Erasure seals what is left of an entry's evidence anew.
    tables.evidence.name: Allowed(insert=True, update=("sealed",)),
}
"""A table that is not here cannot be reached when serving."""


def role_of(connection: extensions.connection) -> str:
    """The role as which this connection works."""
    return str(_value(connection, "SELECT current_user"))


def grant_serving(connection: extensions.connection, role: str) -> None:
    """Gives the role what SERVING says and takes away whatever else it was given here, in one transaction.

    `connection` is the owner's, in autocommit mode. Crash before the end: the rights are as they were.
    """
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            for statement in _grants(connection, role):
                cursor.execute(statement)
            cursor.execute("COMMIT")
        except BaseException:
            if not connection.closed:
                cursor.execute("ROLLBACK")
            raise


def _grants(connection: extensions.connection, role: str) -> Iterator[sql.Composed]:
    schema, to = sql.Identifier(str(_value(connection, "SELECT current_schema()"))), sql.Identifier(role)
    yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, to)
    yield sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {}").format(schema, to)
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        yield sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA {} FROM {}").format(sql.SQL(kind), schema, to)
    for table, allowed in SERVING.items():
        for privilege, columns in _listed(allowed):
            on = sql.Identifier(table)
            yield sql.SQL("GRANT {} {} ON {}.{} TO {}").format(sql.SQL(privilege), columns, schema, on, to)
    for function in FUNCTIONS:
        name = sql.SQL("{}.{}").format(schema, sql.Identifier(function))
        # A dump that was restored without its rights leaves the functions open to everybody.
        yield sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(name)
        yield sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(name, to)


def _listed(allowed: Allowed) -> Iterator[tuple[str, sql.Composable]]:
    for privilege in ("SELECT", "INSERT", "DELETE"):
        if allowed.allows(privilege):
            yield privilege, sql.SQL("")
    if allowed.update:
        yield "UPDATE", sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, allowed.update)))


@dataclass(frozen=True, slots=True)
class Rights:
    """How a role differs from what serving needs; all empty when it does not."""

    role: str
    owner: str
    """Why nothing can be kept from it: it is a superuser, or owns the tables. Empty when neither."""
    beyond: tuple[str, ...]
    """What it may do and should not, such as "UPDATE audit_entry"."""
    lacking: tuple[str, ...]
    """What it may not do and must."""


def compare_rights(connection: extensions.connection) -> Rights:
    """Holds what the connection's role may do against SERVING: by column, in every table of the schema, partitions included."""
    beyond, lacking = dict[str, None](), dict[str, None]()
    with connection.cursor() as cursor:
        cursor.execute(_COLUMN_RIGHTS, (list(_OF_COLUMNS),))
        found = cursor.fetchall()
        cursor.execute(_TABLE_RIGHTS, (list(_OF_TABLES),))
        found += cursor.fetchall()
        cursor.execute(_FUNCTION_RIGHTS, (list(FUNCTIONS),))
        lacking |= {f"EXECUTE {name}": None for name, has in cursor.fetchall() if not has}
    for table, column, privilege, has in found:
        wanted = table in SERVING and SERVING[table].allows(privilege, column)
        if has != wanted:
            (beyond if has else lacking)[f"{privilege} {table}"] = None
    if _value(connection, "SELECT has_schema_privilege(current_schema(), 'CREATE')"):
        beyond["CREATE in the schema"] = None
    return Rights(role_of(connection), _owner(connection), tuple(beyond), tuple(lacking))


def _owner(connection: extensions.connection) -> str:
    if _value(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        return "is a superuser"
    if _value(connection, "SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = 'audit_entry'::regclass"):
        return "owns the tables"
    return ""


_TABLES = """
FROM pg_class JOIN pg_namespace AS schema ON schema.oid = relnamespace AND nspname = current_schema()
"""
_COLUMN_RIGHTS = f"""
SELECT relname, attname, privilege, has_column_privilege(pg_class.oid, attnum, privilege) {_TABLES}
JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
CROSS JOIN unnest(%s::text[]) AS privilege WHERE relkind IN ('r', 'p') ORDER BY relname, privilege
"""
_TABLE_RIGHTS = f"""
SELECT relname, '', privilege, has_table_privilege(pg_class.oid, privilege) {_TABLES}
CROSS JOIN unnest(%s::text[]) AS privilege WHERE relkind IN ('r', 'p') ORDER BY relname, privilege
"""
_FUNCTION_RIGHTS = """
SELECT name, has_function_privilege(format('%%I.%%I(date)', current_schema(), name), 'EXECUTE') FROM unnest(%s::text[]) AS name
"""


def _value(connection: extensions.connection, statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return None if row is None else row[0]
