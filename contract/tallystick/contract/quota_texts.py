"""Quotas as settings and the command line spell them: [METHOD][/PURPOSE]:UNIT=LIMIT/PERIOD, all before the unit optional.

Such as "calls=6000/minute", "QueryCreditHistory:subjects=20000/day" or "/account-review:subjects=unlimited/day".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tallystick.contract.methods import METHODS
from tallystick.v1 import codes_pb2
from tallystick.v1 import membership_service_pb2 as pb

_FORM = re.compile(
    r"(?:(?P<method>[A-Za-z]*)(?:/(?P<purpose>[a-z-]+))?:)?"
    r"(?P<unit>[a-z-]+)=(?P<limit>[0-9]{1,20}|unlimited)/(?P<period>[a-z]+)",
)


def spelling(values: Iterable[tuple[str, int]], prefix: str) -> Mapping[str, int]:
    """The words for an enum's values, such as "kept-bytes"; the unspecified one has none."""
    return {name.removeprefix(prefix).lower().replace("_", "-"): number for name, number in values if number}


UNITS = spelling(pb.QuotaUnit.items(), "QUOTA_UNIT_")
PERIODS = spelling(pb.QuotaPeriod.items(), "QUOTA_PERIOD_")
PURPOSES = spelling(codes_pb2.Purpose.items(), "PURPOSE_")
LIMITED_METHODS = frozenset(method.name for method in METHODS.values() if not method.public)
MAX_LIMIT = 2**63 - 1


def parse_quota(text: str) -> pb.Quota:
    """Reads one; raises ValueError, saying what to give."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no quota: give it as calls=6000/minute or QueryCreditHistory:subjects=20000/day")
    method, purpose = match["method"] or "", match["purpose"] or ""
    if method and method not in LIMITED_METHODS:
        raise ValueError(f"{method!r} is no signed method: give one of {', '.join(sorted(LIMITED_METHODS))}")
    if purpose and purpose not in PURPOSES:
        raise ValueError(f"{purpose!r} is no purpose: give one of {', '.join(PURPOSES)}")
    if match["unit"] not in UNITS:
        raise ValueError(f"{match['unit']!r} cannot be counted: give one of {', '.join(UNITS)}")
    if match["period"] not in PERIODS:
        raise ValueError(f"{match['period']!r} is no period: give minute or day")
    limit = 0 if match["limit"] == "unlimited" else int(match["limit"])
    if match["limit"] != "unlimited" and not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"a limit is from 1 to {MAX_LIMIT}, or unlimited; suspend a member that may send nothing")
    return pb.Quota(
        method=method,
        purpose=codes_pb2.Purpose.ValueType(PURPOSES.get(purpose, 0)),
        unit=pb.QuotaUnit.ValueType(UNITS[match["unit"]]),
        period=pb.QuotaPeriod.ValueType(PERIODS[match["period"]]),
        limit=limit,
    )


def format_quota(quota: pb.Quota) -> str:
    """Spells one; parse_quota reads it again."""
    purpose = f"/{_word(PURPOSES, quota.purpose)}" if quota.purpose else ""
    scope = f"{quota.method}{purpose}:" if quota.method or purpose else ""
    return f"{scope}{_word(UNITS, quota.unit)}={quota.limit or 'unlimited'}/{_word(PERIODS, quota.period)}"


def _word(vocabulary: Mapping[str, int], number: int) -> str:
    return next((word for word, value in vocabulary.items() if value == number), str(number))
