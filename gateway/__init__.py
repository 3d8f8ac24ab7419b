"""The edge: MQTT session, topics, dialects, checks, device registry, what goes back to devices."""
