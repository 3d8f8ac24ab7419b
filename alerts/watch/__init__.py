"""Who watches over the alerts: an auditor of what must always hold, a canary in the real chain, drills with real people."""
