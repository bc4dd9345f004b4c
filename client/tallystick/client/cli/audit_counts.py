"""The command `audit count`: how many requests, and about how many subjects, in groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from tallystick.client.cli import output
from tallystick.client.cli.auditing import NEW_FILE, authority_option, server_of, why
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.meanings import epilog, purposes
from tallystick.client.cli.parameters import moment, read_as
from tallystick.client.files import cells
from tallystick.client.files.tables import TableWriter
from tallystick.client.flows.counting import CountFilter, Dimension, EntryCount, EntryCounts
from tallystick.credit.enums import Purpose

_DAYS = 30
_INDEX = "counted from the server's index, which it could cut; erased subjects are not counted"
_HOURS = re.compile(r"([0-9]{1,2})-([0-9]{1,2})", re.ASCII)


def _dimensions(text: str) -> tuple[Dimension, ...]:
    known = {each.value: each for each in Dimension}
    names = [name.strip().lower() for name in text.split(",")]
    if not set(names) <= set(known) or len(set(names)) != len(names):
        raise ValueError(f"must be some of {', '.join(known)}, each once, separated by commas")
    return tuple(known[name] for name in names)


def _hours(text: str) -> tuple[int, ...]:
    """22-6 is from 22:00 until before 06:00."""
    match = _HOURS.fullmatch(text.strip())
    first, end = (int(match[1]), int(match[2])) if match else (24, 24)
    if first > 23 or end > 24 or first == end % 24:
        raise ValueError("must be two hours such as 22-6: from 22:00 until before 06:00")
    return tuple((first + place) % 24 for place in range((end - first) % 24))


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('must be a name of the IANA database, such as "Asia/Taipei" or "UTC"') from None


@click.command(epilog=epilog(purposes()))
@click.option("--by", callback=read_as(_dimensions), default="member", show_default=True, help="By what, with commas between.")
@click.option(
    "--from", "start", help=f"At or after this day or instant, in --zone if it has none. [default: {_DAYS} days before --to]"
)
@click.option("--to", "end", help="Before this day or instant. [default: now]")
@click.option("--zone", callback=read_as(_zone), default="UTC", show_default=True, help="Of hours and days, such as Asia/Taipei.")
@click.option("--hours", callback=read_as(_hours), default=None, help="Only these hours of the day, such as 22-6.")
@click.option("--member", default="", help="Requests of this member.")
@click.option("--purpose", callback=read_as(cells.code(Purpose)), help="Queries with this purpose, of the list below.")
@click.option("--consent", default="", help="Queries under this consent reference.")
@click.option("--refused/--carried-out", default=None, help="Only refused requests, or only those carried out.")
@click.option("--min-subjects", type=click.IntRange(0, 2**32 - 1), default=0, help="Only groups about at least so many subjects.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many groups to show.")
@click.option("--out", type=NEW_FILE, help="Write the groups here (CSV or Parquet).")
@authority_option
@command
def count(
    tool: Tool,
    by: tuple[Dimension, ...],
    start: str | None,
    end: str | None,
    zone: ZoneInfo,
    hours: tuple[int, ...] | None,
    member: str,
    purpose: Purpose | None,
    consent: str,
    refused: bool | None,
    min_subjects: int,
    limit: int,
    out: Path | None,
    authority: bool,
) -> int:
    """Counts requests and the distinct subjects that they are about, the largest group first; for auditors.

    --by takes member, hour, day, method, outcome, purpose, consent. By purpose, a request with several counts in the group of each;
    by consent, requests that state none are left out. With --min-subjects the groups with most subjects come first.
    """
    until = _moment("--to", end, zone) or datetime.now(UTC)
    wanted = CountFilter(
        start=_moment("--from", start, zone) or until - timedelta(days=_DAYS),
        end=until,
        member_id=member,
        purpose=purpose or Purpose.UNSPECIFIED,
        consent_reference=consent,
        refused=refused,
        hours=hours or (),
        time_zone=zone.key,
        min_subjects=min_subjects,
        limit=limit,
    )
    with tool.exchange() as exchange:
        counted = exchange.audit_count(by, wanted, server=server_of(authority))
    with tool.beside(out):
        return _show(tool, by, wanted, counted, out)


def _show(tool: Tool, by: Sequence[Dimension], wanted: CountFilter, counted: EntryCounts, out: Path | None) -> int:
    zone = ZoneInfo(wanted.time_zone)
    period = " to ".join(each.astimezone(zone).isoformat(timespec="seconds") for each in (wanted.start, wanted.end))
    remarks = [f"requests of {period}; hours and days of {zone.key}", _INDEX]
    if counted.groups > len(counted.counts):
        remarks.append(f"CUT: {len(counted.counts)} of {counted.groups} groups; raise --limit (1000 at most), or ask for less")
    if out is not None:
        _write(out, by, counted)
        remarks.insert(0, f"{len(counted.counts)} groups written to {out}")
    if tool.as_json:
        for each in () if out is not None else counted.counts:
            output.write_json(each)
        for line in remarks:
            tool.remark(line)
        return 0
    if out is None:
        columns = (*(each.value for each in by), "requests", "subjects")
        rows = [(*_words(each, by), each.requests, each.subjects) for each in counted.counts]
        tool.results.print(output.table("Requests", columns, rows))
    for line in remarks:
        tool.results.print(line, markup=False, soft_wrap=True)
    return 0


def _moment(option: str, text: str | None, zone: tzinfo) -> datetime | None:
    try:
        return None if text is None else moment(text, zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _words(group: EntryCount, by: Sequence[Dimension]) -> list[str]:
    said = {
        Dimension.MEMBER: group.member_id,
        Dimension.HOUR: None if group.hour is None else f"{group.hour:02d}",
        Dimension.DAY: group.day,
        Dimension.METHOD: (group.method or "").rpartition("/")[2],
        Dimension.OUTCOME: "refused" if group.refused else "ok",
        Dimension.PURPOSE: (why(group.purpose) if group.purpose is not None else "") or "(states none)",
        Dimension.CONSENT: group.consent_reference,
    }
    return [str(said[each]) for each in by]


def _write(out: Path, by: Sequence[Dimension], counted: EntryCounts) -> None:
    columns = (*(each.value for each in by), "requests", "subjects")
    with TableWriter(out, columns, ("hour", "requests", "subjects")) as writer:
        for each in counted.counts:
            purpose = each.purpose.name.lower() if isinstance(each.purpose, Purpose) and each.purpose else each.purpose
            said: dict[Dimension, str | int | None] = {
                Dimension.MEMBER: each.member_id,
                Dimension.HOUR: each.hour,
                Dimension.DAY: None if each.day is None else each.day.isoformat(),
                Dimension.METHOD: each.method,
                Dimension.OUTCOME: "refused" if each.refused else "ok",
                Dimension.PURPOSE: str(purpose or ""),
                Dimension.CONSENT: each.consent_reference,
            }
            writer.write((*(said[dimension] for dimension in by), each.requests, each.subjects))
