"""The rule kinds about the rating of an answer. A policy that has one asks for answers with a rating."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from tallystick.credit.decisions import PolicyError, Reason
from tallystick.credit.enums import RatingOutcome, Section, SubjectKind
from tallystick.credit.history import CreditHistory
from tallystick.credit.languages import LANGUAGES
from tallystick.credit.policy_rule import PolicyRule
from tallystick.credit.policy_values import one_of, whole_number
from tallystick.credit.rating.card_reading import SUBJECT_KINDS
from tallystick.credit.rating.reason_texts import rating_text, reason_text
from tallystick.credit.rating.scorecard import HIGHEST_SCORE, LOWEST_SCORE, Scorecard
from tallystick.credit.ratings import Rating


def kind_of(history: CreditHistory) -> SubjectKind:
    """Whether it is rated as a person or as an organisation, which all of its accounts must say."""
    kinds = {each.account.subject_kind for each in history.accounts}
    return SubjectKind.ORGANISATION if kinds == {SubjectKind.ORGANISATION} else SubjectKind.PERSON


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
    subject_kind: Annotated[SubjectKind | None, one_of(SUBJECT_KINDS)] = None
    """Speaks of these alone; of both if it is left out. Each kind has a scorecard, and grades, of its own."""

    def __post_init__(self) -> None:
        if (self.score is None) == (self.grade is None):
            raise PolicyError("", "takes either score or grade, and one of them")

    def __call__(self, history: CreditHistory) -> Reason | None:
        """Speaks of who is rated; its text has every reason of the rating, to be told to the applicant."""
        rating = _rating(self, history)
        if rating.outcome != RatingOutcome.RATED or rating.score is None or rating.grade is None:
            return None
        if self.subject_kind not in (None, kind_of(history)):
            return None
        self._check_grades(rating.scorecard, rating.grades)
        below = rating.score < self.score if self.score is not None else rating.grade > (self.grade or 0)
        if not below:
            return None
        return self._told(rating)

    def check_scorecard(self, card: Scorecard) -> None:
        """Raises PolicyError if the card has no grade that the rule speaks of, and rates those whom it is for."""
        if self.subject_kind in (None, card.subject_kind):
            self._check_grades(card.name, len(card.grades))

    def _check_grades(self, scorecard: str, grades: int) -> None:
        if self.grade is not None and self.grade >= grades:
            # In silence it would approve everybody.
            text = f"the rule {self.name} speaks of grades after {self.grade}, and {scorecard} has {grades}"
            raise PolicyError("", f"{text}: say by subject_kind whom it is for, and give the others a rule of their own")

    def _told(self, rating: Rating) -> Reason:
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
