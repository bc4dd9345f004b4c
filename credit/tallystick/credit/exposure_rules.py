"""The rule kinds about how far the subject is committed, and how eagerly it looks for more; and about having no record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from tallystick.credit.codes import GUARANTEE_ROLES, REVOLVING_TYPES, format_amount
from tallystick.credit.decisions import Reason
from tallystick.credit.enums import AccountType, HistoryOutcome, Purpose
from tallystick.credit.history import CreditHistory, ReportedAccount
from tallystick.credit.policy_rule import PolicyRule, counted
from tallystick.credit.policy_values import ACCOUNT_TYPES, names_of, read_amounts, some_of, whole_number

_COUNT: Final = whole_number(1, 500)
_REVOLVING: Final = tuple(sorted(REVOLVING_TYPES))
_DAYS_OF_COUNTS: Final = {1: 30, 6: 182}
"""The windows for which the exchange gives counts; months * 365 // 12 days for any other."""


def _open(history: CreditHistory) -> list[ReportedAccount]:
    return [account for account in history.accounts if account.account.is_open]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRecordRule(PolicyRule):
    """No institution reported anything of the subject."""

    kind = "no_record"

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Speaks if the answer was "no record"."""
        if history.outcome != HistoryOutcome.NO_RECORD:
            return None
        return self.reason(
            "no institution has reported an account: nothing speaks against the applicant, nothing for",
            "没有机构报送过账户：既无不利记录，也无有利记录",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedRule(PolicyRule):
    """The answer does not hold all accounts of the subject."""

    kind = "truncated"

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Speaks if accounts were left out."""
        if not history.truncated:
            return None
        told = len(history.accounts)
        return self.reason(
            f"more accounts are reported than the {told} of this answer: it is not the whole history",
            f"已报送的账户多于本次答复中的{told}个：并非全部记录",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiriesRule(PolicyRule):
    """Others asked so often within so many months, for one of these purposes if any are named."""

    kind = "inquiries"
    months: Annotated[int, whole_number(1, 24)]
    # An answer names the latest 100 inquiries: a greater count could not be told from 100.
    count: Annotated[int, whole_number(1, 100)]
    purposes: Annotated[tuple[Purpose, ...], some_of(names_of(Purpose))] = ()

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Counts them."""
        count = self._count(history)
        if count < self.count:
            return None
        which = " for these purposes" if self.purposes else ""
        # A window of days, as the exchange counts inquiries, not of calendar months.
        window = "in the last month" if self.months == 1 else f"in the last {self.months} months"
        purposes = "以所列用途" if self.purposes else ""
        chinese = f"最近{self.months}个月内被其他机构{purposes}查询{count}次"
        return self.reason(f"asked about by others {counted(count, 'time')}{which} {window}", chinese)

    def _count(self, history: CreditHistory) -> int:
        inquiries = history.inquiries
        if not self.purposes and self.months == 1:
            return inquiries.count_1_month
        if not self.purposes and self.months == 6:
            return inquiries.count_6_months
        since = history.as_of.date() - timedelta(days=self.months * 365 // 12)
        return sum(
            inquiry.date >= since and (not self.purposes or inquiry.purpose in self.purposes) for inquiry in inquiries.inquiries
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiringInstitutionsRule(PolicyRule):
    """So many distinct other institutions asked within the last six months."""

    kind = "inquiring_institutions"
    count: Annotated[int, _COUNT]

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Looks at the exchange's own count."""
        count = history.inquiries.institutions_6_months
        if count < self.count:
            return None
        text = f"asked about by {counted(count, 'other institution')} in the last 6 months"
        return self.reason(text, f"最近6个月内被{count}家其他机构查询")


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingInstitutionsRule(PolicyRule):
    """Open accounts at so many distinct institutions."""

    kind = "lending_institutions"
    count: Annotated[int, _COUNT]

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives all open accounts."""
        found = _open(history)
        institutions = {account.institution for account in found}
        if len(institutions) < self.count:
            return None
        text = f"open accounts at {counted(len(institutions), 'institution')}"
        return self.reason(text, f"在{len(institutions)}家机构有未关闭的账户", found)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccountsRule(PolicyRule):
    """So many open accounts, of these types if any are named."""

    kind = "open_accounts"
    count: Annotated[int, _COUNT]
    types: Annotated[tuple[AccountType, ...], some_of(ACCOUNT_TYPES)] = ()

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives those accounts."""
        found = [account for account in _open(history) if not self.types or account.account.account_type in self.types]
        if len(found) < self.count:
            return None
        types = f" of type {', '.join(code.name for code in self.types)}" if self.types else ""
        chinese = f"{len(found)}个未关闭的{'、'.join(code.name for code in self.types)}账户"
        return self.reason(f"{counted(len(found), 'open account')}{types}", chinese, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalBalanceRule(PolicyRule):
    """All that is owed on open accounts comes to so much in some currency; balances not known are left out."""

    kind = "total_balance"
    amounts: Annotated[Mapping[str, int], read_amounts]

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives the accounts with a balance in a currency that has reached its amount."""
        owed = [account for account in _open(history) if account.account.balance]
        totals = _totals((account.account.currency, account.account.balance or 0) for account in owed)
        return _reached(self, self.amounts, totals, owed, ("owed in total", "欠款合计"))


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilisationRule(PolicyRule):
    """So much of the limits of open revolving accounts is drawn; accounts without a known limit and balance are left out."""

    kind = "utilisation"
    percent: Annotated[int, whole_number(1, 1000)]
    types: Annotated[tuple[AccountType, ...], some_of(ACCOUNT_TYPES)] = _REVOLVING

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives the accounts in the currency of which most is drawn."""
        known = [
            account
            for account in _open(history)
            if account.account.account_type in self.types
            and account.account.credit_limit is not None
            and account.account.balance is not None
        ]
        limits = _totals((account.account.currency, account.account.credit_limit or 0) for account in known)
        drawn = _totals((account.account.currency, account.account.balance or 0) for account in known)
        shares = {currency: drawn[currency] * 100 // limit for currency, limit in limits.items() if limit}
        currency = max(shares, key=shares.__getitem__, default=None)
        if currency is None or shares[currency] < self.percent:
            return None
        used, limit_text = format_amount(currency, drawn[currency]), format_amount(currency, limits[currency])
        accounts = [account for account in known if account.account.currency == currency]
        text = f"{shares[currency]} % of revolving limits drawn, {used} of {limit_text}"
        return self.reason(text, f"循环额度已使用{shares[currency]}%：{used}，额度合计{limit_text}", accounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuaranteesRule(PolicyRule):
    """The subject answers for others' debts on open accounts: so many of them, or so much in some currency."""

    kind = "guarantees"
    count: Annotated[int | None, _COUNT] = None
    amounts: Annotated[Mapping[str, int] | None, read_amounts] = None
    """Liabilities that are not known are left out of the sums, and counted all the same."""

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives those accounts."""
        found = [account for account in _open(history) if account.account.role in GUARANTEE_ROLES]
        if self.amounts is not None:
            totals = _totals((account.account.currency, account.account.liability_amount or 0) for account in found)
            by_amount = _reached(self, self.amounts, totals, found, ("guaranteed for others", "为他人担保合计"))
            if by_amount is not None:
                return by_amount
        # With neither number, any guarantee counts.
        least = self.count if self.count is not None else 1 if self.amounts is None else None
        if least is None or len(found) < least:
            return None
        return self.reason(f"{counted(len(found), 'guarantee')} for others' debts", f"为他人债务提供{len(found)}笔担保", found)


def _totals(amounts_by_currency: Iterable[tuple[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for currency, amount in amounts_by_currency:
        totals[currency] = totals.get(currency, 0) + amount
    return totals


def _reached(
    rule: PolicyRule,
    limits: Mapping[str, int],
    totals: Mapping[str, int],
    accounts: Iterable[ReportedAccount],
    what: tuple[str, str],
) -> Reason | None:
    reached = {currency: total for currency, total in totals.items() if currency in limits and total >= limits[currency]}
    if not reached:
        return None
    sums = [format_amount(currency, total) for currency, total in sorted(reached.items())]
    english, chinese = what
    texts = f"{', '.join(sums)} {english}", f"{chinese}{'、'.join(sums)}"
    return rule.reason(*texts, (account for account in accounts if account.account.currency in reached))
