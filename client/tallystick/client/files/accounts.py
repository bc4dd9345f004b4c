"""Accounts files: one row an account and month; adjacent rows of one account make one report."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from tallystick.client.files import amounts, cells, numbers
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.cells import Cells
from tallystick.client.files.damage import damage, unwrapped
from tallystick.client.files.reading import Row, TableReader
from tallystick.client.files.survey import survey
from tallystick.client.flows.reporting import Report, faults_of
from tallystick.client.identities import ORGANISATION, PERSON, Identity
from tallystick.contract.violations import Violation
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    CollectionStage,
    Disposition,
    ObligorRole,
    SpecialTransactionType,
    SubjectKind,
)
from tallystick.credit.history import Account, AccountMonth, RelatedObligor, RunningOverdue, SpecialTransaction

REQUIRED = (
    "id_kind",
    "id_type",
    "id_country",
    "id_number",
    "account_number",
    "as_of",
    "account_type",
    "status",
    "currency",
    "opened_date",
)
ACCOUNT_OPTIONAL = (
    "asset_quality",
    "credit_limit",
    "balance",
    "closed_date",
    "role",
    "liability_amount",
    "running_since_date",
    "running_days_past_due",
    "running_amount",
    "collection_stage",
    "special_transactions",
    "related_obligors",
    "annotations",
    "bad_record_notice_date",
)
MONTH_COLUMNS = ("month", "disposition", "days_past_due", "overdue_amount", "billed_amount", "paid_amount")
MAX_ROWS = 600
"""Rows of one account: fifty years of months."""

SUBJECT_KINDS = {PERSON: SubjectKind.PERSON, ORGANISATION: SubjectKind.ORGANISATION}

AmountReader = Callable[[str], int]

_MONTH_FIELD = re.compile(r"account\.months\[(\d{1,4})\]\.?(.*)")
_COLUMNS = {
    "subject": "id_number",
    "identity": "id_number",
    "account_reference": "account_number",
    "identity.kind": "id_kind",
    "identity.type": "id_type",
    "identity.country": "id_country",
    "identity.number": "id_number",
    "account.subject_kind": "id_kind",
    "account.months": "month",
    "account.running_overdue": "running_since_date",
    "account.running_overdue.since_date": "running_since_date",
    "account.running_overdue.days_past_due": "running_days_past_due",
    "account.running_overdue.amount": "running_amount",
    "account.running_overdue.collection_stage": "collection_stage",
}


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken, as it is in the rejects file."""

    row: int
    field: str
    """The column."""
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class AccountRows:
    """The rows of one account: a report, or what is wrong with them."""

    rows: tuple[int, ...]
    report: Report | None
    rejects: tuple[Reject, ...] = ()
    month_rows: tuple[int, ...] = ()
    """The row of each of the report's months."""

    def reject(self, violation: Violation) -> Reject:
        """A violation of the report as it concerns the file: its row and its column."""
        named = _MONTH_FIELD.fullmatch(violation.field)
        if named and int(named[1]) < len(self.month_rows):
            column = named[2] if named[2] in MONTH_COLUMNS else "month"
            return Reject(self.month_rows[int(named[1])], column, violation.reason, violation.description)
        column = _column(violation.field)
        description = violation.description
        if (column, violation.reason) == ("as_of", "FIELDS_INCONSISTENT"):
            description += "; if they are months of one account, their rows must be adjacent: sort the file by account_number"
        return Reject(self.rows[0], column, violation.reason, description)


def _column(field: str) -> str:
    """The column that a field of a report comes from; what comes from none concerns the account as a whole: its number."""
    first = re.split(r"[.\[]", field.removeprefix("account."))[0]
    column = _COLUMNS.get(field) or _COLUMNS.get(first) or _COLUMNS.get(f"account.{first}") or first
    return column if column in (*REQUIRED, *ACCOUNT_OPTIONAL, *MONTH_COLUMNS) else "account_number"


def read_accounts(path: Path, said: Amounts | None = None, encoding: str | None = None) -> Iterator[AccountRows]:
    """The accounts of a file, in its order; one account's rows in memory at a time. Raises FileInvalid.

    A regular file is read through once before its first account comes: see tallystick.client.files.survey. `said` is what the
    caller says that its amounts are."""

    def table() -> TableReader:
        return TableReader(path, REQUIRED, (*ACCOUNT_OPTIONAL, *MONTH_COLUMNS), exact=amounts.COLUMNS, encoding=encoding)

    if path.is_file():
        survey(table(), amounts=amounts.COLUMNS, numbers=("account_number", "id_number"), said=said)
    return accounts_of(table(), said)


def accounts_of(table: TableReader, said: Amounts | None) -> Iterator[AccountRows]:
    """The accounts of a table, in its order."""
    positions = {name: position for position, name in enumerate(table.columns)}
    shared = [name for name in (*REQUIRED, *ACCOUNT_OPTIONAL) if name in positions]
    layout = _Layout(positions, tuple(shared), itemgetter(*(positions[name] for name in shared)), said)
    number_of = itemgetter(positions["account_number"])
    for _, rows in groupby(table, key=lambda row: number_of(row[1])):
        yield _account(layout, rows)


def _account(layout: _Layout, rows: Iterator[Row]) -> AccountRows:
    number, first = next(rows)
    if damage(Cells(layout.positions, first).text("account_number")):
        return _each_by_itself(layout, [(number, first), *islice(rows, MAX_ROWS - 1)])
    gathered = _Gathered(layout, number, first)
    for row in rows:
        gathered.add(*row)
    return gathered.account()


def _each_by_itself(layout: _Layout, rows: Sequence[Row]) -> AccountRows:
    """The rows of a damaged account number. What they have in common may be the damage alone."""
    rejects = [reject for row in rows for reject in _Gathered(layout, *row).account().rejects]
    return AccountRows(tuple(number for number, _ in rows), None, tuple(rejects))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the columns of a file are."""

    positions: dict[str, int]
    shared_columns: tuple[str, ...]
    """Those in which the rows of an account must not differ."""
    shared: Callable[[list[str]], Any]
    said: Amounts | None


class _Gathered:
    """One account as its rows come, and all that is wrong with them."""

    def __init__(self, layout: _Layout, number: int, first: list[str]) -> None:
        self._layout = layout
        self._first = first
        self._shared = layout.shared(first)
        self._amount = amounts.reader(layout.said, Cells(layout.positions, first).text("currency").upper())
        self._rows = [number]
        self._months: list[AccountMonth] = []
        self._month_rows: list[int] = []
        self._rejects: list[Reject] = []
        cells_of_first = Cells(layout.positions, first)
        if any(cells_of_first.text(column) for column in MONTH_COLUMNS):
            self._add_month(number, cells_of_first)

    def add(self, number: int, values: list[str]) -> None:
        """A further row."""
        if len(self._rows) >= MAX_ROWS:
            if len(self._rejects) < MAX_ROWS:
                text = f"an account has at most {MAX_ROWS} rows"
                self._rejects.append(Reject(number, "account_number", "FIELD_OUT_OF_RANGE", text))
            return
        self._rows.append(number)
        shared = self._layout.shared(values)
        if shared != self._shared:
            text = f"differs from row {self._rows[0]} of the same account, whose rows may differ in the month's columns only"
            for column, one, other in zip(self._layout.shared_columns, self._shared, shared, strict=True):
                if one != other:
                    self._rejects.append(Reject(number, column, "FIELDS_INCONSISTENT", text))
        self._add_month(number, Cells(self._layout.positions, values))

    def _add_month(self, number: int, row: Cells) -> None:
        amount = self._amount
        month = AccountMonth(
            month=row.take("month", cells.month, dt.date.min),
            disposition=row.take("disposition", cells.disposition, Disposition.UNSPECIFIED),
            days_past_due=row.take_optional("days_past_due", numbers.count),
            overdue_amount=row.take_optional("overdue_amount", amount),
            billed_amount=row.take_optional("billed_amount", amount),
            paid_amount=row.take_optional("paid_amount", amount),
        )
        self._months.append(month)
        self._month_rows.append(number)
        self._note(number, row)

    def _note(self, number: int, row: Cells) -> None:
        self._rejects += [Reject(number, each.column, each.reason, each.description) for each in row.faults]

    def account(self) -> AccountRows:
        """The account, once all of its rows are here."""
        row = Cells(self._layout.positions, self._first)
        report = _report(row, self._amount, tuple(self._months))
        self._note(self._rows[0], row)
        whole = AccountRows(tuple(self._rows), report, month_rows=tuple(self._month_rows))
        if not self._rejects:
            return whole
        # A cell that cannot be read keeps the account here, where the exchange would have found what else is wrong with it.
        named = {(each.row, each.field) for each in self._rejects}
        others = map(whole.reject, faults_of(report))
        rejects = self._rejects + [each for each in others if (each.row, each.field) not in named]
        return AccountRows(whole.rows, None, tuple(sorted(rejects[:MAX_ROWS], key=lambda each: each.row)))


def _report(row: Cells, amount: AmountReader, months: tuple[AccountMonth, ...]) -> Report:
    """The report; of a cell that cannot be read there is a fault in the row, and here what says as little as possible."""
    identity = read_identity(row)
    account = Account(
        as_of=row.take("as_of", cells.instant, None) or dt.datetime.now(dt.UTC),
        account_type=row.take("account_type", _ACCOUNT_TYPE, AccountType.UNSPECIFIED),
        status=row.take("status", numbers.count, 0),
        currency=row.take("currency", str.upper, ""),
        opened_date=row.take("opened_date", cells.day, dt.date.min),
        subject_kind=SUBJECT_KINDS.get(identity.kind, SubjectKind.UNSPECIFIED),
        role=row.take("role", _ROLE, ObligorRole.UNSPECIFIED) if row.text("role") else ObligorRole.BORROWER,
        asset_quality=row.take_optional("asset_quality", _ASSET_QUALITY) or AssetQuality.UNSPECIFIED,
        credit_limit=row.take_optional("credit_limit", amount),
        balance=row.take_optional("balance", amount),
        closed_date=row.take_optional("closed_date", cells.day),
        liability_amount=row.take_optional("liability_amount", amount),
        months=months,
        running_overdue=_running_overdue(row, amount),
        special_transactions=tuple(row.take_optional("special_transactions", partial(special_transactions, amount)) or ()),
        related_obligors=tuple(row.take_optional("related_obligors", partial(_related_obligors, amount)) or ()),
        annotations=tuple(row.take_optional("annotations", _annotations) or ()),
    )
    notice = row.take_optional("bad_record_notice_date", cells.day)
    return Report(identity, row.take("account_number", undamaged, ""), account, notice)


def read_identity(row: Cells) -> Identity:
    """The identity columns of any file; what cannot be read is a fault of the row, and empty here."""
    kind, type_ = row.take("id_kind", _subject_kind, ""), row.take("id_type", str, "")
    return Identity(kind, type_, row.take("id_country", str.upper, ""), row.take("id_number", undamaged, ""))


def undamaged(text: str) -> str:
    """A number as somebody's system has it."""
    number = unwrapped(text)
    if told := damage(number):
        raise ValueError(told)
    return number


def _running_overdue(row: Cells, amount: AmountReader) -> RunningOverdue | None:
    columns = ("running_since_date", "running_days_past_due", "running_amount", "collection_stage")
    if not any(row.text(column) for column in columns):
        return None
    return RunningOverdue(
        since_date=row.take("running_since_date", cells.day, dt.date.min),
        days_past_due=row.take("running_days_past_due", numbers.count, 0),
        amount=row.take_optional("running_amount", amount),
        collection_stage=row.take_optional("collection_stage", _COLLECTION_STAGE) or CollectionStage.UNSPECIFIED,
    )


def special_transactions(amount: AmountReader, text: str) -> list[SpecialTransaction]:
    """The cell of that column. Raises ValueError."""
    return [
        SpecialTransaction(
            type=_SPECIAL_TRANSACTION(str(value.get("type", ""))),
            date=_item(value, "date", cells.day) or dt.date.min,
            amount=_item(value, "amount", amount),
            months_changed=_item(value, "months_changed", numbers.count) or 0,
        )
        for value in map(_only(("type", "date", "amount", "months_changed"), ("type", "date")), cells.objects(text))
    ]


def _related_obligors(amount: AmountReader, text: str) -> list[RelatedObligor]:
    return [
        RelatedObligor(
            role=_ROLE(str(value.get("role", ""))),
            kind=SUBJECT_KINDS[_subject_kind(str(value.get("kind", "")))],
            liability_amount=_item(value, "liability_amount", amount),
        )
        for value in map(_only(("role", "kind", "liability_amount"), ("role", "kind")), cells.objects(text))
    ]


def _annotations(text: str) -> list[AnnotationType]:
    return [_ANNOTATION(part) for part in text.split()]


def _only(keys: tuple[str, ...], needed: tuple[str, ...]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def check(value: dict[str, Any]) -> dict[str, Any]:
        if not set(value) <= set(keys) or not set(needed) <= set(value):
            raise ValueError(f"each object must have {' and '.join(needed)}, and may have only {', '.join(keys)}")
        return value

    return check


def _item(value: dict[str, Any], key: str, parse: Callable[[str], Any]) -> Any:
    return None if value.get(key) is None else parse(str(value[key]))


def _subject_kind(text: str) -> str:
    if text.lower() not in SUBJECT_KINDS:
        raise ValueError("must be person or organisation")
    return text.lower()


_ACCOUNT_TYPE = cells.code(AccountType, numbers=False)
_ASSET_QUALITY = cells.code(AssetQuality)
_ROLE = cells.code(ObligorRole)
_COLLECTION_STAGE = cells.code(CollectionStage, numbers=False)
_SPECIAL_TRANSACTION = cells.code(SpecialTransactionType)
_ANNOTATION = cells.code(AnnotationType)
