"""Bands, triggers, and what is wrong with requests about watches."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.contract.refusals import Refusal
from tallystick.credit.enums import TriggerType
from tallystick.credit.monitoring import (
    TRIGGERS,
    Band,
    Fact,
    Triggers,
    band_of,
    check_acknowledgement,
    check_digest,
    check_ending,
    check_pull,
    check_sweep,
    check_watch_listing,
    checked_watches,
    judge_watch,
    last_day,
)
from tallystick.crypto import ristretto255
from tallystick.v1 import account_pb2, codes_pb2, subject_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
EPOCH_ID = bytes(20)
_serial = itertools.count(1)


@given(st.integers(0, 10**15), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_a_band_holds_its_amount(amount: int, currency: str) -> None:
    band = band_of(currency, amount)
    assert band is not None
    assert band.below is not None
    assert band.at_least <= amount < band.below
    digits = {str(bound).rstrip("0") for bound in (band.at_least, band.below)}
    assert digits <= {"", "1", "2", "5"}
    assert Band.from_message(band.to_message()) == band


@pytest.mark.parametrize(("currency", "amount"), [("CNY", -1), ("XAU", 5), ("???", 5)])
def test_what_has_no_band(currency: str, amount: int) -> None:
    assert band_of(currency, amount) is None


def test_no_trigger_stated_is_every_one_at_its_default() -> None:
    assert set(TRIGGERS) == {each for each in TriggerType if each}
    assert Triggers.read([]) == Triggers.default()
    stated = Triggers.read(
        [pb.Trigger(type=codes_pb2.TRIGGER_TYPE_INQUIRY_BURST), pb.Trigger(type=codes_pb2.TRIGGER_TYPE_DEBT_GREW, threshold=70)]
    )
    assert stated.thresholds == {TriggerType.INQUIRY_BURST: 4, TriggerType.DEBT_GREW: 70}
    assert Triggers.from_bytes(stated.to_bytes()) == stated


def test_what_a_watch_wants() -> None:
    triggers = Triggers({TriggerType.OVERDUE_BEGAN: 2, TriggerType.OVERDUE_CURED: 0})
    wanted = [triggers.wants(Fact(type_, 0, after)) for type_ in TriggerType if type_ for after in (0, 1, 2)]
    assert wanted.count(True) == 4


def watch(**changes: Any) -> Any:
    message: Any = pb.Watch(
        subject=subject_pb2.SubjectToken(
            element=ristretto255.multiply_base(next(_serial).to_bytes(32, "little")), epoch_id=EPOCH_ID
        ),
        account_reference=account_pb2.AccountReference(secret_id=bytes(8), digest=bytes(32)),
        purpose=codes_pb2.PURPOSE_POST_LOAN_MANAGEMENT,
        consent_reference="contract-1",
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def wrong(*watches: Any) -> list[list[tuple[str, str]]]:
    found = checked_watches(pb.PutWatchesRequest(watches=watches), NOW, epoch_id=EPOCH_ID)
    return [[(each.field, each.reason) for each in violations] for violations in found]


def test_a_good_watch() -> None:
    assert wrong(watch(), watch(end_date=20261126), watch(end_date=20281126, purpose=21)) == [[], [], []]


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"purpose": 0}, "purpose", "FIELD_REQUIRED"),
        ({"purpose": 2}, "purpose", "FIELD_OUT_OF_RANGE"),
        ({"purpose": 77}, "purpose", "CODE_UNKNOWN"),
        ({"consent_reference": ""}, "consent_reference", "FIELD_REQUIRED"),
        ({"consent_reference": "a b"}, "consent_reference", "FIELD_MALFORMED"),
        ({"end_date": 20261125}, "end_date", "FIELD_OUT_OF_RANGE"),
        ({"end_date": 20281127}, "end_date", "FIELD_OUT_OF_RANGE"),
        ({"end_date": 20261131}, "end_date", "FIELD_MALFORMED"),
    ],
)
def test_what_is_wrong_with_a_watch(changes: dict[str, Any], field: str, reason: str) -> None:
    assert wrong(watch(), watch(**changes)) == [[], [(f"watches[1].{field}", reason)]]


@pytest.mark.parametrize(
    ("triggers", "field", "reason"),
    [
        ([(0, 0)], "triggers[0].type", "FIELD_REQUIRED"),
        ([(99, 0)], "triggers[0].type", "CODE_UNKNOWN"),
        ([(1, 0), (1, 2)], "triggers[1].type", "FIELDS_INCONSISTENT"),
        ([(1, 8)], "triggers[0].threshold", "FIELD_OUT_OF_RANGE"),
        ([(3, 1)], "triggers[0].threshold", "FIELD_OUT_OF_RANGE"),
        ([(10, 9)], "triggers[0].threshold", "FIELD_OUT_OF_RANGE"),
    ],
)
def test_what_is_wrong_with_triggers(triggers: list[tuple[int, int]], field: str, reason: str) -> None:
    message = watch()
    for type_, threshold in triggers:
        message.triggers.add(type=type_, threshold=threshold)
    assert wrong(message) == [[(f"watches[0].{field}", reason)]]


def test_a_batch() -> None:
    one = watch()
    assert wrong(one, one) == [[], [("watches[1].account_reference", "FIELDS_INCONSISTENT")]]
    for count, reason in ((0, "FIELD_REQUIRED"), (1001, "BATCH_TOO_LARGE")):
        with pytest.raises(Refusal) as refused:
            wrong(*[one] * count)
        assert refused.value.reason_name == reason


def test_on_which_ground_a_watch_stands() -> None:
    def judged(living: bool, purposes: set[int]) -> list[tuple[str, str]]:
        return [(each.field, each.reason) for each in judge_watch(3, watch(), living=living, allowed_purposes=purposes)]

    assert judged(True, {1}) == []
    assert judged(True, {2, 21}) == [("watches[3].purpose", "PURPOSE_NOT_ALLOWED")]
    assert judged(False, {1}) == [("watches[3].account_reference", "PURPOSE_WITHOUT_ACCOUNT")]


@pytest.mark.parametrize(
    ("today", "last"),
    [
        ((2026, 11, 26), (2028, 11, 26)),
        ((2026, 2, 28), (2028, 2, 28)),
        ((2024, 2, 29), (2026, 2, 28)),
        ((2026, 12, 31), (2028, 12, 31)),
    ],
)
def test_the_last_day_of_a_watch(today: tuple[int, int, int], last: tuple[int, int, int]) -> None:
    assert last_day(0, dt.date(*today)) == dt.date(*last)
    assert last_day(20270101, dt.date(*today)) == dt.date(2027, 1, 1)


def month(number: int) -> Any:
    return pb.GetPortfolioDigestRequest(month=number)


REFUSED: list[tuple[Callable[[], None], str, str]] = [
    (lambda: check_ending(pb.EndWatchesRequest()), "watch_ids", "FIELD_REQUIRED"),
    (lambda: check_ending(pb.EndWatchesRequest(watch_ids=[bytes(15)])), "watch_ids[0]", "FIELD_MALFORMED"),
    (lambda: check_ending(pb.EndWatchesRequest(watch_ids=[bytes(16)] * 2)), "watch_ids[1]", "FIELDS_INCONSISTENT"),
    (lambda: check_ending(pb.EndWatchesRequest(watch_ids=[bytes(16)] * 1001)), "watch_ids", "BATCH_TOO_LARGE"),
    (lambda: check_watch_listing(pb.ListWatchesRequest(page_size=1001)), "page_size", "FIELD_OUT_OF_RANGE"),
    (lambda: check_watch_listing(listing(9)), "state", "CODE_UNKNOWN"),
    (lambda: check_pull(pb.PullMessagesRequest(wait_seconds=26)), "wait_seconds", "FIELD_OUT_OF_RANGE"),
    (lambda: check_pull(pb.PullMessagesRequest(cursor="x" * 129)), "cursor", "CURSOR_INVALID"),
    (lambda: check_acknowledgement(pb.AcknowledgeMessagesRequest()), "cursor", "FIELD_REQUIRED"),
    (lambda: check_acknowledgement(pb.AcknowledgeMessagesRequest(cursor="x" * 129)), "cursor", "CURSOR_INVALID"),
    (lambda: check_digest(month(0), NOW), "month", "FIELD_REQUIRED"),
    (lambda: check_digest(month(20261002), NOW), "month", "FIELD_MALFORMED"),
    (lambda: check_digest(month(20261301), NOW), "month", "FIELD_MALFORMED"),
    (lambda: check_digest(month(20261101), NOW), "month", "FIELD_OUT_OF_RANGE"),
    (lambda: check_digest(month(20260801), NOW), "month", "FIELD_OUT_OF_RANGE"),
    (lambda: check_sweep(pb.SweepWatchesRequest(max_watches=10_001)), "max_watches", "FIELD_OUT_OF_RANGE"),
]


def listing(state: int) -> Any:
    message: Any = pb.ListWatchesRequest()
    message.state = state
    return message


@pytest.mark.parametrize(("check", "field", "reason"), REFUSED)
def test_requests_that_are_refused(check: Callable[[], None], field: str, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        check()
    assert [(each.field, each.reason) for each in refused.value.violations] == [(field, reason)]


def test_requests_that_are_good() -> None:
    check_ending(pb.EndWatchesRequest(watch_ids=[bytes(16)]))
    check_watch_listing(listing(3))
    check_pull(pb.PullMessagesRequest(wait_seconds=25, page_size=1000))
    check_digest(month(20261001), NOW)
    check_digest(month(20260901), NOW)
    check_sweep(pb.SweepWatchesRequest(max_watches=10_000))
