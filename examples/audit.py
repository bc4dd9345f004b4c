"""The auditor's part: who asked about one subject, whether the log is what was signed, and what was changed in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from examples.artificial_ids import artificial_id, spaced
from examples.banks import PURPOSE, Applicant, Screened
from examples.commands import Commands
from examples.market import bank_of
from examples.screen import Screen, must
from examples.servers import AUDITOR, BANK_A, BANK_C, EXCHANGE, configuration, profile
from examples.tampering import exchange_database, replaced

_RESIDENT_ID = ("--type", "10", "--number", "-")
"""The number itself comes by standard input: a shell keeps its history."""
_RECEIPT = re.compile(r"the exchange's receipt was verified: entry ([0-9]+) of")
DIFFERENT = 1
"""What `tallystick audit verify` exits with when the log is not what was signed."""


class Audit:
    """An auditor at work on one exchange."""

    def __init__(self, commands: Commands, screen: Screen) -> None:
        self._commands = commands
        self._screen = screen

    def look_again(self, applicant: Applicant) -> int:
        """Bank C's credit officer queries one applicant again, by hand; returns the entry that records it."""
        number = artificial_id(applicant.serial)
        self._screen.say(f"A credit officer of bank C looks at one referred applicant again: {spaced(number)}.")
        purpose = ("--purpose", PURPOSE.name.lower(), "--consent", f"{applicant.consent_reference}-again")
        shown = self._commands.run("tallystick", "--profile", profile(BANK_C), "query", *_RESIDENT_ID, *purpose, given=number)
        receipt = _RECEIPT.search(shown)
        must(receipt is not None, "the query shows no receipt")
        return int(receipt[1]) if receipt is not None else -1

    def who_asked(self, screened: Screened, looked_again: int) -> None:
        """Lists all entries about the applicant, and opens the last query."""
        applicant = screened.applicant
        again = f"{applicant.consent_reference}-again"
        listed = self._run("list", *_RESIDENT_ID, "--json", given=artificial_id(applicant.serial), shown=False)
        entries = [json.loads(line) for line in listed.splitlines()]
        self._show_entries(entries)
        found = {(each["index"], each["member_id"], each["purpose"], each["consent_reference"]) for each in entries}
        purpose = PURPOSE.name.lower()
        must((looked_again, BANK_C.member_id, purpose, again) in found, "the list lacks bank C's second query")
        first = (screened.entry_index, BANK_C.member_id, purpose, applicant.consent_reference)
        must(first in found, "the list lacks bank C's first query")
        own = {each["member_id"] for each in entries if each["method"].endswith("/SubmitReports")}
        must(own == {bank_of(applicant.serial).member_id}, "the list lacks the report of the applicant's own bank")
        self._screen.proved("both queries of bank C, their purpose and the consent behind each; and the report before them")
        self._open(looked_again, again)
        self._screen.proved("the details, bank C's signature among them, are those that the entry has committed to from the start")

    def _open(self, index: int, consent_reference: str) -> None:
        """Opens an entry; the command itself compares the details with what the log commits to, and fails otherwise."""
        opened = json.loads(self._run("show", str(index), "--json", shown=False))
        must(opened["disclosed"] is True and opened["entry"]["index"] == index, f"entry {index} does not open")
        (subject,) = opened["subjects"]
        must(subject["consent_reference"] == consent_reference, f"entry {index} does not open to the consent given")
        self._screen.table(
            f"Entry {index}, opened",
            ("", ""),
            [
                ("member, method", f"{opened['entry']['member_id']}, {opened['entry']['method']}"),
                ("purpose, consent", f"{subject['purpose'].replace('_', ' ')}, {subject['consent_reference']}"),
                ("commitment in the log", opened["entry"]["details_commitment"]),
                ("digest of the request", opened["request_digest"]),
                ("digest of the answer", opened["answer_digest"]),
                ("what the member signed", opened["signature_params"]),
                ("its signature", opened["signature"]),
            ],
        )

    def _show_entries(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self._screen.table(
            "Entries about this person",
            (">entry", "at (UTC)", "member", "method", "outcome", "purpose", "consent"),
            [
                (
                    str(each["index"]),
                    datetime.fromisoformat(each["create_time"]).strftime("%H:%M:%S"),
                    each["member_id"],
                    each["method"].rpartition("/")[2],
                    "refused" if each["refused"] else "ok",
                    "" if each["purpose"] == "unspecified" else each["purpose"].replace("_", " "),
                    each["consent_reference"],
                )
                for each in entries
            ],
        )

    def verify(self) -> None:
        """Verifies the log."""
        report = self._verify(expected=0)
        root = report["checkpoint"]["root"]
        must(report["verified"] is True and not report["differences"], f"the log differs: {report['differences']}")
        must(report["recomputed_root"] == root, "the root recomputed is not the one signed")
        must(report["entries_read"] == report["checkpoint"]["size"], "not all entries were read")
        self._screen.proved("the root recomputed from all entries is the one that the exchange has signed")

    def catch(self, index: int) -> None:
        """Changes one byte of an entry in the database, verifies, restores the byte, and verifies again."""
        old, new = BANK_C.member_id.encode(), BANK_A.member_id.encode()
        with exchange_database(self._commands.folder / configuration(EXCHANGE)) as database:
            with replaced(database, index, old, new) as place:
                self._screen.say(
                    f"UPDATE audit_entry: byte {place} of entry {index} is another now, "
                    f"and the entry says that {new.decode()} asked, not {old.decode()}."
                )
                report = self._verify(expected=DIFFERENT)
            named = [(each["kind"], each["begin"], each["end"]) for each in report["differences"]]
            must(named == [("changed", index, index + 1)], f"verification names {named}, not entry {index} alone")
            must(report["recomputed_root"] != report["checkpoint"]["root"], "the root did not change with the entry")
            self._screen.proved(f"verification names entry {index}, and no other")
            self._screen.say("The byte is put back.")
        self.verify()

    def _verify(self, expected: int) -> dict[str, Any]:
        shown = self._run("verify", "--json", expected=expected, shown=False)
        report: dict[str, Any] = json.loads(shown)
        checkpoint = report["checkpoint"]
        self._screen.table(
            f"{checkpoint['origin']}: {'verified' if report['verified'] else 'NOT what was signed'} (exit code {expected})",
            ("root", ">entries", "SHA-256, RFC 6962"),
            [
                ("signed by the exchange", str(checkpoint["size"]), checkpoint["root"]),
                ("recomputed from its entries", str(report["entries_read"]), report["recomputed_root"]),
            ],
        )
        for each in report["differences"]:
            begin, last = each["begin"], each["end"] - 1
            self._screen.say(f"{f'entry {begin}' if begin == last else f'entries {begin} to {last}'}: {each['kind']}")
        return report

    def _run(self, *arguments: str, given: str = "", expected: int = 0, shown: bool = True) -> str:
        command = ("tallystick", "--profile", profile(AUDITOR), "audit", *arguments)
        return self._commands.run(*command, given=given, expected=expected, shown=shown)
