"""Parameters that several commands take: codes by name or number, instants, and whom a command is about."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from tallystick.client.subjects import ORGANISATION, PERSON, Identity

F = TypeVar("F", bound=Callable[..., Any])


def read_as(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback that reads an option's text with one of the parsers of cells; an option that is not given stays None."""

    def read(context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None

    return read


def identity_options(*, required: bool) -> Callable[[F], F]:
    """The options that name an identity document. Its number is best given as "-": a shell keeps its history."""

    def decorate(function: F) -> F:
        options: tuple[Callable[[Any], Any], ...] = (
            click.option("--kind", type=click.Choice([PERSON, ORGANISATION]), default=PERSON, show_default=True),
            click.option("--type", "type_", help="The document's code: 10 is a resident ID.", required=required),
            click.option("--country", default="CN", show_default=True, help="The issuing country, ISO 3166-1 alpha-2."),
            click.option("--number", help='Its number; "-" reads one line of standard input.', required=required),
        )
        decorated: Any = function
        for option in reversed(options):
            decorated = option(decorated)
        return cast(F, decorated)

    return decorate


def identity_of(kind: str, type_: str | None, country: str, number: str | None) -> Identity | None:
    """The identity that the options name; None if they name none."""
    if type_ is None and number is None:
        return None
    if type_ is None or number is None:
        raise click.UsageError("--type and --number belong together")
    if number == "-":
        number = sys.stdin.readline().strip()
    return Identity(kind, type_, country, number)


def required_identity(kind: str, type_: str | None, country: str, number: str | None) -> Identity:
    """The identity that the options name."""
    identity = identity_of(kind, type_, country, number)
    if identity is None:
        raise click.UsageError("give --type and --number")
    return identity
