"""Artificial resident IDs: valid for every check, and recognisable."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from examples.artificial_ids import artificial_id, artificial_identity, spaced
from examples.card_file import CLIENTS
from examples.market import FIRST_STRANGER, STRANGERS
from hypothesis import given
from hypothesis import strategies as st

from tallystick.crypto import normalise, region_is_known


@given(st.integers(0, FIRST_STRANGER + STRANGERS))
def test_each_is_valid_and_evidently_nobodys(serial: int) -> None:
    number = artificial_id(serial)
    identity = normalise("person", "10", "CN", number)
    assert identity.number == number
    assert artificial_identity(serial).normalised() == identity
    assert not region_is_known(identity)
    born = datetime.strptime(number[6:14], "%Y%m%d").replace(tzinfo=UTC)
    assert born.year < 1900


def test_no_two_are_alike() -> None:
    serials = [*range(1, CLIENTS + 1), *range(FIRST_STRANGER, FIRST_STRANGER + STRANGERS)]
    assert len({artificial_id(serial) for serial in serials}) == len(serials)


@pytest.mark.parametrize(("serial", "shown"), [(1, "999999 18500101 001 9"), (29_999, "999999 18500130 999 3")])
def test_they_stay_the_same_and_can_be_read_in_parts(serial: int, shown: str) -> None:
    assert spaced(artificial_id(serial)) == shown
    assert shown.replace(" ", "") == artificial_id(serial)
