"""Watches as Python values: what an institution asks for, and how its watches stand."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tallystick.credit.dates import number_of_day
from tallystick.credit.enums import Purpose, TriggerType, WatchState, WatchStateReason
from tallystick.credit.records import read_code, read_day
from tallystick.v1 import account_pb2
from tallystick.v1 import monitoring_service_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A watch over a borrower; on the ground of which account is said beside it."""

    consent_reference: str
    """Your reference to the consent, or to the clause of the contract, that permits it; as for an inquiry."""
    purpose: Purpose = Purpose.POST_LOAN_MANAGEMENT
    """Or POST_GUARANTEE_MANAGEMENT."""
    triggers: Mapping[TriggerType, int] = field(default_factory=dict)
    """What to watch for, each with the value from which on; 0 is the type's default. Empty is every type at its default."""
    end_date: dt.date | None = None
    """The last day, at most 24 months ahead; None is 24 months ahead. A watch that is put again is renewed."""

    def to_message(self) -> pb.Watch:
        """The message to send, but for the account. Raises ValueError for a number that it cannot hold."""
        message: Any = pb.Watch(
            consent_reference=self.consent_reference,
            end_date=0 if self.end_date is None else number_of_day(self.end_date),
        )
        # The stubs want the enums' own NewTypes.
        message.purpose = int(self.purpose)
        for type_, threshold in sorted(self.triggers.items()):
            message.triggers.add(type=int(type_), threshold=threshold)
        watch: pb.Watch = message
        return watch


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWatch:
    """One of your watches, as the exchange has it."""

    watch_id: bytes
    account_reference: bytes
    """The secret's id and the digest: what stands for your account number (see `references`)."""
    purpose: Purpose
    consent_reference: str
    triggers: Mapping[TriggerType, int]
    """Each with the value in force; 0 for a type that has none."""
    state: WatchState
    reason: WatchStateReason
    """Why it is not active; unspecified for one that is."""
    end_date: dt.date

    @classmethod
    def from_message(cls, message: pb.ListedWatch) -> Self:
        """Reads a message. Raises HistoryError."""
        return cls(
            watch_id=message.watch_id,
            account_reference=reference_bytes(message.account_reference),
            purpose=read_code(Purpose, message.purpose, "purpose"),
            consent_reference=message.consent_reference,
            triggers={read_code(TriggerType, each.type, "triggers"): each.threshold for each in message.triggers},
            state=read_code(WatchState, message.state, "state"),
            reason=read_code(WatchStateReason, message.reason, "reason"),
            end_date=read_day(message.end_date, "end_date"),
        )


def reference_bytes(reference: account_pb2.AccountReference) -> bytes:
    """An account reference as one value."""
    return reference.secret_id + reference.digest
