"""What Prometheus is told about a session; the label is its client id."""

from prometheus_client import Counter, Gauge

RECEIVED = Counter("homecare_mqtt_received_total", "Messages the broker handed over", ["client"])
ACKNOWLEDGED = Counter("homecare_mqtt_acknowledged_total", "Messages acknowledged to the broker", ["client"])
IGNORED = Counter(
    "homecare_mqtt_ignored_total", "Messages on topics nobody asked for, acknowledged and dropped", ["client"]
)
ENDINGS = Counter(
    "homecare_mqtt_connection_endings_total", "Connections that ended or failed, by reason", ["client", "reason"]
)
SESSIONS_LOST = Counter(
    "homecare_mqtt_sessions_lost_total",
    "Reconnects at which the broker had forgotten the session, and what was in it",
    ["client"],
)
CONNECTED = Gauge("homecare_mqtt_connected", "1 while connected and subscribed", ["client"])
IN_FLIGHT = Gauge("homecare_mqtt_in_flight", "Messages received and not yet acknowledged", ["client"])
