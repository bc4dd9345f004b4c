"""The command `audit list`: entries as the server lists them or, with --complete, as the log itself has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.auditing import NEW_FILE, authority_option, differences_shown, server_of, shortened, why
from tallystick.client.cli.context import Tool, command
from tallystick.client.cli.meanings import epilog, identity_types, purposes
from tallystick.client.cli.parameters import identity_of, identity_options, moment, read_as
from tallystick.client.files import cells
from tallystick.client.files.tables import TableWriter
from tallystick.client.flows.auditing import AuditEntry, EntryFilter
from tallystick.client.flows.completeness import CompleteList
from tallystick.client.flows.stated import StatedInquiries
from tallystick.contract.methods import BATCH_QUERY_CREDIT_HISTORIES, QUERY_CREDIT_HISTORY
from tallystick.credit.enums import Purpose

_LIMIT = 100
_COLUMNS = ("entry", "at", "member", "method", "outcome", "purpose", "consent")
_FILE_COLUMNS = (
    *("entry", "at", "member", "signing_key", "method", "outcome", "leaf_hash", "subjects"),
    *("purposes", "purposes_in_all", "consents", "consents_in_all", "subjects_not_shown"),
)
_NUMBERS = ("entry", "subjects", "purposes_in_all", "consents_in_all", "subjects_not_shown")
_INDEX = "from the server's index, which it could cut: --complete reads the log itself"
_NOT_SHOWN = "(not shown)"
_INQUIRIES = frozenset({QUERY_CREDIT_HISTORY.path, BATCH_QUERY_CREDIT_HISTORIES.path})


@click.command(name="list", epilog=epilog(purposes(), identity_types()))
@identity_options(required=False)
@click.option("--token", help="Whose entries, by the subject's token in hexadecimal instead of an identity document.")
@click.option("--member", default="", help="Entries of this member.")
@click.option(
    "--purpose",
    callback=read_as(cells.code(Purpose)),
    help="Queries with this purpose; needs a subject or --consent.",
)
@click.option("--consent", default="", help="Queries under this consent reference; auditors only.")
@click.option("--refused/--carried-out", default=None, help="Only refused requests, or only those carried out.")
@click.option("--from", "start", callback=read_as(moment), help="At or after this day or instant; in local time without a zone.")
@click.option("--to", "end", callback=read_as(moment), help="Before this day or instant.")
@click.option("--limit", type=click.IntRange(1), help=f"How many to list. [default: {_LIMIT}; with --out or --complete all]")
@click.option("--out", type=NEW_FILE, help="Write the entries here (CSV or Parquet), with all that is known of each.")
@click.option("--complete", is_flag=True, help="Read the log itself, and name what the server's list leaves out; auditors only.")
@authority_option
@command
def list_entries(
    tool: Tool,
    kind: str,
    type_: str | None,
    country: str | None,
    number: str | None,
    token: str | None,
    member: str,
    purpose: Purpose | None,
    consent: str,
    refused: bool | None,
    start: datetime | None,
    end: datetime | None,
    limit: int | None,
    out: Path | None,
    complete: bool,
    authority: bool,
) -> int:
    """Lists entries, newest first: all for an auditor; for another member its own, and those about members and their keys.

    This reading is logged too. What is listed comes from an index, which a server could cut. With --complete the whole log is read,
    and with a subject or a consent each entry of the period is opened, which is an entry each: give a period by --from and --to.
    """
    _refuse_subject_at_authority(authority, number, token)
    wanted = EntryFilter(
        identity=identity_of(kind, type_, country, number),
        element=_element(token),
        member_id=member,
        purpose=purpose or Purpose.UNSPECIFIED,
        consent_reference=consent,
        refused=refused,
        start=start,
        end=end,
    )
    with tool.beside(out), tool.exchange() as exchange:
        if complete:
            if limit is not None:
                raise click.UsageError("--complete lists all: leave --limit out")
            return _print_complete(tool, exchange.audit_list_complete(wanted, server=server_of(authority)), out)
        listed = exchange.audit_list(wanted, server=server_of(authority))
        if out is not None:
            return _write(tool, out, listed, limit)
        entries, more = output.first(listed, limit or _LIMIT)
    _print_list(tool, entries, more=more)
    return 0


def _print_list(tool: Tool, entries: Sequence[AuditEntry], *, more: bool) -> None:
    if tool.as_json:
        for entry in entries:
            output.write_json(entry)
    else:
        _print_entries(tool, "Entries", entries)
        tool.results.print(_INDEX, soft_wrap=True)
    tool.end_list(more=more)


def _refuse_subject_at_authority(authority: bool, number: str | None, token: str | None) -> None:
    """An empty list would read as "nobody asked"."""
    if authority and (number is not None or token is not None):
        raise click.UsageError("--authority: the token authority never learns whom its tokens are of: list by --member there")


def _element(token: str | None) -> bytes:
    try:
        element = bytes.fromhex(token or "")
    except ValueError:
        element = b"?"
    if len(element) not in (0, 32):
        raise click.BadParameter("must be 64 hexadecimal characters", param_hint="--token")
    return element


# --- On the screen ---------------------------------------------------------------------------------------------------------------


def _print_entries(tool: Tool, title: str, entries: Sequence[AuditEntry]) -> None:
    rows = [_row(entry) for entry in entries]
    tool.results.print(output.table(title, _COLUMNS, rows))
    _explain(tool, rows)


def _explain(tool: Tool, rows: Iterable[Sequence[object]]) -> None:
    if any(_NOT_SHOWN in row for row in rows):
        text = f"{_NOT_SHOWN}: the server does not open what these entries asked for; audit show says why"
        tool.results.print(text, markup=False, soft_wrap=True)


def _row(entry: AuditEntry) -> tuple[object, ...]:
    return (
        entry.index,
        entry.create_time.isoformat(timespec="seconds"),
        entry.member_id,
        entry.method.rpartition("/")[2],
        "refused" if entry.refused else "ok",
        *_asked(entry),
    )


def _asked(entry: AuditEntry) -> tuple[str, str]:
    """Purpose and consent in words. What the list does not say is not shown as if there were none."""
    if entry.purpose is not None and entry.consent_reference is not None:
        return why(entry.purpose), entry.consent_reference
    if entry.inquiries is not None:
        return _summary(entry.inquiries)
    return (_NOT_SHOWN, _NOT_SHOWN) if entry.method in _INQUIRIES else ("-", "-")


def _summary(stated: StatedInquiries) -> tuple[str, str]:
    if stated.hidden == stated.subjects:
        return _NOT_SHOWN, _NOT_SHOWN
    purposes = _some([why(each) for each in stated.purposes], stated.purposes_in_all)
    consents = _some(stated.consent_references, stated.consents_in_all)
    hidden = f"; {stated.hidden} erased or not kept" if stated.hidden else ""
    return purposes, f"{consents} ({stated.subjects} subjects{hidden})" if stated.subjects > 1 else consents


def _some(shown: Sequence[str], in_all: int) -> str:
    more = in_all - len(shown)
    return ", ".join([*shown, f"{more} more"] if more else shown)


def _print_complete(tool: Tool, found: CompleteList, out: Path | None) -> int:
    if out is not None:
        _write_complete(tool, out, found)
    elif tool.as_json:
        output.write_json({"complete": found.complete, **output.plain(found)})
        return 0 if found.complete else 1
    else:
        left_out = set(found.left_out)
        rows = [(*_row(entry), "LEFT OUT" if entry in left_out else "yes") for entry in found.entries]
        tool.results.print(output.table("Entries of the log itself", (*_COLUMNS, "in the server's list"), rows))
        _explain(tool, rows)
        if found.invented:
            _print_entries(tool, "In the server's list, and not so in the log", found.invented)
    for line in _verdict(found):
        tool.results.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0 if found.complete else 1


def _verdict(found: CompleteList) -> list[str]:
    lines = [f"{found.checkpoint.origin}: {found.checkpoint.size} entries, root {found.checkpoint.root.hex()}"]
    lines += differences_shown(found.differences)
    lines.append(f"{found.opened} entries of the period opened")
    if any(entry.inquiries is not None for entry in found.entries):
        lines.append("purposes and consents are those of the server's list: audit show opens the entry")
    for entries, what in (
        (
            found.missing,
            "whose evidence is MISSING, though the server says that it still keeps it: whom they are about nobody can tell",
        ),
        (found.unopened, "whose evidence was dropped after the retention period: whom they are about nobody can tell"),
        (found.hidden, "with subjects that were erased or never kept: whom those are nobody can tell"),
    ):
        if entries:
            lines.append(f"{len(entries)} entries {what}: {shortened([str(entry.index) for entry in entries])}")
    if not found.complete:
        lines.append("what was signed, to be kept as evidence:\n" + found.note.rstrip())
    wrong = "INCOMPLETE: the server's list is not that of the log; tell the auditor"
    lines.append("COMPLETE: the server's list leaves out nothing that the log shows" if found.complete else wrong)
    return lines


# --- In a file -------------------------------------------------------------------------------------------------------------------


def _write(tool: Tool, out: Path, entries: Iterable[AuditEntry], limit: int | None) -> int:
    count, more = 0, False
    with TableWriter(out, _FILE_COLUMNS, _NUMBERS) as writer, output.progress(tool.remarks, "entries written") as shown:
        for entry in entries:
            if count == limit:
                more = True
                break
            writer.write(_cells(entry))
            count += 1
            shown.add()
    if tool.as_json:
        output.write_json({"entries": count, "more": more})
    else:
        tool.results.print(f"{count} entries written to {out}\n{_INDEX}", markup=False, soft_wrap=True)
    tool.end_list(more=more)
    return 0


def _write_complete(tool: Tool, out: Path, found: CompleteList) -> None:
    left_out = set(found.left_out)
    with TableWriter(out, (*_FILE_COLUMNS, "in_list", "in_log"), _NUMBERS) as writer:
        for entry in found.entries:
            writer.write((*_cells(entry), "no" if entry in left_out else "yes", "yes"))
        for entry in found.invented:
            writer.write((*_cells(entry), "yes", "no"))
    text = f"{len(found.entries) + len(found.invented)} entries written to {out}"
    tool.results.print(text, markup=False, soft_wrap=True)


def _cells(entry: AuditEntry) -> tuple[str | int | None, ...]:
    """A row of the file. Lists are separated by spaces, which no good reference holds; an empty number is one that is not known."""
    return (
        entry.index,
        entry.create_time.isoformat(),
        entry.member_id,
        entry.keyid.hex(),
        entry.method,
        "refused" if entry.refused else "ok",
        entry.leaf_hash.hex(),
        *_asked_cells(entry),
    )


def _asked_cells(entry: AuditEntry) -> tuple[str | int | None, ...]:
    stated = entry.inquiries
    if stated is not None:
        purposes, consents = " ".join(map(_name, stated.purposes)), " ".join(stated.consent_references)
        return stated.subjects, purposes, stated.purposes_in_all, consents, stated.consents_in_all, stated.hidden
    if entry.purpose is None or entry.consent_reference is None:
        return None, "", None, "", None, None
    purpose, consent = _name(entry.purpose) if entry.purpose else "", entry.consent_reference
    return None, purpose, int(bool(purpose)), consent, int(bool(consent)), 0


def _name(purpose: Purpose | int) -> str:
    return purpose.name.lower() if isinstance(purpose, Purpose) else str(purpose)
