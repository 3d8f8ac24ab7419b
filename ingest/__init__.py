"""The telemetry lane: pipeline, writer, quarantine."""
