"""Commands of an auditor, and of a member that holds the exchange to its receipts: list, show, verify."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command, read_receipts
from tallystick.client.cli.parameters import identity_of, identity_options, moment, read_as
from tallystick.client.exceptions import FileInvalid, NotAllowed
from tallystick.client.files import cells
from tallystick.client.flows.auditing import AuditEntry, EntryFilter, OpenedEntry
from tallystick.client.flows.completeness import CompleteList
from tallystick.client.flows.differences import Difference
from tallystick.client.flows.verification import LogReport
from tallystick.client.profile.servers import Server
from tallystick.credit.codes import describe_purpose
from tallystick.credit.enums import Purpose

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_DIFFERENCES_SHOWN = 100
_COLUMNS = ("entry", "at", "member", "method", "outcome", "purpose", "consent")

_authority_option = click.option("--authority", is_flag=True, help="The token authority's log, not the exchange's.")


@click.group()
def audit() -> None:
    """Reads the log, opens its entries, and verifies that nothing in it was changed."""


@audit.command(name="list")
@identity_options(required=False)
@click.option("--token", help="Whose entries, by the subject's token in hexadecimal instead of an identity document.")
@click.option("--member", default="", help="Entries of this member.")
@click.option("--purpose", callback=read_as(cells.code(Purpose)), help="Queries with this purpose; needs a subject.")
@click.option("--refused/--carried-out", default=None, help="Only refused requests, or only those carried out.")
@click.option("--from", "start", callback=read_as(moment), help="At or after this day or instant; in local time without a zone.")
@click.option("--to", "end", callback=read_as(moment), help="Before this day or instant.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many to list.")
@click.option("--complete", is_flag=True, help="Read the log itself, and name what the server's list leaves out; auditors only.")
@_authority_option
@command
def list_entries(
    tool: Tool,
    kind: str,
    type_: str | None,
    country: str,
    number: str | None,
    token: str | None,
    member: str,
    purpose: Purpose | None,
    refused: bool | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    complete: bool,
    authority: bool,
) -> int:
    """Lists entries, newest first: all for an auditor; for another member its own, and those about members and their keys.

    This reading is logged too. What is listed comes from an index, which a server could cut. With --complete the whole log is read,
    and with a subject each entry of the period is opened, which is an entry each: give a period by --from and --to.
    """
    wanted = EntryFilter(
        identity=identity_of(kind, type_, country, number),
        element=_element(token),
        member_id=member,
        purpose=purpose or Purpose.UNSPECIFIED,
        refused=refused,
        start=start,
        end=end,
    )
    if complete:
        with tool.exchange() as exchange:
            return _print_complete(tool, exchange.audit_list_complete(wanted, server=_server(authority)))
    with tool.exchange() as exchange:
        listed, more = output.first(exchange.audit_list(wanted, server=_server(authority)), limit)
    if tool.as_json:
        for entry in listed:
            output.write_json(entry)
    else:
        tool.results.print(output.table("Entries", _COLUMNS, map(_row, listed)))
        tool.results.print("from the server's index, which it could cut: --complete reads the log itself", soft_wrap=True)
    tool.end_list(more=more)
    return 0


@audit.command()
@click.argument("index", type=click.IntRange(0))
@_authority_option
@command
def show(tool: Tool, index: int, authority: bool) -> int:
    """Shows entry INDEX with its details opened, once they were found to be what the log commits to."""
    with tool.exchange() as exchange:
        opened = exchange.audit_show(index, server=_server(authority))
    if tool.as_json:
        # Its fields keep tokens out of logs and traces; a caller who asks for the entry asks for them.
        subjects = [{**output.plain(each), "token": each.element} for each in opened.subjects]
        missing = opened.is_missing(datetime.now(UTC))
        output.write_json({**output.plain(opened), "subjects": subjects, "missing": missing})
        return 1 if missing else 0
    return _print_opened(tool, opened)


@audit.command()
@click.option("--receipts", type=_FILE, help="Also check that the log keeps what these receipts promise.")
@click.option("--no-entries", is_flag=True, help="Do not read the entries; needs no auditor's role.")
@_authority_option
@command
def verify(tool: Tool, receipts: Path | None, no_entries: bool, authority: bool) -> int:
    """Verifies the log against its signed checkpoint, and names every entry that was changed."""
    kept = list(read_receipts(receipts)) if receipts else []
    with tool.exchange() as exchange:
        try:
            report = exchange.audit_verify(kept, read_entries=not no_entries, server=_server(authority))
        except NotAllowed as error:
            if error.reason == "ROLE_MISSING":
                error.add_note("with --no-entries everything else is verified: that needs no role")
            raise
        except FileInvalid as error:
            raise FileInvalid(f"{receipts}: {error}") from None
    if tool.as_json:
        output.write_json({"verified": report.verified, **output.plain(report)})
    else:
        _print_report(tool, report, with_receipts=receipts is not None)
    return 0 if report.verified else 1


def _server(authority: bool) -> Server:
    return Server.TOKEN_AUTHORITY if authority else Server.EXCHANGE


def _element(token: str | None) -> bytes:
    try:
        element = bytes.fromhex(token or "")
    except ValueError:
        element = b"?"
    if len(element) not in (0, 32):
        raise click.BadParameter("must be 64 hexadecimal characters", param_hint="--token")
    return element


def _why(purpose: Purpose | int) -> str:
    """The purpose in words; a refused request may have stated one that does not exist."""
    if not isinstance(purpose, Purpose):
        return f"{purpose} (none of the list)"
    return describe_purpose(purpose) if purpose else ""


def _row(entry: AuditEntry) -> tuple[object, ...]:
    return (
        entry.index,
        entry.create_time.isoformat(timespec="seconds"),
        entry.member_id,
        entry.method.rpartition("/")[2],
        "refused" if entry.refused else "ok",
        _why(entry.purpose),
        entry.consent_reference,
    )


def _print_complete(tool: Tool, found: CompleteList) -> int:
    if tool.as_json:
        output.write_json({"complete": found.complete, **output.plain(found)})
        return 0 if found.complete else 1
    left_out = set(found.left_out)
    rows = [(*_row(entry), "LEFT OUT" if entry in left_out else "yes") for entry in found.entries]
    tool.results.print(output.table("Entries of the log itself", (*_COLUMNS, "in the server's list"), rows))
    if found.invented:
        tool.results.print(output.table("In the server's list, and not so in the log", _COLUMNS, map(_row, found.invented)))
    lines = [f"{found.checkpoint.origin}: {found.checkpoint.size} entries, root {found.checkpoint.root.hex()}"]
    lines += _differences(found.differences)
    lines.append(f"{found.opened} entries of the period opened")
    for entries, what in (
        (
            found.missing,
            "whose evidence is MISSING, though the server says that it still keeps it: whom they are about nobody can tell",
        ),
        (found.unopened, "whose evidence was dropped after the retention period: whom they are about nobody can tell"),
        (found.hidden, "with subjects that were erased or never kept: whom those are nobody can tell"),
    ):
        if entries:
            lines.append(f"{len(entries)} entries {what}: {_indices(entries)}")
    if not found.complete:
        lines.append("what was signed, to be kept as evidence:\n" + found.note.rstrip())
    wrong = "INCOMPLETE: the server's list is not that of the log; tell the auditor"
    lines.append("COMPLETE: the server's list leaves out nothing that the log shows" if found.complete else wrong)
    for line in lines:
        tool.results.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0 if found.complete else 1


def _differences(found: Sequence[Difference]) -> list[str]:
    """A line each; a list that is cut says so."""
    lines = [str(difference) for difference in found[:_DIFFERENCES_SHOWN]]
    more = len(found) - _DIFFERENCES_SHOWN
    return [*lines, f"… and {more} more (--json lists all)"] if more > 0 else lines


def _indices(entries: Sequence[AuditEntry]) -> str:
    shown = ", ".join(str(entry.index) for entry in entries[:_DIFFERENCES_SHOWN])
    more = len(entries) - _DIFFERENCES_SHOWN
    return f"{shown} and {more} more (--json lists all)" if more > 0 else shown


def _print_opened(tool: Tool, opened: OpenedEntry) -> int:
    entry = opened.entry
    rows: list[tuple[str, object]] = [
        ("entry", entry.index),
        ("at", entry.create_time.isoformat()),
        ("member", entry.member_id),
        ("signing key", entry.keyid.hex()),
        ("method", entry.method),
        ("outcome", f"refused: {opened.reason}" if entry.refused else "ok"),
        ("leaf hash", entry.leaf_hash.hex()),
    ]
    if opened.disclosed:
        rows += [
            ("request digest", opened.request_digest.hex() or "erased"),
            ("answer digest", opened.answer_digest.hex() or "erased"),
            ("signature", opened.signature.hex() or "erased"),
            ("signed as", opened.signature_params or "erased"),
        ]
    tool.results.print(output.fields(rows), soft_wrap=True)
    if not opened.disclosed:
        kept = f"the server says that it keeps evidence for {opened.evidence_months} months beside the running one"
        if opened.is_missing(datetime.now(UTC)):
            age = (datetime.now(UTC) - entry.create_time).days
            tool.results.print(f"MISSING: its evidence is gone after {age} days, and {kept}; tell the auditor", soft_wrap=True)
            return 1
        tool.results.print(f"Its evidence was dropped after the retention period: {kept}.", soft_wrap=True)
        return 0
    if not opened.request_kept:
        tool.results.print("The request was not kept: its caller was not admitted, or it could not be read.")
    if opened.subjects:
        subjects = [
            ("erased" if opened.request_kept else "not kept", "", "")
            if subject.erased
            else (
                subject.element.hex(),
                _why(subject.purpose),
                subject.consent_reference,
            )
            for subject in opened.subjects
        ]
        tool.results.print(output.table("Subjects", ("token", "purpose", "consent"), subjects))
    tool.results.print("VERIFIED: the signed log has this entry, and the details open its commitment", soft_wrap=True)
    return 0


def _print_report(tool: Tool, report: LogReport, *, with_receipts: bool) -> None:
    checkpoint = report.checkpoint
    lines = [f"{checkpoint.origin}: {checkpoint.size} entries, root {checkpoint.root.hex()}"]
    if report.previous is not None and report.previous.size <= checkpoint.size:
        lines.append(f"compared with the last checkpoint verified, of {report.previous.size} entries")
    if report.entries_read is not None:
        lines.append(f"{report.entries_read} entries read and hashed")
        held = "every entry held against the keys and roles that the log itself gave"
        lines.append(held if report.authority_replayed else "keys and roles could not be replayed from the log")
    if with_receipts:
        lines.append(f"{report.receipts_included} receipts kept")
    for line in lines:
        tool.results.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in _differences(report.differences):
        tool.results.print(line, markup=False)
    if not report.verified:
        tool.results.print("what was signed, to be kept as evidence:\n" + report.note.rstrip(), markup=False, soft_wrap=True)
    verdict = "VERIFIED" if report.verified else "DIFFERENT: the log is not what was signed; tell the auditor"
    tool.results.print(verdict, markup=False)
