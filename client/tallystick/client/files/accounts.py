"""Accounts files: one row an account and month; adjacent rows of one account make one report."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from tallystick.client.files import amounts, cells
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.cells import CellInvalid, Cells
from tallystick.client.files.damage import damage, unwrapped
from tallystick.client.files.reading import Row, TableReader
from tallystick.client.files.survey import survey
from tallystick.client.flows.reporting import Report
from tallystick.client.identities import ORGANISATION, PERSON, Identity
from tallystick.contract.violations import Violation
from tallystick.credit.codes import disposition_from_code
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    CollectionStage,
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
)
MONTH_COLUMNS = ("month", "disposition", "days_past_due", "overdue_amount", "billed_amount", "paid_amount")
MAX_ROWS = 600
"""Rows of one account: fifty years of months."""

SUBJECT_KINDS = {PERSON: SubjectKind.PERSON, ORGANISATION: SubjectKind.ORGANISATION}

AmountReader = Callable[[str], int]

_MONTH_FIELD = re.compile(r"account\.months\[(\d{1,4})\]\.?(.*)")
_COLUMNS = {
    "identity.kind": "id_kind",
    "identity.type": "id_type",
    "identity.country": "id_country",
    "identity.number": "id_number",
    "account.subject_kind": "id_kind",
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

    def reject(self, violation: Violation) -> Reject:
        """A violation of the report as it concerns the file: its row and its column."""
        named = _MONTH_FIELD.fullmatch(violation.field)
        if named and int(named[1]) < len(self.rows):
            return Reject(self.rows[int(named[1])], named[2] or "month", violation.reason, violation.description)
        column = _COLUMNS.get(violation.field) or re.split(r"[.\[]", violation.field.removeprefix("account."))[0]
        description = violation.description
        if (column, violation.reason) == ("as_of", "FIELDS_INCONSISTENT"):
            description += "; if they are months of one account, their rows must be adjacent: sort the file by account_number"
        return Reject(self.rows[0], column, violation.reason, description)


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
    number_of = itemgetter(positions["account_number"])
    shared = itemgetter(*(positions[name] for name in (*REQUIRED, *ACCOUNT_OPTIONAL) if name in positions))
    for _, rows in groupby(table, key=lambda row: number_of(row[1])):
        yield _account_rows(positions, shared, rows, said)


def _account_rows(
    positions: dict[str, int], shared: Callable[[list[str]], Any], rows: Iterator[Row], said: Amounts | None
) -> AccountRows:
    first_number, first = next(rows)
    if told := damage(Cells(positions, first).text("account_number")):
        # What the rows of such a number have in common may be the damage alone.
        numbers = [first_number, *(number for number, _ in islice(rows, MAX_ROWS - 1))]
        return AccountRows(tuple(numbers), None, tuple(Reject(n, "account_number", "FIELD_MALFORMED", told) for n in numbers))
    common = shared(first)
    amount = amounts.reader(said, Cells(positions, first).text("currency").upper())
    numbers = [first_number]
    rejects: list[Reject] = []
    months: list[AccountMonth] = []
    row: Row | None = (first_number, first)
    while row is not None:
        number, values = row
        try:
            if values is not first:
                _check_shared(numbers, common == shared(values))
                if len(numbers) < MAX_ROWS:
                    numbers.append(number)
            month = _month(Cells(positions, values), amount, alone=values is first)
            if month is not None and len(months) < MAX_ROWS:
                months.append(month)
        except CellInvalid as error:
            if len(rejects) < MAX_ROWS:
                rejects.append(Reject(number, error.column, error.reason, error.description))
        row = next(rows, None)
    if rejects:
        return AccountRows(tuple(numbers), None, tuple(rejects))
    try:
        return AccountRows(tuple(numbers), _report(Cells(positions, first), amount, tuple(months)))
    except CellInvalid as error:
        return AccountRows(tuple(numbers), None, (Reject(first_number, error.column, error.reason, error.description),))


def _check_shared(numbers: list[int], same: bool) -> None:
    if not same:
        raise CellInvalid(
            "account_number",
            "FIELDS_INCONSISTENT",
            f"the row differs from row {numbers[0]} of the same account in more than the month's columns",
        )
    if len(numbers) >= MAX_ROWS:
        raise CellInvalid("account_number", "FIELD_OUT_OF_RANGE", f"an account has at most {MAX_ROWS} rows")


def _month(row: Cells, amount: AmountReader, *, alone: bool) -> AccountMonth | None:
    """The month of a row; None for an account's first row when its month's columns are empty: an account without months."""
    if alone and not any(row.text(column) for column in MONTH_COLUMNS):
        return None
    return AccountMonth(
        month=row.read("month", cells.month),
        disposition=row.read("disposition", disposition_from_code),
        days_past_due=row.optional("days_past_due", cells.count),
        overdue_amount=row.optional("overdue_amount", amount),
        billed_amount=row.optional("billed_amount", amount),
        paid_amount=row.optional("paid_amount", amount),
    )


def _report(row: Cells, amount: AmountReader, months: tuple[AccountMonth, ...]) -> Report:
    identity = read_identity(row)
    account = Account(
        as_of=row.read("as_of", cells.instant),
        account_type=row.read("account_type", _ACCOUNT_TYPE),
        status=row.read("status", cells.count),
        currency=row.read("currency", str.upper),
        opened_date=row.read("opened_date", cells.day),
        subject_kind=SUBJECT_KINDS[identity.kind],
        role=row.optional("role", _ROLE) or ObligorRole.BORROWER,
        asset_quality=row.optional("asset_quality", _ASSET_QUALITY) or AssetQuality.UNSPECIFIED,
        credit_limit=row.optional("credit_limit", amount),
        balance=row.optional("balance", amount),
        closed_date=row.optional("closed_date", cells.day),
        liability_amount=row.optional("liability_amount", amount),
        months=months,
        running_overdue=_running_overdue(row, amount),
        special_transactions=tuple(row.optional("special_transactions", partial(_special_transactions, amount)) or ()),
        related_obligors=tuple(row.optional("related_obligors", partial(_related_obligors, amount)) or ()),
        annotations=tuple(row.optional("annotations", _annotations) or ()),
    )
    return Report(identity, row.read("account_number", _undamaged), account)


def read_identity(row: Cells) -> Identity:
    """The identity columns of any file."""
    kind = row.read("id_kind", _subject_kind)
    number = row.read("id_number", _undamaged) if row.text("id_number") else ""
    return Identity(kind, row.read("id_type", str), row.text("id_country").upper(), number)


def _undamaged(text: str) -> str:
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
        since_date=row.read("running_since_date", cells.day),
        days_past_due=row.read("running_days_past_due", cells.count),
        amount=row.optional("running_amount", amount),
        collection_stage=row.optional("collection_stage", _COLLECTION_STAGE) or CollectionStage.UNSPECIFIED,
    )


def _special_transactions(amount: AmountReader, text: str) -> list[SpecialTransaction]:
    return [
        SpecialTransaction(
            type=_SPECIAL_TRANSACTION(str(value.get("type", ""))),
            date=_item(value, "date", cells.day) or dt.date.min,
            amount=_item(value, "amount", amount),
            months_changed=_item(value, "months_changed", cells.whole) or 0,
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
