"""Roles, purposes and states as the command line spells them: "token-requester" for ROLE_TOKEN_REQUESTER."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import click

from tallystick.contract.quota_texts import spelling
from tallystick.v1 import membership_service_pb2 as pb

ROLES = spelling(pb.Role.items(), "ROLE_")
GRANTED = {word: role for word, role in ROLES.items() if role != pb.ROLE_SYSTEM}
"""The roles that an operator gives to members: that of the exchange's own is not among them."""
STATES = spelling(pb.MemberState.items(), "MEMBER_STATE_")


def spell(vocabulary: Mapping[str, int], numbers: Iterable[int]) -> list[str]:
    """The words for some values; a value without a word is its number."""
    words = {number: word for word, number in vocabulary.items()}
    return [words.get(number, str(number)) for number in numbers]


def words(vocabulary: Mapping[str, int]) -> Callable[[click.Context, click.Parameter, str | None], list[int] | None]:
    """The callback of an option that takes words separated by commas; "all" is every one and "none" is none."""

    def parse(_context: click.Context, _parameter: click.Parameter, text: str | None) -> list[int] | None:
        if text is None:
            return None
        if text in ("all", "none"):
            return list(vocabulary.values()) if text == "all" else []
        numbers = []
        for word in (part.strip().lower().replace("_", "-") for part in text.split(",")):
            if word not in vocabulary:
                raise click.BadParameter(f"{word!r} is none of: {', '.join(vocabulary)}; or all, or none")
            numbers.append(vocabulary[word])
        return list(dict.fromkeys(numbers))

    return parse
