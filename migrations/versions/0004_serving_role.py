"""Partitions of the evidence by functions, so that a role that owns no table can have them made and dropped."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Both run as the owner of the tables, whoever calls. So names are given with their schema, nothing is looked up where a caller
# could put something of its own, and an argument is a month and no text.
CREATE = """
CREATE FUNCTION {schema}.create_evidence_partition(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    running CONSTANT date := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date;
    name CONSTANT text := 'evidence_' || to_char(month, 'YYYY_MM');
BEGIN
    IF month IS NULL OR month <> date_trunc('month', month)::date OR month < running OR month > running + interval '2 months' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'partitions are made for the running month and the next two';
    END IF;
    -- A table that is then attached: CREATE TABLE … PARTITION OF would lock writers to the others out.
    EXECUTE format('CREATE TABLE {schema}.%I (LIKE {schema}.evidence INCLUDING ALL)', name);
    EXECUTE format(
        'ALTER TABLE {schema}.evidence ATTACH PARTITION {schema}.%I FOR VALUES FROM (%L) TO (%L)',
        name, month, (month + interval '1 month')::date
    );
END
$body$
"""

# Dropping locks the whole table, for a moment. What stands in its way (a long report) holds up who comes after: a quarter of a
# second at the most, and then the next round tries again.
DROP = """
CREATE FUNCTION {schema}.drop_evidence_partition(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $body$
DECLARE
    running CONSTANT date := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    IF month IS NULL OR month <> date_trunc('month', month)::date OR month >= running - interval '1 month' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the running month and the one before it are always kept';
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS {schema}.%I', 'evidence_' || to_char(month, 'YYYY_MM'));
END
$body$
"""


def upgrade() -> None:
    """Makes the two functions, which nobody may call yet but the owner: tallystickd migrate grants that."""
    schema = _schema()
    for statement in (CREATE, DROP):
        op.execute(statement.format(schema=schema))
    op.execute(f"REVOKE ALL ON FUNCTION {schema}.create_evidence_partition, {schema}.drop_evidence_partition FROM PUBLIC")


def downgrade() -> None:
    """Drops them."""
    schema = _schema()
    op.execute(f"DROP FUNCTION {schema}.create_evidence_partition, {schema}.drop_evidence_partition")


def _schema() -> str:
    """The schema of the tables, as an identifier."""
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    return str(schema)
