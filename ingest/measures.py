"""What ingest tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("homecare_ingest_messages", "Messages acknowledged after their commit")
SAMPLES = Counter("homecare_ingest_samples", "Samples stored")
WINDOWS = Counter("homecare_ingest_windows", "Acceleration windows stored")
REPEATED = Counter("homecare_ingest_duplicates", "Samples and windows that were stored already when they came again")
REJECTIONS = Counter("homecare_ingest_rejections", "Messages, or parts of them, put into the quarantine", ["reason"])
STRANGERS = Counter("homecare_ingest_strangers", "Messages from devices that are not registered")
TRIGGERS = Counter("homecare_ingest_triggers", "Triggers stored", ["kind", "state"])
RULE_FAILURES = Counter(
    "homecare_ingest_rule_failures", "Batches or sweeps that the rules failed on: none of theirs is stored"
)
REFUSED_TRIGGERS = Counter("homecare_ingest_refused_triggers", "Triggers the database would not take")
RETRIES = Counter("homecare_ingest_database_retries", "Times the database was found unavailable")
BATCH_MESSAGES = Histogram(
    "homecare_ingest_batch_messages",
    "Messages in a batch",
    buckets=(1, 5, 20, 100, 500, 1000, 2000, 5000, 10000, 20000),
)
COMMIT_SECONDS = Histogram(
    "homecare_ingest_commit_seconds",
    "Time a batch's transaction takes, waiting for the database included",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
)
BACKLOG = Gauge("homecare_ingest_backlog_messages", "Messages taken from the source and not yet acknowledged")
OLDEST = Gauge(
    "homecare_ingest_oldest_unacknowledged_seconds", "How long the oldest message taken waits for its acknowledgement"
)
HEARD_UNTIL = Gauge(
    "homecare_ingest_heard_until_seconds", "Up to when (Unix time) silence was told; stands still while it cannot be"
)
MISSED = Counter("homecare_ingest_missed", "Messages found to be missing in a device's count")
FOUND = Counter("homecare_ingest_found", "Of these, telemetry that came after all")
DUPLICATE_MESSAGES = Counter("homecare_ingest_duplicate_messages", "Messages of telemetry that came again")
MISSING = Gauge("homecare_ingest_missing_messages", "Messages missing now, events taken off; of all shards")
INCOMPLETE_DEVICES = Gauge("homecare_ingest_incomplete_devices", "Devices with a message missing now; of all shards")
LATEST_WAITING = Gauge("homecare_ingest_latest_waiting", "Samples committed and not yet written as the latest")
UPKEEP_FAILURES = Counter("homecare_ingest_upkeep_failures", "Times a piece of upkeep could not be done", ["what"])
ROLLED_UP_UNTIL = Gauge(
    "homecare_ingest_rolled_up_until_seconds",
    "Up to when (Unix time) hours are rolled up, where the product keeps them",
)
OVERRIDES_LEFT_OUT = Gauge(
    "homecare_ingest_overrides_left_out", "Overrides of rules that do not fit the rule pack: they are not followed"
)
KEPT_BYTES = Gauge("homecare_ingest_rules_kept_bytes", "Size of what was last kept of the rules' state", ["operator"])
EVENTS_TOLD = Counter("homecare_ingest_events_told", "Events that the rules were told of")
