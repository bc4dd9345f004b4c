"""What is owed: ratios to peers, and the loose floors below which a quick run fails."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owed:
    """A ratio: what it should reach, or, where less is better, what it should not exceed."""

    name: str
    owed: float
    less_is_better: bool = False

    def holds_floor(self, ratio: float) -> bool:
        """Whether a ratio is at least half as good as what is owed."""
        return ratio <= self.owed * 2 if self.less_is_better else ratio >= self.owed / 2


QUERIES = {
    64: Owed("queries at 64 callers ÷ FastAPI + ORM", 4.4),
    16: Owed("queries at 16 callers ÷ FastAPI + ORM", 2.5),
    1: Owed("queries at 1 caller ÷ FastAPI + ORM", 1.2),
}
