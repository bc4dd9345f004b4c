"""Early warning: a policy of rules over the alerts of one borrower gives its class, and what to do.

A policy is a TOML text: a `name`, and `[[rules]]`, each with a `name`, the `triggers` that it is about, `at_least`, a `warning`
and an `action`. default_warning_policy.toml is one, with what it means. It is evaluated where the alerts are received: the exchange
knows nothing of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Self

from tallystick.credit.enums import TriggerType
from tallystick.credit.monitoring.alerts import Alert
from tallystick.credit.policy_reading import load, read_fields, read_policy, read_table
from tallystick.credit.policy_values import names_of, one_of, read_short_text, some_of, whole_number

_MAX_ACTION: Final = 300


class WarningClass(StrEnum):
    """How urgent it is."""

    GREEN = "green"
    """Better than before."""
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"

    @property
    def severity(self) -> int:
        """0 for green, 3 for red."""
        return _ORDER.index(self)

    def lowered(self) -> "WarningClass":
        """One step less urgent; green stays."""
        return _ORDER[max(self.severity - 1, 0)]


_ORDER: Final = (WarningClass.GREEN, WarningClass.YELLOW, WarningClass.ORANGE, WarningClass.RED)


def _read_action(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_ACTION or not value.isprintable():
        raise ValueError(f"expected a text of 1 to {_MAX_ACTION} printable characters")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningRule:
    """What an alert of some types, from some value on, calls for."""

    name: Annotated[str, read_short_text]
    triggers: Annotated[tuple[TriggerType, ...], some_of(names_of(TriggerType))]
    warning: Annotated[WarningClass, one_of({str(each): each for each in WarningClass})]
    action: Annotated[str, _read_action]
    at_least: Annotated[int, whole_number(0, 1_000_000)] = 0
    """The least value that the alert is now at."""

    def speaks_of(self, alert: Alert) -> bool:
        """Whether the rule is about an alert."""
        return alert.type in self.triggers and alert.after >= self.at_least


@dataclass(frozen=True, slots=True)
class WarningReason:
    """Why a borrower has its class."""

    rule: str
    """The rule's name."""
    warning_class: WarningClass
    """What this alert calls for by itself."""
    action: str
    """What to do."""
    alert: Alert

    def __str__(self) -> str:
        """For a credit officer to read."""
        return f"{self.warning_class}: {self.alert}: {self.action}"


@dataclass(frozen=True, slots=True)
class EarlyWarning:
    """The outcome of a policy over the alerts of one borrower."""

    warning_class: WarningClass
    """The most urgent that any reason calls for; one step less when the newest says that it has become better."""
    reasons: tuple[WarningReason, ...]
    """The most urgent first, otherwise in the order of the alerts."""

    @property
    def action(self) -> str:
        """What the first reason calls for."""
        return self.reasons[0].action

    def __str__(self) -> str:
        """For a credit officer to read: the class, and every reason."""
        return "\n".join([str(self.warning_class), *(f"- {reason}" for reason in self.reasons)])


@dataclass(frozen=True, slots=True)
class WarningPolicy:
    """Rules; of those that are about an alert the most urgent one speaks."""

    name: str
    rules: tuple[WarningRule, ...]

    @classmethod
    def default(cls) -> Self:
        """The policy that comes with this package (default_warning_policy.toml)."""
        text = resources.files("tallystick.credit.monitoring").joinpath("default_warning_policy.toml").read_text("utf-8")
        return cls.from_toml(text)

    @classmethod
    def from_toml(cls, source: Path | str) -> Self:
        """Reads a policy from a file (a Path) or from TOML text (a str). Raises PolicyError, naming the key, and OSError."""
        return cls(*read_policy(load(source), _read_rule))

    def classify(self, alerts: Iterable[Alert]) -> EarlyWarning | None:
        """The warning for one borrower, of its alerts from the oldest to the newest; None if no rule is about any of them."""
        reasons = [reason for alert in alerts if (reason := self._reason(alert)) is not None]
        if not reasons:
            return None
        worst = max((reason.warning_class for reason in reasons), key=lambda each: each.severity)
        better = reasons[-1].warning_class is WarningClass.GREEN
        ordered = sorted(reasons, key=lambda reason: -reason.warning_class.severity)
        return EarlyWarning(worst.lowered() if better else worst, tuple(ordered))

    def _reason(self, alert: Alert) -> WarningReason | None:
        speaking = [rule for rule in self.rules if rule.speaks_of(alert)]
        if not speaking:
            return None
        rule = max(speaking, key=lambda each: each.warning.severity)
        return WarningReason(rule.name, rule.warning, rule.action, alert)


def _read_rule(path: str, entry: Any) -> WarningRule:
    return read_fields(path, read_table(path, entry), WarningRule, "a warning rule")
