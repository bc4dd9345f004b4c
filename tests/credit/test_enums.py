"""The Python enums are the contracts' enums: the same names, the same numbers, none missing."""

from enum import IntEnum
from typing import Any

import pytest

from tallystick.credit import enums
from tallystick.credit.rating import KINDS
from tallystick.credit.ratings import CHARACTERISTICS
from tallystick.v1 import codes_pb2, inquiry_service_pb2, rating_pb2, reporting_service_pb2, subject_pb2

PAIRS: list[tuple[type[IntEnum], Any]] = [
    (enums.Purpose, codes_pb2.Purpose),
    (enums.AccountType, codes_pb2.AccountType),
    (enums.AssetQuality, codes_pb2.AssetQuality),
    (enums.Disposition, codes_pb2.Disposition),
    (enums.SpecialTransactionType, codes_pb2.SpecialTransactionType),
    (enums.ObligorRole, codes_pb2.ObligorRole),
    (enums.CollectionStage, codes_pb2.CollectionStage),
    (enums.AnnotationType, codes_pb2.AnnotationType),
    (enums.ServicingEventType, codes_pb2.ServicingEventType),
    (enums.Channel, codes_pb2.Channel),
    (enums.EventOutcome, codes_pb2.EventOutcome),
    (enums.PlanKind, codes_pb2.PlanKind),
    (enums.TriggerType, codes_pb2.TriggerType),
    (enums.WatchState, codes_pb2.WatchState),
    (enums.WatchStateReason, codes_pb2.WatchStateReason),
    (enums.SubjectKind, subject_pb2.SubjectKind),
    (enums.Section, inquiry_service_pb2.Section),
    (enums.RatingOutcome, rating_pb2.RatingOutcome),
    (enums.HistoryOutcome, inquiry_service_pb2.HistoryOutcome),
    (enums.ReportOutcome, reporting_service_pb2.ReportOutcome),
    (enums.WithdrawalReason, reporting_service_pb2.WithdrawalReason),
]


def _screaming(name: str) -> str:
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name).upper().lstrip("_")


@pytest.mark.parametrize(("enum", "proto"), PAIRS, ids=lambda value: getattr(value, "__name__", ""))
def test_an_enum_is_its_proto_enum(enum: type[IntEnum], proto: Any) -> None:
    prefix = _screaming(enum.__name__) + "_"
    expected = {value.name.removeprefix(prefix): value.number for value in proto.DESCRIPTOR.values}
    assert {member.name: int(member) for member in enum} == expected


def test_every_enum_of_the_trade_has_its_python_enum() -> None:
    mirrored = {proto.DESCRIPTOR.full_name for _, proto in PAIRS}
    files = (codes_pb2, subject_pb2, inquiry_service_pb2, reporting_service_pb2, rating_pb2)
    declared = {enum.full_name for file in files for enum in file.DESCRIPTOR.enum_types_by_name.values()}
    # What a scorecard can look at is known by the texts of its TOML.
    characteristics = rating_pb2.RatingCharacteristic.DESCRIPTOR
    assert mirrored == declared - {characteristics.full_name}
    prefix = "RATING_CHARACTERISTIC_"
    named = {value.name.removeprefix(prefix).lower(): value.number for value in characteristics.values if value.number}
    assert named == {name: int(number) for name, number in CHARACTERISTICS.items()}
    assert named.keys() == KINDS.keys()
