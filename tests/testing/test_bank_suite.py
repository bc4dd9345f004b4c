"""A bank's own suite (examples/bank_tests) and the page that documents it: without a port, and quick."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.client.flows.watching import Outbox, message

from tallystick.client import Purpose
from tallystick.testing import InMemoryExchange, person

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "examples" / "bank_tests"
SECONDS = 0.05
RUNS = 8
OUTCOMES = {"approved", "referred", "declined", "compliance", "later", "alarm"}


def run(folder: Path, report: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest as a bank runs it, with no configuration of this project, and no socket."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no_network", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    options = ["-c", os.devnull, "--rootdir", str(folder), "-p", "no:xdist", "-p", "no:asyncio", *arguments]
    return subprocess.run([*command, *options, str(folder)], env=environment, capture_output=True, text=True, timeout=120)


def times(report: Path) -> dict[str, float]:
    return {str(each.get("name")): float(each.get("time", "nan")) for each in ElementTree.parse(report).iter("testcase")}


def test_a_bank_s_suite_opens_no_port_and_takes_no_time(tmp_path: Path) -> None:
    """What a test takes is the least that it took: what others do on this machine only adds to it."""
    least: dict[str, float] = {}
    for number in range(RUNS):
        report = tmp_path / f"{number}.xml"
        ran = run(SUITE, report)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        for name, seconds in times(report).items():
            least[name] = min(seconds, least.get(name, seconds))
        if max(least.values()) < SECONDS:
            break
    assert all(outcome in " ".join(least) for outcome in OUTCOMES)
    assert {name: seconds for name, seconds in least.items() if seconds >= SECONDS} == {}


def test_each_of_the_bank_s_tests_is_three_lines() -> None:
    source = (SUITE / "test_lending.py").read_text("utf-8")
    tests = re.findall(r"^def test_\w+\(.*?\n((?:    .*\n)+)", source, re.MULTILINE)
    assert len(tests) >= 7
    assert max(len(body.splitlines()) for body in tests) <= 3


def test_the_guard_against_sockets_guards(tmp_path: Path) -> None:
    suite = tmp_path / "test_socket.py"
    for body, code in (("pass", 0), ("socket.socket().close()", 99)):
        suite.write_text(f"import socket\n\ndef test_one():\n    {body}\n")
        assert run(tmp_path, tmp_path / "report.xml").returncode == code


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text("utf-8"), re.DOTALL))
def test_what_the_page_shows_runs(block: str, tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text(block, "utf-8")
    for module in SUITE.glob("lending.py"):
        (tmp_path / module.name).write_text(module.read_text("utf-8"), "utf-8")
    ran = run(tmp_path, tmp_path / "report.xml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_sdk_s_page_runs(
    tallystick_exchange: InMemoryExchange, tallystick_profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its blocks in their order, as one script; the hooks that it makes are told of a query."""
    page = (ROOT / "docs" / "sdk.md").read_text("utf-8")
    names: dict[str, Any] = {}
    outbox = Outbox([message(0)]).serve(SimpleNamespace(exchange=tallystick_exchange._exchange))
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/sdk.md", "exec"), names)
    assert (len(outbox.put), outbox.acknowledged) == (1, 1)
    assert names["result"].history.accounts == ()
    tallystick_exchange.busy(times=1)
    with tallystick_exchange.exchange(names["options"]) as exchange:
        exchange.query(person(), Purpose.LOAN_APPROVAL, "C-1", request_id=names["request_id"])
    told = capsys.readouterr().out
    assert "again in" in told
    assert "QueryCreditHistory 2" in told
