"""The tables that every figure is counted from: accounts, and their months one after another.

`account`: one row an account, numbered in the order of the file. `entry`: one row a row of the file, with what is wrong with it.
`ordered`: the rows that are in figures. `known`: of them those that say how the account was paid, each beside the one before.
"""

from __future__ import annotations

import datetime as dt

from tallystick.client.analysis.columns import OF_ACCOUNT
from tallystick.client.analysis.decoding import (
    LEFT,
    NOT_OPEN,
    SETTLED,
    UNKNOWN,
    day_of,
    decode_accounts,
    decode_months,
    month_index,
)
from tallystick.client.analysis.engine import Engine
from tallystick.client.analysis.faults import Fault, when
from tallystick.client.files.amounts import Amounts
from tallystick.credit.enums import ObligorRole

_MAPPED = {
    "as_of": Fault.AS_OF,
    "account_type": Fault.ACCOUNT_TYPE,
    "status": Fault.STATUS,
    "currency": Fault.CURRENCY,
    "opened_date": Fault.OPENED_DATE,
    "role": Fault.ROLE,
    "asset_quality": Fault.ASSET_QUALITY,
    "running_since_date": Fault.RUNNING_SINCE_DATE,
    "running_days_past_due": Fault.RUNNING_DAYS_PAST_DUE,
    "collection_stage": Fault.COLLECTION_STAGE,
    "special_transactions": Fault.SPECIAL_TRANSACTIONS,
}
_OF_THE_DAY = ("status", "quality", "balance", "running_days", "running_amount", "stage")
"""Columns of `account` that say how it stood on the day of its as_of."""
_NEEDED = frozenset({"as_of", "account_type", "status", "currency", "opened_date"})
_DAMAGED = r"""(account_number = '' OR regexp_full_match(account_number, '[-+]?[0-9]([.,][0-9]+)?[Ee]\+[0-9]{1,3}')
  OR regexp_full_match(account_number, '[0-9]+\.0+'))"""


def build(engine: Engine, said: Amounts | None, as_of: dt.date | None) -> tuple[dt.date | None, int]:
    """Makes the tables from `raw`; returns the day of which the book is looked at, None if no account says one, and how many
    accounts stood as the file says only later."""
    engine.run(_amount_macro(said))
    engine.run("CREATE MACRO index_of(day) AS year(day) * 12 + month(day) - 1")
    engine.run("CREATE MACRO is_amount(value) AS coalesce(value BETWEEN 0 AND 1000000000000000, false)")
    _make_variants(engine)
    _make_accounts(engine)
    _make_entries(engine)
    # An account whose rows are all bad is in no figure either.
    engine.run("CREATE TABLE first_of AS SELECT account, first FROM account")
    engine.run("DELETE FROM account WHERE account NOT IN (SELECT account FROM entry WHERE faults = 0 AND account IS NOT NULL)")
    day = as_of or _newest(engine)
    last = month_index(day) if day else 0
    later = _look_back(engine, last)
    _make_months(engine, last)
    return day, later


def _look_back(engine: Engine, last: int) -> int:
    """Leaves of `account` what is known of the month `last`: not how an account stood later. Returns how many those are, of the
    accounts that were opened by then."""
    engine.run(f"CREATE MACRO was_there(opened) AS opened <= {last}")
    cleared = ", ".join(f"{column} = NULL" for column in _OF_THE_DAY)
    engine.run(f"UPDATE account SET {cleared} WHERE as_of > {last}")
    (later,) = engine.row(f"SELECT count(*) FROM account WHERE as_of > {last} AND was_there(opened)")
    return int(later)


def _amount_macro(said: Amounts | None) -> str:
    """SQL of a cell's amount in minor units, NULL where it is none; `places` are the decimals of its currency."""
    if said is Amounts.MAJOR:
        fraction = "rtrim(split_part(cell, '.', 2), '0')"
        whole = f"(split_part(cell, '.', 1) || rpad({fraction}, places::INTEGER, '0'))"
        fits = rf"regexp_full_match(cell, '[0-9]{{0,16}}(\.[0-9]{{0,30}})?') AND cell <> '.' AND length({fraction}) <= places"
        return f"CREATE MACRO amount(cell, places) AS CASE WHEN {fits} THEN TRY_CAST('0' || {whole} AS BIGINT) END"
    pattern, text = (r"-?[0-9]{1,18}(\.0*)?", "split_part(cell, '.', 1)") if said is Amounts.MINOR else ("-?[0-9]{1,18}", "cell")
    return (
        f"CREATE MACRO amount(cell, places) AS CASE WHEN regexp_full_match(cell, '{pattern}') THEN TRY_CAST({text} AS BIGINT) END"
    )


def _make_variants(engine: Engine) -> None:
    """What the file says of each account; more than once where its rows differ."""
    engine.run(
        "CREATE TABLE variant AS SELECT account_number, shared, min(rowid) AS first FROM raw WHERE NOT blank"
        " GROUP BY account_number, shared"
    )
    cells = ", ".join(f"nullif(trim(r.{name}), '') AS {name}" for name in OF_ACCOUNT)
    engine.run(
        f"CREATE TABLE first_row AS SELECT v.account_number, v.shared, v.first, {cells}"
        " FROM variant v JOIN raw r ON r.rowid = v.first"
    )
    decode_accounts(engine, "first_row")
    values = ", ".join(f"m_{name}.value AS {name}" for name in _MAPPED)
    joins = " ".join(f"LEFT JOIN map_{name} m_{name} ON m_{name}.text = f.{name}" for name in _MAPPED)
    faults = [when(_DAMAGED, Fault.ACCOUNT_NUMBER)]
    for name, fault in _MAPPED.items():
        missing = f"m_{name}.value IS NULL" + ("" if name in _NEEDED else f" AND f.{name} IS NOT NULL")
        faults.append(when(missing, fault))
    known = "s.status IS NULL AND m_account_type.value IS NOT NULL AND m_status.value IS NOT NULL"
    faults += [when(known, Fault.STATUS), when("m_opened_date.value > m_as_of.value", Fault.OPENED_LATER)]
    # A day more is for the time zones ahead, as for a report; and one for who counts the first day as one.
    faults += [
        when("m_running_since_date.value > m_as_of.value + 1", Fault.RUNNING_SINCE_DATE),
        when("m_running_days_past_due.value > m_as_of.value + 2 - m_running_since_date.value", Fault.RUNNING_DAYS_PAST_DUE),
    ]
    for name, fault in (("balance", Fault.BALANCE), ("running_amount", Fault.RUNNING_AMOUNT)):
        unread = f"f.{name} IS NOT NULL AND m_currency.value IS NOT NULL AND NOT is_amount(amount(f.{name}, m_currency.value))"
        faults.append(when(unread, fault))
    engine.run(
        f"CREATE TABLE typed AS SELECT f.account_number, f.shared, f.first, {values}, upper(f.currency) AS currency_code,"
        " amount(f.balance, m_currency.value) AS balance, amount(f.running_amount, m_currency.value) AS running_amount,"
        # A status is counted once, whether it is no number or none of the type's.
        f" f.special_transactions AS transactions, ({' | '.join(faults)})::UINTEGER AS faults"
        f" FROM first_row f {joins} LEFT JOIN status_of s ON s.type = m_account_type.value AND s.status = m_status.value"
    )
    engine.run("DROP TABLE first_row; DROP TABLE variant")


def _make_accounts(engine: Engine) -> None:
    """Each account as its first readable row says; `link` leads the rows to it."""
    days = "DATE '1970-01-01' + {}::INTEGER"
    other = f"coalesce(role, {ObligorRole.BORROWER:d}) <> {ObligorRole.BORROWER:d}"
    engine.run(
        "CREATE TABLE account AS SELECT (row_number() OVER (ORDER BY first) - 1)::INTEGER AS account, account_number, first,"
        " account_type::UTINYINT AS type, status::UTINYINT AS status, currency_code AS currency, currency::INTEGER AS places,"
        f" index_of({days.format('opened_date')})::INTEGER AS opened, index_of({days.format('as_of')})::INTEGER AS as_of,"
        " as_of AS as_of_day, asset_quality::UTINYINT AS quality, balance, running_days_past_due::INTEGER AS running_days,"
        " running_amount, collection_stage::UTINYINT AS stage, transactions"
        f" FROM (SELECT *, row_number() OVER (PARTITION BY account_number ORDER BY first) AS place FROM typed WHERE faults = 0"
        f" AND NOT {other}) WHERE place = 1"
    )
    engine.run(
        f"CREATE TABLE link AS SELECT t.account_number, t.shared, a.account, {other} AS other, a.places, a.opened, a.as_of,"
        f" (t.faults | {when(f't.faults = 0 AND NOT {other} AND t.first <> a.first', Fault.DIFFERS)})::UINTEGER AS faults"
        " FROM typed t LEFT JOIN account a ON a.account_number = t.account_number"
    )
    engine.run("DROP TABLE typed; ALTER TABLE account DROP account_number")


def _newest(engine: Engine) -> dt.date | None:
    (days,) = engine.row("SELECT max(as_of_day) FROM account")
    return None if days is None else day_of(days)


def _make_entries(engine: Engine) -> None:
    decode_months(engine)
    given = "trim(concat_ws('', r.month, r.disposition, r.days_past_due, r.overdue_amount, r.paid_amount)) <> ''"
    faults = {
        Fault.MONTH: f"m.value IS NULL AND {given}",
        Fault.DISPOSITION: f"s.state IS NULL AND {given}",
        Fault.DAYS_PAST_DUE: "s.wrong_days",
        Fault.MONTH_BEFORE_OPENING: f"m.value < l.opened AND s.state <> {NOT_OPEN}",
        Fault.NOT_YET_OPEN: f"m.value > l.opened AND s.state = {NOT_OPEN}",
        Fault.MONTH_AFTER_AS_OF: "m.value > l.as_of",
        Fault.OVERDUE_AMOUNT: "r.overdue_amount IS NOT NULL AND NOT is_amount(amount(r.overdue_amount, l.places))",
        Fault.NOTHING_OVERDUE: "s.most = 0 AND amount(r.overdue_amount, l.places) > 0",
        Fault.PAID_AMOUNT: "r.paid_amount IS NOT NULL AND NOT is_amount(amount(r.paid_amount, l.places))",
    }
    # Of a row whose account cannot be read only that is said.
    of_month = " | ".join(when(condition, fault) for fault, condition in faults.items())
    engine.run(
        "CREATE TABLE entry AS SELECT r.rowid AS row, l.account, l.other, m.value::INTEGER AS month, s.state, s.days,"
        " amount(r.overdue_amount, l.places) AS overdue, amount(r.paid_amount, l.places) AS paid,"
        f" (CASE WHEN l.faults <> 0 THEN l.faults WHEN l.other THEN 0 ELSE {of_month} END)::UINTEGER AS faults"
        " FROM raw r JOIN link l ON l.account_number = r.account_number AND l.shared = r.shared"
        " LEFT JOIN map_month m ON m.text = r.month LEFT JOIN map_state s"
        " ON s.disposition = r.disposition AND s.days_text = coalesce(r.days_past_due, '') WHERE NOT r.blank"
    )
    engine.run("DROP TABLE link; DROP TABLE map_month; DROP TABLE map_state")


def _make_months(engine: Engine, last: int) -> None:
    """`ordered` up to the month `last`, its doubles marked in `twice`; `known`, up to the month in which a story ended."""
    engine.run(
        "CREATE TABLE ordered AS SELECT account, row, month, state, days, overdue, paid,"
        " coalesce(lag(month) OVER of_account = month, false) AS twice FROM entry"
        f" WHERE faults = 0 AND NOT other AND month <= {last} WINDOW of_account AS (PARTITION BY account ORDER BY month, row)"
    )
    engine.run("CREATE TABLE twice AS SELECT row FROM ordered WHERE twice")
    engine.run(
        "CREATE TABLE reach AS SELECT a.account, a.opened, a.as_of, a.currency, a.places, e.first, e.last, e.ended"
        " FROM account a JOIN (SELECT account, min(month) AS first, max(month) AS last,"
        f" min(month) FILTER (state BETWEEN {SETTLED} AND {LEFT}) AS ended"
        f" FROM ordered WHERE NOT twice AND state <> {NOT_OPEN} GROUP BY account) e USING (account)"
    )
    engine.run(
        "CREATE TABLE known AS SELECT o.account, o.month, o.state, o.days, o.overdue, o.month - r.opened AS age,"
        " o.month - row_number() OVER of_account AS island, lag(o.month) OVER of_account AS month_before,"
        " lag(o.state) OVER of_account AS state_before"
        f" FROM ordered o JOIN reach r USING (account) WHERE NOT o.twice AND o.state < {UNKNOWN} AND o.month >= r.opened"
        " AND o.month <= coalesce(r.ended, o.month) WINDOW of_account AS (PARTITION BY o.account ORDER BY o.month)"
    )
