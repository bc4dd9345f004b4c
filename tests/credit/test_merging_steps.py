"""Merging decides what it decided when it went month by month: that rule is kept here as the model, in its shortest form."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from tallystick.credit.dates import month_before, month_of_seconds
from tallystick.credit.merging import EMPTY, AccountState, merge_report, merge_withdrawal
from tallystick.credit.overdue import has_overdue
from tallystick.credit.versions import NEVER, Stamp
from tallystick.v1.account_pb2 import Account
from tallystick.v1.codes_pb2 import DISPOSITION_OVERDUE_1, DISPOSITION_UNSPECIFIED

Stamped = tuple[Stamp, bytes]


@dataclass(frozen=True)
class Model:
    """What is known of an account."""

    header: Stamped | None = None
    months: dict[int, Stamped] = field(default_factory=dict)
    withdrawn: int | None = None
    newest: int = 0

    def report(self, account: Account, arrival: int) -> "Model":
        stamp = account.as_of.seconds, arrival
        if self.withdrawn is not None and stamp[0] <= self.withdrawn:
            return self
        newest = max(self.newest, month_of_seconds(stamp[0]))
        months = _since(newest, self.months)
        for month in account.months:
            reported = stamp, month.SerializeToString(deterministic=True)
            months[month.month] = max(months.get(month.month, reported), reported)
        header = Account.FromString(account.SerializeToString())
        del header.months[:]
        stated = stamp, header.SerializeToString(deterministic=True)
        return Model(max(self.header or stated, stated), _since(newest, months), self.withdrawn, newest)

    def withdrawal(self, as_of: int) -> "Model":
        if self.withdrawn is not None and as_of <= self.withdrawn:
            return self
        newest = max(self.newest, month_of_seconds(as_of))
        if self.header is None or self.header[0][0] <= as_of:
            return Model(withdrawn=as_of, newest=newest)
        months = {number: month for number, month in _since(newest, self.months).items() if month[0][0] > as_of}
        return replace(self, months=months, withdrawn=as_of, newest=newest)

    @property
    def record(self) -> bytes | None:
        if self.header is None:
            return None
        record = Account.FromString(self.header[1])
        for number in sorted(self.months, reverse=True):
            record.months.add().MergeFromString(self.months[number][1])
        return record.SerializeToString(deterministic=True)


def _since(newest: int, months: dict[int, Stamped]) -> dict[int, Stamped]:
    return {number: month for number, month in months.items() if number > month_before(newest, 60)}


@dataclass(frozen=True)
class Event:
    """A report, or a withdrawal where account is None."""

    as_of: int
    arrival: int
    account: Account | None


START, DAY = 1_600_000_000, 86_400


@st.composite
def accounts(draw: st.DrawFn, as_of: int) -> Account:
    """As banks report: many months in a row or a few, mostly newest first, mostly of the same content."""
    newest = month_of_seconds(as_of)
    count = draw(st.sampled_from([0, 1, 2, 3, 24, 60]))
    first = draw(st.sampled_from([0, 0, 0, 1, 2, 58, 70]))
    numbers = [month_before(newest, back) for back in range(first, first + count)]
    if draw(st.integers(0, 4)) == 0:
        numbers = draw(st.permutations(numbers))[: draw(st.integers(0, 60))]
    account = Account(balance=draw(st.sampled_from([0, 0, 0, 1])), currency="CNY")
    account.as_of.seconds = as_of
    for number in numbers:
        account.months.add(month=number, billed_amount=7)
    for month in account.months[: draw(st.sampled_from([0, 0, 1, 3]))]:
        month.billed_amount = draw(st.integers(5, 9))
        month.disposition = draw(st.sampled_from([DISPOSITION_UNSPECIFIED, DISPOSITION_OVERDUE_1]))
    return account


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Month after month, with what comes twice, late, or as of the same instant, and withdrawals between."""
    found: list[Event] = []
    for number in range(draw(st.integers(1, 7))):
        as_of = START + draw(st.one_of(st.just(number), st.integers(0, 7), st.integers(60, 90))) * 30 * DAY
        arrival = draw(st.one_of(st.just(number + 1), st.integers(1, 8)))
        reports = [event for event in found if event.account]
        kind = draw(st.integers(0, 9))
        if kind < 2:
            found.append(Event(as_of, arrival, None))
        elif kind < 5 and reports:
            again = draw(st.sampled_from(reports))
            found.append(replace(again, arrival=arrival))
        else:
            found.append(Event(as_of, arrival, draw(accounts(as_of))))
    return found


def _stored(state: AccountState) -> tuple[bytes | None, list[Stamp], Stamp, int | None, int]:
    versions = state.versions
    return state.content, versions.months, versions.state, versions.withdrawn_as_of, versions.newest_month


@given(histories())
def test_each_step_is_the_model_s(history: list[Event]) -> None:
    state, model = EMPTY, Model()
    for event in history:
        if event.account is None:
            merged, after = merge_withdrawal(state, event.as_of, event.arrival), model.withdrawal(event.as_of)
        else:
            merged, after = merge_report(state, event.account, event.arrival), model.report(event.account, event.arrival)
        stamps = [after.months[number][0] for number in sorted(after.months, reverse=True)]
        stamp = after.header[0] if after.header else NEVER
        assert _stored(merged.state) == (after.record, stamps, stamp, after.withdrawn, after.newest)
        assert merged.changed == (after.record != model.record)
        assert (merged.state is state) == (after == model)
        record = merged.state.record
        assert merged.state.overdue == (record is not None and has_overdue(record))
        state, model = merged.state, after
