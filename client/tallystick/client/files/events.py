"""Events files: one row a servicing event."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallystick.client.files import cells, numbers
from tallystick.client.files.accounts import Reject, read_identity, undamaged
from tallystick.client.files.cells import Cells
from tallystick.client.files.reading import TableReader
from tallystick.client.files.survey import survey
from tallystick.client.flows.servicing import AccountEvent, faults_of
from tallystick.contract.violations import Violation
from tallystick.credit.enums import Channel, EventOutcome, PlanKind, ServicingEventType
from tallystick.credit.servicing import RepaymentPlan, ServicingEvent
from tallystick.crypto import identity_faults

REQUIRED = ("id_kind", "id_type", "id_country", "id_number", "account_number", "event_id", "type", "date")
PLAN_COLUMNS = (
    "plan_kind",
    "plan_first_due_date",
    "plan_instalments",
    "plan_instalment_amount",
    "plan_months_changed",
    "plan_financial_difficulty",
)
OPTIONAL = ("channel", "outcome", "next_date", *PLAN_COLUMNS, "text_commitment")

_COLUMNS = {"subject": "id_number", "account_reference": "account_number", "plan": "plan_kind"}
_COMMITMENT = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_NOBODY = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row: an event, or what is wrong with it."""

    row: int
    event: AccountEvent | None
    rejects: tuple[Reject, ...] = ()

    def reject(self, violation: Violation) -> Reject:
        """A violation of the event as it concerns the file: its row and its column."""
        return Reject(self.row, _column(violation.field), violation.reason, violation.description)


def _column(field: str) -> str:
    """The column that a field of an event comes from; what comes from none concerns the event as a whole: its id."""
    head, _, part = field.partition(".")
    by_part = {"identity": f"id_{part}", "plan": f"plan_{part}"}.get(head, "") if part else ""
    column = by_part if by_part in (*REQUIRED, *OPTIONAL) else _COLUMNS.get(head, head)
    return column if column in (*REQUIRED, *OPTIONAL) else "event_id"


def read_events(path: Path, encoding: str | None = None) -> Iterator[EventRow]:
    """The events of a file, in its order, a row at a time. Raises FileInvalid.

    A regular file is read through once before its first event comes: see tallystick.client.files.survey."""
    if path.is_file():
        survey(TableReader(path, REQUIRED, OPTIONAL, encoding=encoding), numbers=("account_number", "id_number"))
    return events_of(TableReader(path, REQUIRED, OPTIONAL, encoding=encoding))


def events_of(table: TableReader) -> Iterator[EventRow]:
    """The events of a table, in its order."""
    positions = {name: position for position, name in enumerate(table.columns)}
    for number, values in table:
        yield _event(number, Cells(positions, values))


def _event(number: int, row: Cells) -> EventRow:
    identity = read_identity(row)
    account_number = row.take("account_number", undamaged, "")
    event = ServicingEvent(
        event_id=row.take("event_id", _event_id, _NOBODY),
        type=row.take("type", _TYPE, ServicingEventType.UNSPECIFIED),
        date=row.take("date", cells.day, dt.date.min),
        channel=row.take_optional("channel", _CHANNEL) or Channel.UNSPECIFIED,
        outcome=row.take_optional("outcome", _OUTCOME) or EventOutcome.UNSPECIFIED,
        next_date=row.take_optional("next_date", cells.day),
        plan=_plan(row),
        text_commitment=row.take_optional("text_commitment", _commitment) or b"",
    )
    whole = EventRow(number, AccountEvent(identity, account_number, event))
    if not row.faults:
        return whole
    # A cell that cannot be read keeps the event here, where the exchange would have found what else is wrong with it.
    rejects = {fault.column: Reject(number, fault.column, fault.reason, fault.description) for fault in row.faults}
    faults = [
        *(
            Violation(f"identity.{each.field}", each.reason, each.description)
            for each in identity_faults(identity.kind, identity.type, identity.country, identity.number)
        ),
        *faults_of(event),
    ]
    for each in map(whole.reject, faults):
        rejects.setdefault(each.field, each)
    return EventRow(number, None, tuple(rejects.values()))


def _plan(row: Cells) -> RepaymentPlan | None:
    if not any(row.text(column) for column in PLAN_COLUMNS):
        return None
    return RepaymentPlan(
        kind=row.take("plan_kind", _PLAN_KIND, PlanKind.UNSPECIFIED),
        first_due_date=row.take("plan_first_due_date", cells.day, dt.date.min),
        instalments=row.take("plan_instalments", numbers.count, 0),
        instalment_amount=row.take_optional("plan_instalment_amount", numbers.whole) or 0,
        months_changed=row.take_optional("plan_months_changed", _months) or 0,
        financial_difficulty=row.take_optional("plan_financial_difficulty", cells.truth) or False,
    )


def _event_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError("must be a UUID of this event's own, such as 0b6f9a52-6f0c-4a3e-9a57-3d1f4c8e2b10") from None


def _months(text: str) -> int:
    """Months either way; "-3.0" is -3."""
    return -numbers.count(text[1:]) if text.startswith("-") else numbers.count(text)


def _commitment(text: str) -> bytes:
    if not _COMMITMENT.fullmatch(text):
        raise ValueError("must be a keyed digest of your notes, 64 hexadecimal characters; the notes themselves are never sent")
    return bytes.fromhex(text)


_TYPE = cells.code(ServicingEventType)
_CHANNEL = cells.code(Channel)
_OUTCOME = cells.code(EventOutcome)
_PLAN_KIND = cells.code(PlanKind)
