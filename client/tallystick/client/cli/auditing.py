"""Commands of an auditor, and of a member that holds the exchange to its receipts: show, verify; and what all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command, read_receipts
from tallystick.client.cli.groups import Commands
from tallystick.client.exceptions import FileInvalid, NotAllowed
from tallystick.client.flows.auditing import OpenedEntry
from tallystick.client.flows.differences import Difference
from tallystick.client.flows.signatures import SignatureState
from tallystick.client.flows.verification import LogReport
from tallystick.client.profile.servers import Server
from tallystick.credit.codes import describe_purpose
from tallystick.credit.enums import Purpose

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
NEW_FILE = click.Path(path_type=Path, dir_okay=False, readable=False)
_DIFFERENCES_SHOWN = 100

authority_option = click.option("--authority", is_flag=True, help="The token authority's log, not the exchange's.")


@click.group(cls=Commands)
def audit() -> None:
    """Reads the log, opens its entries, and verifies that nothing in it was changed."""


@audit.command()
@click.argument("index", type=click.IntRange(0))
@authority_option
@command
def show(tool: Tool, index: int, authority: bool) -> int:
    """Shows entry INDEX with its details opened, once they were found to be what the log commits to."""
    with tool.exchange() as exchange:
        opened = exchange.audit_show(index, server=server_of(authority))
    if tool.as_json:
        # Its fields keep tokens out of logs and traces; a caller who asks for the entry asks for them.
        subjects = [{**output.plain(each), "token": each.element} for each in opened.subjects]
        missing = opened.is_missing(datetime.now(UTC))
        output.write_json({**output.plain(opened), "subjects": subjects, "missing": missing})
        return 1 if missing or opened.signature_check.state is SignatureState.FALSE else 0
    return _print_opened(tool, opened)


@audit.command()
@click.option("--receipts", type=_FILE, help="Also check that the log keeps what these receipts promise.")
@click.option("--no-entries", is_flag=True, help="Do not read the entries; needs no auditor's role.")
@authority_option
@command
def verify(tool: Tool, receipts: Path | None, no_entries: bool, authority: bool) -> int:
    """Verifies the log against its signed checkpoint, and names every entry that was changed."""
    kept = list(read_receipts(receipts)) if receipts else []
    if receipts and not kept:
        raise FileInvalid(f"{receipts}: holds no receipt")
    with tool.exchange() as exchange:
        try:
            report = exchange.audit_verify(kept, read_entries=not no_entries, server=server_of(authority))
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


def server_of(authority: bool) -> Server:
    """Whose log is read."""
    return Server.TOKEN_AUTHORITY if authority else Server.EXCHANGE


def why(purpose: Purpose | int) -> str:
    """The purpose in words; a refused request may have stated one that does not exist."""
    if not isinstance(purpose, Purpose):
        return f"{purpose} (none of the list)"
    return describe_purpose(purpose) if purpose else ""


def differences_shown(found: Sequence[Difference]) -> list[str]:
    """A line each; a list that is cut says so."""
    lines = [str(difference) for difference in found[:_DIFFERENCES_SHOWN]]
    more = len(found) - _DIFFERENCES_SHOWN
    return [*lines, f"… and {more} more (--json lists all)"] if more > 0 else lines


def shortened(items: Sequence[str]) -> str:
    """The items; a list that is cut says so."""
    more = len(items) - _DIFFERENCES_SHOWN
    shown = ", ".join(items[:_DIFFERENCES_SHOWN])
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
                why(subject.purpose),
                subject.consent_reference,
            )
            for subject in opened.subjects
        ]
        tool.results.print(output.table("Subjects", ("token", "purpose", "consent"), subjects))
    return _print_verdict(tool, opened)


def _print_verdict(tool: Tool, opened: OpenedEntry) -> int:
    entry, check = opened.entry, opened.signature_check
    lines = ["VERIFIED: the signed log has this entry, and the details open its commitment"]
    if check.state is SignatureState.FALSE:
        lines.append(f"FALSE SIGNATURE: the member did not sign this request as the entry says: {check.detail}; tell the auditor")
    elif check.state is SignatureState.VERIFIED:
        lines.insert(0, f"signature: verified with key {entry.keyid.hex()} of {entry.member_id}")
    else:
        lines.insert(0, f"signature: {check}")
    for line in lines:
        tool.results.print(line, markup=False, soft_wrap=True)
    return 1 if check.state is SignatureState.FALSE else 0


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
        lines.append(f"{report.receipts_included} {'receipt' if report.receipts_included == 1 else 'receipts'} kept")
    for line in lines:
        tool.results.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in differences_shown(report.differences):
        tool.results.print(line, markup=False)
    if not report.verified:
        tool.results.print("what was signed, to be kept as evidence:\n" + report.note.rstrip(), markup=False, soft_wrap=True)
    verdict = "VERIFIED" if report.verified else "DIFFERENT: the log is not what was signed; tell the auditor"
    tool.results.print(verdict, markup=False)
