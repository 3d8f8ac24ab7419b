"""`homecare migrate`."""

from homecare.commands.directory import database_url
from homecare.database import migrate
from homecare.logs import configure_logs


def command() -> int:
    """Apply what is missing; needs HOMECARE_DATABASE_URL alone."""
    configure_logs("console", process="migrate")
    applied = migrate(database_url())
    print(f"applied {len(applied)} migrations" if applied else "the schema is current")
    return 0
