"""What commands print for a person, in the language that `--language` names. English texts are the keys of the others."""

from __future__ import annotations

from collections.abc import Mapping

import click

from tallystick.credit.languages import LANGUAGES, Language

language_option = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="en",
    show_default=True,
    help="Of reasons, of the rating, and of what is shown of an answer.",
)


class Words:
    """Texts with places for values, in one language."""

    def __init__(self, language: Language, chinese: Mapping[str, str]) -> None:
        self.language = language
        self._chinese = chinese

    def __call__(self, text: str, **values: object) -> str:
        """The text, which every language has, with its values."""
        return (text if self.language == "en" else self._chinese[text]).format(**values)

    def all(self, *texts: str) -> tuple[str, ...]:
        """Several without values, such as the titles of columns."""
        return tuple(map(self, texts))
