"""What can go wrong, as types: whether to try again is the type's, not a flag's.

HomecareError
├── SettingsError      a setting is missing or wrong: name it, exit 2 before anything starts
├── NotMigrated        the database's schema is older (or newer) than this program: run `homecare migrate`
├── InputError         a file or argument a person gave is wrong: say where
└── Unavailable        a service we need cannot be reached now: try again with backoff
    ├── DatabaseUnavailable
    └── BrokerUnavailable
        └── BrokerRefused    the broker answered and said no (credentials, session taken over, …)
"""


class HomecareError(Exception):
    """Base of every error this product raises on purpose; `str(error)` is one line for a person."""


class SettingsError(HomecareError):
    """A setting is missing or wrong."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting, self.problem = setting, problem


class NotMigrated(HomecareError):
    """The database lacks migrations this program needs, or has some it does not know."""

    def __init__(self, missing: list[str], unknown: list[str]) -> None:
        super().__init__(
            f"database schema: missing {', '.join(missing)}; run `homecare migrate`"
            if missing
            else f"database schema: has {', '.join(unknown)} of another version of this program; run that one"
        )
        self.missing, self.unknown = missing, unknown


class InputError(HomecareError):
    """What a person handed in (a file, an argument) is wrong; the text says where and what was expected."""


class Unavailable(HomecareError):
    """A service is not there at the moment; the caller waits and tries again."""


class DatabaseUnavailable(Unavailable):
    """PostgreSQL cannot be reached, is starting, stopping, or out of space."""


class BrokerUnavailable(Unavailable):
    """The MQTT broker cannot be reached or the connection broke."""


class BrokerRefused(BrokerUnavailable):
    """The broker refused or ended the session; `reason` is its reason code's name in lower case."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"the MQTT broker said: {reason.replace('_', ' ')}{f' ({detail})' if detail else ''}")
        self.reason = reason
