"""Limits that both sides observe: a client cuts its requests to them, a server refuses what is beyond them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

MAX_MESSAGE: Final = 4 * 1024 * 1024
"""Most bytes of a request or an answer message."""
TRANSPORT_MAX_MESSAGE: Final = 8 * 1024 * 1024
"""Most bytes that the transport lets through. Between the two limits the server refuses with a reason; past this one, gRPC does."""

MAX_REPORTS: Final = 1000
"""Reports in one request."""
SMALL_REQUEST: Final = 16 * 1024
"""Most bytes of a request about one thing: the longest query has a few hundred."""
BATCH_REQUEST: Final = 256 * 1024
"""Most bytes of a batch of queries or of blinded elements: full ones have some 40 KB."""
MAX_INQUIRIES: Final = 200
"""Inquiries in one request."""
MAX_EVENTS: Final = 1000
"""Servicing events in one request."""
EVENTS_REQUEST: Final = 512 * 1024
"""Most bytes of a batch of servicing events: a full one has some 250 KB."""
MAX_WATCHES: Final = 1000
"""Watches put, or ended, in one request."""
MAX_SWEPT: Final = 10_000
"""Watches that one step of the sweep looks at."""
WATCHES_REQUEST: Final = 512 * 1024
"""Most bytes of a batch of watches: a full one has some 250 KB."""
MAX_SCORECARD: Final = 32 * 1024
"""Most bytes of a scorecard."""
MAX_SCORECARDS: Final = 100
"""Most scorecards that are installed at an exchange: the list of all fits into one answer."""
SCORECARD_REQUEST: Final = MAX_SCORECARD + 1024
"""Most bytes of a request that installs one."""
MAX_PULL_SECONDS: Final = 25
"""Most seconds that a pull waits for a message: well inside the time of its signature, which is judged after the wait."""
MAX_WAITING_COUNT: Final = 10_000
"""Up to where waiting messages are counted."""
MAX_ELEMENTS: Final = 1000
"""Blinded elements in one request."""
REQUEST_ID_BYTES: Final = 16
"""Length of a request_id: a random UUID."""

MAX_OWN_ACCOUNTS: Final = 50
"""Most live accounts of one subject that one member reports. Withdrawn ones do not count."""
MAX_ACCOUNT_EVENTS: Final = 1000
"""Most servicing events of one account that are kept."""
MAX_ACCOUNTS: Final = 500
"""Most accounts of one subject that are told: those with overdue come first, and an answer that is cut says so."""
MAX_LISTED_INQUIRIES: Final = 100
"""Most inquiries by others that an answer lists."""
INQUIRY_AGE: Final = timedelta(days=731)
"""For how long an inquiry is told to others."""
ONE_MONTH: Final = timedelta(days=30)
SIX_MONTHS: Final = timedelta(days=182)
"""The two windows in which inquiries by others are counted."""

MAX_AGE: Final = 60
"""Seconds that `created` of a signature may lie back."""
MAX_AHEAD: Final = 10
"""Seconds that it may lie ahead."""

MAX_LOG_SIZE: Final = 2**48
"""Entries of a log at the most: at a million a second it lasts for eight years. An index beyond it is no place in any log."""

MAX_VIOLATIONS: Final = 32
"""Most field violations that one refusal carries: gRPC's metadata has a hard limit of 16 KiB."""
