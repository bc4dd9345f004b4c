"""The rule kinds about how the subject repaid: overdue, bad debt, collection, asset quality, and events off the schedule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from tallystick.credit.codes import (
    BAD_DEBT_STATUSES,
    OVERDUE_DISPOSITIONS,
    describe,
    describe_account_type,
    describe_disposition,
    describe_status,
    format_amount,
)
from tallystick.credit.decisions import Reason
from tallystick.credit.enums import (
    AccountType,
    AnnotationType,
    AssetQuality,
    CollectionStage,
    Disposition,
    SpecialTransactionType,
)
from tallystick.credit.history import CreditHistory, ReportedAccount, RunningOverdue
from tallystick.credit.languages import in_chinese, status_in_chinese
from tallystick.credit.policy_rule import PolicyRule, counted, months_within, window_start, within, within_in_chinese
from tallystick.credit.policy_values import (
    DISPOSITIONS,
    OVERDUE,
    names_of,
    one_of,
    read_amounts,
    read_statuses,
    some_of,
    whole_number,
)

_WINDOW: Final = whole_number(1, 60)
_OVERDUE: Final = one_of(OVERDUE)

_CLASS: Final = one_of({name: quality for name, quality in names_of(AssetQuality).items() if quality != AssetQuality.UNCLASSIFIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningOverdueRule(PolicyRule):
    """Something is overdue now, for so many days, and not for a trifle."""

    kind = "running_overdue"
    days: Annotated[int, whole_number(1, 36_525)] = 1
    amounts: Annotated[Mapping[str, int] | None, read_amounts] = None
    """Known amounts below these are excused; one that is not known, or of a currency not named here, never is."""

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives the accounts with such an overdue."""
        found = [
            (account, account.account.running_overdue)
            for account in history.accounts
            if account.account.running_overdue is not None
        ]
        found = [(account, running) for account, running in found if self._counts(account, running)]
        if not found:
            return None
        days = max(running.days_past_due for _, running in found)
        what, chinese = f"overdue now, {counted(days, 'day')} past due", f"当前逾期{days}天"
        if len(found) > 1:
            what = f"{len(found)} accounts overdue now, up to {counted(days, 'day')} past due"
            chinese = f"{len(found)}个账户当前逾期，最长{days}天"
        elif found[0][1].amount is not None:
            amount = format_amount(found[0][0].account.currency, found[0][1].amount)
            what, chinese = f"{what}, {amount}", f"{chinese}，{amount}"
        return self.reason(what, chinese, (account for account, _ in found))

    def _counts(self, account: ReportedAccount, running: RunningOverdue) -> bool:
        if running.days_past_due < self.days:
            return False
        excused_below = (self.amounts or {}).get(account.account.currency, 0)
        return running.amount is None or running.amount >= excused_below


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueMonthsRule(PolicyRule):
    """So many months (of all accounts together) in a window were overdue at least so badly."""

    kind = "overdue_months"
    months: Annotated[int, _WINDOW]
    at_least: Annotated[Disposition, _OVERDUE] = Disposition.OVERDUE_1
    count: Annotated[int, whole_number(1, 500)] = 1

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives the accounts that such months belong to."""
        rank = OVERDUE_DISPOSITIONS[self.at_least]
        found = [
            (account, month.disposition)
            for account, month in months_within(history, self.months)
            if OVERDUE_DISPOSITIONS.get(month.disposition, 0) >= rank
        ]
        if len(found) < self.count:
            return None
        worst = max((disposition for _, disposition in found), key=OVERDUE_DISPOSITIONS.__getitem__)
        mildest = min((disposition for _, disposition in found), key=OVERDUE_DISPOSITIONS.__getitem__)
        what = describe_disposition(mildest) + (" or worse" if worst != mildest else "")
        accounts = [account for account, _ in found]
        if len({id(account) for account in accounts}) == 1:
            how_often = f"in {len(found)} of the last {self.months} months" if self.months > 1 else "this month"
            times = f"有{len(found)}个月" if self.months > 1 else ""
        else:
            how_often = f"{counted(len(found), 'time')} {within(self.months)}"
            times = f"共{len(found)}次"
        chinese = in_chinese(mildest) + ("或更差" if worst != mildest else "")
        return self.reason(f"{what} {how_often}", f"{within_in_chinese(self.months)}{times}{chinese}", accounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstDispositionRule(PolicyRule):
    """The worst month in a window was at least so bad."""

    kind = "worst_disposition"
    at_least: Annotated[Disposition, _OVERDUE]
    months: Annotated[int, _WINDOW] = 60

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives the accounts that had a month as bad as the worst."""
        ranked = [
            (OVERDUE_DISPOSITIONS.get(month.disposition, 0), month.month, month.disposition, account)
            for account, month in months_within(history, self.months)
        ]
        worst = max((rank for rank, *_ in ranked), default=0)
        if worst < OVERDUE_DISPOSITIONS[self.at_least]:
            return None
        as_bad = [(month, disposition, account) for rank, month, disposition, account in ranked if rank == worst]
        latest = max(month for month, _, _ in as_bad)
        text = f"{describe_disposition(as_bad[0][1])} {within(self.months)}, last in {latest:%B %Y}"
        chinese = f"{within_in_chinese(self.months)}出现{in_chinese(as_bad[0][1])}，最近一次在{latest.year}年{latest.month}月"
        return self.reason(text, chinese, (account for _, _, account in as_bad))


@dataclass(frozen=True, slots=True, kw_only=True)
class DispositionsRule(PolicyRule):
    """A month in a window had one of these dispositions, overdue or not."""

    kind = "dispositions"
    dispositions: Annotated[tuple[Disposition, ...], some_of(DISPOSITIONS)]
    months: Annotated[int, _WINDOW] = 60

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives the accounts that such months belong to."""
        found = [
            (account, month.disposition)
            for account, month in months_within(history, self.months)
            if month.disposition in self.dispositions
        ]
        if not found:
            return None
        present = {disposition for _, disposition in found}
        codes = [code for code in self.dispositions if code in present]
        what = ", ".join(map(describe_disposition, codes))
        chinese = f"{within_in_chinese(self.months)}出现：{'、'.join(map(in_chinese, codes))}"
        return self.reason(f"{what} {within(self.months)}", chinese, (account for account, _ in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class BadDebtRule(PolicyRule):
    """An account is bad debt or written off: by its status, by its collection, or by a month in the window."""

    kind = "bad_debt"
    months: Annotated[int, _WINDOW] = 60

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives those accounts."""
        by_month = {
            id(account) for account, month in months_within(history, self.months) if month.disposition == Disposition.BAD_DEBT
        }
        found = [account for account in history.accounts if id(account) in by_month or _is_bad(account)]
        if not found:
            return None
        text = f"bad debt or written off on {counted(len(found), 'account')}"
        return self.reason(text, f"{len(found)}个账户为呆账或已核销", found)


def _is_bad(reported: ReportedAccount) -> bool:
    account = reported.account
    running = account.running_overdue
    written_off = running is not None and running.collection_stage == CollectionStage.WRITTEN_OFF
    return written_off or account.status in BAD_DEBT_STATUSES.get(account.account_type, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatusRule(PolicyRule):
    """An account has one of these statuses; they are named for each account type, since their meaning depends on it."""

    kind = "account_status"
    statuses: Annotated[Mapping[AccountType, frozenset[int]], read_statuses]

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives those accounts."""
        found = [
            account for account in history.accounts if account.account.status in self.statuses.get(account.account.account_type, ())
        ]
        if not found:
            return None
        names = dict.fromkeys(
            f"{describe_status(account.account.account_type, account.account.status)}: "
            f"{describe_account_type(account.account.account_type)}"
            for account in found
        )
        chinese = dict.fromkeys(
            f"{in_chinese(account.account.account_type)}：{status_in_chinese(account.account.account_type, account.account.status)}"
            for account in found
        )
        return self.reason("; ".join(names), "；".join(chinese), found)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetQualityRule(PolicyRule):
    """An institution classes an account at least so badly; "unclassified" and "not known" are no class."""

    kind = "asset_quality"
    at_least: Annotated[AssetQuality, _CLASS]

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives those accounts."""
        found = [account for account in history.accounts if self.at_least <= account.account.asset_quality <= AssetQuality.LOSS]
        if not found:
            return None
        worst = max(account.account.asset_quality for account in found)
        alike = len({account.account.asset_quality for account in found}) == 1
        text = f"{counted(len(found), 'account')} classed {describe(worst)}{'' if alike else ' or better'}"
        return self.reason(text, f"{len(found)}个账户的五级分类{'为' if alike else '最差为'}{in_chinese(worst)}", found)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionAccountRule(PolicyRule):
    """A debt is with a collector: an account of type C1 that has not ended."""

    kind = "collection_account"

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives those accounts."""
        found = [
            account
            for account in history.accounts
            if account.account.account_type == AccountType.C1 and account.account.status == 1
        ]
        if not found:
            return None
        return self.reason(f"{counted(len(found), 'account')} in collection", f"{len(found)}个账户在催收中", found)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTransactionsRule(PolicyRule):
    """Something of these kinds happened outside the ordinary schedule, within a window."""

    kind = "special_transactions"
    types: Annotated[tuple[SpecialTransactionType, ...], some_of(names_of(SpecialTransactionType))]
    months: Annotated[int, _WINDOW] = 60

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives the accounts on which it happened."""
        start = window_start(history, self.months)
        found = [
            (account, transaction.type)
            for account in history.accounts
            for transaction in account.account.special_transactions
            if transaction.type in self.types and transaction.date >= start
        ]
        if not found:
            return None
        present = {transaction_type for _, transaction_type in found}
        codes = [code for code in self.types if code in present]
        what = ", ".join(map(describe, codes))
        chinese = f"{within_in_chinese(self.months)}发生：{'、'.join(map(in_chinese, codes))}"
        return self.reason(f"{what} {within(self.months)}", chinese, (account for account, _ in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationsRule(PolicyRule):
    """A record carries one of these annotations, such as the subject's dispute."""

    kind = "annotations"
    types: Annotated[tuple[AnnotationType, ...], some_of(names_of(AnnotationType))]

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Gives those accounts."""
        found = [account for account in history.accounts if set(self.types) & set(account.account.annotations)]
        if not found:
            return None
        present = {annotation for account in found for annotation in account.account.annotations}
        codes = [code for code in self.types if code in present]
        text = f"annotated: {', '.join(map(describe, codes))}, on {counted(len(found), 'account')}"
        return self.reason(text, f"{len(found)}个账户带有标注：{'、'.join(map(in_chinese, codes))}", found)
