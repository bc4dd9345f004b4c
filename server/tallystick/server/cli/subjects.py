"""`tallystickd subject`: erases what an exchange has stored about one subject."""

from __future__ import annotations

import sys

import click

from tallystick.crypto import CryptoError, check_element, oprf
from tallystick.server.cli.groups import Commands
from tallystick.server.cli.session import Session, json_option, new_request_id, open_session, print_json, takes_settings
from tallystick.server.errors import Problem
from tallystick.server.installation.settings import Settings
from tallystick.v1 import audit_service_pb2 as pb
from tallystick.v1.subject_pb2 import SubjectToken

AUDIT_SERVICE = "/tallystick.v1.AuditService/"


@click.group("subject", cls=Commands)
def subject_commands() -> None:
    """Erases what is stored about a subject. It is signed by the operator's key and logged, without saying whom."""


@subject_commands.command("erase")
@takes_settings
@click.option("--keep-accounts", is_flag=True, help="Leave the accounts that members reported; erase the log's details alone.")
@click.option("--yes", is_flag=True, help="Yes, erase it: what is erased cannot be brought back.")
@json_option
def erase(settings: Settings, *, keep_accounts: bool, yes: bool, as_json: bool) -> None:
    """Erases one subject, whose token (64 hexadecimal characters) is read from standard input.

    The log's entries and proofs stay valid; who the entries were about can no longer be told. An auditor finds the token with
    tallystick audit show. It is not an argument, so that it stays out of the shell's history and of the list of processes.
    """
    if not yes:
        raise click.UsageError("what is erased cannot be brought back: say --yes")
    subject = _read_subject(settings, sys.stdin.readline(200))
    with open_session(settings) as session:
        total = _erase(session, subject, keep_accounts=keep_accounts)
    if as_json:
        print_json(total)
        return
    click.echo(f"erased from {total['entries_resealed']} entries; {total['accounts_deleted']} accounts deleted")
    if total["entries_without_evidence"]:
        click.echo(f"{total['entries_without_evidence']} older entries had no evidence left to erase")


def _erase(session: Session, subject: SubjectToken, *, keep_accounts: bool) -> dict[str, int]:
    """Asks until nothing is left: each call is one bounded transaction, and an interruption leaves whole ones behind."""
    total = {"entries_resealed": 0, "entries_without_evidence": 0, "accounts_deleted": 0}
    while True:
        request = pb.EraseSubjectRequest(request_id=new_request_id(), subject=subject, keep_accounts=keep_accounts)
        done = session.administer("EraseSubject", request, pb.EraseSubjectResponse, service=AUDIT_SERVICE)
        for name in total:
            total[name] += getattr(done, name)
        if done.complete:
            return total


def _read_subject(settings: Settings, text: str) -> SubjectToken:
    """The token under the key epoch in force; raises Problem, which does not repeat what was given."""
    if settings.role != "exchange":
        raise Problem("a token authority stores nothing about subjects: erase at the exchange")
    try:
        element = bytes.fromhex(text.strip())
        check_element(element)
    except (ValueError, CryptoError):
        raise Problem("standard input must hold the subject's token: 64 hexadecimal characters") from None
    return SubjectToken(element=element, epoch_id=oprf.epoch_id(settings.token_sequence, bytes.fromhex(settings.token_public_key)))
