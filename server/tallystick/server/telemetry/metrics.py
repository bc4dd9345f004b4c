"""What a server counts of itself, for Prometheus. No label holds anything that a caller chooses freely."""

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("tallystick_calls", "Calls by method and result: OK, or the reason of the refusal.", ["method", "result"])
UNLOGGED = Counter("tallystick_unlogged_refusals", "Refusals that are not in the log, by reason.", ["reason"])
OVER_QUOTA = Counter("tallystick_over_quota", "Calls that were refused for a member's quota.")
BARRED = Counter("tallystick_barred", "Times that a caller was barred for a while: too many of its calls failed.")
CALL_SECONDS = Histogram(
    "tallystick_call_seconds",
    "Time from a call's arrival to its answer, by method.",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BATCH_SIZE = Histogram("tallystick_batch_requests", "Requests in one transaction.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
QUEUE_LENGTH = Gauge("tallystick_queue_requests", "Requests that wait for a transaction.", multiprocess_mode="livesum")
MESSAGES = Counter(
    "tallystick_messages", "Messages that were made, by watch and alert; those of transactions run again are counted anew."
)
MESSAGES_TOLD = Counter("tallystick_messages_told", "Messages that were handed out, each time that they were.")
RERUNS = Counter("tallystick_reruns", "Transactions run again after a concurrent change.")
UNCERTAIN_COMMITS = Counter("tallystick_uncertain_commits", "Commits whose result was lost with the connection, and looked up.")
