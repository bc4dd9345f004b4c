"""What the decisions were worth: the file says who defaulted in the month after the last that was reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from examples.banks import Screened
from examples.rating.parts import TEST_PART
from tallystick.credit.decisions import Decision


@dataclass(frozen=True, slots=True)
class Group:
    """The applicants of one decision."""

    decision: Decision
    known: int
    """Those of the file."""
    defaulted: int
    """How many of the known defaulted."""
    strangers: int

    @property
    def applicants(self) -> int:
        """All of them."""
        return self.known + self.strangers

    @property
    def default_rate(self) -> float | None:
        """Among the known; None where there are none."""
        return self.defaulted / self.known if self.known else None


def groups(screened: Iterable[Screened]) -> list[Group]:
    """A group for each decision, the mildest first."""
    counted: Counter[tuple[Decision, bool | None]] = Counter()
    for each in screened:
        client = each.applicant.client
        counted[each.decision, None if client is None else client.defaulted] += 1
    return [
        Group(
            decision,
            known=counted[decision, True] + counted[decision, False],
            defaulted=counted[decision, True],
            strangers=counted[decision, None],
        )
        for decision in Decision
    ]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often a rule spoke."""

    decision: Decision
    rule: str
    applicants: int
    as_decided: int
    """How many of them got just the decision that the rule calls for."""


def rule_counts(screened: Sequence[Screened]) -> list[RuleCount]:
    """A count for each rule that spoke: the worst decision first, then the most frequent."""
    spoke: Counter[tuple[Decision, str]] = Counter()
    decided: Counter[tuple[Decision, str]] = Counter()
    for each in screened:
        for reason in set(each.rules):
            spoke[reason] += 1
            decided[reason] += reason[0] == each.decision
    counts = [RuleCount(decision, rule, count, decided[decision, rule]) for (decision, rule), count in spoke.items()]
    return sorted(counts, key=lambda count: (-count.decision.severity, -count.applicants, count.rule))


@dataclass(frozen=True, slots=True)
class Band:
    """The applicants of the test part with one grade, or one decision."""

    name: str
    applicants: int
    defaulted: int

    @property
    def default_rate(self) -> float:
        """Of those of the band."""
        return self.defaulted / self.applicants


def held_out(screened: Iterable[Screened], parts: Mapping[int, int]) -> list[Screened]:
    """Those applicants of whom the scorecard was not made; `parts` says the part of each client."""
    return [each for each in screened if each.applicant.client and parts[each.applicant.client.number] == TEST_PART]


def rating_bands(screened: Sequence[Screened]) -> list[Band]:
    """Who was rated, by grade, the best first."""
    grades = [(each.rating.grade or 0, each) for each in screened if each.rating is not None and each.rating.score is not None]
    return [_band(f"grade {grade}", [each for other, each in grades if other == grade]) for grade in sorted({g for g, _ in grades})]


def decision_bands(screened: Sequence[Screened]) -> list[Band]:
    """The same applicants by the policy's decision, the mildest first."""
    return [_band(str(each), found) for each in Decision if (found := [one for one in screened if one.decision == each])]


def _band(name: str, screened: Sequence[Screened]) -> Band:
    clients = [each.applicant.client for each in screened if each.applicant.client is not None]
    return Band(name, len(clients), sum(client.defaulted for client in clients))
