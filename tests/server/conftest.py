"""A log of one's own for the server's tests: members and entries put straight into the tables, as the ledger would leave them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from google.protobuf.message import Message
from psycopg2.extras import execute_values
from tests.conftest import new_database_at

from tallystick.contract.steps import at_once
from tallystick.contract.subjects import Subject
from tallystick.crypto import CompactRange, details_commitment, keyid, leaf_hash, new_seed, subject_key
from tallystick.server.installation.key_folder import EvidenceKeys
from tallystick.server.log.evidence import EvidenceBox, evidence_month
from tallystick.server.requests.calls import Call, Cursor
from tallystick.server.requests.operation import Caller, Work
from tallystick.server.requests.reading import read_in_steps
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.tables import metadata
from tallystick.v1 import log_pb2, membership_service_pb2, storage_pb2

START = datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)


class WrittenLog:
    """A log, its members, and the keys that open its evidence."""

    def __init__(self, url: str, key_folder: Path) -> None:
        self.url = url
        self.evidence_keys = EvidenceKeys(key_folder)
        self.box = EvidenceBox(self.evidence_keys)
        self.subject_secret = secrets.token_bytes(32)
        self.tree = CompactRange()
        self.leaf_hashes: list[bytes] = []
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self._empty()
        self.execute("INSERT INTO log_head VALUES (true, 0, '', %s, 0, 0, %s) ON CONFLICT DO NOTHING", (START, START))
        self.execute("INSERT INTO sweep VALUES (true, '', 0, '') ON CONFLICT DO NOTHING")
        for month, until in ((date(2026, 1, 1), date(2026, 2, 1)), (date(2026, 2, 1), date(2026, 3, 1))):
            name = f"evidence_{month:%Y_%m}"
            self.execute(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF evidence FOR VALUES FROM (%s) TO (%s)", (month, until))

    def _empty(self) -> None:
        # Only what has rows: each table that is truncated gets new files, and so does each of its indices.
        probes = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in metadata.tables)
        if filled := [name for (name,) in self.execute(probes)]:
            self.execute(f"TRUNCATE {', '.join(filled)} RESTART IDENTITY CASCADE")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Runs a statement by itself; the rows, if it gives any."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._connection.close()

    def add_member(self, member_id: str, *roles: int, state: int = 1) -> Caller:
        """A member as the registry holds it, without keys."""
        ((number,),) = self.execute(
            "INSERT INTO member (member_id, display_name, roles, purposes, state, daily_evaluations, create_time)"
            " VALUES (%s, %s, %s::smallint[], '{}', %s, 0, %s) RETURNING id",
            (member_id, member_id.title(), list(roles), state, START),
        )
        return Caller(number, member_id, frozenset(roles), frozenset(), 0)

    def add_key(self, caller: Caller, public_key: bytes, *, create_time: datetime = START) -> bytes:
        """A registered key; its keyid."""
        self.execute(
            "INSERT INTO member_key VALUES (%s, %s, %s, %s, NULL)", (keyid(public_key), caller.member, public_key, create_time)
        )
        return keyid(public_key)

    def append(
        self,
        caller: Caller,
        method: str,
        message: Message | bytes = b"",
        subjects: Sequence[Subject] = (),
        *,
        time: datetime = START,
        refused: bool = False,
        with_evidence: bool = True,
    ) -> int:
        """One entry; its index."""
        index, request = self.tree.size, message if isinstance(message, bytes) else message.SerializeToString()
        seed = new_seed()
        envelope = log_pb2.Envelope(
            request_digest=hashlib.sha256(request).digest(), reason="ROLE_MISSING" if refused else ""
        ).SerializeToString()
        commitment = details_commitment(seed, envelope, [subject.leaf() for subject in subjects])
        entry = log_pb2.AuditEntry(
            format_version=1,
            member_id=caller.member_id,
            keyid=hashlib.sha256(caller.member_id.encode()).digest(),
            method=method,
            outcome=log_pb2.ENTRY_OUTCOME_REFUSED if refused else log_pb2.ENTRY_OUTCOME_OK,
            details_commitment=commitment,
        )
        entry.create_time.FromDatetime(time)
        leaf = entry.SerializeToString()
        self.execute(
            "INSERT INTO audit_entry VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (index, leaf, leaf_hash(leaf), time, caller.member, method, entry.outcome),
        )
        for ordinal, subject in enumerate(subjects, start=1):
            what = subject.purpose, subject.consent_reference, time, not refused
            row = (self.key_of(subject), index, ordinal, caller.member, *what)
            self.execute("INSERT INTO audit_subject VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", row)
        if with_evidence:
            plain = storage_pb2.Evidence(seed=seed, envelope=envelope, request=request, method=method).SerializeToString()
            month = evidence_month(time)
            sealed = self.box.seal(plain, month=month, details_commitment=commitment)
            self.execute("INSERT INTO evidence VALUES (%s, %s, %s)", (month, index, sealed))
        self._advance([leaf_hash(leaf)])
        return index

    def append_plain(self, count: int) -> None:
        """Entries of which only the leaf hashes matter."""
        first = self.tree.size
        hashes = [leaf_hash(number.to_bytes(8, "big")) for number in range(first, first + count)]
        with self._connection.cursor() as cursor:
            rows = [(first + i, b"", hash_, START, 0, "", 1) for i, hash_ in enumerate(hashes)]
            execute_values(cursor, "INSERT INTO audit_entry VALUES %s", rows, page_size=5000)
        self._advance(hashes)

    def _advance(self, hashes: Sequence[bytes]) -> None:
        self.tree.extend(hashes)
        self.leaf_hashes.extend(hashes)
        self.execute("UPDATE log_head SET size = %s, compact_range = %s", (self.tree.size, self.tree.to_bytes()))

    def key_of(self, subject: Subject) -> bytes:
        """What the database stores for the subject."""
        return subject_key(self.subject_secret, subject.epoch_id, subject.element)

    def work(self, caller: Caller, message: Any, operation: Any, cursor: Cursor | None = None) -> Work:
        """A request as the ledger hands it to an operation: decoded and validated. It gets a request_id if it lacks one."""
        if "request_id" in message.DESCRIPTOR.fields_by_name and not message.request_id:
            message, unnamed = type(message)(request_id=secrets.token_bytes(16)), message
            message.MergeFrom(unnamed)
        unsigned: Any = None
        call = Call(operation.method, (), message.SerializeToString(), None)
        secret = self.subject_secret
        request = at_once(
            read_in_steps(call, operation, unsigned, caller.member_id, subject_secret=secret, epoch_id=b"", now=START)
        )
        if request.invalid:
            raise request.invalid
        return Work(replace(request, cursor=cursor), caller)

    async def run(
        self, connection: Connection, operation: Any, *requests: tuple[Caller, Any], clock: datetime = START
    ) -> list[Work]:
        """Carries requests out in one transaction that commits, as the ledger does."""
        works = [self.work(caller, message, operation) for caller, message in requests]
        await connection.execute("BEGIN")
        try:
            await operation.run(connection, works, clock)
        except BaseException:
            await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
        for work in works:
            assert (work.answer is None) != (work.refusal is None)
        return works


@pytest.fixture(scope="session")
def _emptied_database(postgresql: str, _template: str) -> Iterator[str]:
    """A database at the newest revision that is emptied for each test: quicker than one of its own for each."""
    with new_database_at(postgresql, _template) as url:
        yield url


@pytest.fixture
def written_log(_emptied_database: str, tmp_path: Path) -> Iterator[WrittenLog]:
    """An empty log, with evidence partitions for January and February 2026."""
    log = WrittenLog(_emptied_database, tmp_path)
    yield log
    log.close()


@pytest.fixture(scope="module")
def written_log_of_module(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WrittenLog]:
    """The same, shared by the tests of a module."""
    log = WrittenLog(database, tmp_path_factory.mktemp("evidence"))
    yield log
    log.close()


@pytest.fixture
async def connection(written_log: WrittenLog) -> AsyncIterator[Connection]:
    """An asynchronous connection to the log's database."""
    opened = await Connection.open(written_log.url)
    yield opened
    opened.close()


@pytest.fixture
def operator(written_log: WrittenLog) -> Caller:
    """The operator, without keys."""
    return written_log.add_member("operator", membership_service_pb2.ROLE_OPERATOR)


@pytest.fixture
def auditor(written_log: WrittenLog) -> Caller:
    """An auditor."""
    return written_log.add_member("auditor", membership_service_pb2.ROLE_AUDITOR)


@pytest.fixture
def bank(written_log: WrittenLog) -> Caller:
    """A member that reports and queries."""
    return written_log.add_member("bank-a", membership_service_pb2.ROLE_REPORTER, membership_service_pb2.ROLE_INQUIRER)
