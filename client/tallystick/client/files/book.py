"""The bank's own book, one row an account, and the file of the notices that are due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallystick.client.files import amounts, cells
from tallystick.client.files.accounts import Reject, undamaged
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.cells import Cells
from tallystick.client.files.reading import TableReader
from tallystick.client.files.survey import survey
from tallystick.client.files.tables import TableWriter
from tallystick.credit.codes import is_currency
from tallystick.credit.reminders import BookEntry, DueNotice

REQUIRED = ("account_number",)
OPTIONAL = (
    "next_due_date",
    "amount_due",
    "currency",
    "overdue_since",
    "reported_overdue",
    "notice_date",
    "cured_date",
    "plan_end_date",
    "plan_agreed_date",
    "plan_reported",
)
NOTICE_COLUMNS = ("account_number", "kind", "day", "about", "amount_due", "currency")


@dataclass(frozen=True, slots=True)
class BookRow:
    """One row: an entry, or what is wrong with it."""

    row: int
    entry: BookEntry | None
    rejects: tuple[Reject, ...] = ()


def read_book(path: Path, said: Amounts | None = None, encoding: str | None = None) -> Iterator[BookRow]:
    """The rows of a book, in its order, one at a time. Raises FileInvalid.

    A regular file is read through once before its first row comes: see tallystick.client.files.survey."""
    amount_columns = ("amount_due",)

    def table() -> TableReader:
        return TableReader(path, REQUIRED, OPTIONAL, exact=amount_columns, encoding=encoding)

    if path.is_file():
        survey(table(), amounts=amount_columns, numbers=REQUIRED, said=said)
    return _rows(table(), said)


def _rows(table: TableReader, said: Amounts | None) -> Iterator[BookRow]:
    positions = {name: position for position, name in enumerate(table.columns)}
    for number, values in table:
        row = Cells(positions, values)
        currency = row.take_optional("currency", _currency) or ""
        entry = BookEntry(
            account_number=row.take("account_number", undamaged, ""),
            next_due_date=row.take_optional("next_due_date", cells.day),
            amount_due=row.take_optional("amount_due", amounts.reader(said, currency)),
            currency=currency,
            overdue_since=row.take_optional("overdue_since", cells.day),
            reported_overdue=row.take_optional("reported_overdue", cells.truth) or False,
            notice_date=row.take_optional("notice_date", cells.day),
            cured_date=row.take_optional("cured_date", cells.day),
            plan_end_date=row.take_optional("plan_end_date", cells.day),
            plan_agreed_date=row.take_optional("plan_agreed_date", cells.day),
            plan_reported=row.take_optional("plan_reported", cells.truth) or False,
        )
        rejects = [Reject(number, fault.column, fault.reason, fault.description) for fault in row.faults]
        if entry.amount_due is not None and not currency and not rejects:
            rejects.append(Reject(number, "currency", "FIELD_REQUIRED", "must say in which currency amount_due is"))
        yield BookRow(number, None if rejects else entry, tuple(rejects))


class NoticeWriter(TableWriter):
    """Writes the notices that are due."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, NOTICE_COLUMNS, ("amount_due",))

    def notice(self, notice: DueNotice) -> None:
        """A row for one notice."""
        self.write(row_of(notice))


def row_of(notice: DueNotice) -> tuple[str | int | None, ...]:
    """The row of NOTICE_COLUMNS."""
    entry = notice.entry
    days = notice.day.isoformat(), notice.about.isoformat()
    return entry.account_number, notice.kind.value, *days, entry.amount_due, entry.currency


def _currency(text: str) -> str:
    if not is_currency(text.upper()):
        raise ValueError("must be the ISO 4217 alphabetic code of a currency, such as CNY")
    return text.upper()
