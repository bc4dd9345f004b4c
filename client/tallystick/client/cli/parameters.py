"""Parameters that several commands take: codes by name or number, instants, and whom a command is about."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from tallystick.client.files.places import descriptor_of, is_written_in_place
from tallystick.client.files.tables import partial_of
from tallystick.client.identities import ORGANISATION, PERSON, Identity
from tallystick.crypto.identity_documents import ANY_COUNTRY, DOCUMENTS

F = TypeVar("F", bound=Callable[..., Any])


def moment(text: str, zone: dt.tzinfo | None = None) -> dt.datetime:
    """An instant to the microsecond, or the beginning of a day: 2026-11-01, 2026-11-01T08:30, 2026-11-01T08:30:00.25Z. Without a
    time zone it is that of `zone`, or else this machine's local time."""
    try:
        given = dt.datetime.fromisoformat(text)
        return (given.replace(tzinfo=zone) if given.tzinfo is None and zone is not None else given).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a day or an instant, such as 2026-11-01 or 2026-11-01T08:30:00+08:00") from None


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
            click.option("--type", "type_", help="The document's code, of the list below.", required=required),
            click.option("--country", help="The issuing country, ISO 3166-1 alpha-2; needed where it may be any."),
            click.option("--number", help='Its number; "-" asks for it, or reads one line of standard input.', required=required),
        )
        decorated: Any = function
        for option in reversed(options):
            decorated = option(decorated)
        return cast(F, decorated)

    return decorate


def identity_of(kind: str, type_: str | None, country: str | None, number: str | None) -> Identity | None:
    """The identity that the options name; None if they name none."""
    if type_ is None and number is None:
        return None
    if type_ is None or number is None:
        raise click.UsageError("--type and --number belong together")
    type_ = type_.upper()
    document = DOCUMENTS.get((kind, type_))
    if country is None and document is not None and document.country == ANY_COUNTRY:
        # Nobody is asked about by a guess: the same number is another person's elsewhere.
        raise click.UsageError(f"--country: of this document ({document.name}) give the country that issued it, such as DE")
    if number == "-":
        number = _read_number()
    # What is no document of the table is refused as such, whatever its country.
    return Identity(kind, type_, (country or (document.country if document else "ZZ")).upper(), number)


def _read_number() -> str:
    """From a person without an echo: what is typed would stay on the screen."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Number (not shown)", hide_input=True, err=True)
        return typed.strip()
    return sys.stdin.readline().strip()


timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Give up after so many seconds, with every attempt. [default: 8 attempts, none after 120]",
)


def standard_input(_context: click.Context, _parameter: click.Parameter, file: Path) -> Path:
    """A file argument; "-" is standard input."""
    return Path("/dev/stdin") if str(file) == "-" else file


def keep_apart(inputs: Mapping[str, Path | None], outputs: Mapping[str, Path | None]) -> None:
    """Refuses an output that is an input or another output, by whatever name or link, before anything is opened."""
    known = [(name, path) for name, path in inputs.items() if path is not None]
    for name, path in outputs.items():
        if path is None:
            continue
        if is_written_in_place(path):
            _keep_descriptors_apart(name, path, outputs)
            continue  # a terminal or /dev/null loses nothing
        made = [(name, path), (f"{name} until it is complete", partial_of(path))]
        for what, place in made:
            for other, taken in known:
                if _is_same(place, taken):
                    raise click.UsageError(f"{what} and {other} are the same file, {place}: nothing was read or written")
        known += made


def _keep_descriptors_apart(name: str, path: Path, outputs: Mapping[str, Path | None]) -> None:
    """Two files in one stream would be read by nobody."""
    for other, taken in outputs.items():
        if other != name and taken is not None and descriptor_of(path) is not None and descriptor_of(path) == descriptor_of(taken):
            raise click.UsageError(f"{name} and {other} are the same, {path}: nothing was read or written")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist yet
        return os.path.realpath(one) == os.path.realpath(other)


def required_identity(kind: str, type_: str | None, country: str | None, number: str | None) -> Identity:
    """The identity that the options name."""
    identity = identity_of(kind, type_, country, number)
    if identity is None:
        raise click.UsageError("give --type and --number")
    return identity
