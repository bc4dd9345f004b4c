"""`tallystickd rating`: scorecards, and how far the population has moved from the one that they were made of."""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager
from pathlib import Path

import click

from tallystick.contract.limits import MAX_SCORECARD
from tallystick.credit.enums import SubjectKind
from tallystick.credit.rating import PublishedCard, ScorecardError
from tallystick.credit.rating.measures import ALARMS_FROM, WARNS_FROM
from tallystick.server.cli.groups import Commands
from tallystick.server.cli.session import Session, json_option, new_request_id, open_session, print_json, takes_settings
from tallystick.server.errors import Problem
from tallystick.server.installation.settings import Settings
from tallystick.v1 import rating_service_pb2 as pb

SERVICE = "/tallystick.v1.RatingService/"


@click.group("rating", cls=Commands)
def rating_commands() -> None:
    """Installs scorecards, and compares the population with the one that they were made of."""


@rating_commands.command("install")
@takes_settings
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def install(settings: Settings, file: Path) -> None:
    """Installs the scorecard FILE (TOML), to be in force from its start_date on.

    It is logged, and can never be changed: another one, with another name, takes its place."""
    content = _read(file)
    try:
        PublishedCard.of(content)
    except ScorecardError as error:
        raise Problem(f"{file}: {error}") from None
    with _exchange_session(settings) as session:
        request = pb.InstallScorecardRequest(request_id=new_request_id(), toml=content)
        card = session.administer("InstallScorecard", request, pb.InstallScorecardResponse, service=SERVICE).scorecard
    start = card.start_time.ToDatetime(dt.UTC)
    click.echo(f"installed {card.name}, in force for {_kind(card)} from {start:%Y-%m-%d} UTC; SHA-256 {card.digest.hex()}")


@rating_commands.command("list")
@takes_settings
@json_option
def list_(settings: Settings, as_json: bool) -> None:
    """Lists every scorecard, and from when to when it is in force."""
    from tallystick.credit.rating.listing import list_of
    from tallystick.server.services.rating.checking import installed_cards

    with _exchange_session(settings) as session:
        listed = list_of(installed_cards(session.url))
    for card in listed.scorecards:
        start = card.start_time.ToDatetime(dt.UTC)
        end = card.end_time.ToDatetime(dt.UTC) if card.HasField("end_time") else None
        validated = PublishedCard.of(card.toml).card.validated
        if as_json:
            print_json(
                {
                    "name": card.name,
                    "subject_kind": _kind(card),
                    "start_time": start.isoformat(),
                    "end_time": None if end is None else end.isoformat(),
                    "validated": validated,
                    "digest": card.digest.hex(),
                }
            )
        else:
            until = f" to {end:%Y-%m-%d}" if end is not None else ""
            tested = "validated" if validated else "NOT validated"
            click.echo(f"{card.name}  {_kind(card)}  from {start:%Y-%m-%d}{until}  {tested}  {card.digest.hex()}")


@rating_commands.command("drift")
@takes_settings
@click.option("--month", required=True, help="The month to look at, such as 2026-10; it must have begun.")
@click.option(
    "--prometheus",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the figures here, for the textfile collector of the node exporter.",
)
@json_option
def drift(settings: Settings, *, month: str, prometheus: Path | None, as_json: bool) -> None:
    """Compares who is on record, as rated in a month, with the population of the scorecard's development.

    Of a month a year ago or more it says too how the scores of then fit what became of the subjects since."""
    from tallystick.server.cli.drift_texts import drift_lines, drift_values, prometheus_text
    from tallystick.server.services.rating.drift import measure_drift

    first = _month(month)
    with _exchange_session(settings) as session:
        measured = measure_drift(session.url, first)
    if as_json:
        for value in drift_values(measured):
            print_json(value)
    else:
        for line in drift_lines(measured, WARNS_FROM, ALARMS_FROM):
            click.echo(line)
    if prometheus is not None:
        # In one step: the collector reads whenever it likes.
        partial = prometheus.with_name(f"{prometheus.name}.partial")
        try:
            partial.write_text(prometheus_text(measured), "utf-8")
            partial.replace(prometheus)
        except OSError as error:
            raise Problem(f"--prometheus: {prometheus} cannot be written: {error.strerror}") from None


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(MAX_SCORECARD + 1)
    if len(content) > MAX_SCORECARD:
        raise Problem(f"{file}: is longer than {MAX_SCORECARD} bytes, the most that a scorecard has")
    return content


def _month(text: str) -> dt.date:
    try:
        month = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise Problem("--month: give a month, such as 2026-10") from None
    if month > dt.datetime.now(dt.UTC).date():
        raise Problem("--month: that month has not begun")
    return month


def _exchange_session(settings: Settings) -> AbstractContextManager[Session]:
    if settings.role != "exchange":
        raise Problem("a token authority has no ratings: give the exchange's configuration")
    return open_session(settings)


def _kind(card: pb.Scorecard) -> str:
    return SubjectKind(card.subject_kind).name.lower()
