"""Versions: which report set what of an account, as merging asks it and as it is stored beside the record (storage.proto).

Months that one report set follow each other in the record, so they are kept as runs: an account that was reported once has one run,
whatever number of months it has.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Final

from google.protobuf.message import DecodeError

from tallystick.v1.storage_pb2 import AccountVersions

MAX_MONTHS: Final = 60

Stamp = tuple[int, int]
"""Of a report: its as_of in seconds and its arrival in microseconds, both since 1970. The report with the greater one wins."""

Run = tuple[int, Stamp]
"""How many months in a row a report set, and its stamp."""

NEVER: Final[Stamp] = (0, 0)
"""Less than the stamp of any report."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What merging must know of an account beside its record."""

    state: Stamp = NEVER
    """Of the report that set all fields but the months."""
    withdrawn_as_of: int | None = None
    """The greatest as_of of any withdrawal."""
    newest_month: int = 0
    """The month of the greatest as_of ever seen, withdrawals included."""
    runs: tuple[Run, ...] = ()
    """Of the record's months, in its order; two that follow each other have different stamps."""

    @property
    def months(self) -> list[Stamp]:
        """The stamp of each month of the record."""
        return [stamp for count, stamp in self.runs for _ in range(count)]

    def to_bytes(self) -> bytes:
        """As it is stored; equal versions have equal bytes."""
        message = AccountVersions(state_as_of=self.state[0], state_arrival=self.state[1], newest_month=self.newest_month)
        if self.withdrawn_as_of is not None:
            message.withdrawn_as_of = self.withdrawn_as_of
        before = self.state
        for count, stamp in self.runs:
            message.run_months.append(count)
            message.run_as_of_deltas.append(stamp[0] - before[0])
            message.run_lateness_deltas.append(_lateness(stamp) - _lateness(before))
            before = stamp
        return message.SerializeToString(deterministic=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Versions":
        """What was stored, now or before there were runs. Raises DecodeError for what nobody stored."""
        message = AccountVersions.FromString(data)
        withdrawn = message.withdrawn_as_of if message.HasField("withdrawn_as_of") else None
        state = message.state_as_of, message.state_arrival
        if message.months:
            runs = runs_of((month.as_of, month.arrival) for month in message.months)
        else:
            runs = _runs(message, state)
        return cls(state, withdrawn, message.newest_month, runs)


def runs_of(stamps: Iterable[Stamp]) -> tuple[Run, ...]:
    """The runs of months with these stamps."""
    return tuple((len(list(same)), stamp) for stamp, same in groupby(stamps))


def _runs(message: AccountVersions, state: Stamp) -> tuple[Run, ...]:
    counts = message.run_months
    # Together with the counts: a number that says millions of months must not be believed.
    if not len(counts) == len(message.run_as_of_deltas) == len(message.run_lateness_deltas) or sum(counts) > MAX_MONTHS:
        raise DecodeError("the runs of months contradict each other")
    as_ofs = accumulate(message.run_as_of_deltas, initial=state[0])
    latenesses = accumulate(message.run_lateness_deltas, initial=_lateness(state))
    stamps = [(as_of, as_of * 1_000_000 + lateness) for as_of, lateness in zip(as_ofs, latenesses, strict=True)]
    return tuple(zip(counts, stamps[1:], strict=True))


def _lateness(stamp: Stamp) -> int:
    return stamp[1] - stamp[0] * 1_000_000
