"""The SDK's tests run over doubles of both servers (fake_servers.py), behind the SDK's own Transport interface."""

from pathlib import Path

import pytest
from tests.client.system import System, new_system


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A fresh member at two fresh servers."""
    return new_system(tmp_path / "profile")
