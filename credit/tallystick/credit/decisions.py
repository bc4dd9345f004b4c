"""What a screening says: a decision, and the reasons for it with the records that gave them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from tallystick.credit.history import CreditHistory, ReportedAccount
from tallystick.credit.languages import Language


class Decision(StrEnum):
    """What to do with an application."""

    APPROVE = "approve"
    """Nothing in the history speaks against it; a reason with this decision is a note."""
    REFER = "refer"
    """A person must look at it."""
    DECLINE = "decline"

    @property
    def severity(self) -> int:
        """0 for approve, 2 for decline: the worst reason decides."""
        return _SEVERITIES[self]


_SEVERITIES = {Decision.APPROVE: 0, Decision.REFER: 1, Decision.DECLINE: 2}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule spoke."""

    rule: str
    """The rule's name."""
    decision: Decision
    """What this reason calls for by itself."""
    text: str
    """For a credit officer to read, such as "61–90 days past due in 2 of the last 12 months (institution 2)"."""
    accounts: tuple[ReportedAccount, ...] = ()
    """The records that gave it; empty where no record did."""
    chinese: str = ""
    """The same in Chinese; empty where a function of your own did not say it."""

    def told(self, language: Language = "en") -> str:
        """The text in a language; in that of `text` where it was not said in another."""
        return (language == "zh" and self.chinese) or self.text


@dataclass(frozen=True, slots=True)
class Screening:
    """The outcome of a policy over one history."""

    decision: Decision
    """The worst that any reason calls for; approve if there is none."""
    reasons: tuple[Reason, ...]
    """The worst first, otherwise in the order of the policy."""


class PolicyError(ValueError):
    """A policy cannot be used. `key` names the place in the TOML text, such as "rules[2].months"; "" for the whole."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}" if key else problem)
        self.key = key


Rule = Callable[[CreditHistory], Reason | Iterable[Reason] | None]
"""A rule looks at a history and gives its reasons, if it has any."""
