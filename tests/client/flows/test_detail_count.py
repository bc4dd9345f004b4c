"""An opened entry is about as many subjects as its request was: an inner node does not pass for an erased leaf."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick.client import DetailsFalse, Identity, Inquiry, Purpose
from tallystick.crypto import root, salted_leaf_hash, subject_leaf
from tallystick.v1 import audit_service_pb2, log_pb2

SUBJECTS = [Identity.passport("DE", f"C01X00T4{digit}") for digit in range(3)]


def hash_of(leaf: log_pb2.DetailLeaf) -> bytes:
    """The hash of a disclosed leaf, by docs/protocol.md."""
    if leaf.WhichOneof("content") == "envelope":
        return salted_leaf_hash(leaf.salt, leaf.envelope)
    shown = leaf.subject
    content = subject_leaf(shown.subject.epoch_id, shown.subject.element, shown.purpose, shown.consent_reference)
    return salted_leaf_hash(leaf.salt, content)


@pytest.fixture
def index(system: Any) -> int:
    """The entry of a batch about three subjects."""
    with system.open() as exchange:
        inquiries = [Inquiry(subject, Purpose.LOAN_APPROVAL, f"consent-{place}") for place, subject in enumerate(SUBJECTS)]
        assert len(list(exchange.query_many(inquiries))) == 3
    (found,) = [place for place, logged in enumerate(system.exchange.log.entries) if len(logged.subjects) == 3]
    return int(found)


# The leaves that stay disclosed, and the runs of leaves of which the root is shown as one erased leaf.
HONEST = [(2, [(2, 3), (3, 4)]), (0, [(0, 1), (1, 2), (2, 3), (3, 4)]), (4, [])]
FEWER = [(2, [(2, 4)]), (0, [(0, 1), (1, 2), (2, 4)]), (0, [(0, 2), (2, 4)]), (0, [(0, 4)])]


def show_instead(system: Any, disclosed: int, runs: list[tuple[int, int]]) -> None:
    def tamper(method: str, answer: Any) -> Any:
        if isinstance(answer, audit_service_pb2.GetAuditEntryResponse):
            hashes = [hash_of(leaf) for leaf in answer.details]
            erased = [root(hashes[start:end]) for start, end in runs]
            assert root(hashes[:disclosed] + erased) == root(hashes)
            del answer.details[disclosed:]
            answer.details.extend(log_pb2.DetailLeaf(erased_leaf_hash=each) for each in erased)
            answer.request = b""
        return answer

    system.exchange.tamper_answer = tamper


@pytest.mark.parametrize(("disclosed", "runs"), HONEST)
def test_erased_leaves_still_count(system: Any, index: int, disclosed: int, runs: list[tuple[int, int]]) -> None:
    show_instead(system, disclosed, runs)
    with system.open() as exchange:
        opened = exchange.audit_show(index)
    assert [subject.erased for subject in opened.subjects] == [place >= disclosed for place in range(1, 4)]


@pytest.mark.parametrize(("disclosed", "runs"), FEWER)
def test_the_same_root_over_fewer_leaves_is_not_shown(system: Any, index: int, disclosed: int, runs: list[tuple[int, int]]) -> None:
    show_instead(system, disclosed, runs)
    with system.open() as exchange, pytest.raises(DetailsFalse, match="log commits to"):
        exchange.audit_show(index)


def test_the_commitment_itself_is_not_shown_as_one_erased_leaf(system: Any, index: int) -> None:
    def tamper(method: str, answer: Any) -> Any:
        if isinstance(answer, audit_service_pb2.GetAuditEntryResponse):
            commitment = log_pb2.AuditEntry.FromString(answer.logged_entry.entry).details_commitment
            del answer.details[:]
            answer.details.add(erased_leaf_hash=commitment)
            answer.request = b""
        return answer

    system.exchange.tamper_answer = tamper
    with system.open() as exchange, pytest.raises(DetailsFalse, match="log commits to"):
        exchange.audit_show(index)
