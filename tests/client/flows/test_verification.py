"""Verifying a log: an honest one verifies, and whatever was done to one behind its back is named, entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.client.flows.logged import SUBJECT, fill, verify

from tallystick.client import (
    CheckpointFalse,
    DifferenceKind,
    EntryFilter,
    Identity,
    NotAllowed,
    NotReached,
    Purpose,
    Server,
)
from tallystick.client.flows.authority import Authority
from tallystick.client.flows.checkpoints import SignedCheckpoint
from tallystick.client.flows.verification import Verification
from tallystick.client.protocol.calls import Call, Finished, Flow, PageStream, RawFailure, advance
from tallystick.contract.methods import GET_CHECKPOINT, GET_INCLUSION_PROOF, METHODS
from tallystick.crypto import Checkpoint, inclusion_proof, leaf_hash, root, sign_checkpoint
from tallystick.testing.refusals import AnyRefusal
from tallystick.v1 import audit_service_pb2, log_pb2


def differences(report: Any) -> list[str]:
    return [str(difference) for difference in report.differences]


def test_an_honest_log_verifies_again_and_again(system: Any) -> None:
    receipts = fill(system, 11)
    first = verify(system, receipts)
    assert first.verified
    assert (first.entries_read, first.receipts_included, first.previous) == (11, 11, None)
    assert first.recomputed_root == first.checkpoint.root
    fill(system, 5)
    second = verify(system, receipts)
    assert second.verified
    assert second.previous == first.checkpoint
    assert second.checkpoint.size > first.checkpoint.size
    assert verify(system, read_entries=False, server=Server.TOKEN_AUTHORITY).verified


def test_an_empty_log_verifies(system: Any) -> None:
    assert verify(system).verified


@pytest.mark.parametrize("changed", [[0], [6], [10], [2, 3], [0, 5, 10]])
def test_changed_entries_are_named(system: Any, changed: list[int]) -> None:
    fill(system, 11)
    for index in changed:
        entry = log_pb2.AuditEntry.FromString(system.exchange.log.entries[index].leaf)
        entry.member_id = "bank-b"
        system.exchange.log.entries[index].leaf = entry.SerializeToString()
    report = verify(system)
    assert not report.verified
    assert differences(report) == [f"entry {index}: changed" for index in changed]
    assert not (system.folder / "state" / "exchange.checkpoint").exists()


def test_a_missing_entry_and_a_doubled_one_are_named(system: Any) -> None:
    fill(system, 11)
    original = system.exchange.reading.export

    def export(request: Any) -> Any:
        for page in original(request):
            entries = [entry for entry in page.entries if entry.index not in (5, 6)]
            entries += [entry for entry in entries if entry.index == 8]
            yield audit_service_pb2.AuditEntryPage(entries=entries, end_index=page.end_index)

    system.exchange.reading.export = export
    assert differences(verify(system)) == ["entries 5 to 6: missing", "entry 8: duplicated"]


def test_an_export_that_ends_early_leaves_entries_missing(system: Any) -> None:
    fill(system, 11)
    original = system.exchange.reading.export
    system.exchange.reading.export = lambda request: list(original(request))[:2]
    assert differences(verify(system)) == ["entries 8 to 10: missing"]


def test_an_entry_that_cannot_be_read_is_named_even_if_it_was_logged_so(system: Any) -> None:
    fill(system, 6)
    logged = system.exchange.log.entries[3]
    logged.leaf = b"\xff\xff\xff"
    logged.hash = leaf_hash(logged.leaf)
    assert differences(verify(system)) == ["entry 3: malformed"]


def test_a_rewritten_log_does_not_continue_what_was_verified(system: Any) -> None:
    receipts = fill(system, 11)
    assert verify(system).verified
    logged = system.exchange.log.entries[4]
    entry = log_pb2.AuditEntry.FromString(logged.leaf)
    entry.method = "/tallystick.v1.InquiryService/Harmless"
    logged.leaf = entry.SerializeToString()
    logged.hash = leaf_hash(logged.leaf)
    report = verify(system, receipts)
    assert differences(report) == ["entries 0 to 10: rewritten", "entry 4: not included"]
    assert report.receipts_included == 10


def test_a_log_that_shrank_is_rewritten(system: Any) -> None:
    fill(system, 11)
    assert verify(system).verified
    del system.exchange.log.entries[7:]
    assert differences(verify(system)) == ["entries 0 to 10: rewritten"]


def test_what_the_server_cannot_prove_is_narrowed_down(system: Any) -> None:
    fill(system, 16)
    signed = root(system.exchange.log.hashes(16))
    for index in (5,):
        entry = log_pb2.AuditEntry.FromString(system.exchange.log.entries[index].leaf)
        entry.member_id = "bank-b"
        system.exchange.log.entries[index].leaf = entry.SerializeToString()
    intact = system.exchange.log.hashes(16)
    broken = [*intact[:4], *(leaf_hash(system.exchange.log.entries[5].leaf),) * 4, *intact[8:]]

    def prove(request: Any) -> Message:
        hashes = broken if 4 <= request.index < 8 else intact
        return audit_service_pb2.GetInclusionProofResponse(
            leaf_hash=hashes[request.index], hashes=inclusion_proof(request.index, hashes)
        )

    system.exchange.public_methods[GET_INCLUSION_PROOF.path] = prove
    report = verify(system)
    assert report.checkpoint.root == signed
    assert differences(report) == ["entries 4 to 7: unprovable"]


def refusing(method: str, when: Callable[[Any], bool] = lambda _: True) -> Callable[[str, Any], None]:
    """A server that says INTERNAL to some requests of a method: it has lost what it would need, or does not want to."""

    def refuse(called: str, request: Any) -> None:
        if called == method and when(request):
            raise AnyRefusal("INTERNAL", "INTERNAL", logged=False)

    return refuse


@pytest.mark.parametrize("lost", [[0], [10], [4, 5], [0, 3, 9], list(range(11))])
def test_entries_that_the_server_does_not_give_are_named_and_the_others_are_read(system: Any, lost: list[int]) -> None:
    fill(system, 11)
    original = system.exchange.reading.export

    def export(request: Any) -> Any:
        for page in original(request):
            if any(entry.index in lost for entry in page.entries):
                raise AnyRefusal("INTERNAL", "INTERNAL")
            yield page

    system.exchange.reading.export = export
    report = verify(system)
    withheld = [d for d in report.differences if d.kind is DifferenceKind.WITHHELD]
    assert [index for d in withheld for index in range(d.begin, d.end)] == lost
    assert report.entries_read == 11 - len(lost)
    assert report.recomputed_root is None
    assert {d.kind for d in report.differences} == {DifferenceKind.WITHHELD}


def test_a_refused_consistency_proof_is_a_finding_and_the_other_steps_go_on(system: Any) -> None:
    receipts = fill(system, 5)
    assert verify(system, receipts).verified
    fill(system, 3)
    system.exchange.refuse = refusing("GetConsistencyProof")
    report = verify(system, receipts)
    assert differences(report) == ["entries 0 to 4: withheld"]
    assert (report.receipts_included, report.entries_read) == (5, report.checkpoint.size)
    assert system.exchange.log.origin in report.note


def test_a_refused_inclusion_proof_is_a_broken_promise(system: Any) -> None:
    receipts = fill(system, 5)
    system.exchange.refuse = refusing("GetInclusionProof", lambda request: request.index == 2)
    report = verify(system, receipts, read_entries=False)
    assert differences(report) == ["entry 2: withheld"]
    assert report.receipts_included == 4


def test_a_caller_that_may_not_read_entries_is_no_finding(system: Any) -> None:
    fill(system, 3)

    def export(request: Any) -> Any:
        raise AnyRefusal("PERMISSION_DENIED", "ROLE_MISSING")
        yield

    system.exchange.reading.export = export
    with pytest.raises(NotAllowed):
        verify(system)


def test_a_stream_that_breaks_is_taken_up_where_it_broke(system: Any) -> None:
    fill(system, 11)
    system.exchange.break_after_pages = 1
    report = verify(system)
    assert report.verified
    assert report.entries_read == 11
    starts = [
        audit_service_pb2.ExportAuditEntriesRequest.FromString(message).start_index
        for name, message, _ in system.exchange.calls
        if name == "ExportAuditEntries"
    ]
    assert starts == [0, 4]


def test_a_stream_that_does_not_begin_is_tried_again_and_then_given_up(system: Any) -> None:
    fill(system, 3)
    before = len(system.exchange.calls)
    failure = RawFailure("UNAVAILABLE", "connection refused")
    system.exchange.faults = [lambda: None, lambda: failure, lambda: failure]
    assert verify(system).verified
    assert [name for name, _, _ in system.exchange.calls[before:]].count("ExportAuditEntries") == 3
    system.exchange.faults = [lambda: None] + [lambda: failure] * 99
    with pytest.raises(NotReached):
        verify(system)


def test_a_checkpoint_of_another_key_or_log_is_refused(system: Any) -> None:
    fill(system, 3)
    system.exchange.log.checkpoint_key = system.authority.log.checkpoint_key
    with pytest.raises(CheckpointFalse):
        verify(system)


def test_a_damaged_memory_of_the_last_checkpoint_is_not_passed_over(system: Any) -> None:
    fill(system, 3)
    assert verify(system).verified
    (system.folder / "state" / "exchange.checkpoint").write_text("nothing")
    with pytest.raises(CheckpointFalse, match="last checkpoint"):
        verify(system)


def test_a_log_that_lost_its_end_breaks_the_receipts_of_what_it_lost(system: Any) -> None:
    receipts = fill(system, 11)
    del system.exchange.log.entries[8:]
    for read_entries in (False, True):
        report = verify(system, receipts, read_entries=read_entries)
        assert not report.verified
        assert differences(report) == ["entry 8: rolled back", "entry 9: rolled back", "entry 10: rolled back"]
        assert report.receipts_included == 8
    assert not (system.folder / "state" / "exchange.checkpoint").exists(), "nobody continues from a log that broke its promise"


def test_a_log_that_lost_its_end_and_grew_again_has_other_entries_there(system: Any) -> None:
    receipts = fill(system, 4)
    del system.exchange.log.entries[2:]
    fill(system, 1)
    assert differences(verify(system, receipts, read_entries=False)) == ["entry 2: not included", "entry 3: rolled back"]


async def test_the_asynchronous_exchange_finds_the_same(system: Any) -> None:
    receipts = fill(system, 4)
    async with system.open_async() as exchange:
        old = await exchange.checkpoint()
        newer = fill(system, 1)
        report = await exchange.verify_included([*receipts, *newer], old)
        assert (report.included, report.pending, report.verified) == (4, tuple(newer), False)
        del system.exchange.log.entries[2:]
        assert differences(await exchange.audit_verify(receipts)) == ["entry 2: rolled back", "entry 3: rolled back"]


@pytest.mark.parametrize("size", [2**40, 2**63 - 1])
def test_a_size_that_no_log_has_is_a_finding(system: Any, size: int) -> None:
    fill(system, 3)
    original = system.exchange.reading.export
    body = Checkpoint(system.exchange.log.origin, size, root(system.exchange.log.hashes(3)))

    def get_checkpoint(_: Message) -> Message:
        return audit_service_pb2.GetCheckpointResponse(checkpoint=sign_checkpoint(body, system.exchange.log.checkpoint_key))

    def prove(request: Any) -> Message:
        raise system.refusal("INVALID_ARGUMENT", "FIELD_OUT_OF_RANGE")

    def export(request: Any) -> Any:
        return original(audit_service_pb2.ExportAuditEntriesRequest(start_index=request.start_index, end_index=3))

    system.exchange.public_methods |= {GET_CHECKPOINT.path: get_checkpoint, GET_INCLUSION_PROOF.path: prove}
    system.exchange.reading.export = export
    report = verify(system)
    assert (report.verified, report.entries_read, report.recomputed_root) == (False, 3, None)
    assert differences(report) == [f"entries 0 to {size - 1}: unprovable", f"entries 3 to {size - 1}: missing"]


def test_an_export_that_is_refused_for_its_size_is_a_finding(system: Any) -> None:
    fill(system, 3)

    def refused(path: str, message: bytes, metadata: Any, seconds: float) -> Any:
        signed = system.exchange._authenticate(METHODS[path], message, metadata)
        yield system.exchange._refused(system.refusal("INVALID_ARGUMENT", "FIELD_OUT_OF_RANGE"), path, message, signed, [])

    system.exchange.stream = refused
    report = verify(system)
    assert (report.verified, differences(report)) == (False, ["entries 0 to 2: missing"])


def test_entries_are_listed_by_subject_with_purpose_and_consent(system: Any) -> None:
    fill(system, 7)
    with system.open() as exchange:
        exchange.query(Identity.passport("DE", "C01X00T48"), Purpose.CREDIT_CARD_APPROVAL, "other")
        listed = list(exchange.audit_list(EntryFilter(identity=SUBJECT)))
        assert [entry.consent_reference for entry in listed if entry.purpose] == [f"consent-{n}" for n in range(6, -1, -1)]
        element = exchange.audit_show(7).subjects[0].element
        assert [e.consent_reference for e in exchange.audit_list(EntryFilter(element=element)) if e.purpose] == ["other"]
        everything = list(exchange.audit_list())
    assert [entry.index for entry in everything] == list(range(everything[0].index, -1, -1))


class _Server:
    """Answers the calls of a verification flow from a list of leaf hashes, and exports other leaves."""

    def __init__(self, leaves: list[bytes], exported: dict[int, bytes]) -> None:
        self.hashes = [leaf_hash(leaf) for leaf in leaves]
        self.exported = exported

    def drive(self, flow: Flow[Any]) -> Any:
        step = advance(flow)
        while not isinstance(step, Finished):
            if isinstance(step, PageStream):
                page = audit_service_pb2.AuditEntryPage()
                for index, leaf in sorted(self.exported.items()):
                    page.entries.add(index=index, entry=leaf)
                step.take(page.SerializeToString())
            step = advance(flow, None)
        return step.result


class _Checkpoints:
    """The part of Checkpoints that asks a server, answered here."""

    def __init__(self, hashes: list[bytes]) -> None:
        self.hashes = hashes

    def last_verified(self, server: Server) -> None:
        return None

    def remember(self, server: Server, signed: SignedCheckpoint) -> None:
        pass

    def fetch(self, server: Server) -> Flow[SignedCheckpoint]:
        yield from ()
        return SignedCheckpoint(Checkpoint("log.test", len(self.hashes), root(self.hashes)), "")

    def inclusion_proof(self, server: Server, index: int, size: int) -> Flow[Any]:
        yield from ()
        return audit_service_pb2.GetInclusionProofResponse(leaf_hash=self.hashes[index], hashes=inclusion_proof(index, self.hashes))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(st.data())
def test_exactly_the_changed_and_missing_entries_are_named_in_a_log_of_any_size(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 150))
    leaves = [log_pb2.AuditEntry(format_version=1, member_id=f"m{n}").SerializeToString() for n in range(size)]
    places = st.sets(st.integers(0, size - 1), max_size=8)
    changed = data.draw(places)
    missing = data.draw(places) - changed
    exported = {n: leaf for n, leaf in enumerate(leaves) if n not in missing}
    for n in changed:
        exported[n] += log_pb2.AuditEntry(method="changed").SerializeToString()
    server = _Server(leaves, exported)
    verification = Verification(_Checkpoints(server.hashes), {}, Authority(None))  # type: ignore[arg-type]  # a double of its flows alone
    report = server.drive(verification.verify_log(Server.EXCHANGE, [], read_entries=True, now=datetime.now(UTC)))
    found: dict[DifferenceKind, set[int]] = {}
    for difference in report.differences:
        found.setdefault(difference.kind, set()).update(range(difference.begin, difference.end))
    assert found.get(DifferenceKind.CHANGED, set()) == changed
    assert found.get(DifferenceKind.MISSING, set()) == missing
    assert set(found) <= {DifferenceKind.CHANGED, DifferenceKind.MISSING}
    assert report.verified == (not changed and not missing)
    assert report.recomputed_root == (root([leaf_hash(exported[n]) for n in range(size)]) if not missing else None)


def test_the_flow_asks_for_nothing_but_calls() -> None:
    flow = Verification(_Checkpoints([leaf_hash(b"")]), {}, Authority(None)).verify_log(  # type: ignore[arg-type]  # a double of its flows alone
        Server.EXCHANGE, [], read_entries=True, now=datetime.now(UTC)
    )
    assert isinstance(advance(flow), Call | PageStream)
