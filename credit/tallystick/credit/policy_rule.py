"""What every rule kind of a policy shares: its name, its decision, its window of months, and the wording of its reasons."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, ClassVar, Final

from tallystick.credit.dates import day_of_number, month_before, month_of_day
from tallystick.credit.decisions import Decision, Reason
from tallystick.credit.history import AccountMonth, CreditHistory, ReportedAccount
from tallystick.credit.policy_values import one_of, read_short_text

_DECISION: Final = one_of({str(decision): decision for decision in Decision})


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule(ABC):
    """A rule as a policy states it: what it is called, and what it calls for when it speaks."""

    kind: ClassVar[str]
    """How a policy names this kind of rule."""

    name: Annotated[str, read_short_text]
    decision: Annotated[Decision, _DECISION]

    @abstractmethod
    def __call__(self, history: CreditHistory) -> Reason | None:
        """Looks at a history for one thing."""

    def reason(self, text: str, accounts: Iterable[ReportedAccount] = ()) -> Reason:
        """This rule's reason; its text is followed by whose accounts gave it."""
        distinct = tuple({id(account): account for account in accounts}.values())
        return Reason(self.name, self.decision, f"{text} ({whose(distinct)})" if distinct else text, distinct)


def whose(accounts: Iterable[ReportedAccount]) -> str:
    """Whose accounts these are, such as "institutions 1, 3 and own account"."""
    others = sorted({account.institution for account in accounts if not account.own})
    own = any(account.own for account in accounts)
    numbers = ", ".join(map(str, others))
    named = f"institution{'s' if len(others) > 1 else ''} {numbers}" if others else ""
    return " and ".join(filter(None, (named, "own account" if own else "")))


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


def counted(count: int, thing: str) -> str:
    """A number and what it counts, in the singular or the plural."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
