"""What the alerts process counts, for /metrics."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

EVENTS = Counter("homecare_events_total", "Events by what became of them", ["event", "state"])
EVENT_SECONDS = Histogram("homecare_event_seconds", "From an event's receipt to its commit", buckets=SECONDS)
REJECTIONS = Counter("homecare_event_rejections_total", "Messages of the event lane sent to the quarantine", ["reason"])
TRIGGERS = Counter("homecare_triggers_handled_total", "Triggers of the rules, by what became of them", ["outcome"])
STEPS = Counter("homecare_escalation_steps_total", "Escalation steps taken", ["reason"])
ATTEMPTS = Counter("homecare_notification_attempts_total", "Attempts at notifications", ["channel", "outcome"])
FIRST_POST_SECONDS = Histogram(
    "homecare_notification_first_attempt_seconds",
    "From a notification's row to the start of its first attempt",
    buckets=SECONDS,
)
DEAD = Counter("homecare_notifications_dead_total", "Notifications given up", ["channel"])
COMMANDS = Counter("homecare_commands_total", "Commands to devices", ["outcome"])
FAILURES = Counter("homecare_alerts_failures_total", "Things that failed for a reason of our own", ["where"])
TROUBLES = Gauge("homecare_audit_troubles", "What the auditor found in its last round and should not have", ["check"])
REPAIRS = Counter("homecare_audit_repairs_total", "What the auditor mended", ["check"])
AUDITED = Gauge("homecare_audit_last_seconds", "When the auditor last ended a round, Unix time")
DRILLED = Counter("homecare_drill_households_total", "Households of drills, by what became of them", ["outcome"])
CANARY_SECONDS = Histogram(
    "homecare_canary_seconds", "From the canary's button to its webhook, through the real broker", buckets=SECONDS
)
CANARY_LAST_SUCCESS = Gauge("homecare_canary_last_success", "When the canary was last heard, Unix time")
CANARY_FAILURES = Counter("homecare_canary_failures_total", "Presses of the canary that did not arrive in time")
HEARTBEAT_FAILURES = Counter("homecare_heartbeat_failures_total", "Heartbeats that the outside watch did not take")
