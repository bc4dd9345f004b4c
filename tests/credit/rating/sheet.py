"""A rating by hand: written from docs/protocol.md ("Rating") alone, as a spreadsheet would reckon it, cell by cell.

It shares nothing with tallystick.credit.rating but the card's TOML and the messages.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from tallystick.v1.account_pb2 import Account, AccountMonth

OVERDUE = [1, 2, 3, 4, 5, 6, 7, 13, 14, 15]
IN_ORDER = [10, 11, 12, 16, 17]
CONTINGENT = [2, 3, 5, 9]
REVOLVING = [2, 3, 4]
BAD_DEBT = {1: 4, 2: 4, 3: 5, 4: 5, 5: 4, 7: 4}
CODES = {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7, "D": 8, "Z": 9, "B": 10}


@functools.cache
def read(toml: bytes) -> dict[str, Any]:
    """A card."""
    return tomllib.loads(toml.decode())


def month_number(number: int) -> int:
    """Months since January of the year 0."""
    return number // 10_000 * 12 + number // 100 % 100 - 1


def score(toml: bytes, known: Sequence[Account], today: int) -> int | None:
    """The score; None where there is none. `today` is a month as the number of its first day."""
    card = read(toml)
    now = month_number(today)
    rated = [each for each in known if each.role not in CONTINGENT]
    reported = [month_of(each) for each in rated]
    if not rated or now - max(reported) > 6:
        return None
    columns = [{month_number(each.month): each for each in account.months} for account in rated]
    pairs = list(zip(rated, columns, strict=True))
    cells = {ago: [cell(account, column, now - ago) for account, column in pairs] for ago in range(60)}
    if sum(any(each["rank"] is not None for each in cells[ago]) for ago in range(13)) < 3:
        return None
    total: int = card["base_points"]
    for characteristic in card["characteristics"]:
        value = values(characteristic, cells)
        total += next(each["points"] for each in characteristic["bins"] if value <= each.get("up_to", value))
    return total


def month_of(account: Account) -> int:
    """Of its as_of."""
    as_of = account.as_of.ToDatetime()
    return as_of.year * 12 + as_of.month - 1


def cell(account: Account, months: Mapping[int, AccountMonth], month: int) -> dict[str, Any]:
    """What one account shows of one month: rank of its overdue, percentage used, whether a bill went unpaid."""
    found: dict[str, Any] = {"rank": None, "used": None, "unpaid": False}
    this, before = months.get(month), months.get(month - 1)
    if this is not None and this.disposition in OVERDUE:
        found["rank"] = OVERDUE.index(this.disposition) + 1
    elif this is not None and this.disposition in IN_ORDER:
        found["rank"] = 0
    if month == month_of(account):
        found["rank"] = max((each for each in (found["rank"], standing(account)) if each is not None), default=None)
    if account.account_type in REVOLVING:
        if this is not None and this.HasField("billed_amount") and account.credit_limit > 0:
            found["used"] = max(this.billed_amount, 0) * 100 // account.credit_limit
        if this is not None and before is not None and before.billed_amount > 0 and this.HasField("paid_amount"):
            found["unpaid"] = this.paid_amount == 0
    return found


def standing(account: Account) -> int | None:
    """What the record says of the day of its as_of."""
    if account.status == BAD_DEBT.get(account.account_type) or (account.account_type == 6 and account.status == 1):
        return 10
    if account.HasField("running_overdue"):
        return min(7, 1 + max(account.running_overdue.days_past_due - 1, 0) // 30)
    return None


def values(characteristic: dict[str, Any], cells: dict[int, list[dict[str, Any]]]) -> int:
    """One characteristic."""
    months = [cells[ago] for ago in range(characteristic["window"])]
    ranks = [max((each["rank"] or 0 for each in month), default=0) for month in months]
    match characteristic["characteristic"]:
        case "worst_status":
            return max(ranks)
        case "months_overdue":
            return sum(rank >= CODES[characteristic["at_least"]] for rank in ranks)
        case "months_utilised":
            # The levels end at 110 %, and begin with their steps.
            over = characteristic["over"]
            return sum(any(each["used"] is not None and each["used"] > over for each in month) for month in months)
        case "months_unpaid":
            return sum(any(each["unpaid"] for each in month) for month in months)
    raise AssertionError(characteristic["characteristic"])
