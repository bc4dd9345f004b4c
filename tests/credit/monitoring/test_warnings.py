"""Alerts in words, and the classes that a policy gives them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tallystick.credit import HistoryError, PolicyError
from tallystick.credit.enums import TriggerType, WatchStateReason
from tallystick.credit.monitoring import Alert, MonitoringMessage, WarningClass, WarningPolicy, WatchEnded, band_of
from tallystick.v1 import account_pb2, codes_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

T = TriggerType


def alert(type_: TriggerType, after: int, before: int = 0) -> Alert:
    return Alert(type=type_, before=before, after=after)


@pytest.mark.parametrize(
    ("type_", "before", "after", "text"),
    [
        (T.OVERDUE_BEGAN, 0, 3, "an account elsewhere became overdue: 61–90 days past due"),
        (T.OVERDUE_WORSENED, 1, 4, "an overdue elsewhere became longer: 91–120 days past due, before 1–30 days past due"),
        (T.OVERDUE_CURED, 2, 0, "an overdue elsewhere was paid; it was 31–60 days past due"),
        (T.NON_PERFORMING, 1, 4, "an account elsewhere became non-performing: asset quality doubtful"),
        (T.NON_PERFORMING, 0, 0, "an account elsewhere became non-performing"),
        (T.SHARE_OVER_90_DAYS, 5, 25, "25 % of its known debt is more than 90 days overdue, before 5 %"),
        (T.RESTRUCTURED, 0, 1, "a loan elsewhere was restructured: extension"),
        (T.COLLECTION_STAGE, 2, 5, "the collection of an overdue elsewhere went further: legal"),
        (T.COMPENSATED, 0, 2, "a debt elsewhere was paid by another or with assets: third party compensation"),
        (T.ACCOUNTS_OPENED, 1, 4, "4 accounts were opened elsewhere within 90 days, before 1"),
        (T.DEBT_GREW, 0, 70, "its known debt elsewhere grew by 70 % within 90 days"),
        (T.INQUIRY_BURST, 2, 5, "5 other institutions asked within 30 days in order to lend, before 2"),
        (T.RATING_FELL, 2, 5, "its rating fell from grade 2 to grade 5"),
    ],
)
def test_alerts_read_as_a_person_writes(type_: TriggerType, before: int, after: int, text: str) -> None:
    assert str(alert(type_, after, before)) == text


def test_amounts_and_repeats() -> None:
    told = Alert(type=T.OVERDUE_BEGAN, before=0, after=1, band=band_of("CNY", 1_234_500), repeats=2)
    assert str(told).endswith("1–30 days past due, 10,000 to 20,000 CNY (the last of 3)")
    ended = WatchEnded(reason=WatchStateReason.ACCOUNT_NOT_LIVING, discarded_count=2)
    assert str(ended) == "the watch ended: account not living; 2 alerts that you did not take are discarded"


@pytest.mark.parametrize("type_", [each for each in TriggerType if each])
def test_codes_of_another_version_are_shown_all_the_same(type_: TriggerType) -> None:
    assert "9" in str(alert(type_, 999, 999)) or type_ in (T.NON_PERFORMING, T.OVERDUE_BEGAN, T.OVERDUE_WORSENED, T.OVERDUE_CURED)


def message(**changes: Any) -> Any:
    made: Any = pb.Message(
        message_id=uuid.UUID(int=7).bytes,
        watch_id=bytes(16),
        account_reference=account_pb2.AccountReference(secret_id=bytes(8), digest=bytes(32)),
        purpose=codes_pb2.PURPOSE_POST_LOAN_MANAGEMENT,
        consent_reference="c",
        date=20261126,
        alert=pb.Alert(type=codes_pb2.TRIGGER_TYPE_DEBT_GREW, after=50),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_message_is_read() -> None:
    read = MonitoringMessage.from_message(message())
    assert (read.message_id, read.content) == (uuid.UUID(int=7), alert(T.DEBT_GREW, 50))
    ended = message()
    ended.watch_ended.reason = 3
    assert MonitoringMessage.from_message(ended).content == WatchEnded(reason=WatchStateReason.ACCOUNT_WITHDRAWN, discarded_count=0)


@pytest.mark.parametrize(
    ("changes", "field"), [({"message_id": b"x"}, "message_id"), ({"date": 1}, "date"), ({"purpose": 55}, "purpose")]
)
def test_what_cannot_be_read_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(HistoryError) as error:
        MonitoringMessage.from_message(message(**changes))
    assert error.value.field == field


def test_content_of_another_version() -> None:
    unknown = message()
    unknown.ClearField("alert")
    with pytest.raises(HistoryError, match="newer"):
        MonitoringMessage.from_message(unknown)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (alert(T.OVERDUE_BEGAN, 2), WarningClass.YELLOW),
        (alert(T.INQUIRY_BURST, 4), WarningClass.YELLOW),
        (alert(T.RATING_FELL, 3, 1), WarningClass.ORANGE),
        (alert(T.ACCOUNTS_OPENED, 3), WarningClass.YELLOW),
        (alert(T.DEBT_GREW, 50), WarningClass.YELLOW),
        (alert(T.OVERDUE_WORSENED, 3), WarningClass.ORANGE),
        (alert(T.RESTRUCTURED, 1), WarningClass.ORANGE),
        (alert(T.COLLECTION_STAGE, 3), WarningClass.ORANGE),
        (alert(T.OVERDUE_WORSENED, 4), WarningClass.RED),
        (alert(T.NON_PERFORMING, 3), WarningClass.RED),
        (alert(T.SHARE_OVER_90_DAYS, 20), WarningClass.RED),
        (alert(T.COLLECTION_STAGE, 5), WarningClass.RED),
        (alert(T.COMPENSATED, 2), WarningClass.RED),
        (alert(T.OVERDUE_CURED, 0, 2), WarningClass.GREEN),
        (alert(T.COLLECTION_STAGE, 2), None),
        (alert(T.INQUIRY_BURST, 3), None),
    ],
)
def test_the_classes_of_the_default_policy(told: Alert, expected: WarningClass | None) -> None:
    warning = WarningPolicy.default().classify([told])
    assert (None if warning is None else warning.warning_class) == expected


def test_a_borrower_has_the_most_urgent_class_unless_it_has_become_better() -> None:
    policy = WarningPolicy.default()
    worst = policy.classify([alert(T.INQUIRY_BURST, 9), alert(T.OVERDUE_BEGAN, 5)])
    assert worst is not None
    assert (worst.warning_class, [each.warning_class for each in worst.reasons]) == ("red", ["red", "yellow"])
    assert worst.action == worst.reasons[0].action
    assert str(worst).splitlines()[0] == "red"
    better = policy.classify([alert(T.OVERDUE_BEGAN, 5), alert(T.OVERDUE_CURED, 0, 5)])
    assert better is not None
    assert better.warning_class == "orange"
    again = policy.classify([alert(T.OVERDUE_CURED, 0, 5), alert(T.OVERDUE_BEGAN, 1)])
    assert again is not None
    assert again.warning_class == "yellow"
    assert policy.classify([]) is None


RULE = '[[rules]]\nname = "a"\ntriggers = ["debt_grew"]\nwarning = "red"\naction = "act"\n'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("nonsense = 1\n", "nonsense"),
        ("name = 'x'\n", "rules"),
        (RULE + RULE, "rules[1].name"),
        (RULE.replace("debt_grew", "debt"), "rules[0].triggers"),
        (RULE.replace('"red"', '"pink"'), "rules[0].warning"),
        (RULE.replace("action", "do"), "rules[0].do"),
        (RULE.replace('action = "act"\n', ""), "rules[0].action"),
        (RULE + "at_least = -1\n", "rules[0].at_least"),
        ("rules = [1]\n", "rules[0]"),
        (RULE.replace('"act"', '"' + "x" * 301 + '"'), "rules[0].action"),
    ],
)
def test_a_policy_that_cannot_be_used_names_the_place(text: str, key: str) -> None:
    with pytest.raises(PolicyError) as error:
        WarningPolicy.from_toml(text)
    assert error.value.key == key
