"""The in-memory exchange tells its member how it is registered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tallystick.client import Purpose, Server
from tallystick.client.cli.context import Tool
from tallystick.client.cli.program import run
from tallystick.testing import InMemoryExchange


def test_a_member_sees_its_roles_and_purposes() -> None:
    memory = InMemoryExchange(purposes=[Purpose.LOAN_APPROVAL], may_report=False)
    with memory.exchange() as exchange:
        standing = exchange.standing()
        assert (standing.purposes, standing.quotas, standing.active) == (("loan_approval",), (), True)
        assert "inquirer" in standing.roles
        assert "reporter" not in standing.roles
        assert standing.time <= exchange.standing(server=Server.TOKEN_AUTHORITY).time <= memory.clock.now()
        assert [key.keyid for key in standing.keys] == [exchange.profile.signer.keyid]


def test_doctor_finds_a_member_well_that_may_work_here(tmp_path: Path, capsys: Any) -> None:
    memory = InMemoryExchange()
    folder = memory.write_profile(tmp_path / "profile")
    with memory.serving():
        code = run(["doctor"], Tool(profile=folder))
    out = capsys.readouterr().out
    assert code == 0, out
    assert "0 wrong" in out
