"""Ratings and their reasons in words, English and Chinese: what counted, and what would change it and when.

The sentences are those that an applicant may be told. They name no institution, and nothing that the answer does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tallystick.credit.codes import describe_disposition
from tallystick.credit.enums import Disposition, RatingOutcome
from tallystick.credit.languages import Language, check_language, in_chinese
from tallystick.credit.ratings import Rating, RatingReason

_RANKS: Final = (
    *(Disposition.OVERDUE_1, Disposition.OVERDUE_2, Disposition.OVERDUE_3, Disposition.OVERDUE_4),
    *(Disposition.OVERDUE_5, Disposition.OVERDUE_6, Disposition.OVERDUE_7),
    *(Disposition.GUARANTOR_PAID, Disposition.ASSET_FOR_DEBT, Disposition.BAD_DEBT),
)
_OUTCOMES: Final[Mapping[Language, Mapping[RatingOutcome, str]]] = {
    "en": {
        RatingOutcome.NO_RECORD: "not rated: no account is known",
        RatingOutcome.TOO_THIN: "not rated: too little is known of its own debts, of fewer than 3 of the last 13 months",
        RatingOutcome.TOO_OLD: "not rated: nothing was reported in the last 6 months",
    },
    "zh": {
        RatingOutcome.NO_RECORD: "未评分：没有账户记录",
        RatingOutcome.TOO_THIN: "未评分：自身债务记录不足，最近13个月中不足3个月",
        RatingOutcome.TOO_OLD: "未评分：最近6个月没有报送",
    },
}


def rating_text(rating: Rating, language: Language = "en") -> str:
    """One line: the score and its grade, or why there is none; whether the card is validated; the score but for what is under
    objection. Raises ValueError for a language that there is not."""
    check_language(language)
    if rating.outcome != RatingOutcome.RATED:
        text = _OUTCOMES[language].get(rating.outcome, "")
    elif language == "en":
        text = f"{rating.score} points, grade {rating.grade} of {rating.grades}, by the scorecard {rating.scorecard}"
        text += "" if rating.validated else " (NOT validated)"
        if rating.default_rate_ppm is not None:
            text += f"; {rating.default_rate_ppm / 10_000:.1f} % is the default rate of this grade by its calibration"
    else:
        text = f"{rating.score}分，第{rating.grade}级（共{rating.grades}级），评分卡{rating.scorecard}"
        text += "" if rating.validated else "（未经验证）"
        if rating.default_rate_ppm is not None:
            text += f"；按其校准，本级违约率为{rating.default_rate_ppm / 10_000:.1f}%"
    return text + _without_disputed(rating, language)


def reason_text(reason: RatingReason, language: Language = "en") -> str:
    """What took points, and what would change it. Raises ValueError for a language that there is not."""
    check_language(language)
    tell = _TEXTS[language][reason.characteristic]
    text = tell(reason) + _points(reason, language)
    if reason.change_month is not None:
        month = _month(reason.change_month)
        if language == "en":
            text += f"; if nothing so bad is reported again, less is taken from {month} on"
        else:
            text += f"；若不再出现同样情况，自{month}起扣分减少"
    return text


def _without_disputed(rating: Rating, language: Language) -> str:
    if rating.outcome_without_disputed is None:
        return ""
    if rating.score_without_disputed is not None:
        if language == "en":
            return f"; {rating.score_without_disputed} points without the accounts that are under objection"
        return f"；不计异议账户为{rating.score_without_disputed}分"
    other = _OUTCOMES[language].get(rating.outcome_without_disputed, "")
    return f"; without the accounts that are under objection {other}" if language == "en" else f"；不计异议账户则{other}"


def _points(reason: RatingReason, language: Language) -> str:
    if language == "en":
        disputed = f", {reason.disputed_points} of them by accounts under objection" if reason.disputed_points else ""
        return f" ({reason.points_lost} points{disputed})"
    disputed = f"，其中{reason.disputed_points}分出自异议账户" if reason.disputed_points else ""
    return f"（扣{reason.points_lost}分{disputed}）"


def _within(reason: RatingReason) -> str:
    return "this month" if reason.window == 1 else f"the last {reason.window} months, this one included"


def _within_zh(reason: RatingReason) -> str:
    return "本月" if reason.window == 1 else f"最近{reason.window}个月（含本月）"


def _how_often(reason: RatingReason) -> str:
    return _within(reason) if reason.window == 1 else f"in {reason.counted} of {_within(reason)}"


def _how_often_zh(reason: RatingReason) -> str:
    return _within_zh(reason) if reason.window == 1 else f"{_within_zh(reason)}中有{reason.counted}个月"


def _worst(reason: RatingReason) -> str:
    return f"{_named(_rank(reason))} in {_month(reason.month)}, the worst of {_within(reason)}"


def _worst_zh(reason: RatingReason) -> str:
    return f"{_within_zh(reason)}中最差为{_named_zh(_rank(reason))}（{_month(reason.month)}）"


def _overdue(reason: RatingReason) -> str:
    return f"{_least(reason)} {_how_often(reason)}"


def _least(reason: RatingReason) -> str:
    if reason.at_least == Disposition.OVERDUE_1:
        return "overdue"
    named = _named(Disposition(reason.at_least))
    return named if reason.at_least == _RANKS[-1] else f"{named}, or worse,"


def _overdue_zh(reason: RatingReason) -> str:
    least = "逾期"
    if reason.at_least != Disposition.OVERDUE_1:
        least = _named_zh(Disposition(reason.at_least)) + ("" if reason.at_least == _RANKS[-1] else "或更差")
    return f"{_how_often_zh(reason)}{least}"


def _utilised(reason: RatingReason) -> str:
    return f"more than {reason.over} % of a credit limit was used {_how_often(reason)}"


def _utilised_zh(reason: RatingReason) -> str:
    return f"{_how_often_zh(reason)}使用额度超过{reason.over}%"


def _unpaid(reason: RatingReason) -> str:
    return f"nothing was paid of a bill {_how_often(reason)}"


def _unpaid_zh(reason: RatingReason) -> str:
    return f"{_how_often_zh(reason)}账单分文未还"


def _limit(_reason: RatingReason) -> str:
    return "the smallest credit limit is low; a higher one would change it"


def _limit_zh(_reason: RatingReason) -> str:
    return "最小信用额度偏低；额度提高后扣分减少"


def _little(reason: RatingReason) -> str:
    return f"little was paid of a bill {_how_often(reason)}"


def _little_zh(reason: RatingReason) -> str:
    return f"{_how_often_zh(reason)}还款金额很少"


_TEXTS: Final[Mapping[Language, Mapping[str, Callable[[RatingReason], str]]]] = {
    "en": {
        "worst_status": _worst,
        "months_overdue": _overdue,
        "months_utilised": _utilised,
        "months_unpaid": _unpaid,
        "smallest_limit": _limit,
        "months_paid_below": _little,
    },
    "zh": {
        "worst_status": _worst_zh,
        "months_overdue": _overdue_zh,
        "months_utilised": _utilised_zh,
        "months_unpaid": _unpaid_zh,
        "smallest_limit": _limit_zh,
        "months_paid_below": _little_zh,
    },
}


def _named(disposition: Disposition) -> str:
    """The worst rank is of collection accounts too."""
    return "bad debt or in collection" if disposition == Disposition.BAD_DEBT else describe_disposition(disposition)


def _named_zh(disposition: Disposition) -> str:
    return "呆账或催收" if disposition == Disposition.BAD_DEBT else in_chinese(disposition)


def _rank(reason: RatingReason) -> Disposition:
    return _RANKS[min(max(reason.counted, 1), len(_RANKS)) - 1]


def _month(number: int | None) -> str:
    return f"{(number or 0) // 10_000}-{(number or 0) // 100 % 100:02}"
