"""The role that serves: what it tries and may not, and that nothing is granted which nobody decided on."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2 import errors, extensions
from sqlalchemy import make_url
from tests.conftest import TwoRoles

from tallystick.server.storage import migration
from tallystick.server.storage.partitions import create_evidence_partitions, evidence_months, month_of, running_month
from tallystick.server.storage.privileges import SERVING, compare_rights, grant_serving
from tallystick.server.storage.tables import metadata

TABLES = sorted([*metadata.tables, "alembic_version"])


def connect(url: str) -> extensions.connection:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection


def run(connection: extensions.connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def owner(two_roles: TwoRoles) -> Iterator[extensions.connection]:
    """The owner's connection to a database at head, with what serving takes granted."""
    migration.upgrade(two_roles.owner)
    connection = connect(two_roles.owner)
    grant_serving(connection, str(make_url(two_roles.serving).username))
    yield connection
    connection.close()


@pytest.fixture
def serving(owner: extensions.connection, two_roles: TwoRoles) -> Iterator[extensions.connection]:
    """The connection of the role that serves."""
    connection = connect(two_roles.serving)
    yield connection
    connection.close()


def tries() -> Iterator[str]:
    """Statements by which somebody who has the server's way into the database could change what was logged."""
    for table in TABLES:
        yield f"TRUNCATE {table}"
        yield f"DROP TABLE {table} CASCADE"
        yield f"ALTER TABLE {table} ADD COLUMN more int"
        yield f"ALTER TABLE {table} DISABLE TRIGGER ALL"
        yield f"ALTER TABLE {table} OWNER TO CURRENT_USER"
        yield f"CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        yield f"CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING"
        yield f"CREATE INDEX mine ON {table} ((1))"
    for table in ("audit_entry", "log_tile", "server_identity", "alembic_version"):
        yield f"DELETE FROM {table}"
        columns = metadata.tables[table].columns.keys() if table in metadata.tables else ["version_num"]
        yield from (f'UPDATE {table} SET "{column}" = "{column}"' for column in columns)
    for table in ("server_identity", "alembic_version", "log_head", "replay_horizon"):
        yield f"INSERT INTO {table} DEFAULT VALUES"
    for table in ("log_head", "replay_horizon", "evidence", "member", "member_key", "token_meter"):
        yield f"DELETE FROM {table}"
    yield from (f"UPDATE audit_subject SET {column.name} = NULL" for column in metadata.tables["audit_subject"].columns)
    for column in ("keyid", "member", "public_key", "create_time"):
        yield f"UPDATE member_key SET {column} = {column}"
    for column in ("id", "member_id", "create_time"):
        yield f"UPDATE member SET {column} = DEFAULT"
    yield "UPDATE evidence SET entry_index = 0"
    yield "DO 'BEGIN LOCK TABLE audit_entry IN ACCESS EXCLUSIVE MODE; END'"
    yield "SELECT * FROM audit_entry FOR UPDATE"
    yield "INSERT INTO audit_entry VALUES (0, '', '', now(), 1, '', 1) ON CONFLICT (index) DO UPDATE SET leaf = excluded.leaf"
    yield "CREATE TABLE mine ()"
    yield "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    yield "CREATE SCHEMA mine"
    yield "ALTER FUNCTION drop_evidence_partition(date) SECURITY INVOKER"
    yield "SET session_replication_role = replica"
    yield "CREATE ROLE mine"
    yield "COPY audit_entry TO PROGRAM 'cat'"


def test_what_who_serves_tries_is_refused(owner: extensions.connection, serving: extensions.connection) -> None:
    """Each is tried, so that no other right lets it through."""
    run(owner, "INSERT INTO audit_entry VALUES (0, 'leaf', 'hash', now(), 1, 'method', 1)")
    allowed = []
    for statement in tries():
        try:
            run(serving, statement)
            allowed.append(statement)
        except errors.InsufficientPrivilege:
            pass
    assert not allowed
    for table in TABLES:
        # No error to PostgreSQL, and no effect either.
        run(serving, f"GRANT ALL ON {table} TO PUBLIC")
    with owner.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class, aclexplode(relacl) WHERE relname = ANY (%s) AND grantee = 0", (TABLES,))
        assert cursor.fetchall() == []
    run(serving, "INSERT INTO audit_entry VALUES (1, 'leaf', 'hash', now(), 1, 'method', 1)")


def test_partitions_are_reached_by_nothing_but_their_functions(
    owner: extensions.connection, serving: extensions.connection
) -> None:
    running = running_month(serving)
    name = f"evidence_{running:%Y_%m}"
    for statement in (
        "SELECT * FROM {}",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "DROP TABLE {}",
        "ALTER TABLE evidence DETACH PARTITION {}",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            run(serving, statement.format(name))
    old, ahead = month_of(running, -2), month_of(running, 2)
    run(owner, f"CREATE TABLE evidence_{old:%Y_%m} PARTITION OF evidence FOR VALUES FROM ('{old}') TO ('{month_of(old, 1)}')")
    run(owner, f"DROP TABLE evidence_{ahead:%Y_%m}")
    assert create_evidence_partitions(serving) == [ahead]
    run(serving, f"SELECT drop_evidence_partition('{old}')")
    assert evidence_months(serving) == [running, month_of(running, 1), ahead]
    assert compare_rights(serving).beyond == ()


@pytest.mark.parametrize("offset", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("function", ["create_evidence_partition", "drop_evidence_partition"])
def test_the_functions_take_no_month_but_their_own(serving: extensions.connection, function: str, offset: int) -> None:
    months = evidence_months(serving)
    month = month_of(running_month(serving), offset)
    for argument in [f"'{month}'"] if function.startswith("drop") or offset in (-1, 3) else [f"'{month.replace(day=2)}'"]:
        with pytest.raises(errors.InvalidParameterValue):
            run(serving, f"SELECT {function}({argument})")
    with pytest.raises(errors.InvalidParameterValue):
        run(serving, f"SELECT {function}(NULL)")
    assert evidence_months(serving) == months


def test_nobody_else_may_call_the_functions(owner: extensions.connection, two_roles: TwoRoles) -> None:
    grant_serving(owner, str(make_url(two_roles.serving).username))
    run(owner, f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM {make_url(two_roles.serving).username}")
    stranger = connect(two_roles.serving)
    for function in ("create_evidence_partition", "drop_evidence_partition"):
        with pytest.raises(errors.InsufficientPrivilege):
            run(stranger, f"SELECT {function}('2020-01-01')")
    assert compare_rights(stranger).lacking == ("EXECUTE create_evidence_partition", "EXECUTE drop_evidence_partition")
    stranger.close()


def test_what_a_caller_puts_in_the_way_is_not_used(serving: extensions.connection) -> None:
    """The functions run as the owner: a temporary table of the caller's must not stand for the evidence."""
    run(serving, "CREATE TEMPORARY TABLE evidence (month date) PARTITION BY RANGE (month)")
    run(serving, "SET search_path = pg_temp, public")
    ahead = month_of(running_month(serving), 2)
    with pytest.raises(errors.DuplicateTable):
        run(serving, f"SELECT create_evidence_partition('{ahead}')")


def test_each_table_is_decided_on() -> None:
    assert sorted(SERVING) == TABLES
    for name, allowed in SERVING.items():
        if allowed.update:
            assert set(allowed.update) < set(metadata.tables[name].columns.keys())


def test_a_table_that_nobody_decided_on_is_closed(owner: extensions.connection, serving: extensions.connection) -> None:
    role = serving.info.user
    run(owner, f"CREATE TABLE more (id int); GRANT SELECT ON more TO {role}; GRANT UPDATE ON audit_entry TO {role}")
    assert compare_rights(serving).beyond == ("UPDATE audit_entry", "SELECT more")
    grant_serving(owner, role)
    rights = compare_rights(serving)
    assert (rights.role, rights.owner, rights.beyond, rights.lacking) == (role, "", (), ())


@pytest.mark.parametrize(
    ("how", "beyond", "lacking"),
    [
        ("GRANT DELETE ON audit_entry TO PUBLIC", ("DELETE audit_entry",), ()),
        ("GRANT UPDATE (leaf) ON audit_entry TO {}", ("UPDATE audit_entry",), ()),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", ("CREATE in the schema",), ()),
        ("REVOKE INSERT ON audit_entry FROM {}", (), ("INSERT audit_entry",)),
        ("REVOKE SELECT ON member FROM {}", (), ("SELECT member",)),
    ],
)
def test_other_rights_are_seen(
    owner: extensions.connection, serving: extensions.connection, how: str, beyond: tuple[str, ...], lacking: tuple[str, ...]
) -> None:
    run(owner, how.format(serving.info.user))
    rights = compare_rights(serving)
    assert (rights.owner, rights.beyond, rights.lacking) == ("", beyond, lacking)


def test_an_owner_and_a_superuser_are_told(owner: extensions.connection, postgresql: str) -> None:
    assert compare_rights(owner).owner == "owns the tables"
    database = make_url(postgresql).set(database=owner.info.dbname).render_as_string(hide_password=False)
    superuser = connect(database)
    assert compare_rights(superuser).owner == "is a superuser"
    superuser.close()
