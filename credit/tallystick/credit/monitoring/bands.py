"""Amounts as bands of the series 1, 2, 5: near enough to act on, and too wide to recognise a payment by."""

from dataclasses import dataclass
from typing import Final, Self

from tallystick.credit.codes import is_currency, minor_units
from tallystick.v1.monitoring_service_pb2 import AmountBand

_SERIES: Final = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Band:
    """Between which two amounts one lies, in minor units."""

    currency: str
    at_least: int
    below: int | None
    """None where there is no such bound."""

    def to_message(self) -> AmountBand:
        """The message to send."""
        return AmountBand(currency=self.currency, at_least=self.at_least, below=self.below or 0)

    @classmethod
    def from_message(cls, message: AmountBand) -> Self:
        """Reads a message."""
        return cls(message.currency, message.at_least, message.below or None)


def band_of(currency: str, amount: int) -> Band | None:
    """The band of an amount in minor units; None for a negative one, and for a currency without minor units."""
    if amount < 0 or not is_currency(currency):
        return None
    unit: int = 10 ** minor_units(currency)
    lower, power = 0, unit
    while True:
        for factor in _SERIES:
            if amount < factor * power:
                return Band(currency, lower, factor * power)
            lower = factor * power
        power *= 10
