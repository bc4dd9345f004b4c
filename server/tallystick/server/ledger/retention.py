"""Retention of what tells requests apart: nonces and request_ids are forgotten after their time."""

from __future__ import annotations

from psycopg2 import extensions

from tallystick.server.storage.upkeep import delete_in_steps

NONCE_MINUTES = 10
"""How long nonces are kept: a request is fresh for a minute, and clocks and transactions may lag by minutes."""


def purge_nonces(connection: extensions.connection) -> int:
    """Forgets nonces that are older than NONCE_MINUTES; returns how many.

    The horizon is raised first, and no further than to the newest nonce that goes: were it raised to the clock's time,
    a clock that runs ahead for a moment would lock everybody out until that time has come. Crash after it: nonces are
    left that nothing needs any more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH due AS (SELECT max(minute) AS minute FROM nonce"
            " WHERE minute <= floor(extract(epoch FROM clock_timestamp()) / 60)::integer - %s)"
            " UPDATE replay_horizon SET minute = due.minute FROM due WHERE replay_horizon.minute < due.minute",
            (NONCE_MINUTES,),
        )
    return delete_in_steps(
        connection,
        "DELETE FROM nonce WHERE ctid = ANY (ARRAY("
        "SELECT ctid FROM nonce WHERE minute <= (SELECT minute FROM replay_horizon) LIMIT %(limit)s))",
    )


def purge_usage(connection: extensions.connection) -> int:
    """Forgets what members used in periods that are over for two days; returns how many rows that were."""
    return delete_in_steps(
        connection,
        "DELETE FROM member_usage WHERE ctid = ANY (ARRAY(SELECT ctid FROM member_usage"
        " WHERE period IN (1, 2) AND start < extract(epoch FROM clock_timestamp()) - 172800 LIMIT %(limit)s))",
    )


def purge_requests(connection: extensions.connection, *, request_days: int, submission_days: int) -> int:
    """Forgets the effects of requests whose time is over, so that their request_id is free again; returns how many.

    A query's request_id is forgotten after `request_days`: a retry after that is a new request. Submissions, which are also listed
    that long, are forgotten after `submission_days`."""
    statement = (
        "DELETE FROM request WHERE ctid = ANY (ARRAY(SELECT ctid FROM request"
        " WHERE create_time < clock_timestamp() - %(days)s * interval '1 day' AND accepted_count IS {kind} NULL"
        " LIMIT %(limit)s))"
    )
    queries = delete_in_steps(connection, statement.format(kind=""), days=request_days)
    return queries + delete_in_steps(connection, statement.format(kind="NOT"), days=submission_days)
