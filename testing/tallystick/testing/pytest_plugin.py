"""The fixtures, which pytest finds by itself (entry point `pytest11`). Nothing else is imported until a test asks for one.

tallystick_exchange   function   an InMemoryExchange
tallystick_profile    function   its profile's folder, which Exchange.from_profile and the command take in place of a real one
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tallystick.testing import InMemoryExchange


@pytest.fixture
def tallystick_exchange() -> InMemoryExchange:
    """An exchange of which nothing is known yet."""
    from tallystick.testing import InMemoryExchange  # late: see above

    return InMemoryExchange()


@pytest.fixture
def tallystick_profile(tallystick_exchange: InMemoryExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a profile that leads to `tallystick_exchange`; TALLYSTICK_PROFILE names it during the test."""
    folder = tallystick_exchange.write_profile(tmp_path / "tallystick-profile")
    monkeypatch.setenv("TALLYSTICK_PROFILE", str(folder))
    with tallystick_exchange.serving():
        yield folder
