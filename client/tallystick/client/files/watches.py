"""Watch files: one row a watch over the borrower of one account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallystick.client.files import cells
from tallystick.client.files.accounts import Reject, read_identity, undamaged
from tallystick.client.files.cells import Cells
from tallystick.client.files.reading import TableReader
from tallystick.client.files.survey import survey
from tallystick.client.flows.monitoring import AccountWatch, faults_of
from tallystick.contract.violations import Violation
from tallystick.credit.enums import Purpose, TriggerType
from tallystick.credit.monitoring import Watch
from tallystick.crypto import identity_faults

REQUIRED = ("id_kind", "id_type", "id_country", "id_number", "account_number", "consent_reference")
OPTIONAL = ("purpose", "triggers", "end_date")

_COLUMNS = {"subject": "id_number", "account_reference": "account_number"}


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One row: a watch, or what is wrong with it."""

    row: int
    watch: AccountWatch | None
    rejects: tuple[Reject, ...] = ()

    def reject(self, violation: Violation) -> Reject:
        """A violation of the watch as it concerns the file: its row and its column."""
        return Reject(self.row, _column(violation.field), violation.reason, violation.description)


def _column(field: str) -> str:
    """The column that a field of a watch comes from; what comes from none concerns the account as a whole."""
    head, _, part = field.partition(".")
    column = f"id_{part}" if head == "identity" else _COLUMNS.get(head, head.partition("[")[0])
    return column if column in (*REQUIRED, *OPTIONAL) else "account_number"


def read_watches(path: Path, encoding: str | None = None) -> Iterator[WatchRow]:
    """The watches of a file, in its order, a row at a time. Raises FileInvalid.

    A regular file is read through once before its first watch comes: see tallystick.client.files.survey."""
    if path.is_file():
        survey(TableReader(path, REQUIRED, OPTIONAL, encoding=encoding), numbers=("account_number", "id_number"))
    table = TableReader(path, REQUIRED, OPTIONAL, encoding=encoding)
    positions = {name: position for position, name in enumerate(table.columns)}
    for number, values in table:
        yield _watch(number, Cells(positions, values))


def _watch(number: int, row: Cells) -> WatchRow:
    identity = read_identity(row)
    account_number = row.take("account_number", undamaged, "")
    watch = Watch(
        consent_reference=row.text("consent_reference"),
        purpose=row.take_optional("purpose", _PURPOSE) or Purpose.POST_LOAN_MANAGEMENT,
        triggers=row.take_optional("triggers", triggers) or {},
        end_date=row.take_optional("end_date", cells.day),
    )
    whole = WatchRow(number, AccountWatch(identity, account_number, watch))
    if not row.faults:
        return whole
    # A cell that cannot be read keeps the watch here, where the exchange would have found what else is wrong with it.
    rejects = {fault.column: Reject(number, fault.column, fault.reason, fault.description) for fault in row.faults}
    faults = [
        *(
            Violation(f"identity.{each.field}", each.reason, each.description)
            for each in identity_faults(identity.kind, identity.type, identity.country, identity.number)
        ),
        *faults_of(watch),
    ]
    for each in map(whole.reject, faults):
        rejects.setdefault(each.field, each)
    return WatchRow(number, None, tuple(rejects.values()))


def triggers(text: str) -> dict[TriggerType, int]:
    """Types with the values from which on, such as "overdue_began; inquiry_burst: 3"; without a value it is the type's default."""
    read: dict[TriggerType, int] = {}
    for part in text.split(";"):
        name, _, value = part.partition(":")
        type_ = _TRIGGER(name.strip())
        if type_ in read:
            raise ValueError(f"names {name.strip()} twice")
        if value.strip() and not value.strip().isdecimal():
            raise ValueError(f"must have a whole number behind {name.strip()}: such as overdue_began:2")
        read[type_] = int(value) if value.strip() else 0
    return read


_PURPOSE = cells.code(Purpose)
_TRIGGER = cells.code(TriggerType, numbers=False)
