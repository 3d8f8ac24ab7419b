#!/bin/sh
# Starts the broker in its volume, with the project's configuration and the backend's own password; the devices'
# passwords that are there already stay.
set -eu
cd /mosquitto/data
cp /homecare/mosquitto.conf /homecare/acl .
touch passwords
chmod 600 passwords
mosquitto_passwd -b passwords homecare "$HOMECARE_MQTT_PASSWORD"
chown -R mosquitto:mosquitto .
exec mosquitto -c mosquitto.conf
