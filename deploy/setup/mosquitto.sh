#!/usr/bin/env bash
# mosquitto.sh: the MQTT broker's program. Demo and tests start private brokers of their own on free ports; the
# system's service on port 1883, which Debian's package may start, is left alone.
. "$(dirname "$0")/common.sh"
command -v mosquitto >/dev/null || apt_install "the MQTT broker" mosquitto
