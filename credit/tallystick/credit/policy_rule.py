"""What every rule kind of a policy shares: its name, its decision, its window of months, and the wording of its reasons."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, ClassVar, Final

from tallystick.credit.dates import day_of_number, month_before, month_of_day
from tallystick.credit.decisions import Decision, Reason
from tallystick.credit.enums import Section
from tallystick.credit.history import AccountMonth, CreditHistory, ReportedAccount
from tallystick.credit.policy_values import one_of, read_short_text

_DECISION: Final = one_of({str(decision): decision for decision in Decision})


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule(ABC):
    """A rule as a policy states it: what it is called, and what it calls for when it speaks."""

    kind: ClassVar[str]
    """How a policy names this kind of rule."""
    sections: ClassVar[frozenset[Section]] = frozenset()
    """What an answer must hold beside the accounts for this kind to look at."""

    name: Annotated[str, read_short_text]
    decision: Annotated[Decision, _DECISION]

    @abstractmethod
    def __call__(self, history: CreditHistory) -> Reason | None:
        """Looks at a history for one thing."""

    def reason(self, text: str, chinese: str, accounts: Iterable[ReportedAccount] = ()) -> Reason:
        """This rule's reason; its texts are followed by whose accounts gave it."""
        distinct = tuple({id(account): account for account in accounts}.values())
        if distinct:
            text, chinese = f"{text} ({whose(distinct)})", f"{chinese}（{whose_in_chinese(distinct)}）"
        return Reason(self.name, self.decision, text, distinct, chinese)


def whose(accounts: Iterable[ReportedAccount]) -> str:
    """Whose accounts these are, such as "institutions 1, 3 and own account"."""
    others, own = _owners(accounts)
    numbers = ", ".join(map(str, others))
    named = f"institution{'s' if len(others) > 1 else ''} {numbers}" if others else ""
    return " and ".join(filter(None, (named, "own account" if own else "")))


def whose_in_chinese(accounts: Iterable[ReportedAccount]) -> str:
    """As `whose`, such as "机构1、3及本机构账户"."""
    others, own = _owners(accounts)
    named = f"机构{'、'.join(map(str, others))}" if others else ""
    return "及".join(filter(None, (named, "本机构账户" if own else "")))


def _owners(accounts: Iterable[ReportedAccount]) -> tuple[list[int], bool]:
    """The other institutions, and whether the caller is one."""
    known = list(accounts)
    return sorted({account.institution for account in known if not account.own}), any(account.own for account in known)


def window_start(history: CreditHistory, months: int) -> date:
    """The first day of a window of calendar months that ends with the month of the answer."""
    return day_of_number(month_before(month_of_day(history.as_of.date()), months - 1))


def months_within(history: CreditHistory, months: int) -> Iterator[tuple[ReportedAccount, AccountMonth]]:
    """Every account's months within a window."""
    start, end = window_start(history, months), history.as_of.date()
    for account in history.accounts:
        for month in account.account.months:
            if start <= month.month <= end:
                yield account, month


def within(months: int) -> str:
    """The window in words."""
    return f"in the last {months} months" if months > 1 else "this month"


def within_in_chinese(months: int) -> str:
    """The window in words."""
    return f"最近{months}个月内" if months > 1 else "本月"


def counted(count: int, thing: str) -> str:
    """A number and what it counts, in the singular or the plural."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
