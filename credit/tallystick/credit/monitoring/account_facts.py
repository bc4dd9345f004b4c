"""What a change of one account has to tell to those who watch its subject: a pure function of the account before and after it.

Each fact can be found by comparing the answers to two queries, one before the change and one after it. What lies more than a year
back is no news: it is a history that was reported late.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final, NamedTuple

from tallystick.credit.codes import BAD_DEBT_STATUSES, OVERDUE_DISPOSITIONS, SETTLED_STATUSES
from tallystick.credit.dates import month_before, month_of_day
from tallystick.credit.enums import AssetQuality, CollectionStage, Disposition, SpecialTransactionType, TriggerType
from tallystick.credit.monitoring.bands import Band, band_of
from tallystick.credit.monitoring.facts import Fact
from tallystick.v1.account_pb2 import Account, AccountMonth

NEWS_MONTHS: Final = 12
"""For how many months something is news."""
MOST_MONTHS_OVERDUE: Final = 7

RESTRUCTURING: Final = frozenset(
    {
        int(SpecialTransactionType.EXTENSION),
        int(SpecialTransactionType.DEBT_RELIEF),
        int(SpecialTransactionType.PERSONALISED_INSTALMENTS),
        int(SpecialTransactionType.BANK_DEFERRAL),
    }
)
"""Special transactions by which a loan is restructured."""
COMPENSATION: Final = frozenset({int(SpecialTransactionType.THIRD_PARTY_COMPENSATION), int(SpecialTransactionType.ASSET_FOR_DEBT)})
"""Special transactions by which somebody or something else paid."""
_COMPENSATED_MONTHS: Final = {
    int(Disposition.GUARANTOR_PAID): int(SpecialTransactionType.THIRD_PARTY_COMPENSATION),
    int(Disposition.ASSET_FOR_DEBT): int(SpecialTransactionType.ASSET_FOR_DEBT),
}
_DELAYS: Final = {int(disposition): rank for disposition, rank in OVERDUE_DISPOSITIONS.items() if rank <= MOST_MONTHS_OVERDUE}
_OVERDUE: Final = frozenset(map(int, OVERDUE_DISPOSITIONS))
_UNSAID: Final = frozenset(map(int, (Disposition.UNSPECIFIED, Disposition.UNKNOWN)))
_PAID: Final = frozenset(map(int, (Disposition.PAID_AS_AGREED, Disposition.NOTHING_DUE, Disposition.SETTLED)))
_POOR: Final = frozenset(map(int, (AssetQuality.SUBSTANDARD, AssetQuality.DOUBTFUL, AssetQuality.LOSS)))
_BAD_STATUSES: Final = {int(type_): codes for type_, codes in BAD_DEBT_STATUSES.items()}
_SETTLED: Final = {int(type_): codes for type_, codes in SETTLED_STATUSES.items()}


class _Overdue(NamedTuple):
    """A running overdue."""

    months: int
    """1 to 7, where 7 is any more."""
    band: Band | None


def account_facts(before: Account | None, after: Account | None, today: date) -> tuple[Fact, ...]:
    """What became known by a change of an account; None is an account that was not there, or is withdrawn.

    Of an account that is gone nothing is told: what was known of it may have been wrong."""
    if after is None:
        return ()
    known = before if before is not None else Account()
    oldest = month_before(month_of_day(today), NEWS_MONTHS - 1)
    return (
        *_overdue_facts(known, after, oldest),
        *_non_performing(known, after, oldest),
        *_restructured(known, after, oldest),
        *_collection(known, after),
        *_compensated(known, after, oldest),
    )


def months_overdue(days: int) -> int:
    """How many months an overdue of so many days is in, 1 to 7: 1 to 30 days are the first."""
    return min(max(-(-days // 30), 1), MOST_MONTHS_OVERDUE)


def _overdue_of(account: Account, oldest: int) -> _Overdue | None:
    """The overdue that runs: as the account says it, or as its newest month does where it says nothing and is not settled."""
    if account.HasField("running_overdue"):
        running = account.running_overdue
        amount = band_of(account.currency, running.amount) if running.HasField("amount") else None
        return _Overdue(months_overdue(running.days_past_due), amount)
    newest = _newest(account)
    if newest is None or newest.month < oldest or newest.disposition not in _DELAYS or _is_settled(account):
        return None
    amount = band_of(account.currency, newest.overdue_amount) if newest.HasField("overdue_amount") else None
    return _Overdue(_DELAYS[newest.disposition], amount)


def _overdue_facts(before: Account, after: Account, oldest: int) -> Iterator[Fact]:
    was, now = _overdue_of(before, oldest), _overdue_of(after, oldest)
    if was is None and now is not None:
        yield Fact(TriggerType.OVERDUE_BEGAN, 0, now.months, now.band)
    elif was is not None and now is not None and now.months > was.months:
        yield Fact(TriggerType.OVERDUE_WORSENED, was.months, now.months, now.band)
    elif was is not None and now is None and _is_cured(before, after):
        yield Fact(TriggerType.OVERDUE_CURED, was.months, 0)


def _is_cured(before: Account, after: Account) -> bool:
    """Whether an overdue ended because it was paid, and was not merely corrected away: the account was stated anew for a later day,
    and is settled, or its newest month is paid and is not a month that was overdue before."""
    if after.as_of.seconds <= before.as_of.seconds or _is_non_performing(after):
        return False
    if _is_settled(after):
        return True
    newest = _newest(after)
    if newest is None:
        return True
    overdue_before = {month.month for month in before.months if month.disposition in _OVERDUE}
    return newest.disposition in _PAID and newest.month not in overdue_before


def _non_performing(before: Account, after: Account, oldest: int) -> Iterator[Fact]:
    if _is_non_performing(after, oldest) and not _is_non_performing(before):
        amount = band_of(after.currency, after.balance) if after.HasField("balance") else None
        yield Fact(TriggerType.NON_PERFORMING, int(before.asset_quality), int(after.asset_quality), amount)


def _is_non_performing(account: Account, oldest: int = 0) -> bool:
    newest = _newest(account)
    bad_month = newest is not None and newest.disposition == int(Disposition.BAD_DEBT) and newest.month >= oldest
    return account.status in _BAD_STATUSES.get(account.account_type, ()) or account.asset_quality in _POOR or bad_month


def _restructured(before: Account, after: Account, oldest: int) -> Iterator[Fact]:
    for type_ in sorted(_transactions(after, RESTRUCTURING, oldest) - _transactions(before, RESTRUCTURING, oldest)):
        yield Fact(TriggerType.RESTRUCTURED, 0, type_[0])


def _collection(before: Account, after: Account) -> Iterator[Fact]:
    was = before.running_overdue.collection_stage if before.HasField("running_overdue") else CollectionStage.UNSPECIFIED
    now = after.running_overdue.collection_stage if after.HasField("running_overdue") else CollectionStage.UNSPECIFIED
    if now > max(was, CollectionStage.NONE):
        running = after.running_overdue
        amount = band_of(after.currency, running.amount) if running.HasField("amount") else None
        yield Fact(TriggerType.COLLECTION_STAGE, int(was), int(now), amount)


def _compensated(before: Account, after: Account, oldest: int) -> Iterator[Fact]:
    new = {type_ for type_, _ in _transactions(after, COMPENSATION, oldest) - _transactions(before, COMPENSATION, oldest)}
    new |= {type_ for type_, _ in _compensated_months(after, oldest) - _compensated_months(before, oldest)}
    for type_ in sorted(new):
        yield Fact(TriggerType.COMPENSATED, 0, type_)


def _transactions(account: Account, types: frozenset[int], oldest: int) -> set[tuple[int, int]]:
    """Type and day of those of the special transactions that are news; `oldest` is a month, and so its first day."""
    return {(int(each.type), each.date) for each in account.special_transactions if each.type in types and each.date >= oldest}


def _compensated_months(account: Account, oldest: int) -> set[tuple[int, int]]:
    return {
        (_COMPENSATED_MONTHS[month.disposition], month.month)
        for month in account.months
        if month.disposition in _COMPENSATED_MONTHS and month.month >= oldest
    }


def _newest(account: Account) -> AccountMonth | None:
    """The newest month that says anything of payment."""
    said = [month for month in account.months if int(month.disposition) not in _UNSAID]
    return max(said, key=lambda month: month.month, default=None)


def _is_settled(account: Account) -> bool:
    return account.closed_date != 0 or account.status in _SETTLED.get(account.account_type, ())
