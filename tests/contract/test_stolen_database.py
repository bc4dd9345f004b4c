"""A stolen database names nobody, even to a thief who has every member's cached tokens as well, as long as the keys are safe."""

from __future__ import annotations

from collections.abc import Callable

from tests.contract import requests
from tests.contract.installation import public_bytes
from tests.contract.leak_scanner import LeakScanner, dump
from tests.contract.system import System

from tallystick.client import Exchange, Identity, Inquiry, Purpose, Report
from tallystick.credit.enums import AccountType, SubjectKind
from tallystick.credit.history import Account
from tallystick.crypto import subject_key, subject_leaf

PLANTED = range(300_000, 301_000)


def test_a_stolen_database_names_nobody(system: System, sdk: Callable[[str], Exchange]) -> None:
    """A thousand identities are reported and queried by the SDK. The thief has every table and every member's cached tokens."""
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
