"""Notice before bad information: who first reports that a person's account is overdue says on which day it told that person.

The law (征信业管理条例, Article 15) has the person told before. The exchange asks for the day of it, which stays in the signed
request and is shown to nobody else. An organisation need not be told, nor anybody of what is known already.
"""

from datetime import date
from enum import StrEnum
from typing import Final

from tallystick.contract.violations import Violation
from tallystick.credit.dates import ordinal_of_number
from tallystick.credit.enums import SubjectKind
from tallystick.credit.field_rules import day_violation
from tallystick.credit.merging import Merged
from tallystick.credit.overdue import has_overdue
from tallystick.v1.reporting_service_pb2 import AccountReport

MOST_DAYS: Final = 90
"""A notice that lies further back than this was about something else."""

FIELD: Final = "bad_record_notice_date"
_ORDINAL_OF_1970: Final = date(1970, 1, 1).toordinal()
_GIVE: Final = f"the day (UTC) on which the person was told that the overdue would be reported, 1 to {MOST_DAYS} days before as_of"


class NoticeRule(StrEnum):
    """What an exchange makes of a report that should say of a notice and does not."""

    OFF = "off"
    """Nothing."""
    WARN = "warn"
    """Takes it, and says so in its verdict."""
    REJECT = "reject"
    """Does not take it."""


def check_notice_date(report: AccountReport, prefix: str, found: list[Violation]) -> None:
    """The day of a notice, if one is given: 1 to MOST_DAYS days before as_of. A day in UTC, as as_of is taken."""
    number = report.bad_record_notice_date
    if not number:
        return
    ordinal = ordinal_of_number(number)
    if not ordinal:
        found.append(day_violation(f"{prefix}{FIELD}", number))
    elif not 1 <= _ORDINAL_OF_1970 + report.account.as_of.seconds // 86_400 - ordinal <= MOST_DAYS:
        found.append(Violation(f"{prefix}{FIELD}", "FIELD_OUT_OF_RANGE", f"give {_GIVE}, or leave it out"))


def is_refused(rule: NoticeRule, report: AccountReport, merged: Merged) -> bool:
    """Whether what merging a report makes of its account is not to be written, since the report lacks a notice."""
    return rule is NoticeRule.REJECT and _lacks_notice(report, merged)


def warnings_of(rule: NoticeRule, report: AccountReport, merged: Merged, position: int) -> list[Violation]:
    """What is to be said of a report that is taken, which is at this place of its batch."""
    return [notice_missing(position)] if rule is NoticeRule.WARN and _lacks_notice(report, merged) else []


def _lacks_notice(report: AccountReport, merged: Merged) -> bool:
    return merged.became_overdue and _says_nothing_of_a_person(report)


def may_lack_notice(report: AccountReport) -> bool:
    """Whether it may be such a report, by itself: what was known of its account before decides."""
    return has_overdue(report.account) and _says_nothing_of_a_person(report)


def _says_nothing_of_a_person(report: AccountReport) -> bool:
    return int(report.account.subject_kind) == SubjectKind.PERSON and not report.bad_record_notice_date


def notice_missing(position: int) -> Violation:
    """What is to be said of the report at this place of its batch."""
    text = f"is missing, and this is the first report that makes the account bad: give {_GIVE}"
    return Violation(f"reports[{position}].{FIELD}", "FIELD_REQUIRED", text)
