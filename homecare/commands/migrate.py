"""`homecare migrate`."""

import os

from homecare.database import migrate
from homecare.errors import SettingsError
from homecare.logs import configure_logs


def command() -> int:
    """Apply what is missing; needs HOMECARE_DATABASE_URL alone."""
    configure_logs("console", process="migrate")
    url = os.environ.get("HOMECARE_DATABASE_URL")
    if not url:
        raise SettingsError("HOMECARE_DATABASE_URL", "is not set")
    applied = migrate(url)
    print(f"applied {len(applied)} migrations" if applied else "the schema is current")
    return 0
