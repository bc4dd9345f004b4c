"""The auditor's part: who asked about one subject, whether the log is what was signed, and what was changed in it."""

from __future__ import annotations

import re
from pathlib import Path

from examples.artificial_ids import artificial_id, spaced
from examples.banks import PURPOSE, Applicant, Screened
from examples.commands import Commands
from examples.screen import Screen, must
from examples.servers import AUDITOR, BANK_A, BANK_C, EXCHANGE, configuration, profile
from examples.tampering import exchange_database, replaced
from tallystick.credit.codes import describe_purpose

_RESIDENT_ID = ("--type", "10", "--number", "-")
"""The number itself comes by standard input: a shell keeps its history."""
_RECEIPT = re.compile(r"the exchange's receipt was verified: entry ([0-9]+) of")
_DIFFERENCE = re.compile(r"entr(?:y|ies) [0-9].*: .*")
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
        listed = self._run("list", *_RESIDENT_ID, given=artificial_id(applicant.serial))
        purpose = describe_purpose(PURPOSE)
        self._must_list(listed, screened.entry_index, BANK_C.member_id, purpose, applicant.consent_reference)
        self._must_list(listed, looked_again, BANK_C.member_id, purpose, f"{applicant.consent_reference}-again")
        must("SubmitReports" in listed, "the list does not hold the report of the applicant's own bank")
        self._screen.proved("both queries of bank C, their purpose and the consent behind each; and the report before them")
        opened = self._run("show", str(looked_again))
        must(f"{applicant.consent_reference}-again" in opened, f"entry {looked_again} does not open to the consent given")
        self._screen.proved("what bank C signed is what the log has committed to since, and nobody else can open it")

    def verify(self) -> None:
        """Verifies the log."""
        shown = self._run("verify")
        must("VERIFIED" in shown.splitlines(), "the log is not verified")
        self._screen.proved("the root recomputed from all entries is the one that the exchange has signed")

    def catch(self, index: int) -> None:
        """Changes one byte of an entry in the database, verifies, restores the byte, and verifies again."""
        old, new = BANK_C.member_id.encode(), BANK_A.member_id.encode()
        with exchange_database(self._commands.folder / Path(configuration(EXCHANGE))) as database:
            with replaced(database, index, old, new) as place:
                self._screen.say(
                    f"UPDATE audit_entry: byte {place} of entry {index} is another now, "
                    f"and the entry says that {new.decode()} asked, not {old.decode()}."
                )
                shown = self._run("verify", expected=DIFFERENT)
            named = [line for line in shown.splitlines() if _DIFFERENCE.fullmatch(line)]
            must(named == [f"entry {index}: changed"], f"verification names {named}, not entry {index} alone")
            self._screen.proved(f"verification names entry {index}, and no other")
            self._screen.say("The byte is put back.")
        self.verify()

    def _run(self, *arguments: str, given: str = "", expected: int = 0) -> str:
        return self._commands.run("tallystick", "--profile", profile(AUDITOR), "audit", *arguments, given=given, expected=expected)

    def _must_list(self, listed: str, index: int, *cells: str) -> None:
        rows = [line.split() for line in listed.splitlines()]
        found = [" ".join(row) for row in rows if str(index) in row]
        must(
            len(found) == 1 and all(cell in found[0] for cell in cells), f"the list does not show entry {index} as it was: {found}"
        )
