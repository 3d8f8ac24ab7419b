"""From a trigger to a person who answers: rules, events, life cycle, escalation, outbox, channels."""
