"""The SDK's tests run over the in-memory exchange (tallystick.testing), behind the SDK's own Transport interface."""

from datetime import datetime
from pathlib import Path

import pytest
from tests.client.system import System, new_system

from tallystick.client import Difference, Server
from tallystick.client.flows.authority import Acts, Authority
from tallystick.client.protocol.calls import Flow
from tallystick.contract.authority import Registry


@pytest.fixture(autouse=True)
def _members_of_the_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doubles have no registry of members, and so no entries about it: they are replayed in tests/contract, from real ones."""

    def unauthorised(_authority: Authority, _acts: Acts, _server: Server, _now: datetime) -> Flow[tuple[list[Difference], bool]]:
        yield from ()
        return [], True

    def replayed(
        _authority: Authority, _acts: Acts, _server: Server, _now: datetime
    ) -> Flow[tuple[Registry, list[Difference], bool]]:
        yield from ()
        return Registry(), [], False

    monkeypatch.setattr(Authority, "unauthorised", unauthorised)
    monkeypatch.setattr(Authority, "_replayed", replayed)


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A fresh member at two fresh servers."""
    return new_system(tmp_path / "profile")
