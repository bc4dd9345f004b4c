"""Commands about ratings: the scorecards of an exchange, a rating in words, a rating reckoned again, a card calibrated."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.groups import Commands
from tallystick.client.cli.parameters import keep_apart, read_as, timeout_option
from tallystick.client.cli.words import Words, language_option
from tallystick.client.exceptions import FileInvalid
from tallystick.client.files import cells
from tallystick.client.files.amounts import Amounts
from tallystick.client.files.calibrating import Calibrating
from tallystick.client.files.histories import read_answer, read_history
from tallystick.client.files.scorecards import load_scorecard
from tallystick.client.files.texts import write_text
from tallystick.client.flows.scorecards import ListedScorecard
from tallystick.credit.history import CreditHistory
from tallystick.credit.rating import (
    LANGUAGES,
    Language,
    Scorecard,
    ScorecardError,
    built_in_cards,
    rate_history,
    rating_text,
    reason_text,
)
from tallystick.credit.ratings import Rating

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)

CHINESE: Final[Mapping[str, str]] = {
    "Rating: {rating}": "评分：{rating}",
    "the rating is what its scorecard makes of the accounts: {rating}": "评分与评分卡按账户计算的结果一致：{rating}",
    "the rating beside the history is another than the one in it, or its texts were changed": (
        "历史旁的评分与历史内的评分不一致，或其文字被改动"
    ),
    "the answer says: {rating}": "答复所载：{rating}",
    "its scorecard makes of the accounts: {rating}": "评分卡按账户计算为：{rating}",
}
"""By the English text."""


@click.group(cls=Commands)
def rating() -> None:
    """Ratings: their scorecards, what took points in words, reckoned again, calibrated on your own outcomes."""


@rating.command()
@click.option("--toml", "name", help="Print the scorecard of this name as it was published, instead of the list.")
@timeout_option
@command
def cards(tool: Tool, name: str | None, timeout: float | None) -> None:
    """List every scorecard of the exchange, and from when to when it is in force."""
    with tool.exchange() as exchange:
        listed = exchange.scorecards(timeout=timeout)
    if name is not None:
        found = next((each for each in listed if each.name == name), None)
        if found is None:
            raise FileInvalid(f"the exchange has no scorecard {name}: it has {', '.join(each.name for each in listed)}")
        # As they were published, byte for byte: their digest is what ratings say.
        sys.stdout.buffer.write(found.toml)
        return
    if tool.as_json:
        for each in listed:
            output.write_json({**output.plain(each), **_of_card(each)})
        return
    rows = []
    for each in listed:
        of_card = _of_card(each)
        scores = "needs a newer version" if of_card["lowest"] is None else f"{of_card['lowest']} to {of_card['highest']}"
        validated = {True: "yes", False: "NO", None: ""}[of_card["validated"]]
        until = f"{each.end_time:%Y-%m-%d}" if each.end_time else ""
        of = of_card["subject_kind"] or ""
        rows.append((each.name, of, f"{each.start_time:%Y-%m-%d}", until, scores, validated, each.digest.hex()))
    tool.results.print(output.table("Scorecards", ("name", "rates", "from", "to", "scores", "validated", "SHA-256"), rows))


def _of_card(listed: ListedScorecard) -> dict[str, Any]:
    """What a listed card says of itself; nothing of one that only a newer version can read."""
    try:
        card = listed.card
    except ScorecardError:
        return dict.fromkeys(("subject_kind", "validated", "lowest", "highest"))
    kind = card.subject_kind.name.lower()
    return {"subject_kind": kind, "validated": card.validated, "lowest": card.lowest, "highest": card.highest}


@rating.command()
@click.argument("file", type=_FILE)
@click.option("--scorecard", type=_FILE, help="Rate by this scorecard, instead of showing the rating of the answer.")
@language_option
@command
def show(tool: Tool, file: Path, scorecard: Path | None, language: Language) -> None:
    """Show the rating in FILE, an answer as `tallystick query --rating --json` prints it, with what took points in words.

    It is shown as it stands there: `verify` reckons it again."""
    history = read_history(file)
    if scorecard is not None:
        shown = _rate(load_scorecard(scorecard), history)
    elif history.rating is None:
        raise FileInvalid(f"{file}: this answer holds no rating: ask with --rating, or give a --scorecard")
    else:
        shown = history.rating
    if tool.as_json:
        output.write_json(rating_value(shown))
    else:
        print_rating(tool, shown, language)


@rating.command()
@click.argument("file", type=_FILE)
@click.option("--scorecard", type=_FILE, help="The scorecard. [default: one that comes with the package, or the exchange's]")
@language_option
@timeout_option
@command
def verify(tool: Tool, file: Path, scorecard: Path | None, language: Language, timeout: float | None) -> int:
    """Reckon the rating in FILE again, from the accounts that stand beside it; exit with 1 if it is another.

    It does not prove the accounts: what the exchange answered, its receipt commits to, and not this file.

    FILE is an answer as `tallystick query --rating --json` prints it."""
    history, beside = read_answer(file)
    given = history.rating
    if given is None:
        raise FileInvalid(f"{file}: this answer holds no rating: ask with --rating")
    if not given.scorecard:
        again = _rate(built_in_cards()[0].card, history)
    else:
        again = _rate(_card_of(tool, given, scorecard, timeout), history)
    told_alike = beside is None or beside == output.plain(rating_value(again))
    verified = again == given and told_alike
    if tool.as_json:
        output.write_json({"verified": verified, "given": rating_value(given), "reckoned": rating_value(again)})
    else:
        for line in _verdict(given, again, language, verified=verified):
            tool.results.print(line, markup=False)
    return 0 if verified else 1


def _verdict(given: Rating, again: Rating, language: Language, *, verified: bool) -> Iterator[str]:
    words, told = Words(language, CHINESE), rating_text(given, language)
    if verified:
        yield words("the rating is what its scorecard makes of the accounts: {rating}", rating=told)
        return
    if again == given:
        yield words("the rating beside the history is another than the one in it, or its texts were changed")
    yield words("the answer says: {rating}", rating=told)
    yield words("its scorecard makes of the accounts: {rating}", rating=rating_text(again, language))


@rating.command()
@click.argument("book", type=_FILE)
@click.option(
    "--month", callback=read_as(cells.month), required=True, help="Rate as of this month; a year of outcomes must follow it."
)
@click.option("--scorecard", type=_FILE, help="The scorecard to calibrate. [default: the one for persons of the package]")
@click.option("--name", required=True, help="The name of the calibrated card, such as person-1-bank-a.")
@click.option("--population", required=True, help="Whose outcomes these are, in words; the card says so.")
@click.option("--start", callback=read_as(cells.day), required=True, help="From which day on it may be in force.")
@click.option("--out", type=_NEW_FILE, required=True, help="Write the calibrated scorecard here (TOML).")
@click.option("--amounts", type=click.Choice([each.value for each in Amounts]), help="As for `tallystick report`.")
@click.option("--encoding", help="Of a book in CSV that is not UTF-8 or UTF-16: gb18030, big5, cp1252 …")
@command
def calibrate(
    tool: Tool,
    book: Path,
    month: dt.date,
    scorecard: Path | None,
    name: str,
    population: str,
    start: dt.date,
    out: Path,
    amounts: str | None,
    encoding: str | None,
) -> int:
    """Find how many of each grade defaulted, from the accounts of BOOK (docs/files.md), and write a card that says so.

    Every person of BOOK is rated as of --month by what lies before it; a default is an overdue of more than 90 days, or a debt
    given up, in the twelve months after. Accounts that `tallystick report` would reject are named, and left out (exit code 1).
    Nothing is sent."""
    keep_apart({"BOOK": book, "--scorecard": scorecard}, {"--out": out})
    card = load_scorecard(scorecard) if scorecard is not None else built_in_cards()[0].card
    calibrating = Calibrating(card, month)
    remarks = output.FirstRemarks(tool.remark, "there are more; `tallystick report --rejects FILE` has them all")
    with output.progress(tool.remarks, "accounts read") as shown:
        for rejects in calibrating.read(book, Amounts(amounts) if amounts else None, encoding):
            shown.add()
            for each in rejects:
                remarks.make(f"row {each.row}: {each.field}: {each.description} ({each.reason})")
    toml = calibrating.toml(name, population, start)
    write_text(out, toml)
    if tool.as_json:
        output.write_json(calibrating.counts())
    else:
        for line in calibrating.lines():
            tool.results.print(line, markup=False, highlight=False, soft_wrap=True)
    return 1 if calibrating.rejected else 0


def print_rating(tool: Tool, shown: Rating, language: Language) -> None:
    """The rating and its reasons, for a person to read."""
    line = Words(language, CHINESE)("Rating: {rating}", rating=rating_text(shown, language))
    tool.results.print(line, markup=False, highlight=False, soft_wrap=True)
    for each in shown.reasons:
        tool.results.print(f"  {each.code}: {reason_text(each, language)}", markup=False, highlight=False, soft_wrap=True)


def rating_value(shown: Rating) -> dict[str, object]:
    """For programs: the rating with its texts in both languages."""
    return {
        **output.plain(shown),
        "text": {language: rating_text(shown, language) for language in LANGUAGES},
        "reason_texts": [
            {"code": each.code, **{language: reason_text(each, language) for language in LANGUAGES}} for each in shown.reasons
        ],
    }


def _card_of(tool: Tool, given: Rating, scorecard: Path | None, timeout: float | None) -> Scorecard:
    """The card that a rating names, by its digest."""
    if scorecard is not None:
        card = load_scorecard(scorecard)
        if card.digest != given.scorecard_digest:
            raise FileInvalid(f"{scorecard}: is not this rating's scorecard, whose SHA-256 is {given.scorecard_digest.hex()}")
        return card
    for each in built_in_cards():
        if each.card.digest == given.scorecard_digest:
            return each.card
    with tool.exchange() as exchange:
        for listed in exchange.scorecards(timeout=timeout):
            if listed.digest == given.scorecard_digest:
                try:
                    return listed.card
                except ScorecardError as error:
                    raise FileInvalid(f"the scorecard {listed.name} needs a newer version of this program: {error}") from None
    raise FileInvalid(f"the exchange lists no scorecard with the SHA-256 {given.scorecard_digest.hex()}: give it by --scorecard")


def _rate(card: Scorecard, history: CreditHistory) -> Rating:
    try:
        return rate_history(card, history)
    except ValueError as error:
        raise FileInvalid(str(error)) from None
