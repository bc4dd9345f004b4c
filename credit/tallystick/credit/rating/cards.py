"""The scorecards that come with the package, and which card is in force."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from tallystick.credit.enums import SubjectKind
from tallystick.credit.rating.card_reading import read_scorecard
from tallystick.credit.rating.facts import RatingFacts
from tallystick.credit.rating.scorecard import Scorecard, outcome_of_nothing
from tallystick.credit.ratings import Rating

BUILT_IN: Final = ("person-1.toml", "organisation-expert-1.toml")


@dataclass(frozen=True, slots=True)
class PublishedCard:
    """A scorecard with its bytes."""

    card: Scorecard
    toml: bytes

    @classmethod
    def of(cls, toml: bytes) -> PublishedCard:
        """Reads the bytes. Raises ScorecardError."""
        return cls(read_scorecard(toml), toml)


@cache
def built_in_cards() -> tuple[PublishedCard, ...]:
    """The cards of the package: in force at every exchange until an installed one for the same kind of subject is."""
    folder = resources.files("tallystick.credit.rating")
    return tuple(PublishedCard.of(folder.joinpath(name).read_bytes()) for name in BUILT_IN)


def in_force(installed: Iterable[PublishedCard], day: dt.date) -> dict[SubjectKind, Scorecard]:
    """The card for each kind of subject on a day, UTC: of those installed the one that began last, or else the built-in one."""
    cards = {each.card.subject_kind: each.card for each in built_in_cards()}
    begun = [each.card for each in installed if each.card.start_date <= day]
    # Two that begin on one day: the later name, the same everywhere.
    for card in sorted(begun, key=lambda card: (card.start_date, card.name)):
        cards[card.subject_kind] = card
    return cards


def rate(cards: Mapping[SubjectKind, Scorecard], facts: Sequence[RatingFacts], as_of: dt.date) -> Rating:
    """The rating of a subject by the card for its kind: a person's if any of its accounts says so."""
    return card_for(cards, facts).rate(facts, as_of) if facts else outcome_of_nothing()


def card_for(cards: Mapping[SubjectKind, Scorecard], facts: Sequence[RatingFacts]) -> Scorecard:
    """The card by which a subject is rated."""
    return cards[kind_rated(facts)]


def kind_rated(facts: Iterable[RatingFacts]) -> SubjectKind:
    """As what a subject is rated: an organisation, if all of its accounts say so."""
    return SubjectKind.ORGANISATION if all(each.organisation for each in facts) else SubjectKind.PERSON
