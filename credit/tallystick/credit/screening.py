"""Screening: a policy of rules over a credit history gives a decision and its reasons.

A policy is a TOML text: a `name`, and `[[rules]]`, each with a `name`, a `kind`, a `decision` and the keys of its kind. The worst
decision of all reasons is the outcome; without any reason it is "approve". default_policy.toml is one, with what it means.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, Self

from tallystick.credit import exposure_rules, rating_rules, repayment_rules
from tallystick.credit.decisions import Decision, PolicyError, Reason, Rule, Screening
from tallystick.credit.enums import Section
from tallystick.credit.history import CreditHistory
from tallystick.credit.policy_reading import load, read_fields, read_policy, read_table
from tallystick.credit.policy_rule import PolicyRule
from tallystick.credit.rating.scorecard import Scorecard

__all__ = ["RULE_KINDS", "Decision", "PolicyError", "Reason", "Rule", "Screening", "ScreeningPolicy"]

RULE_KINDS: Final[dict[str, type[PolicyRule]]] = {
    kind.kind: kind
    for kind in (
        exposure_rules.NoRecordRule,
        exposure_rules.TruncatedRule,
        repayment_rules.RunningOverdueRule,
        repayment_rules.OverdueMonthsRule,
        repayment_rules.WorstDispositionRule,
        repayment_rules.DispositionsRule,
        repayment_rules.BadDebtRule,
        repayment_rules.AccountStatusRule,
        repayment_rules.AssetQualityRule,
        repayment_rules.CollectionAccountRule,
        repayment_rules.SpecialTransactionsRule,
        repayment_rules.AnnotationsRule,
        exposure_rules.InquiriesRule,
        exposure_rules.InquiringInstitutionsRule,
        exposure_rules.LendingInstitutionsRule,
        exposure_rules.OpenAccountsRule,
        exposure_rules.TotalBalanceRule,
        exposure_rules.UtilisationRule,
        exposure_rules.GuaranteesRule,
        rating_rules.RatingBelowRule,
        rating_rules.NotRatedRule,
    )
}
"""Every kind of rule that a policy can name."""


@dataclass(frozen=True, slots=True)
class ScreeningPolicy:
    """Rules in their order. Policies do not change: with_rule makes another."""

    name: str
    rules: tuple[Rule, ...]

    @classmethod
    def default(cls) -> Self:
        """The policy that comes with this package (default_policy.toml)."""
        return cls.from_toml(resources.files("tallystick.credit").joinpath("default_policy.toml").read_text("utf-8"))

    @classmethod
    def from_toml(cls, source: Path | str) -> Self:
        """Reads a policy from a file (a Path) or from TOML text (a str). Raises PolicyError, naming the key, and OSError."""
        return cls(*read_policy(load(source), _read_rule))

    def with_rule(self, rule: Rule) -> Self:
        """This policy and one rule more: any function from a history to a reason, several, or None."""
        if not callable(rule):
            raise PolicyError("", "a rule must be a function of a credit history")
        return replace(self, rules=(*self.rules, rule))

    @property
    def sections(self) -> frozenset[Section]:
        """What answers must hold beside the accounts for the rules of this policy: ask for it. A function of your own says what it
        looks at by an attribute `sections`."""
        return frozenset().union(*(getattr(rule, "sections", frozenset()) for rule in self.rules))

    def check_scorecards(self, cards: Iterable[Scorecard]) -> None:
        """Raises PolicyError for a rule that speaks of grades which one of these cards does not have. Give those that are in force
        before you ask about anybody: evaluate raises it too, in the middle of the work."""
        rules = [rule for rule in self.rules if isinstance(rule, rating_rules.RatingBelowRule)]
        for card in cards:
            for rule in rules:
                rule.check_scorecard(card)

    def evaluate(self, history: CreditHistory) -> Screening:
        """Runs every rule. Raises PolicyError if a function gave something else than reasons; what it raises passes through."""
        reasons = [reason for rule in self.rules for reason in _reasons_of(rule, history)]
        reasons.sort(key=lambda reason: -reason.decision.severity)
        return Screening(reasons[0].decision if reasons else Decision.APPROVE, tuple(reasons))


def _reasons_of(rule: Rule, history: CreditHistory) -> Iterable[Reason]:
    given = rule(history)
    if given is None:
        return ()
    reasons = (given,) if isinstance(given, Reason) else tuple(given) if isinstance(given, Iterable) else (given,)
    for reason in reasons:
        if not isinstance(reason, Reason) or not isinstance(reason.decision, Decision):
            name = getattr(rule, "__name__", type(rule).__name__)
            raise PolicyError("", f"the rule {name} must give a Reason with a Decision, several of them, or None")
    return reasons


def _read_rule(path: str, entry: Any) -> PolicyRule:
    table = read_table(path, entry)
    if "kind" not in table:
        raise PolicyError(f"{path}.kind", f"is missing; give one of {', '.join(RULE_KINDS)}")
    kind = RULE_KINDS.get(table["kind"]) if isinstance(table["kind"], str) else None
    if kind is None:
        raise PolicyError(f"{path}.kind", f"expected one of {', '.join(RULE_KINDS)}")
    keys = {key: value for key, value in table.items() if key != "kind"}
    return read_fields(path, keys, kind, f"a rule of the kind {kind.kind}")
