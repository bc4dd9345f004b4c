"""A rating as an answer holds it: a score and its grade, with what took points from it; or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.credit.codes import OVERDUE_DISPOSITIONS
from tallystick.credit.dates import MONTHS
from tallystick.credit.enums import RatingOutcome
from tallystick.credit.records import HistoryError, read_code
from tallystick.v1 import rating_pb2

MAX_REASONS: Final = 4

CHARACTERISTICS: Final = {
    "worst_status": rating_pb2.RATING_CHARACTERISTIC_WORST_STATUS,
    "months_overdue": rating_pb2.RATING_CHARACTERISTIC_MONTHS_OVERDUE,
    "months_utilised": rating_pb2.RATING_CHARACTERISTIC_MONTHS_UTILISED,
    "months_unpaid": rating_pb2.RATING_CHARACTERISTIC_MONTHS_UNPAID,
    "smallest_limit": rating_pb2.RATING_CHARACTERISTIC_SMALLEST_LIMIT,
    "months_paid_below": rating_pb2.RATING_CHARACTERISTIC_MONTHS_PAID_BELOW,
}
"""What a scorecard names by these texts."""
_NAMES: Final = {int(number): name for name, number in CHARACTERISTICS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingReason:
    """One characteristic that took points from a score. tallystick.credit.rating.reason_text says it in words."""

    code: str
    """As in the scorecard, such as "R01"."""
    points_lost: int
    """Against the best value of the characteristic."""
    disputed_points: int
    """How many of them are lost by accounts under objection alone."""
    characteristic: str
    """Its kind (tallystick.credit.rating.characteristics)."""
    window: int
    """Over how many months it looks, that of the answer included; 0 for one that looks at no months."""
    counted: int
    """Its value: what that is, its kind says."""
    at_least: int = 0
    """For months_overdue: the mildest Disposition that counts."""
    over: int = 0
    """For months_utilised: the percentage of the limit."""
    month: int | None = None
    """For worst_status: the latest month that was so bad, as the number of its first day."""
    change_month: int | None = None
    """The first month in which it takes fewer points, if nothing so bad is reported again; None for what looks at no months."""

    def __post_init__(self) -> None:
        """Raises HistoryError for what cannot be told in words, wherever it came from."""
        if not self.code.isprintable():
            raise HistoryError("code", "is no line of printable characters")
        if self.characteristic not in CHARACTERISTICS:
            raise HistoryError("characteristic", "is none that this version knows; install a newer one")
        if self.characteristic == "months_overdue" and self.at_least not in OVERDUE_DISPOSITIONS:
            raise HistoryError("at_least", "is no disposition of an overdue")
        if self.characteristic == "worst_status" and self.month not in MONTHS:
            raise HistoryError("month", "is not the first day of a month")
        if self.change_month is not None and self.change_month not in MONTHS:
            raise HistoryError("change_month", "is not the first day of a month")

    def to_message(self) -> rating_pb2.RatingReason:
        """As it is answered."""
        return rating_pb2.RatingReason(
            code=self.code,
            points_lost=self.points_lost,
            disputed_points=self.disputed_points,
            characteristic=CHARACTERISTICS[self.characteristic],
            window=self.window,
            counted=self.counted,
            at_least=self.at_least,  # type: ignore[arg-type]  # the stubs want the enum's own NewType
            over=self.over,
            month=self.month or 0,
            change_month=self.change_month or 0,
        )

    @classmethod
    def from_message(cls, message: rating_pb2.RatingReason) -> RatingReason:
        """Reads a message. Raises HistoryError."""
        return cls(
            code=message.code,
            points_lost=message.points_lost,
            disputed_points=message.disputed_points,
            characteristic=_NAMES.get(message.characteristic, ""),
            window=message.window,
            counted=message.counted,
            at_least=message.at_least,
            over=message.over,
            month=message.month or None,
            change_month=message.change_month or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a scorecard makes of an answer. Show `validated` wherever you show the score."""

    outcome: RatingOutcome
    score: int | None = None
    """300 to 850; None unless the outcome is RATED."""
    grade: int | None = None
    """1 is the best."""
    grades: int = 0
    """How many grades the scorecard has."""
    default_rate_ppm: int | None = None
    """How many in a million of this grade default, by the scorecard's calibration; None for a card without one."""
    reasons: tuple[RatingReason, ...] = ()
    """Four at the most, the heaviest first; none for the best grade."""
    score_without_disputed: int | None = None
    """The score but for the accounts under objection, where there are any and the others give one."""
    outcome_without_disputed: RatingOutcome | None = None
    """The outcome but for them; None where no account is under objection."""
    scorecard: str
    scorecard_digest: bytes
    """SHA-256 of the scorecard's bytes."""
    validated: bool
    """Whether the scorecard's ranking was tested on outcomes that it was not made of."""

    def __post_init__(self) -> None:
        """Raises HistoryError for a score without its grade, or the reverse, and for a name that would be more than a line."""
        if not self.scorecard.isprintable():
            raise HistoryError("scorecard", "is no line of printable characters")
        rated = self.outcome == RatingOutcome.RATED
        if rated != (self.score is not None) or rated != (self.grade is not None):
            raise HistoryError("score", "stands with its grade, where somebody is rated, and nowhere else")

    def to_message(self) -> rating_pb2.Rating:
        """As it is answered."""
        without = int(self.outcome_without_disputed or 0)
        return rating_pb2.Rating(
            outcome=int(self.outcome),  # type: ignore[arg-type]  # the stubs want the enum's own NewType
            score=self.score or 0,
            grade=self.grade or 0,
            grades=self.grades,
            default_rate_ppm=self.default_rate_ppm,
            reasons=[each.to_message() for each in self.reasons],
            score_without_disputed=self.score_without_disputed,
            outcome_without_disputed=without,  # type: ignore[arg-type]  # likewise
            scorecard=self.scorecard,
            scorecard_digest=self.scorecard_digest,
            validated=self.validated,
        )

    @classmethod
    def from_message(cls, message: rating_pb2.Rating) -> Rating:
        """Reads a message. Raises HistoryError."""
        outcome = read_code(RatingOutcome, message.outcome, "rating.outcome")
        without = read_code(RatingOutcome, message.outcome_without_disputed, "rating.outcome_without_disputed")
        rated = outcome == RatingOutcome.RATED
        return cls(
            outcome=outcome,
            score=message.score if rated else None,
            grade=message.grade if rated else None,
            grades=message.grades,
            default_rate_ppm=message.default_rate_ppm if message.HasField("default_rate_ppm") else None,
            reasons=tuple(map(RatingReason.from_message, message.reasons)),
            score_without_disputed=message.score_without_disputed if message.HasField("score_without_disputed") else None,
            outcome_without_disputed=without or None,
            scorecard=message.scorecard,
            scorecard_digest=message.scorecard_digest,
            validated=message.validated,
        )
