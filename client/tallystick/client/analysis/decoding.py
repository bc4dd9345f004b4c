"""From the cells' text to values: each distinct text once, by the readers that take a report's file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial

from tallystick.client.analysis.engine import Engine
from tallystick.client.files import cells, numbers
from tallystick.client.files.accounts import special_transactions
from tallystick.credit.codes import ACCOUNT_STATUSES, DAYS_PAST_DUE_RANGES, MAX_DAYS_PAST_DUE, is_currency, minor_units
from tallystick.credit.enums import AccountType, AssetQuality, CollectionStage, Disposition, ObligorRole, SpecialTransactionType

ON_TIME, SETTLED, BAD, LEFT = 0, 8, 9, 10
"""The states of a month; 1 to 7 are the trade's, months overdue."""
UNKNOWN, NO_BILL, NOT_OPEN = 20, 21, 22
"""States that say nothing of how the account was paid."""

RESTRUCTURING = frozenset(
    {
        SpecialTransactionType.DEBT_RELIEF,
        SpecialTransactionType.EXTENSION,
        SpecialTransactionType.BANK_DEFERRAL,
        SpecialTransactionType.PERSONALISED_INSTALMENTS,
    }
)

STATES = {
    Disposition.PAID_AS_AGREED: ON_TIME,
    Disposition.NOTHING_DUE: ON_TIME,
    Disposition.PAID_LATE_IN_MONTH: ON_TIME,
    **{Disposition(number): number for number in range(1, 8)},
    Disposition.SETTLED: SETTLED,
    Disposition.GUARANTOR_PAID: BAD,
    Disposition.ASSET_FOR_DEBT: BAD,
    Disposition.BAD_DEBT: BAD,
    Disposition.ENDED_OTHERWISE: LEFT,
    Disposition.UNKNOWN: UNKNOWN,
    Disposition.NO_BILL: NO_BILL,
    Disposition.NOT_OPENED: NOT_OPEN,
}

_EPOCH = dt.date(1970, 1, 1)
_LONGEST = 40
"""Characters of a cell that is no list."""
_LONGEST_LIST = 30_000


def month_index(day: dt.date) -> int:
    """A month as a number, such that the next one's is 1 more."""
    return day.year * 12 + day.month - 1


def month_of(index: int) -> dt.date:
    """The first day of that month."""
    return dt.date(index // 12, index % 12 + 1, 1)


def days_of(day: dt.date) -> int:
    """A day as the engine counts it."""
    return (day - _EPOCH).days


def day_of(days: int) -> dt.date:
    """The inverse."""
    return _EPOCH + dt.timedelta(days=days)


def decode_accounts(engine: Engine, first_rows: str) -> None:
    """A table `map_…` for each column of the account that is no amount; the rows of `first_rows` have every text of them."""
    readers: dict[str, Callable[[str], int]] = {
        "as_of": _as_of,
        "account_type": cells.code(AccountType, numbers=False),
        "status": numbers.count,
        "currency": _places,
        "opened_date": partial(_day, 1900),
        "role": cells.code(ObligorRole),
        "asset_quality": cells.code(AssetQuality),
        "running_since_date": partial(_day, 1900),
        "running_days_past_due": _days,
        "collection_stage": cells.code(CollectionStage, numbers=False),
    }
    for column, read in readers.items():
        _decode(engine, column, f"SELECT DISTINCT {column} FROM {first_rows} WHERE length({column}) <= {_LONGEST}", read)
    _decode_restructurings(engine, first_rows)
    engine.run("CREATE TABLE status_of (type BIGINT, status BIGINT)")
    engine.run(
        "INSERT INTO status_of SELECT unnest(?::BIGINT[]), unnest(?::BIGINT[])",
        list(zip(*[(int(kind), status) for kind, codes in ACCOUNT_STATUSES.items() for status in codes], strict=True)),
    )


def decode_months(engine: Engine) -> None:
    """`map_month`, and `map_state`: the state and the days of each pair of a disposition and days past due."""
    _decode(
        engine,
        "month",
        f"SELECT DISTINCT month FROM raw WHERE length(month) <= {_LONGEST}",
        lambda text: month_index(cells.month(text)),
    )
    columns = "state UTINYINT, days INTEGER, most INTEGER, wrong_days BOOLEAN"
    engine.run(f"CREATE TABLE map_state (disposition VARCHAR, days_text VARCHAR, {columns})")
    pairs = engine.rows(
        "SELECT DISTINCT disposition, coalesce(days_past_due, '') FROM raw WHERE disposition IS NOT NULL"
        f" AND length(disposition) <= {_LONGEST} AND coalesce(length(days_past_due), 0) <= {_LONGEST} LIMIT 200_000"
    )
    found = [(*pair, *value) for pair in pairs if (value := _state(*map(str.strip, pair))) is not None]
    if found:
        types = ("VARCHAR", "VARCHAR", "UTINYINT", "INTEGER", "INTEGER", "BOOLEAN")
        lists = ", ".join(f"unnest(?::{kind}[])" for kind in types)
        engine.run(f"INSERT INTO map_state SELECT {lists}", [list(column) for column in zip(*found, strict=True)])


def _decode(engine: Engine, column: str, texts: str, read: Callable[[str], int]) -> None:
    engine.run(f"CREATE TABLE map_{column} (text VARCHAR, value BIGINT)")
    for part in engine.parts(texts):
        found: dict[str, int] = {}
        for (text,) in part:
            try:
                found[text] = int(read(text.strip()))
            except ValueError:
                continue  # a row that has it finds no value
        lists = [list(found), list(found.values())]
        engine.run(f"INSERT INTO map_{column} SELECT unnest(?::VARCHAR[]), unnest(?::BIGINT[])", lists)


def _decode_restructurings(engine: Engine, first_rows: str) -> None:
    """`map_special_transactions` says which lists can be read, `restructured` the months of the restructurings in them."""
    engine.run("CREATE TABLE restructured (text VARCHAR, month INTEGER)")
    found: list[tuple[str, int]] = []

    def read(text: str) -> int:
        try:
            listed = special_transactions(lambda _: 0, text)
        except RecursionError:
            raise ValueError from None
        months = {month_index(each.date) for each in listed if each.type in RESTRUCTURING}
        found.extend((text, month) for month in sorted(months))
        return len(months)

    column = "special_transactions"
    _decode(engine, column, f"SELECT DISTINCT {column} FROM {first_rows} WHERE length({column}) <= {_LONGEST_LIST}", read)
    if found:
        lists = [list(column) for column in zip(*found, strict=True)]
        engine.run("INSERT INTO restructured SELECT unnest(?::VARCHAR[]), unnest(?::INTEGER[])", lists)


def _state(disposition: str, days_text: str) -> tuple[int, int | None, int, bool] | None:
    """The month's state, its days past due, the most days that its disposition allows, and whether its days are wrong."""
    try:
        read = cells.disposition(disposition)
        state = STATES[read]
    except (ValueError, KeyError):
        return None
    least, most = DAYS_PAST_DUE_RANGES.get(read, (0, MAX_DAYS_PAST_DUE))
    try:
        days = numbers.count(days_text) if days_text else None
    except ValueError:
        return state, None, most, True
    return state, days, most, days is not None and not least <= days <= most


def _as_of(text: str) -> int:
    try:
        day = cells.instant(text).astimezone(dt.UTC).date()
    except OverflowError:
        raise ValueError from None
    # Tomorrow is today elsewhere. What is later would be taken for the book's newest month.
    if day.year < 1990 or day > dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1):
        raise ValueError
    return days_of(day)


def _day(first_year: int, text: str) -> int:
    day = cells.day(text)
    if not first_year <= day.year <= 2100:
        raise ValueError
    return days_of(day)


def _days(text: str) -> int:
    days = numbers.count(text)
    if days > MAX_DAYS_PAST_DUE:
        raise ValueError
    return days


def _places(text: str) -> int:
    if not is_currency(text.upper()):
        raise ValueError
    return minor_units(text.upper())
