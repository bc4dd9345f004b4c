"""The examinations of `tallystickd doctor`: each a question, its answer, and what to do about it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from cryptography import x509
from psycopg2 import extensions

from tallystick.crypto import CompactRange, CryptoError, check_element, complete_subtrees, keyid, leaf_hash, root
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.server.cli.initialise import WILDCARDS
from tallystick.server.cli.session import load_keys
from tallystick.server.cli.whole_log import advised, summary, walk
from tallystick.server.errors import Problem
from tallystick.server.examination.examination import Progress
from tallystick.server.installation.certificates import certificate_names, check_pair, load_certificate
from tallystick.server.installation.database import clock, connect, database_url, first_line
from tallystick.server.installation.identity import check_identity
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings
from tallystick.server.storage import migration
from tallystick.server.storage.partitions import MONTHS_AHEAD, evidence_months, month_of, running_month
from tallystick.server.storage.privileges import compare_rights
from tallystick.v1 import membership_service_pb2 as pb

EXPIRY_WARNING = timedelta(days=30)
MAX_SKEW = timedelta(seconds=5)
"""The database's clock judges freshness: signatures made by this one's are good for a minute, and 10 seconds ahead."""
MIN_SERVER_VERSION = 150_000
DURABLE_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")
MAX_TAIL = 4096
"""Most entries at the log's end whose hashes are computed again."""
PORT_TIMEOUT = 2.0
MAX_RIGHTS = 5
"""Most privileges that are named in one line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one examination found; the text of a problem says what to do."""

    check: str
    ok: bool
    text: str
    warning: bool = False
    """Nothing is broken, and yet it should be otherwise."""


class Caution(Problem):
    """An answer that is a warning."""


def examine(config: Path | None, *, whole_log: bool = False, progress: Progress = lambda *_: None) -> list[Finding]:
    """Everything that can be examined: what depends on a part that failed is left out. With `whole_log` every row of the database
    is held against the log."""
    findings: list[Finding] = []

    def ask(check: str, question: Callable[[], str]) -> bool:
        try:
            findings.append(Finding(check, True, question()))
        except Caution as caution:
            findings.append(Finding(check, True, str(caution), warning=True))
        except Problem as problem:
            findings.append(Finding(check, False, str(problem)))
        except psycopg2.Error as error:
            findings.append(Finding(check, False, f"the database failed: {first_line(error)}"))
        except OSError as error:
            told = f"{error.filename or check}: {error.strerror or error}; run this as the server's user"
            findings.append(Finding(check, False, told))
        return findings[-1].ok

    try:
        settings = Settings.load(config)
    except Problem as problem:
        return [Finding("configuration", False, str(problem))]
    findings.append(Finding("configuration", True, f"{settings.file or 'environment'}: {settings.role}, {settings.origin}"))
    ask("keys", lambda: _keys(settings))
    ask("server certificate", lambda: _server_certificate(settings))
    ask("client authority", lambda: _client_authority(settings))
    if settings.role == "exchange":
        ask("token key", lambda: _token_key(settings))
    ask("address", lambda: _address(settings))
    with ExitStack() as stack:
        opened: list[tuple[str, extensions.connection]] = []

        def open_database() -> str:
            url = stack.enter_context(database_url(settings))
            connection = stack.enter_context(connect(url))
            opened.append((url, connection))
            return _database(connection, url)

        if ask("database", open_database):
            answered = {check: ask(check, question) for check, question in _database_questions(settings, *opened[0])}
            # With other keys nothing would open, and every row would be found wrong.
            if whole_log and answered["identity"]:
                ask("whole log", lambda: _whole_log(settings, *opened[0], progress, findings))
    return findings


def _database_questions(settings: Settings, url: str, connection: extensions.connection) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "identity", lambda: _identity(settings, url)
    yield "role", lambda: _role(settings, connection)
    yield "durability", lambda: _durability(connection)
    yield "clock", lambda: _clock(connection)
    yield "operator", lambda: _operator(settings, connection)
    yield "evidence partitions", lambda: _partitions(connection)
    yield "log", lambda: _log(connection)


def _keys(settings: Settings) -> str:
    keys = KeyFolder(settings.key_folder).load()
    if settings.role == "token-authority" and keys.token_key is None:
        raise Problem("token.key is missing: restore it from a backup; or if this is an exchange, correct role")
    return f"{settings.key_folder} is complete and closed to others"


def _server_certificate(settings: Settings) -> str:
    certificate = check_pair(settings.tls_certificate, settings.tls_key)
    if settings.tls_key.stat().st_mode & 0o077:
        raise Problem(f"{settings.tls_key} is open to others: run chmod 600 {settings.tls_key}")
    names = certificate_names(certificate)
    host, _ = settings.listen_address
    if host not in WILDCARDS and host not in names:
        raise Problem(f"{settings.tls_certificate} does not name {host}, where it listens: issue one that does")
    return f"for {', '.join(names)}, {_validity(settings.tls_certificate, certificate)}"


def _client_authority(settings: Settings) -> str:
    certificate = load_certificate(settings.tls_client_ca)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = None
    if constraints is None or not constraints.ca:
        raise Problem(f"{settings.tls_client_ca} is not a certificate authority's: set tls_client_ca to the members' one")
    return f"{certificate.subject.rfc4514_string()}, {_validity(settings.tls_client_ca, certificate)}"


def _validity(path: Path, certificate: x509.Certificate) -> str:
    now, end = datetime.now(UTC), certificate.not_valid_after_utc
    if now < certificate.not_valid_before_utc:
        raise Problem(f"{path} is not valid yet: set this machine's clock, or replace it")
    if end - now < EXPIRY_WARNING:
        raise Problem(f"{path} {'has expired' if end < now else 'expires'} on {end:%Y-%m-%d}: replace it and restart")
    return f"valid until {end:%Y-%m-%d}"


def _token_key(settings: Settings) -> str:
    try:
        check_element(bytes.fromhex(settings.token_public_key))
    except CryptoError:
        raise Problem("token_public_key is not a public key: copy it from tallystickd public at the authority") from None
    return f"tokens of the authority's key number {settings.token_sequence}"


def _address(settings: Settings) -> str:
    host, port = settings.listen_address
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised here, not bound to
    try:
        socket.create_connection((reachable, port), PORT_TIMEOUT).close()
    except ConnectionRefusedError:
        return f"{settings.listen} is free: the server is not running"
    except OSError as error:
        raise Problem(f"{settings.listen} is not reached ({error.strerror or error}): set listen") from None
    return f"{settings.listen} is being served"


def _database(connection: extensions.connection, url: str) -> str:
    version = connection.info.server_version
    if version < MIN_SERVER_VERSION:
        raise Problem(f"the database is PostgreSQL {version // 10_000}: use 15 or later")
    if not migration.is_at_head(url):
        raise Problem(f"the schema is at {migration.current(url) or 'no revision'}: run tallystickd migrate")
    return f"PostgreSQL {version // 10_000}, schema at revision {migration.head()}"


def _role(settings: Settings, connection: extensions.connection) -> str:
    rights = compare_rights(connection)
    if rights.lacking:
        raise Problem(
            f"{rights.role} may not {_some(rights.lacking)}: run tallystickd migrate --database, as the role that owns the schema"
        )
    if settings.embedded_folder is not None:
        return "the embedded PostgreSQL's only one"
    if rights.owner:
        raise Caution(
            f"{rights.role} {rights.owner}, so who breaks into the server can change the log: let another role own the schema and"
            ' migrate (docs/operations.md, "Two roles")'
        )
    if rights.beyond:
        raise Caution(
            f"{rights.role} may do more than serving takes: {_some(rights.beyond)}. Run tallystickd migrate --database as the"
            " owner; what is left then was granted to PUBLIC, to a role that it is in, or by somebody else: revoke it there"
        )
    return f"{rights.role} may append to the log, and not change it"


def _some(rights: tuple[str, ...]) -> str:
    more = len(rights) - MAX_RIGHTS
    return ", ".join(rights[:MAX_RIGHTS]) + (f" and {more} more" if more > 0 else "")


def _durability(connection: extensions.connection) -> str:
    for setting in DURABLE_SETTINGS:
        ((value,),) = _fetch(connection, "SELECT current_setting(%s)", setting)
        if value == "off":
            raise Problem(f"the database's {setting} is off, so an answered request may be lost: turn it on")
    return f"{', '.join(DURABLE_SETTINGS)} are on"


def _identity(settings: Settings, url: str) -> str:
    check_identity(url, settings, KeyFolder(settings.key_folder).load())
    return "the database was made with these keys, this origin and this token key"


def _clock(connection: extensions.connection) -> str:
    skew = clock(connection) - datetime.now(UTC)
    if abs(skew) > MAX_SKEW:
        raise Problem(f"the database's clock is {skew.total_seconds():+.1f} s from this machine's: set both by NTP")
    return f"the database's is {skew.total_seconds():+.3f} s from this machine's"


def _operator(settings: Settings, connection: extensions.connection) -> str:
    public_key = raw_public_key(load_keys(settings).operator_key)
    key = "operator.key" if settings.operator_key is None else str(settings.operator_key)
    rows = _fetch(
        connection,
        "SELECT member.state, member.roles, key.revoke_time IS NULL"
        " FROM member_key AS key JOIN member ON member.id = key.member WHERE keyid = %s AND member_id = %s",
        keyid(public_key),
        settings.operator,
    )
    if not rows and not _fetch(connection, "SELECT 1 FROM member LIMIT 1"):
        raise Problem("nobody is admitted yet: run tallystickd migrate")
    if not rows:
        raise Problem(
            f"{key} is not registered for {settings.operator}: restore it from a backup, correct operator or operator_key, or let"
            " another operator add the key"
        )
    ((state, roles, good),) = rows
    if state != pb.MEMBER_STATE_ACTIVE or pb.ROLE_OPERATOR not in roles or not good:
        raise Problem(f"{settings.operator} may not administer: let another operator activate it or add a key")
    return f"{settings.operator} may administer with {key}"


def _partitions(connection: extensions.connection) -> str:
    first, found = running_month(connection), evidence_months(connection)
    missing = [month for month in (month_of(first, n) for n in range(MONTHS_AHEAD + 1)) if month not in found]
    if missing or not found:
        raise Problem(f"there is none for {missing[0]:%Y-%m}: run tallystickd migrate, and keep tallystickd serve running")
    return f"from {found[0]:%Y-%m} to {found[-1]:%Y-%m}"


def _log(connection: extensions.connection) -> str:
    # One snapshot: entries are added all the time.
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    try:
        return _examine_log(connection)
    finally:
        connection.rollback()
        connection.set_session(isolation_level="DEFAULT", readonly=False, autocommit=True)


def _examine_log(connection: extensions.connection) -> str:
    heads = _fetch(connection, "SELECT size, compact_range FROM log_head")
    if not heads:
        raise Problem("the head row is missing: restore the database from a backup, and tell the auditors")
    ((size, hashes),) = heads
    try:
        head = CompactRange.from_bytes(size, bytes(hashes))
    except CryptoError:
        raise Problem("the head row is damaged: restore the database from a backup, and tell the auditors") from None
    ((last,),) = _fetch(connection, "SELECT coalesce(max(index) + 1, 0) FROM audit_entry")
    if last != size:
        raise Problem(f"the head says {size} entries, the last one is number {last}: restore from a backup")
    subtrees = [(index << level, (index + 1) << level) for level, index in complete_subtrees(0, size)]
    tail = [(begin, end, wanted) for (begin, end), wanted in zip(subtrees, head.hashes, strict=True) if size - begin <= MAX_TAIL]
    for begin, end, wanted in tail:
        leaves = _fetch(connection, "SELECT leaf FROM audit_entry WHERE index >= %s AND index < %s ORDER BY index", begin, end)
        if len(leaves) != end - begin or root([leaf_hash(bytes(leaf)) for (leaf,) in leaves]) != wanted:
            raise Problem(f"entries {begin} to {end - 1} are not those of the head: restore from a backup")
    return f"{size} entries; the last {size - tail[0][0] if tail else 0} computed again and found right"


def _whole_log(settings: Settings, url: str, connection: extensions.connection, progress: Progress, findings: list[Finding]) -> str:
    anomalies = walk(settings, url, connection, progress)
    findings += [Finding(anomaly.table, False, advised(anomaly)) for anomaly in anomalies.found]
    if anomalies.counts:
        raise Problem(summary(anomalies))
    return summary(anomalies)


def _fetch(connection: extensions.connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()
