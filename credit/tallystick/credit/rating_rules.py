"""The rule kinds about the rating of an answer. A policy that has one asks for answers with a rating."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from tallystick.credit.decisions import PolicyError, Reason
from tallystick.credit.enums import RatingOutcome, Section
from tallystick.credit.history import CreditHistory
from tallystick.credit.languages import LANGUAGES
from tallystick.credit.policy_rule import PolicyRule
from tallystick.credit.policy_values import whole_number
from tallystick.credit.rating.reason_texts import rating_text, reason_text
from tallystick.credit.rating.scorecard import HIGHEST_SCORE, LOWEST_SCORE
from tallystick.credit.ratings import Rating


def _rating(rule: PolicyRule, history: CreditHistory) -> Rating:
    if history.rating is None:
        # Silence would approve whom the policy means to look at.
        text = f"the rule {rule.name} looks at the rating, and this answer holds none: ask with sections=(Section.RATING,)"
        raise PolicyError("", text)
    return history.rating


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingBelowRule(PolicyRule):
    """The score is below a number, or its grade below a grade: worse, since 1 is the best."""

    kind = "rating_below"
    sections: ClassVar[frozenset[Section]] = frozenset({Section.RATING})
    score: Annotated[int | None, whole_number(LOWEST_SCORE, HIGHEST_SCORE)] = None
    grade: Annotated[int | None, whole_number(1, 10)] = None
    """Speaks of every grade after this one."""

    def __post_init__(self) -> None:
        if (self.score is None) == (self.grade is None):
            raise PolicyError("", "takes either score or grade, and one of them")

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Speaks of who is rated; its text has every reason of the rating, to be told to the applicant."""
        rating = _rating(self, history)
        if rating.outcome != RatingOutcome.RATED or rating.score is None or rating.grade is None:
            return None
        if self.grade is not None and self.grade >= rating.grades:
            # In silence it would approve everybody.
            text = f"the rule {self.name} speaks of grades after {self.grade}, and {rating.scorecard} has {rating.grades}"
            raise PolicyError("", text)
        below = rating.score < self.score if self.score is not None else rating.grade > (self.grade or 0)
        if not below:
            return None
        english, chinese = ([f"{each.code} {reason_text(each, language)}" for each in rating.reasons] for language in LANGUAGES)
        return self.reason(
            ". ".join(filter(None, (f"rated {rating_text(rating)}", "; ".join(english)))),
            "。".join(filter(None, (f"评分：{rating_text(rating, 'zh')}", "；".join(chinese)))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRatedRule(PolicyRule):
    """There are records, and no rating: too few known months, or too old."""

    kind = "not_rated"
    sections: ClassVar[frozenset[Section]] = frozenset({Section.RATING})

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Silent of who has no record: no_record is a rule of its own."""
        rating = _rating(self, history)
        if rating.outcome not in (RatingOutcome.TOO_THIN, RatingOutcome.TOO_OLD):
            return None
        return self.reason(rating_text(rating), rating_text(rating, "zh"))
