"""The rules for alarms: each says what to do, each is tried. test_reports.py tests that a server serves what they read."""

import re
import shutil
import subprocess

import pytest
import yaml
from tests.docker.alarms import FILE, ROOT, TESTS, Alarm, alarms

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed (Debian: apt-get install prometheus)")
ALARMS = alarms()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
CASES = yaml.safe_load(TESTS.read_text())["tests"]


def one_line(text: str) -> bool:
    return text == " ".join(text.split())


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_each_alarm_says_what_is_the_matter_and_what_to_do(alarm: Alarm) -> None:
    assert alarm.labels["severity"] in ("warning", "critical")
    assert set(alarm.annotations) == {"summary", "description", "section"}
    assert alarm.annotations["summary"].startswith("{{ $labels.instance }}: ")
    assert len(alarm.annotations["description"]) > 80
    assert all(one_line(text) for text in alarm.annotations.values())
    assert re.search(rf"^##+ {re.escape(alarm.annotations['section'])}$", OPERATIONS, re.MULTILINE)


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_what_an_alarm_tells_to_look_for_is_documented(alarm: Alarm) -> None:
    """Events, settings and metrics in a description are words of the manual."""
    for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", alarm.annotations["description"]):
        assert re.search(rf"\b{word}\b", OPERATIONS), word


def test_the_names_are_one_each() -> None:
    names = [alarm.name for alarm in ALARMS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("Tallystick") for name in names)


def test_every_alarm_is_tried_and_stays_silent_on_a_server_in_order() -> None:
    fired = set(re.findall(r'alertname="(\w+)"', TESTS.read_text()))
    assert fired == {alarm.name for alarm in ALARMS}
    in_order = CASES[0]
    assert not any(check.get("exp_samples") for check in in_order["promql_expr_test"])
    present = {series["series"].partition("{")[0] for series in in_order["input_series"]}
    assert present == {selector.metric for alarm in ALARMS for selector in alarm.selectors}


@needs_promtool
def test_promtool_reads_the_rules() -> None:
    ran = subprocess.run([str(PROMTOOL), "check", "rules", str(FILE)], capture_output=True, text=True)
    assert (ran.returncode, f"{len(ALARMS)} rules found" in ran.stdout) == (0, True), ran.stdout + ran.stderr


@needs_promtool
def test_promtool_finds_each_alarm_firing_when_it_should_and_only_then() -> None:
    ran = subprocess.run([str(PROMTOOL), "test", "rules", str(TESTS)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
