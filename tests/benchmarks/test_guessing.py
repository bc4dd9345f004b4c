"""Who knows every reporter's time of the month guesses the reporter of an alert no better than by chance."""

from __future__ import annotations

import random
import secrets

from benchmarks.guessing import MINUTES, WAYS, by_place, guess_all, simulate, success

from tallystick.server.services.monitoring.positions import ReleaseWindows

REPORTERS = 10
POINTS = 0.05


def test_no_way_of_guessing_is_much_better_than_chance() -> None:
    found = guess_all(24, REPORTERS, seed=7)
    assert found.keys() == WAYS.keys()
    assert {name: share for name, share in found.items() if share > 1 / REPORTERS + POINTS} == {}


def test_without_windows_the_order_tells() -> None:
    """Were alerts released as they come, the same guess would do well: so the guess is one, and the windows are what stops it."""
    told = simulate(ReleaseWindows(secrets.token_bytes(32), 0), 24, REPORTERS, random.Random(7))
    assert success(told, by_place(told, REPORTERS, random.Random(7))) > 0.5
    hidden = simulate(ReleaseWindows(secrets.token_bytes(32), MINUTES), 24, REPORTERS, random.Random(7))
    assert success(hidden, by_place(hidden, REPORTERS, random.Random(7))) < 0.2
