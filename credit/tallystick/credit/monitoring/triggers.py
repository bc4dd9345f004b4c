"""Triggers: what a watch tells of, and from which value on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from tallystick.credit.enums import CollectionStage, TriggerType
from tallystick.credit.monitoring.facts import Fact
from tallystick.v1.monitoring_service_pb2 import Trigger
from tallystick.v1.storage_pb2 import WatchTriggers


@dataclass(frozen=True, slots=True)
class TriggerRule:
    """The threshold of a type of trigger: what it is unless stated, and between what it may be stated."""

    default: int = 0
    lowest: int = 0
    highest: int = 0
    of_change: bool = False
    """Whether it is of what lies between the values, and not of the one that is now."""

    @property
    def has_threshold(self) -> bool:
        """Whether there is anything to state."""
        return self.highest > 0


_WITHOUT: Final = TriggerRule()

TRIGGERS: Final[Mapping[TriggerType, TriggerRule]] = MappingProxyType(
    {
        TriggerType.OVERDUE_BEGAN: TriggerRule(1, 1, 7),
        TriggerType.OVERDUE_WORSENED: TriggerRule(3, 2, 7),
        TriggerType.OVERDUE_CURED: _WITHOUT,
        TriggerType.NON_PERFORMING: _WITHOUT,
        TriggerType.SHARE_OVER_90_DAYS: TriggerRule(20, 1, 100),
        TriggerType.RESTRUCTURED: _WITHOUT,
        TriggerType.COLLECTION_STAGE: TriggerRule(
            int(CollectionStage.FIELD), int(CollectionStage.REMINDER), int(CollectionStage.WRITTEN_OFF)
        ),
        TriggerType.COMPENSATED: _WITHOUT,
        TriggerType.ACCOUNTS_OPENED: TriggerRule(3, 1, 100),
        TriggerType.DEBT_GREW: TriggerRule(50, 10, 1000),
        TriggerType.INQUIRY_BURST: TriggerRule(4, 1, 100),
        TriggerType.RATING_FELL: TriggerRule(2, 1, 9, of_change=True),
    }
)
"""Every type, with its threshold as codes.proto describes it."""


@dataclass(frozen=True, slots=True)
class Triggers:
    """What one watch tells of."""

    thresholds: Mapping[TriggerType, int]
    """By type; 0 for a type that has no threshold. A type that is not here is not told of."""

    @classmethod
    def default(cls) -> Self:
        """Every type at its default."""
        return cls({type_: rule.default for type_, rule in TRIGGERS.items()})

    @classmethod
    def read(cls, messages: Iterable[Trigger]) -> Self:
        """As a watch states them, which was checked: none stands for every type, and 0 for a type's default."""
        stated = {TriggerType(message.type): message.threshold for message in messages}
        return cls({type_: stated[type_] or TRIGGERS[type_].default for type_ in sorted(stated)}) if stated else cls.default()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """As a row holds them."""
        return cls({TriggerType(each.type): each.threshold for each in WatchTriggers.FromString(content).triggers})

    def to_bytes(self) -> bytes:
        """For a row; equal ones give equal bytes."""
        return WatchTriggers(triggers=self.to_messages()).SerializeToString(deterministic=True)

    def to_messages(self) -> list[Trigger]:
        """In the order of their types."""
        messages = []
        for type_, threshold in sorted(self.thresholds.items()):
            message: Any = Trigger(threshold=threshold)
            # The stubs want the enum's own NewType.
            message.type = int(type_)
            messages.append(message)
        return messages

    def wants(self, fact: Fact) -> bool:
        """Whether the watch tells of a fact."""
        threshold, rule = self.thresholds.get(fact.type), TRIGGERS[fact.type]
        value = fact.after - fact.before if rule.of_change else fact.after
        return threshold is not None and (not rule.has_threshold or value >= threshold)
