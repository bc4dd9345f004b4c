"""Facts: what became known of a subject, and what a watch may tell."""

from dataclasses import dataclass

from tallystick.credit.enums import TriggerType
from tallystick.credit.monitoring.bands import Band


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that became known. Its values are those that its trigger names."""

    type: TriggerType
    before: int
    after: int
    band: Band | None = None
    """The amount; None where it is not known, or has no meaning."""
