"""Alembic's environment: runs the migrations on the connection that tallystick.server.storage.migration hands over."""

from alembic import context
from sqlalchemy import Connection, text

from tallystick.server.storage.tables import metadata

LOCK = 0x74616C6C796D
"""Advisory lock: of several who migrate at once, one does it and the others wait and find it done."""


def run() -> None:
    """Brings the schema to the wanted revision in one transaction: after a crash the database is as it was before."""
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise RuntimeError("migrations are run by tallystickd migrate")
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            context.run_migrations()


run()
