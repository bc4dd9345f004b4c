"""Roles, purposes and states as the command line spells them: "token-requester" for ROLE_TOKEN_REQUESTER."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from tallystick.v1 import codes_pb2
from tallystick.v1 import membership_service_pb2 as pb


def _spelling(values: Iterable[tuple[str, int]], prefix: str) -> Mapping[str, int]:
    """Every value of an enum but the unspecified one."""
    return {name.removeprefix(prefix).lower().replace("_", "-"): number for name, number in values if number}


ROLES = _spelling(pb.Role.items(), "ROLE_")
PURPOSES = _spelling(codes_pb2.Purpose.items(), "PURPOSE_")
STATES = _spelling(pb.MemberState.items(), "MEMBER_STATE_")


def spell(vocabulary: Mapping[str, int], numbers: Iterable[int]) -> list[str]:
    """The words for some values; a value without a word is its number."""
    words = {number: word for word, number in vocabulary.items()}
    return [words.get(number, str(number)) for number in numbers]


class Words(click.ParamType):
    """Words of a vocabulary, separated by commas; "all" is every one and "none" is none."""

    name = "words"

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The values, each once, in the order given."""
        if isinstance(value, list):
            return value
        text = str(value)
        if text in ("all", "none"):
            return list(self._vocabulary.values()) if text == "all" else []
        numbers = []
        for word in (part.strip().lower().replace("_", "-") for part in text.split(",")):
            if word not in self._vocabulary:
                self.fail(f"{word!r} is none of: {', '.join(self._vocabulary)}; or all, or none", param, ctx)
            numbers.append(self._vocabulary[word])
        return list(dict.fromkeys(numbers))
