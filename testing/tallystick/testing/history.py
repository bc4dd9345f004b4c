"""Accounts as other institutions know them, said as the trade says them; days are counted back from the test's own day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tallystick.credit.codes import BAD_DEBT_STATUSES, DAYS_PAST_DUE_RANGES, MAX_DAYS_PAST_DUE, SETTLED_STATUSES
from tallystick.credit.dates import day_of_number, month_before, month_of_day
from tallystick.credit.enums import AccountType, AssetQuality, Disposition, ObligorRole, SubjectKind
from tallystick.credit.history import Account, AccountMonth, RunningOverdue
from tallystick.testing.values import code_of, whole_of

_NORMAL, _OVERDUE = 1, 2
_OVERDUE_MONTHS = tuple(Disposition(number) for number in range(Disposition.OVERDUE_1, Disposition.OVERDUE_7 + 1))
_DAYS_IN_MONTH = 30
_SHORTEST_MONTH = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAccount:
    """One account that another institution reported: without more, a credit card that was paid as agreed for two years.

    `account(…)` makes one. Amounts are in the currency's minor unit. Raises ValueError for what contradicts itself.
    """

    institution: str = "another-bank"
    account_type: AccountType = AccountType.R2
    currency: str = "CNY"
    opened_months_ago: int = 36
    months: int = 24
    """How many months are reported, to the one in which it was closed or to this one."""
    overdue: Mapping[int, int] = field(default_factory=dict)
    """How late it was in which month: `{3: 2}` is the trade's disposition 2 (31 to 60 days) three months ago."""
    overdue_now: int = 0
    """For how many days something has been overdue without a break; the months since then are late by themselves."""
    overdue_amount: int | None = None
    closed_months_ago: int | None = None
    written_off: bool = False
    """Whether its institution has given the debt up."""
    limit: int | None = 5_000_000
    balance: int | None = 120_000
    """Nothing, once it was closed and paid."""
    guarantor: bool = False
    """Whether the subject answers for somebody else's debt; `liability` is for how much."""
    liability: int | None = None
    asset_quality: AssetQuality | None = None
    """Normal, or a loss where it was written off, if not given."""
    subject_kind: SubjectKind = SubjectKind.PERSON

    def __post_init__(self) -> None:
        self._read()
        _check_age(self.opened_months_ago, self.months, self.closed_months_ago, self.overdue_now)
        newest = self.closed_months_ago or 0
        for ago, late in self.overdue.items():
            if late not in range(1, len(_OVERDUE_MONTHS) + 1):
                raise ValueError("overdue: a month is late by 1 to 7, the trade's dispositions")
            if not newest <= ago < min(newest + self.months, self.opened_months_ago + 1):
                raise ValueError(f"overdue: the month {ago} months ago is not among those reported: give more months, or another")
        if self.written_off and not BAD_DEBT_STATUSES[self.account_type]:
            raise ValueError(f"written_off: an account of type {self.account_type.name} has no status that says so")
        if self.liability is not None and not self.guarantor:
            raise ValueError("liability: is what a guarantor answers for; a borrower answers for the whole")

    def _read(self) -> None:
        """Codes may be said by name, as in files; what is of another kind is named before anything is reckoned with it."""
        object.__setattr__(self, "account_type", code_of(AccountType, self.account_type, "account_type"))
        object.__setattr__(self, "subject_kind", code_of(SubjectKind, self.subject_kind, "subject_kind"))
        if self.asset_quality is not None:
            object.__setattr__(self, "asset_quality", code_of(AssetQuality, self.asset_quality, "asset_quality"))
        for name in ("opened_months_ago", "months", "overdue_now"):
            whole_of(getattr(self, name), name)
        for name in ("overdue_amount", "closed_months_ago", "limit", "balance", "liability"):
            if getattr(self, name) is not None:
                whole_of(getattr(self, name), name)
        for name in ("institution", "currency"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name}: must be a text")
        if not isinstance(self.overdue, Mapping):
            raise ValueError("overdue: must be a dict of months ago to dispositions, such as {3: 2}")
        for ago, late in self.overdue.items():
            whole_of(ago, "overdue: how many months ago")
            whole_of(late, "overdue: how late a month is")

    def on(self, now: dt.datetime) -> Account:
        """The account as its institution's books show it at that instant."""
        role = ObligorRole.GUARANTOR if self.guarantor else ObligorRole.BORROWER
        return Account(
            as_of=now.replace(microsecond=0),
            account_type=self.account_type,
            status=self._status(),
            currency=self.currency,
            opened_date=_first_of(now, self.opened_months_ago),
            closed_date=None if self.closed_months_ago is None else _first_of(now, self.closed_months_ago),
            subject_kind=self.subject_kind,
            role=role,
            asset_quality=self._asset_quality(),
            credit_limit=self.limit,
            balance=0 if self.closed_months_ago is not None and not self.written_off else self.balance,
            liability_amount=self.liability,
            months=tuple(self._month(now, ago) for ago in self._reported()),
            running_overdue=self._running(now),
        )

    def _asset_quality(self) -> AssetQuality:
        if self.asset_quality is not None:
            return self.asset_quality
        return AssetQuality.LOSS if self.written_off else AssetQuality.NORMAL

    def _reported(self) -> Sequence[int]:
        newest = self.closed_months_ago or 0
        return range(newest, min(newest + self.months, self.opened_months_ago + 1))

    def _status(self) -> int:
        if self.written_off:
            return min(BAD_DEBT_STATUSES[self.account_type])
        if self.closed_months_ago is not None:
            return min(SETTLED_STATUSES[self.account_type])
        card = self.account_type in (AccountType.R2, AccountType.R3, AccountType.C1)
        return _OVERDUE if self.overdue_now and not card else _NORMAL

    def _month(self, now: dt.datetime, ago: int) -> AccountMonth:
        disposition = self._disposition(ago)
        late = disposition in _OVERDUE_MONTHS
        days = DAYS_PAST_DUE_RANGES[disposition][0] if disposition in DAYS_PAST_DUE_RANGES else None
        return AccountMonth(
            month=_first_of(now, ago),
            disposition=disposition,
            days_past_due=days,
            overdue_amount=self.overdue_amount if late else None,
        )

    def _disposition(self, ago: int) -> Disposition:
        if ago in self.overdue:
            return _OVERDUE_MONTHS[self.overdue[ago] - 1]
        if ago == (self.closed_months_ago or 0) and self.written_off:
            return Disposition.BAD_DEBT
        if ago == self.closed_months_ago:
            return Disposition.SETTLED
        late = self._now_overdue_months() - ago
        return _OVERDUE_MONTHS[min(late, len(_OVERDUE_MONTHS)) - 1] if late > 0 else Disposition.PAID_AS_AGREED

    def _now_overdue_months(self) -> int:
        return -(-self.overdue_now // _DAYS_IN_MONTH)

    def _running(self, now: dt.datetime) -> RunningOverdue | None:
        if not self.overdue_now:
            return None
        since = now.date() - dt.timedelta(days=self.overdue_now)
        return RunningOverdue(since_date=since, days_past_due=self.overdue_now, amount=self.overdue_amount)


account = KnownAccount
"""The same, as a test says it: `account(overdue={2: 3}, limit=1_000_000)`."""


def _check_age(opened: int, months: int, closed: int | None, now: int) -> None:
    if not 0 <= opened <= 1200:
        raise ValueError("opened_months_ago: must be 0 to 1200")
    if not 0 <= months <= 60:
        raise ValueError("months: an exchange keeps 60 of them, so 0 to 60")
    if closed is not None and not 0 <= closed <= opened:
        raise ValueError("closed_months_ago: must be 0 to opened_months_ago")
    if not 0 <= now <= min(MAX_DAYS_PAST_DUE, opened * _SHORTEST_MONTH):
        raise ValueError("overdue_now: must be 0 days to the age of the account")
    if now and closed is not None:
        raise ValueError("overdue_now: nothing runs on a closed account")


def _first_of(now: dt.datetime, months_ago: int) -> dt.date:
    return day_of_number(month_before(month_of_day(now.astimezone(dt.UTC).date()), months_ago))
