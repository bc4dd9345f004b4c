"""A stolen database names nobody, even to a thief who has every member's cached tokens as well, as long as the keys are safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.contract import requests
from tests.contract.installation import public_bytes
from tests.contract.leak_scanner import LeakScanner, dump
from tests.contract.system import System

from tallystick.client import Exchange, Identity, Inquiry, Purpose, Report
from tallystick.credit.enums import AccountType, SubjectKind
from tallystick.credit.history import Account
from tallystick.crypto import subject_key, subject_leaf

PLANTED = range(300_000, 300_400)


def test_a_stolen_database_names_nobody(system: System, sdk: Callable[[str], Exchange]) -> None:
    """Four hundred identities are reported and queried by the SDK. The thief has every table and every member's cached tokens."""
    identities = [requests.resident(serial) for serial in PLANTED]
    people = [Identity.resident_id(identity.number) for identity in identities]
    state = Account(
        as_of=requests.now(),
        account_type=AccountType.R2,
        status=1,
        currency="CNY",
        opened_date=requests.now().date(),
        subject_kind=SubjectKind.PERSON,
    )
    reports = [Report(person, f"account-number-{i}", state) for i, person in enumerate(people)]
    assert all(result.accepted for result in sdk("bank-a").report_many(reports))
    inquiries = [Inquiry(person, Purpose.LOAN_APPROVAL, f"consent-{i}") for i, person in enumerate(people)]
    assert all(outcome.result for outcome in sdk("bank-b").query_many(inquiries))

    installation, epoch = system.exchange.installation, system.mint.epoch_id
    tokens = [system.mint.token(identity).element for identity in identities]
    public = _public_values(system)
    sought = LeakScanner()
    for identity, token in zip(identities, tokens, strict=True):
        for value in (token, epoch + token, token + epoch, subject_leaf(epoch, token, 2, ""), subject_leaf(epoch, token, 0, "")):
            sought.add_with_forms(value, "a token", public)
        for value in (identity.canonical_bytes(), identity.number.encode(), identity.number[:17].encode()):
            sought.add_with_forms(value, "an identity", ())
    for i in range(len(people)):
        sought.add(f"account-number-{i}".encode(), "an account number")

    # The keys that the thief has not would find every one of them: the search sees what is there.
    control = LeakScanner()
    for token in tokens:
        control.add(subject_key(installation.keys.subject_secret, epoch, token), token.hex())
    for running, holds_accounts in ((system.exchange, True), (system.authority, False)):
        stolen = b"\x00".join(dump(running.database_view).values())
        assert len(control.found_in(stolen)) == (len(tokens) if holds_accounts else 0)
        assert sought.found_in(stolen) == set()
        # Nor do the server's own messages tell anything.
        assert sought.found_in(running.worker.log.read_bytes().ljust(16)) == set()


def test_watches_and_messages_name_nobody(system: System) -> None:
    """Borrowers are watched, reported by another, told of and acknowledged. Their tokens stand neither in the database nor in the
    server's own messages, though every message that was pulled names its subject."""
    watcher, reporter = system["bank-a"].exchange, system["bank-b"].exchange
    borrowers = [requests.report(system.mint.stranger()) for _ in range(20)]
    assert watcher.call(requests.SUBMIT, requests.submission(borrowers)).message.accepted_count == 20
    assert watcher.call(requests.PUT_WATCHES, requests.put(map(requests.watch, borrowers))).ok
    overdue = requests.account()
    overdue.running_overdue.since_date, overdue.running_overdue.days_past_due = 20250101, 100
    reports = [requests.report(each.subject, overdue) for each in borrowers]
    assert reporter.call(requests.SUBMIT, requests.submission(reports)).message.accepted_count == 20
    told: dict[bytes, Any] = {}
    cursor = ""
    while (answer := watcher.call(requests.PULL, requests.pull(cursor, page_size=1000)).message).messages:
        told |= {message.subject.element: message for message in answer.messages}
        cursor = answer.next_cursor
    tokens = [each.subject.element for each in borrowers]
    assert told.keys() >= set(tokens)
    assert watcher.call(requests.ACKNOWLEDGE, requests.acknowledgement(cursor)).ok
    # A refusal repeats nothing of what it refuses.
    assert reporter.call(requests.PULL, requests.pull(cursor)).reason == "CURSOR_INVALID"

    public, epoch = _public_values(system), system.mint.epoch_id
    sought = LeakScanner()
    for token in tokens:
        for value in (token, epoch + token, subject_leaf(epoch, token, 1, "contract-1"), subject_leaf(epoch, token, 0, "")):
            sought.add_with_forms(value, "a token", public)
    sought.add(cursor.encode(), "a cursor")
    # The search sees what is there: the answers hold every token.
    assert "a token: itself" in sought.found_in(b"".join(told[token].SerializeToString() for token in tokens))
    stolen = dump(system.exchange.database_view)
    for column in ("watch.sealed_token", "message.subject", "message_cursor.subject_order"):
        assert len(stolen[column]) >= 8, column
    assert sought.found_in(b"\x00".join(stolen.values())) == set()
    assert sought.found_in(system.exchange.worker.log.read_bytes().ljust(16)) == set()


def _public_values(system: System) -> list[bytes]:
    """What anybody may know and a careless program might take for a key."""
    token_key = system.authority.installation.token_key
    values = [b"", b"tallystick", b"tallystick-subject-v1", b"tallystick-subject-key-v1", b"tallystick-request-digest-v1"]
    values += [token_key.public_key, token_key.epoch_id]
    for running in (system.exchange, system.authority):
        keys = running.installation.keys
        values.append(running.installation.origin.encode())
        values += [public_bytes(key) for key in (keys.receipt_key, keys.checkpoint_key, keys.operator_key)]
    for member in system.members.values():
        values += [member.member_id.encode(), member.exchange.keyid]
    return values
