"""What a list says of the inquiries in an entry: the server's word, bounded. Opening the entry shows what it commits to."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.client.exceptions import AnswerMalformed
from tallystick.credit.enums import Purpose
from tallystick.v1 import audit_service_pb2


@dataclass(frozen=True, slots=True)
class StatedInquiries:
    """Why, and with whose consent, an entry asked, summed up over its subjects."""

    subjects: int
    hidden: int
    """For how many of the subjects purpose and consent cannot be told: they were erased, or the request was not kept."""
    purposes: tuple[Purpose | int, ...]
    """The distinct purposes, the first of them where there are many. A bare number is not on the list: that request was refused."""
    purposes_in_all: int
    consent_references: tuple[str, ...]
    """The distinct consents, the first of them where there are many."""
    consents_in_all: int

    @property
    def only(self) -> tuple[Purpose | int, str] | None:
        """Purpose and consent, where the entry asked about one subject and both are shown; no consent is an empty one."""
        if self.subjects != 1 or self.hidden or len(self.purposes) != 1 or len(self.consent_references) != self.consents_in_all:
            return None
        return self.purposes[0], "".join(self.consent_references)


def read_stated(message: audit_service_pb2.StatedInquiries) -> StatedInquiries:
    """Reads what a list says; raises AnswerMalformed when it shows more than it counts."""
    stated = StatedInquiries(
        message.subject_count,
        message.hidden_count,
        tuple(purpose_of(each) for each in message.purposes),
        message.purpose_count,
        tuple(message.consent_references),
        message.consent_count,
    )
    shown = (stated.hidden, len(stated.purposes), len(stated.consent_references))
    if any(few > many for few, many in zip(shown, (stated.subjects, stated.purposes_in_all, stated.consents_in_all), strict=True)):
        raise AnswerMalformed("a list shows more of an entry's inquiries than it counts")
    return stated


def purpose_of(number: int) -> Purpose | int:
    """The purpose of a code; a code of no purpose as it is."""
    try:
        return Purpose(number)
    except ValueError:
        return number
