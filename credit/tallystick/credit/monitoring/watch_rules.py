"""Rules for requests about watches and messages: what is wrong with each by itself, and on which grounds a watch stands."""

import datetime as dt
from collections.abc import Collection, Iterator
from typing import Final

from tallystick.contract.limits import MAX_PULL_SECONDS, MAX_SWEPT, MAX_WATCHES
from tallystick.contract.refusals import Refusal, refuse_violations
from tallystick.contract.request_fields import check_page_size
from tallystick.contract.violations import Violation
from tallystick.credit.dates import day_of_number, month_before, month_of_day, ordinal_of_number
from tallystick.credit.enums import Purpose, TriggerType, WatchState
from tallystick.credit.field_rules import MAX_VIOLATIONS_PER_REPORT, code_violation, day_violation, members
from tallystick.credit.living import LIVING_PURPOSES, REPORT_AGE
from tallystick.credit.monitoring.triggers import TRIGGERS
from tallystick.credit.validation import check_reference, check_subject, stated_violations
from tallystick.v1 import errors_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

WATCH_ID_LENGTH: Final = 16
MAX_CURSOR_LENGTH: Final = 128
LONGEST_WATCH: Final = 24
"""Months after which a watch must be renewed."""
DIGEST_MONTHS: Final = 2
"""How many months before the running one have a digest."""

_PURPOSES: Final = members(Purpose)
_TYPES: Final = members(TriggerType)
_STATES: Final = members(WatchState) | {0}


def checked_watches(message: pb.PutWatchesRequest, now: dt.datetime, *, epoch_id: bytes) -> Iterator[list[Violation]]:
    """What is wrong with each watch of a batch, one after the other. Raises Refusal for what is wrong with the batch."""
    if not message.watches:
        raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_REQUIRED, "watches", "give at least one")
    if len(message.watches) > MAX_WATCHES:
        raise Refusal.of_field(
            errors_pb2.ERROR_REASON_BATCH_TOO_LARGE, "watches", f"at most {MAX_WATCHES} at once; split the batch"
        )
    seen: set[tuple[bytes, bytes, bytes]] = set()
    for i, watch in enumerate(message.watches):
        where = f"watches[{i}]"
        found: list[Violation] = []
        check_subject(watch.HasField("subject"), watch.subject, f"{where}.subject", epoch_id, found)
        check_reference(watch.account_reference, f"{where}.account_reference", found)
        found += watch_faults(watch, now, f"{where}.")
        key = (watch.subject.element, watch.account_reference.secret_id, watch.account_reference.digest)
        if key in seen and not found:
            description = "this batch has a watch of the same account already; put one, with all its triggers"
            found.append(Violation(f"{where}.account_reference", "FIELDS_INCONSISTENT", description))
        seen.add(key)
        yield found[:MAX_VIOLATIONS_PER_REPORT]


def watch_faults(watch: pb.Watch, now: dt.datetime, prefix: str = "") -> list[Violation]:
    """What is wrong with a watch, but for the account that it is of. `now` carries a time zone."""
    found = stated_violations(watch.purpose, watch.consent_reference, prefix)
    if watch.purpose in _PURPOSES and watch.purpose not in LIVING_PURPOSES:
        description = "is none for a watch: give POST_LOAN_MANAGEMENT or POST_GUARANTEE_MANAGEMENT"
        found.append(Violation(f"{prefix}purpose", "FIELD_OUT_OF_RANGE", description))
    _check_triggers(watch, prefix, found)
    _check_end(watch.end_date, now.astimezone(dt.UTC).date(), f"{prefix}end_date", found)
    return found


def _check_triggers(watch: pb.Watch, prefix: str, found: list[Violation]) -> None:
    seen: set[int] = set()
    for j, trigger in enumerate(watch.triggers):
        field = f"{prefix}triggers[{j}]"
        if trigger.type not in _TYPES:
            found.append(code_violation(f"{field}.type", trigger.type))
            continue
        if trigger.type in seen:
            found.append(Violation(f"{field}.type", "FIELDS_INCONSISTENT", "is there already; give each type once"))
        seen.add(trigger.type)
        rule = TRIGGERS[TriggerType(trigger.type)]
        if trigger.threshold and not rule.lowest <= trigger.threshold <= rule.highest:
            description = f"must be {rule.lowest} to {rule.highest}, or 0 for {rule.default}"
            text = description if rule.has_threshold else "must be 0: this type has no threshold"
            found.append(Violation(f"{field}.threshold", "FIELD_OUT_OF_RANGE", text))


def _check_end(number: int, today: dt.date, field: str, found: list[Violation]) -> None:
    if not number:
        return
    ordinal = ordinal_of_number(number)
    if not ordinal:
        found.append(day_violation(field, number))
    elif not today.toordinal() <= ordinal <= _latest(today).toordinal():
        description = f"must lie between today (UTC) and {LONGEST_WATCH} months ahead, {_latest(today):%Y%m%d}; 0 is the latter"
        found.append(Violation(field, "FIELD_OUT_OF_RANGE", description))


def last_day(end_date: int, today: dt.date) -> dt.date:
    """The last day of a watch that was checked."""
    return day_of_number(end_date) if end_date else _latest(today)


def _latest(today: dt.date) -> dt.date:
    first = day_of_number(month_before(month_of_day(today), -LONGEST_WATCH))
    following = day_of_number(month_before(month_of_day(first), -1))
    return first.replace(day=min(today.day, (following - dt.timedelta(days=1)).day))


def judge_watch(place: int, watch: pb.Watch, *, living: bool, allowed_purposes: Collection[int]) -> list[Violation]:
    """Why a watch that is good by itself is not put, if it is not. `living` says whether its account is a ground."""
    if watch.purpose not in allowed_purposes:
        name = Purpose(watch.purpose).name
        description = f"this member may not watch for {name}; ask the operator"
        return [Violation(f"watches[{place}].purpose", "PURPOSE_NOT_ALLOWED", description)]
    if not living:
        description = (
            f"is no account of this subject, open or owed, that you reported within {REPORT_AGE.days} days: report it first"
        )
        return [Violation(f"watches[{place}].account_reference", "PURPOSE_WITHOUT_ACCOUNT", description)]
    return []


def check_ending(message: pb.EndWatchesRequest) -> None:
    """Raises Refusal for what is wrong with a request to end watches."""
    if not message.watch_ids:
        raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_REQUIRED, "watch_ids", "give at least one")
    if len(message.watch_ids) > MAX_WATCHES:
        text = f"at most {MAX_WATCHES} at once; split the batch"
        raise Refusal.of_field(errors_pb2.ERROR_REASON_BATCH_TOO_LARGE, "watch_ids", text)
    found: list[Violation] = []
    seen: set[bytes] = set()
    for i, watch_id in enumerate(message.watch_ids):
        if len(watch_id) != WATCH_ID_LENGTH:
            description = f"has {len(watch_id)} bytes; give a watch_id as you received it, {WATCH_ID_LENGTH} bytes"
            found.append(Violation(f"watch_ids[{i}]", "FIELD_MALFORMED", description))
        elif watch_id in seen:
            found.append(Violation(f"watch_ids[{i}]", "FIELDS_INCONSISTENT", "is there already; give each once"))
        seen.add(watch_id)
    if found:
        raise refuse_violations(found)


def check_watch_listing(message: pb.ListWatchesRequest) -> None:
    """Raises Refusal for what is wrong with a request for watches."""
    found = check_page_size(message.page_size)
    if message.state not in _STATES:
        found.append(code_violation("state", message.state))
    if found:
        raise refuse_violations(found)


def check_pull(message: pb.PullMessagesRequest) -> None:
    """Raises Refusal for what is wrong with a request for messages."""
    found = check_page_size(message.page_size)
    if message.wait_seconds > MAX_PULL_SECONDS:
        description = f"must be at most {MAX_PULL_SECONDS}: ask again instead, signed anew"
        found.append(Violation("wait_seconds", "FIELD_OUT_OF_RANGE", description))
    if len(message.cursor) > MAX_CURSOR_LENGTH:
        found.append(Violation("cursor", "CURSOR_INVALID", "is too long; give a next_cursor as you received it"))
    if found:
        raise refuse_violations(found)


def check_acknowledgement(message: pb.AcknowledgeMessagesRequest) -> None:
    """Raises Refusal for what is wrong with an acknowledgement."""
    if not message.cursor:
        raise Refusal.of_field(
            errors_pb2.ERROR_REASON_FIELD_REQUIRED, "cursor", "give the next_cursor of the last messages you have"
        )
    if len(message.cursor) > MAX_CURSOR_LENGTH:
        text = "is too long; give a next_cursor as you received it"
        raise Refusal.of_field(errors_pb2.ERROR_REASON_CURSOR_INVALID, "cursor", text)


def check_digest(message: pb.GetPortfolioDigestRequest, now: dt.datetime) -> None:
    """Raises Refusal for a month that has no digest."""
    if not ordinal_of_number(message.month) or message.month % 100 != 1:
        raise refuse_violations([day_violation("month", 0 if not message.month else 1)])
    running = month_of_day(now.astimezone(dt.UTC).date())
    if not month_before(running, DIGEST_MONTHS) <= message.month < running:
        text = f"must be one of the {DIGEST_MONTHS} months before {running}: messages are not kept for longer"
        raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_OUT_OF_RANGE, "month", text)


def check_sweep(message: pb.SweepWatchesRequest) -> None:
    """Raises Refusal for what is wrong with a request for a step of the sweep."""
    if message.max_watches > MAX_SWEPT:
        text = f"must be at most {MAX_SWEPT}; ask again for the next ones"
        raise Refusal.of_field(errors_pb2.ERROR_REASON_FIELD_OUT_OF_RANGE, "max_watches", text)
