"""A log that was altered by SQL: the auditor's verification names what is gone, with the signed checkpoint as evidence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.contract import requests
from tests.contract.requests import QUERY
from tests.contract.system import System

from tallystick.client import Difference, DifferenceKind, Exchange


@pytest.fixture
def entry(system: System) -> int:
    """An entry in the midst of others."""
    replies = [system["bank-a"].exchange.call(QUERY, requests.query(system.mint.stranger())) for _ in range(5)]
    return int(replies[2].logged.index)


def test_a_deleted_entry_is_named_and_the_others_are_read(system: System, sdk: Callable[[str], Exchange], entry: int) -> None:
    stored = system.exchange.database_view
    (row,) = stored.rows("DELETE FROM audit_entry WHERE index = %s RETURNING *", (entry,))
    try:
        report = sdk("auditor").audit_verify()
    finally:
        stored.rows(f"INSERT INTO audit_entry VALUES ({', '.join(['%s'] * len(row))})", row)
    assert Difference(DifferenceKind.WITHHELD, entry, entry + 1) in report.differences
    assert report.entries_read == report.checkpoint.size - 1
    assert report.note.startswith(system.exchange.installation.origin)
    assert sdk("auditor").audit_verify().verified


def test_a_changed_entry_is_named(system: System, sdk: Callable[[str], Exchange], entry: int) -> None:
    stored = system.exchange.database_view
    ((leaf,),) = stored.rows("SELECT leaf FROM audit_entry WHERE index = %s", (entry,))
    stored.rows("UPDATE audit_entry SET leaf = %s WHERE index = %s", (leaf.replace(b"bank-a", b"bank-b"), entry))
    try:
        report = sdk("auditor").audit_verify()
    finally:
        stored.rows("UPDATE audit_entry SET leaf = %s WHERE index = %s", (leaf, entry))
    assert report.differences == (Difference(DifferenceKind.CHANGED, entry, entry + 1),)
