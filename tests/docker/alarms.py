"""The rules of docker/alerts.yaml, and what their expressions read."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker" / "alerts.yaml"
TESTS = Path(__file__).with_name("alerts_test.yaml")

_SELECTOR = re.compile(r"(tallystick_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Selector:
    """One metric that an expression reads."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator and value."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One rule."""

    name: str
    expression: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def selectors(self) -> list[Selector]:
        """What the expression reads."""
        found = _SELECTOR.findall(self.expression)
        return [Selector(metric, tuple(_MATCHER.findall(matchers))) for metric, matchers in found]

    @property
    def summed_over(self) -> set[str]:
        """The labels that its result does not have any more."""
        return {name.strip() for names in re.findall(r"without \(([^)]*)\)", self.expression) for name in names.split(",")}

    @property
    def named_labels(self) -> set[str]:
        """The labels that its texts show."""
        return set(re.findall(r"\$labels\.(\w+)", " ".join(self.annotations.values())))


def alarms() -> list[Alarm]:
    """All rules of the file."""
    groups: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return [Alarm(rule["alert"], rule["expr"], rule["labels"], rule["annotations"]) for rule in rules]
