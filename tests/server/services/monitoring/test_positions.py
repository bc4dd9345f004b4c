"""Places of messages and their cursors: whatever the place, and whatever somebody does to the cursor."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.server.services.monitoring.positions import (
    BEFORE_ALL,
    CURSOR_LENGTH,
    ORDER_BYTES,
    Cursors,
    Position,
    ReleaseWindows,
)

SECRET = b"s" * 32
CURSORS = Cursors(SECRET)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
ORDERS = st.binary(min_size=ORDER_BYTES, max_size=ORDER_BYTES)
POSITIONS = st.builds(Position, TIMES, ORDERS, st.integers(0, 2**48), st.integers(0, 2**31 - 1))
MEMBERS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=64)
SOME = Position(datetime(2026, 11, 26, 12, tzinfo=UTC), b"\x80" + bytes(7), 12_345, 6)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(POSITIONS, MEMBERS)
def test_a_cursor_says_its_place_to_who_made_it(position: Position, member: str) -> None:
    cursor = CURSORS.issue(member, position.to_bytes())
    assert len(cursor) == CURSOR_LENGTH
    packed = Cursors(SECRET).read(member, cursor)
    assert packed is not None
    assert Position.from_bytes(packed) == position
    # The same place has one cursor: a member may compare them.
    assert CURSORS.issue(member, position.to_bytes()) == cursor


@given(POSITIONS, POSITIONS)
def test_packed_places_are_in_the_order_of_places(one: Position, other: Position) -> None:
    assert (one.to_bytes() < other.to_bytes()) == (one < other)
    assert (one.to_bytes() == other.to_bytes()) == (one == other)


@given(TIMES, ORDERS, st.integers(0, 2**48), st.integers(0, 2**31 - 2))
def test_the_last_column_orders_what_is_equal_in_the_others(time: datetime, order: bytes, index: int, ordinal: int) -> None:
    earlier, later = (Position(time, order, index, each) for each in (ordinal, ordinal + 1))
    assert earlier.to_bytes() < later.to_bytes()


@given(POSITIONS)
def test_no_place_is_before_the_first(position: Position) -> None:
    assert position.to_bytes() >= BEFORE_ALL.to_bytes()
    assert Position.from_bytes(b"") == BEFORE_ALL
    assert CURSORS.issue("bank-a", b"") == ""


@pytest.mark.parametrize("at", range(CURSOR_LENGTH))
def test_a_cursor_with_another_character_is_none(at: int) -> None:
    cursor = CURSORS.issue("bank-a", SOME.to_bytes())
    for character in (*ALPHABET, "=", "+", "/", " ", "\n", "é", "\x00"):
        if character != cursor[at]:
            assert CURSORS.read("bank-a", cursor[:at] + character + cursor[at + 1 :]) is None


@given(POSITIONS, MEMBERS, MEMBERS)
def test_a_cursor_is_of_one_member(position: Position, member: str, other: str) -> None:
    read = CURSORS.read(other, CURSORS.issue(member, position.to_bytes()))
    assert (read is not None) == (member == other)


@given(st.text(max_size=2 * CURSOR_LENGTH) | st.text(ALPHABET, min_size=CURSOR_LENGTH, max_size=CURSOR_LENGTH))
def test_what_nobody_issued_is_no_cursor(text: str) -> None:
    assert CURSORS.read("bank-a", text) is None


def test_cursors_of_another_key_folder_are_none() -> None:
    assert Cursors(b"t" * 32).read("bank-a", CURSORS.issue("bank-a", SOME.to_bytes())) is None


@pytest.mark.parametrize(
    "spoil", [lambda c: c[:-1], lambda c: c + "A", lambda c: c + "=", lambda c: c[4:], lambda c: "", str.swapcase]
)
def test_a_cursor_that_is_cut_longer_or_in_other_case_is_none(spoil: object) -> None:
    cursor = CURSORS.issue("bank-a", SOME.to_bytes())
    assert callable(spoil)
    assert CURSORS.read("bank-a", spoil(cursor)) is None


def test_a_cursor_shows_nothing_of_its_place() -> None:
    cursor = base64.urlsafe_b64decode(CURSORS.issue("bank-a", SOME.to_bytes()))
    packed = SOME.to_bytes()
    assert not any(packed[at : at + 4] in cursor for at in range(len(packed) - 3))
    # One place further on, the whole cursor is another: which of two comes later is not to be seen.
    further = base64.urlsafe_b64decode(CURSORS.issue("bank-a", SOME._replace(ordinal=7).to_bytes()))
    assert sum(one == other for one, other in zip(cursor, further, strict=True)) < 8


@given(TIMES, st.integers(0, 1440))
def test_a_release_is_later_than_its_entry_and_by_a_window_at_the_most(time: datetime, minutes: int) -> None:
    window = timedelta(minutes=minutes)
    release = ReleaseWindows(SECRET, minutes).release_time(time)
    assert time < release <= time + max(window, timedelta(microseconds=1))


@given(TIMES, TIMES, st.integers(1, 1440))
def test_releases_are_in_the_order_of_entries_and_few(one: datetime, other: datetime, minutes: int) -> None:
    windows = ReleaseWindows(SECRET, minutes)
    releases = [windows.release_time(each) for each in sorted([one, other])]
    assert releases == sorted(releases)
    # All of a window have one release, which is its end.
    assert windows.release_time(releases[0] - timedelta(microseconds=1)) == releases[0]
    assert windows.release_time(releases[0]) == releases[0] + timedelta(minutes=minutes)


def test_the_order_of_subjects_is_another_in_each_window() -> None:
    windows, subjects = ReleaseWindows(SECRET, 60), [number.to_bytes(32, "big") for number in range(50)]
    first, second = (windows.orders(SOME.release_time + timedelta(hours=hours)) for hours in (0, 1))
    assert len({first.of(subject) for subject in subjects}) == len(subjects)
    assert first.of(subjects[0]) == ReleaseWindows(SECRET, 30).orders(SOME.release_time).of(subjects[0])
    shuffled = [sorted(subjects, key=each.of) for each in (first, second, ReleaseWindows(b"t" * 32, 60).orders(SOME.release_time))]
    assert len({tuple(order) for order in (subjects, *shuffled)}) == 4
