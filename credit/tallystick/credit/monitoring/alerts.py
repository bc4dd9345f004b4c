"""Messages as Python values: what an institution is told of its watched borrowers."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final, Self

from tallystick.credit.codes import describe, format_amount, minor_units
from tallystick.credit.enums import AssetQuality, CollectionStage, Purpose, SpecialTransactionType, TriggerType, WatchStateReason
from tallystick.credit.monitoring.bands import Band
from tallystick.credit.monitoring.watching import reference_bytes
from tallystick.credit.records import HistoryError, read_code, read_day
from tallystick.v1 import monitoring_service_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something became known of a watched borrower. Its values are those that its trigger names."""

    type: TriggerType
    before: int
    after: int
    band: Band | None = None
    """Between which amounts what is overdue, or owed, lies; None where it is not known."""
    repeats: int = 0
    """How many alerts of this type and watch it stands for beside itself."""

    def __str__(self) -> str:
        """For a credit officer to read."""
        amount = f", {_describe_band(self.band)}" if self.band is not None else ""
        repeats = f" (the last of {self.repeats + 1})" if self.repeats else ""
        return f"{_describe(self)}{amount}{repeats}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded:
    """A watch ended with its account."""

    reason: WatchStateReason
    discarded_count: int
    """How many alerts of it were released, and are discarded."""

    def __str__(self) -> str:
        """For a credit officer to read."""
        lost = f"; {self.discarded_count} alerts that you did not take are discarded" if self.discarded_count else ""
        return f"the watch ended: {describe(self.reason)}{lost}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringMessage:
    """One message. It may be delivered more than once: remove duplicates by its message_id."""

    message_id: uuid.UUID
    watch_id: bytes
    account_reference: bytes
    """Of your own account: the secret's id and the digest."""
    date: dt.date
    """The day, UTC, on which it was released."""
    purpose: Purpose
    consent_reference: str
    content: Alert | WatchEnded

    @classmethod
    def from_message(cls, message: pb.Message) -> Self:
        """Reads a message. Raises HistoryError, naming the field, for what this version cannot read."""
        return cls(
            message_id=_read_id(message.message_id),
            watch_id=message.watch_id,
            account_reference=reference_bytes(message.account_reference),
            date=read_day(message.date, "date"),
            purpose=read_code(Purpose, message.purpose, "purpose"),
            consent_reference=message.consent_reference,
            content=_read_content(message),
        )


def _read_content(message: pb.Message) -> Alert | WatchEnded:
    match message.WhichOneof("content"):
        case "alert":
            alert = message.alert
            return Alert(
                type=read_code(TriggerType, alert.type, "alert.type"),
                before=alert.before,
                after=alert.after,
                band=Band.from_message(alert.amount) if alert.HasField("amount") else None,
                repeats=alert.repeats,
            )
        case "watch_ended":
            ended = message.watch_ended
            reason = read_code(WatchStateReason, ended.reason, "watch_ended.reason")
            return WatchEnded(reason=reason, discarded_count=ended.discarded_count)
        case _:
            raise HistoryError("content", "this version does not know what the message holds; install a newer one")


def _read_id(value: bytes) -> uuid.UUID:
    if len(value) != 16:
        raise HistoryError("message_id", "has not 16 bytes")
    return uuid.UUID(bytes=value)


_MONTHS_OVERDUE: Final = (
    "not overdue",
    "1–30 days past due",
    "31–60 days past due",
    "61–90 days past due",
    "91–120 days past due",
    "121–150 days past due",
    "151–180 days past due",
    "more than 180 days past due",
)


def _describe(alert: Alert) -> str:
    before, after = alert.before, alert.after
    match alert.type:
        case TriggerType.OVERDUE_BEGAN:
            return f"an account elsewhere became overdue: {_overdue(after)}"
        case TriggerType.OVERDUE_WORSENED:
            return f"an overdue elsewhere became longer: {_overdue(after)}, before {_overdue(before)}"
        case TriggerType.OVERDUE_CURED:
            return f"an overdue elsewhere was paid; it was {_overdue(before)}"
        case TriggerType.NON_PERFORMING:
            quality = f": asset quality {describe(AssetQuality(after))}" if _is(AssetQuality, after) else ""
            return f"an account elsewhere became non-performing{quality}"
        case TriggerType.SHARE_OVER_90_DAYS:
            return f"{after} % of its known debt is more than 90 days overdue, before {before} %"
        case TriggerType.RESTRUCTURED:
            return f"a loan elsewhere was restructured: {_transaction(after)}"
        case TriggerType.COLLECTION_STAGE:
            stage = describe(CollectionStage(after)) if _is(CollectionStage, after) else str(after)
            return f"the collection of an overdue elsewhere went further: {stage}"
        case TriggerType.COMPENSATED:
            return f"a debt elsewhere was paid by another or with assets: {_transaction(after)}"
        case TriggerType.ACCOUNTS_OPENED:
            return f"{after} accounts were opened elsewhere within 90 days, before {before}"
        case TriggerType.DEBT_GREW:
            return f"its known debt elsewhere grew by {after} % within 90 days"
        case TriggerType.INQUIRY_BURST:
            return f"{after} other institutions asked within 30 days in order to lend, before {before}"
        case TriggerType.RATING_FELL:
            return f"its rating fell from grade {before} to grade {after}"
        case _:
            return "nothing is said"


def _overdue(months: int) -> str:
    return _MONTHS_OVERDUE[min(months, len(_MONTHS_OVERDUE) - 1)]


def _transaction(code: int) -> str:
    return describe(SpecialTransactionType(code)) if _is(SpecialTransactionType, code) else str(code)


def _is(enum: type[AssetQuality] | type[CollectionStage] | type[SpecialTransactionType], code: int) -> bool:
    return code != 0 and code in set(map(int, enum))


def _describe_band(band: Band) -> str:
    try:
        unit = 10 ** minor_units(band.currency)
    except ValueError:
        return f"{format_amount(band.currency, band.at_least)} or more"
    if band.below is None:
        return f"{band.at_least // unit:,} {band.currency} or more"
    return f"{band.at_least // unit:,} to {band.below // unit:,} {band.currency}"
