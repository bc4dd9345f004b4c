"""Rating: points of a published scorecard for what the accounts of an answer show, with the reasons for every point lost.

    record → rating facts (facts.py, stored when reports merge) → profile of the subject (profile.py) → characteristics
    (characteristics.py) → points and grade of a scorecard (scorecard.py) → rating (rating.py), in words (reason_texts.py)

Server, SDK and anybody with the answer and the card go this one way, so they come to the same points.
"""

from tallystick.credit.dates import month_index
from tallystick.credit.languages import LANGUAGES, Language
from tallystick.credit.rating.card_reading import ScorecardError, read_scorecard
from tallystick.credit.rating.card_writing import scorecard_toml
from tallystick.credit.rating.cards import PublishedCard, built_in_cards, card_for, in_force, rate
from tallystick.credit.rating.characteristics import KINDS, Characteristic
from tallystick.credit.rating.facts import FactsError, RatingFacts, facts_of
from tallystick.credit.rating.profile import Profile
from tallystick.credit.rating.reason_texts import rating_text, reason_text
from tallystick.credit.rating.recomputing import rate_history
from tallystick.credit.rating.scorecard import Calibration, Grade, Scorecard, Weighted, month_index_of
from tallystick.credit.ratings import Rating, RatingReason

__all__ = [
    "KINDS",
    "LANGUAGES",
    "Calibration",
    "Characteristic",
    "FactsError",
    "Grade",
    "Language",
    "Profile",
    "PublishedCard",
    "Rating",
    "RatingFacts",
    "RatingReason",
    "Scorecard",
    "ScorecardError",
    "Weighted",
    "built_in_cards",
    "card_for",
    "facts_of",
    "in_force",
    "month_index",
    "month_index_of",
    "rate",
    "rate_history",
    "rating_text",
    "read_scorecard",
    "reason_text",
    "scorecard_toml",
]
