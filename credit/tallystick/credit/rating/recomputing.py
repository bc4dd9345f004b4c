"""Reckoning a rating again from an answer that somebody has: the very functions by which the exchange rated."""

from __future__ import annotations

from tallystick.credit.enums import HistoryOutcome
from tallystick.credit.history import CreditHistory
from tallystick.credit.rating.cards import kind_rated
from tallystick.credit.rating.facts import RatingFacts
from tallystick.credit.rating.scorecard import Scorecard, outcome_of_nothing
from tallystick.credit.ratings import Rating


def rate_history(card: Scorecard, history: CreditHistory) -> Rating:
    """The rating of an answer by a card. Raises ValueError for one of the other kind of subject."""
    accounts = [reported.account.to_message() for reported in history.accounts]
    if history.outcome == HistoryOutcome.NO_RECORD or not accounts:
        return outcome_of_nothing()
    facts = [RatingFacts.of(account) for account in accounts]
    kind = kind_rated(facts)
    if kind != card.subject_kind:
        rated, given = card.subject_kind.name.lower(), kind.name.lower()
        raise ValueError(f"the scorecard {card.name} rates {rated}s, and this is about a {given}")
    return card.rate(facts, history.as_of.date(), accounts)
