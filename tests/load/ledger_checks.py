"""What must hold of the database after any load: all that was acknowledged is there, once, and the log is whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg2
from tests.load.clients import BANKS, Told

from tallystick.credit.enums import ReportOutcome
from tallystick.crypto import CompactRange, account_reference, leaf_hash, normalise_account_number


class Database:
    """The exchange's database, read behind its back."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement; binary values as bytes."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()]

    def check_log(self) -> list[bytes]:
        """No gap, times that never decrease, and a head that is the compact range of all leaves; returns the leaf hashes."""
        entries = self.rows("SELECT index, leaf, leaf_hash, create_time FROM audit_entry ORDER BY index")
        ((size, compact_range),) = self.rows("SELECT size, compact_range FROM log_head")
        assert [index for index, *_ in entries] == list(range(size))
        hashes = [leaf_hash(leaf) for _, leaf, _, _ in entries]
        assert hashes == [stored for _, _, stored, _ in entries]
        times = [time for *_, time in entries]
        assert times == sorted(times)
        tree = CompactRange()
        tree.extend(hashes)
        assert tree.to_bytes() == compact_range
        return hashes

    def check_told(self, told: Sequence[Told], hashes: Sequence[bytes]) -> None:
        """Everything acknowledged is in the log where its receipt says, and had its effect once."""
        assert [wrong for each in told for wrong in each.wrong] == []
        receipts = [result.receipt for each in told for _, result in each.queries]
        receipts += [batch[0].receipt for each in told for batch in each.batches if batch[0].receipt is not None]
        for receipt in receipts:
            assert hashes[receipt.index] == receipt.leaf_hash
        assert len({receipt.index for receipt in receipts}) == len(receipts)
        self._check_footprints(told)
        self._check_reports(told)

    def _check_footprints(self, told: Sequence[Told]) -> None:
        footprints = dict(self.rows("SELECT consent_reference, count(*) FROM audit_subject WHERE footprint GROUP BY 1"))
        assert all(count == 1 for count in footprints.values())
        missing = [consent for each in told for consent, _ in each.queries if consent not in footprints]
        assert missing == []

    def _check_reports(self, told: Sequence[Told]) -> None:
        results = [result for each in told for batch in each.batches for result in batch]
        # A second effect of a retry would have found its own first one there, and been superseded.
        assert {result.outcome for result in results} <= {ReportOutcome.ACCEPTED}
        claimed = {request_id for (request_id,) in self.rows("SELECT request_id FROM request WHERE accepted_count IS NOT NULL")}
        assert {result.request_id.bytes for result in results if result.request_id} <= claimed
        references = [reference for (reference,) in self.rows("SELECT account_reference FROM account WHERE record IS NOT NULL")]
        assert len(references) == len(set(references))
        for each in told:
            reported = {result.report.account_number for batch in each.batches for result in batch}
            expected = {b"".join(account_reference(each.account_secret, normalise_account_number(number))) for number in reported}
            assert expected <= set(references)

    def count(self, method: str) -> int:
        """How many entries the banks have of a method."""
        sql = "SELECT count(*) FROM audit_entry JOIN member ON member.id = member WHERE method LIKE %s AND member_id = ANY(%s)"
        ((number,),) = self.rows(sql, f"%/{method}", list(BANKS))
        return int(number)
