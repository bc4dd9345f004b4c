"""Lists of entries: who may see what, every filter, and pages that neither lose nor repeat an entry."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.contract.request_fields import instant
from tallystick.contract.subjects import Subject
from tallystick.crypto import blind
from tallystick.server.errors import Refusal
from tallystick.server.log.entries import index_at
from tallystick.server.requests.operation import Caller, Work
from tallystick.server.services.audit import listing as audit_listing
from tallystick.server.services.audit.listing import ListAuditEntries
from tallystick.server.storage.connection import Connection
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1 import codes_pb2, errors_pb2, log_pb2, subject_pb2

if TYPE_CHECKING:
    from tests.server.conftest import WrittenLog

QUERY = "/tallystick.v1.InquiryService/QueryCreditHistory"
ADMIT = "/tallystick.v1.MembershipService/CreateMember"
START = datetime.fromisoformat("2026-01-31T23:59:58+00:00")
EPOCH = (1).to_bytes(4, "big") + b"e" * 16


def new_subject(purpose: int = codes_pb2.PURPOSE_LOAN_APPROVAL, consent: str = "C-1") -> Subject:
    return Subject(EPOCH, blind(secrets.token_bytes(8)).element, purpose, consent)


def token(subject: Subject) -> subject_pb2.SubjectToken:
    return subject_pb2.SubjectToken(element=subject.element, epoch_id=subject.epoch_id)


def timestamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


@pytest.fixture
def listing(written_log: WrittenLog) -> ListAuditEntries:
    return ListAuditEntries(b"s" * 32, written_log.box)


async def list_page(
    log: WrittenLog, connection: Connection, caller: Caller, listing: ListAuditEntries, **filters: Any
) -> pb.ListAuditEntriesResponse:
    (work,) = await log.run(connection, listing, (caller, pb.ListAuditEntriesRequest(**filters)))
    if work.refusal:
        raise work.refusal
    return pb.ListAuditEntriesResponse.FromString(work.answer or b"")


async def list_all(
    log: WrittenLog, connection: Connection, caller: Caller, listing: ListAuditEntries, **filters: Any
) -> list[pb.ListedEntry]:
    entries: list[pb.ListedEntry] = []
    page_token = ""
    for _ in range(1000):
        page = await list_page(log, connection, caller, listing, page_token=page_token, **filters)
        assert len(page.entries) <= (filters.get("page_size") or 100)
        entries += page.entries
        page_token = page.next_page_token
        if not page_token:
            return entries
    raise AssertionError("the list never ends")


def indices(entries: Sequence[pb.ListedEntry]) -> list[int]:
    return [entry.logged_entry.index for entry in entries]


@pytest.fixture
def mixed_log(written_log: WrittenLog, operator: Caller, auditor: Caller, bank: Caller) -> WrittenLog:
    """60 entries of three members, a second apart; every sixth is about membership, every fourth refused."""
    other = written_log.add_member("bank-b", 2)
    for number in range(60):
        caller = (bank, other, bank)[number % 3]
        method = ADMIT if number % 6 == 5 else QUERY
        caller = operator if method == ADMIT else caller
        written_log.append(caller, method, time=START + timedelta(seconds=number), refused=number % 4 == 3, with_evidence=False)
    return written_log


def expected(log: WrittenLog, keep: Callable[[int, log_pb2.AuditEntry], bool]) -> list[int]:
    """What a list must hold, straight from the leaves."""
    rows = log.execute("SELECT index, leaf FROM audit_entry ORDER BY index DESC")
    return [index for index, leaf in rows if keep(index, log_pb2.AuditEntry.FromString(bytes(leaf)))]


async def test_an_auditor_sees_all_newest_first_with_the_leaves_as_stored(
    mixed_log: WrittenLog, connection: Connection, auditor: Caller, listing: ListAuditEntries
) -> None:
    entries = await list_all(mixed_log, connection, auditor, listing)
    assert indices(entries) == list(range(59, -1, -1))
    stored = dict(mixed_log.execute("SELECT index, leaf FROM audit_entry"))
    assert all(entry.logged_entry.entry == bytes(stored[entry.logged_entry.index]) for entry in entries)


async def test_a_member_sees_its_own_and_those_about_membership(
    mixed_log: WrittenLog, connection: Connection, bank: Caller, listing: ListAuditEntries
) -> None:
    for size in (1, 7, 100):
        entries = await list_all(mixed_log, connection, bank, listing, page_size=size)
        assert indices(entries) == expected(mixed_log, lambda _, leaf: leaf.member_id == "bank-a" or leaf.method == ADMIT)
    own = await list_all(mixed_log, connection, bank, listing, member_id="bank-a")
    assert indices(own) == expected(mixed_log, lambda _, leaf: leaf.member_id == "bank-a")
    administered = await list_all(mixed_log, connection, bank, listing, member_id="operator")
    assert indices(administered) == expected(mixed_log, lambda _, leaf: leaf.method == ADMIT)
    assert await list_all(mixed_log, connection, bank, listing, member_id="bank-b") == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    member_id=st.sampled_from(["", "bank-a", "bank-b", "operator", "auditor"]),
    outcome=st.sampled_from([0, 1, 2]),
    start=st.none() | st.integers(-2, 62),
    length=st.none() | st.integers(0, 70),
    page_size=st.sampled_from([0, 1, 3, 10]),
    scanned=st.sampled_from([1, 4, 5000]),
    as_auditor=st.booleans(),
)
async def test_filters_hold_together(
    mixed_log: WrittenLog,
    connection: Connection,
    auditor: Caller,
    bank: Caller,
    listing: ListAuditEntries,
    member_id: str,
    outcome: int,
    start: int | None,
    length: int | None,
    page_size: int,
    scanned: int,
    as_auditor: bool,
) -> None:
    begin = None if start is None else START + timedelta(seconds=start)
    end = None if length is None else (begin or START) + timedelta(seconds=length)

    def keep(_: int, leaf: log_pb2.AuditEntry) -> bool:
        time = leaf.create_time.ToDatetime(START.tzinfo)
        visible = as_auditor or leaf.member_id == "bank-a" or leaf.method == ADMIT
        in_time = (begin is None or time >= begin) and (end is None or time < end)
        return visible and in_time and member_id in ("", leaf.member_id) and outcome in (0, leaf.outcome)

    filters: dict[str, Any] = {"member_id": member_id, "outcome": outcome, "page_size": page_size}
    if begin is not None:
        filters["start_time"] = timestamp(begin)
    if end is not None:
        filters["end_time"] = timestamp(end)
    with pytest.MonkeyPatch.context() as patch:
        # Pages that look at few entries are short or empty, and the list is complete all the same.
        patch.setattr(audit_listing, "MAX_SCANNED", scanned)
        entries = await list_all(mixed_log, connection, auditor if as_auditor else bank, listing, **filters)
    assert indices(entries) == expected(mixed_log, keep)


async def test_entries_that_come_while_paging_are_not_mixed_in(
    mixed_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller, listing: ListAuditEntries
) -> None:
    first = await list_page(mixed_log, connection, auditor, listing, page_size=40)
    mixed_log.append(bank, QUERY, with_evidence=False)
    second = await list_page(mixed_log, connection, auditor, listing, page_size=40, page_token=first.next_page_token)
    assert indices([*first.entries, *second.entries]) == list(range(59, -1, -1))
    assert not second.next_page_token


async def test_by_subject_each_query_is_listed_with_purpose_and_consent(
    written_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller, listing: ListAuditEntries
) -> None:
    other_bank = written_log.add_member("bank-b", 2)
    wanted, other = new_subject(), new_subject()
    card = Subject(EPOCH, wanted.element, codes_pb2.PURPOSE_CREDIT_CARD_APPROVAL, "C-2")
    written_log.append(bank, QUERY, subjects=[wanted])
    written_log.append(bank, QUERY, subjects=[other])
    written_log.append(other_bank, QUERY, subjects=[other, card, wanted])
    written_log.append(other_bank, QUERY, subjects=[card], refused=True)

    async def ask(**filters: Any) -> list[tuple[int, int, str]]:
        entries = await list_all(written_log, connection, auditor, listing, subject=token(wanted), **filters)
        return [(e.logged_entry.index, e.purpose, e.consent_reference) for e in entries]

    loan, credit_card = codes_pb2.PURPOSE_LOAN_APPROVAL, codes_pb2.PURPOSE_CREDIT_CARD_APPROVAL
    everything = [(3, credit_card, "C-2"), (2, loan, "C-1"), (2, credit_card, "C-2"), (0, loan, "C-1")]
    for size in (1, 2, 3, 4, 0):
        assert await ask(page_size=size) == everything
        assert await ask(page_size=size, purpose=credit_card) == [everything[0], everything[2]]
        assert await ask(page_size=size, outcome=log_pb2.ENTRY_OUTCOME_OK) == everything[1:]
        assert await ask(page_size=size, member_id="bank-a") == everything[3:]
    assert await ask(start_time=timestamp(START + timedelta(seconds=1))) == []


async def test_only_an_auditor_lists_by_subject(
    written_log: WrittenLog, connection: Connection, bank: Caller, operator: Caller, listing: ListAuditEntries
) -> None:
    subject = new_subject()
    written_log.append(bank, QUERY, subjects=[subject])
    for caller in (bank, operator):
        with pytest.raises(Refusal) as refused:
            await list_page(written_log, connection, caller, listing, subject=token(subject))
        assert refused.value.reason == errors_pb2.ERROR_REASON_ROLE_MISSING


async def test_an_unknown_member_is_not_found(
    written_log: WrittenLog, connection: Connection, auditor: Caller, listing: ListAuditEntries
) -> None:
    with pytest.raises(Refusal) as refused:
        await list_page(written_log, connection, auditor, listing, member_id="nobody")
    assert refused.value.reason == errors_pb2.ERROR_REASON_NOT_FOUND


async def test_a_page_token_is_bound_to_its_filters_and_caller(
    mixed_log: WrittenLog, connection: Connection, auditor: Caller, bank: Caller, listing: ListAuditEntries
) -> None:
    page_token = (await list_page(mixed_log, connection, auditor, listing, page_size=5)).next_page_token
    misuses: list[tuple[Caller, ListAuditEntries, dict[str, Any]]] = [
        (bank, listing, {}),
        (auditor, listing, {"member_id": "bank-a"}),
        (auditor, listing, {"outcome": 2}),
        (auditor, listing, {"subject": token(new_subject())}),
        (auditor, ListAuditEntries(b"t" * 32, mixed_log.box), {}),
    ]
    for caller, operation, filters in misuses:
        with pytest.raises(Refusal) as refused:
            await list_page(mixed_log, connection, caller, operation, page_token=page_token, **filters)
        assert refused.value.reason == errors_pb2.ERROR_REASON_PAGE_TOKEN_INVALID
    # The page's size may change on the way.
    page = await list_page(mixed_log, connection, auditor, listing, page_token=page_token, page_size=2)
    assert indices(page.entries) == [54, 53]


@given(st.text(max_size=120))
async def test_no_text_passes_for_a_page_token(text: str) -> None:
    unconnected: Any = None
    listing, caller = ListAuditEntries(b"s" * 32, unconnected), Caller(1, "auditor", frozenset({3}), frozenset(), 0)
    if not text:
        return
    work = Work(cast("Any", SimpleNamespace(message=pb.ListAuditEntriesRequest(page_token=text), subject_keys=())), caller)
    await listing.run(unconnected, [work], START)
    assert work.refusal
    assert work.refusal.reason == errors_pb2.ERROR_REASON_PAGE_TOKEN_INVALID


@pytest.mark.parametrize(
    ("filters", "field", "reason"),
    [
        ({"page_size": 1001}, "page_size", "FIELD_OUT_OF_RANGE"),
        ({"purpose": 2}, "purpose", "FIELDS_INCONSISTENT"),
        ({"outcome": 9}, "outcome", "CODE_UNKNOWN"),
        ({"consent_reference": "c" * 65}, "consent_reference", "FIELD_MALFORMED"),
        ({"consent_reference": "a\nb"}, "consent_reference", "FIELD_MALFORMED"),
        ({"member_id": "No Such"}, "member_id", "FIELD_MALFORMED"),
        ({"start_time": Timestamp(nanos=-1)}, "start_time", "FIELD_OUT_OF_RANGE"),
        ({"end_time": Timestamp(seconds=253_402_300_800)}, "end_time", "FIELD_OUT_OF_RANGE"),
        ({"start_time": Timestamp(seconds=2), "end_time": Timestamp(seconds=1)}, "end_time", "FIELDS_INCONSISTENT"),
        ({"subject": subject_pb2.SubjectToken(element=b"x", epoch_id=EPOCH)}, "subject.element", "FIELD_MALFORMED"),
        ({"subject": subject_pb2.SubjectToken(element=b"\xff" * 32, epoch_id=EPOCH)}, "subject.element", "ELEMENT_INVALID"),
    ],
)
def test_malformed_filters_are_refused_by_field(
    listing: ListAuditEntries, filters: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(Refusal) as refused:
        listing.validate(pb.ListAuditEntriesRequest(**filters), START)
    assert [(violation.field, violation.reason) for violation in refused.value.violations] == [(field, reason)]


async def test_the_ends_of_time_are_allowed(
    mixed_log: WrittenLog, connection: Connection, auditor: Caller, listing: ListAuditEntries
) -> None:
    first, last = Timestamp(seconds=-62_135_596_800), Timestamp(seconds=253_402_300_799, nanos=999_999_999)
    assert len(await list_all(mixed_log, connection, auditor, listing, start_time=first, end_time=last)) == 60
    assert await list_all(mixed_log, connection, auditor, listing, start_time=last) == []


@given(st.integers(-62_135_596_800, 253_402_300_798), st.integers(0, 999_999_999))
def test_an_instant_is_the_first_microsecond_at_or_after(seconds: int, nanos: int) -> None:
    since_epoch = instant(Timestamp(seconds=seconds, nanos=nanos)) - datetime.fromtimestamp(0, START.tzinfo)
    microseconds = since_epoch // timedelta(microseconds=1)
    assert 0 <= microseconds * 1000 - (seconds * 10**9 + nanos) < 1000


async def test_the_index_of_an_instant_is_found_among_equal_times(
    written_log: WrittenLog, connection: Connection, bank: Caller
) -> None:
    assert await index_at(connection, START) == 0
    seconds = [0, 0, 0, 1, 1, 5, 5, 5, 5, 9]
    for second in seconds:
        written_log.append(bank, QUERY, time=START + timedelta(seconds=second), with_evidence=False)
    for second in range(-1, 11):
        found = await index_at(connection, START + timedelta(seconds=second))
        assert found == sum(earlier < second for earlier in seconds)


async def test_each_source_has_an_index(written_log: WrittenLog, connection: Connection) -> None:
    """In a log of some length, every source of candidates is found by an index of its own."""
    written_log.execute(
        "INSERT INTO audit_entry SELECT i, '', '', now(), i %% 50, CASE WHEN i %% 99 = 0 THEN %s ELSE %s END,"
        " CASE WHEN i %% 98 = 0 THEN 2 ELSE 1 END FROM generate_series(1, 30000) AS i",
        (ADMIT, QUERY),
    )
    written_log.execute("ANALYZE audit_entry")
    indices_by_condition = {
        "true": "audit_entry_pkey",
        "member = 1": "audit_entry_member_idx",
        audit_listing._MEMBERSHIP: "audit_entry_membership_idx",
        audit_listing._REFUSED: "audit_entry_refused_idx",
    }
    for condition, index in indices_by_condition.items():
        source = audit_listing._SOURCE.format(condition=condition)
        bounds = {"first": 0, "before": 2**63 - 1, "scanned": audit_listing.MAX_SCANNED}
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {source}", bounds))
        assert index in plan
        assert "Filter" not in plan


async def test_columns_that_disagree_with_the_leaf_are_told_and_the_leaf_is_still_shown(
    mixed_log: WrittenLog,
    connection: Connection,
    auditor: Caller,
    listing: ListAuditEntries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, int]] = []

    class Events:
        def error(self, event: str, *, index: int) -> None:
            told.append((event, index))

    monkeypatch.setattr("tallystick.server.log.entries.events", Events())
    assert len(await list_all(mixed_log, connection, auditor, listing)) == 60
    assert told == []
    mixed_log.execute("UPDATE audit_entry SET method = %s WHERE index = 7", (ADMIT + "X",))
    mixed_log.execute("UPDATE audit_entry SET create_time = create_time + interval '1 us' WHERE index = 9")
    mixed_log.execute("UPDATE audit_entry SET outcome = 3 - outcome WHERE index = 11")
    mixed_log.execute("UPDATE audit_entry SET leaf = 'x' WHERE index = 13")
    assert len(await list_all(mixed_log, connection, auditor, listing)) == 60
    assert sorted(told) == [
        ("log_columns_disagree", 7),
        ("log_columns_disagree", 9),
        ("log_columns_disagree", 11),
        ("log_leaf_unreadable", 13),
    ]
