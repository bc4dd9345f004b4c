"""Subjects of whom very much is known, more than the members of a test could report."""

from __future__ import annotations

from typing import Any

from tests.contract import requests
from tests.contract.system import System

from tallystick.v1 import subject_pb2

_COPY = """
INSERT INTO account (subject, member, account_reference, record, versions, standing, live, update_time)
SELECT subject, 1000000 + number, account_reference, record, versions, standing, live, update_time
FROM account, generate_series(2, %s) AS number
WHERE account_reference = %s
"""


def known_accounts(system: System, subject: subject_pb2.SubjectToken, count: int, state: Any | None = None) -> bytes:
    """Lets so many accounts of a subject be known: bank-b reports one, and members that do not exist the same one.

    Returns its account reference, as it is stored."""
    reference = requests.reference()
    report = requests.report(subject, state, reference)
    assert system["bank-b"].exchange.call(requests.SUBMIT, requests.submission([report])).message.accepted_count == 1
    stored = reference.secret_id + reference.digest
    system.exchange.database_view.rows(_COPY, (count, stored))
    return stored
