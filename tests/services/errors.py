"""What a test is told when a service cannot be had."""


class ServiceMissing(Exception):
    """A service is not on this machine, or did not start; `service` and `reason` say which and why."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason
