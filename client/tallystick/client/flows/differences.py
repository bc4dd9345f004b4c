"""What a verification finds wrong with a log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DifferenceKind(StrEnum):
    """In what way a log is not what was signed."""

    CHANGED = "changed"
    """The entry's bytes are not those that the signed root commits to."""
    MISSING = "missing"
    """The export left the entries out."""
    DUPLICATED = "duplicated"
    """The export gave the entry more than once, or out of order."""
    MALFORMED = "malformed"
    """The entry cannot be read as an AuditEntry of a known format, or its time goes backwards."""
    UNPROVABLE = "unprovable"
    """Something among the entries was changed, and the server cannot prove which."""
    CONTRADICTED = "does not fit its own evidence"
    """It is among entries of which something was changed, and the request in its evidence is another than it says: it is the one,
    or one of them."""
    WITHHELD = "withheld"
    """The server signed a log that has these entries, and refuses to give them, or to prove that they are in it."""
    UNAUTHORISED = "not authorised"
    """The log holds no entry that had given the member this key, or the role for what was carried out; or it holds one that had
    taken them away. Somebody changed the registry of members behind the log's back."""
    REWRITTEN = "rewritten"
    """The log does not continue the last checkpoint that was verified: something before it was changed or taken away."""
    NOT_INCLUDED = "not included"
    """A receipt promised another entry at this index than the log has."""
    ROLLED_BACK = "rolled back"
    """A receipt promised an entry at this index, and the log that was signed since does not reach it: its end was taken away."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is wrong with the entries [begin, end)."""

    kind: DifferenceKind
    begin: int
    end: int

    def __str__(self) -> str:
        entries = f"entry {self.begin}" if self.end == self.begin + 1 else f"entries {self.begin} to {self.end - 1}"
        return f"{entries}: {self.kind.value}"
