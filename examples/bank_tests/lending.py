"""A bank's own code, as it might be: what it decides on an application, whatever the exchange says or does not say."""

from __future__ import annotations

from tallystick.client import Exchange, Identity, NotReached, NotTrusted, Purpose, Refused
from tallystick.credit import ScreeningPolicy

POLICY = ScreeningPolicy.default()


def decide(exchange: Exchange, applicant: Identity, consent: str) -> str:
    """The decision; "later" when the exchange cannot be asked now, "alarm" when it must not be believed."""
    try:
        result = exchange.query(applicant, Purpose.LOAN_APPROVAL, consent)
    except NotReached:
        return "later"
    except NotTrusted:
        return "alarm"
    except Refused as refusal:
        return f"ask compliance: {refusal.reason}"
    return POLICY.evaluate(result.history).decision.value
