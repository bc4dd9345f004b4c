"""Traffic: requests made and signed beforehand, and the generators that send them.

requests makes messages; closed has callers that wait for each answer; opened sends at a rate, whatever comes back; lean is the
HTTP/2 connection under both. Bulky messages go through grpc.aio: there are few of them.
"""

from benchmarks.traffic.closed import Measured, ask, drive, send_lean, send_plain, send_signed
from benchmarks.traffic.requests import (
    BATCH_QUERY,
    EVALUATE,
    QUERY,
    REPORT,
    TIMEOUT,
    account,
    batch_query,
    evaluation,
    month_numbers,
    plain_query,
    query,
    random_tokens,
    report,
    sign,
)

__all__ = [
    "BATCH_QUERY",
    "EVALUATE",
    "QUERY",
    "REPORT",
    "TIMEOUT",
    "Measured",
    "account",
    "ask",
    "batch_query",
    "drive",
    "evaluation",
    "month_numbers",
    "plain_query",
    "query",
    "random_tokens",
    "report",
    "send_lean",
    "send_plain",
    "send_signed",
    "sign",
]
