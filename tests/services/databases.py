"""Making, copying and dropping databases, on a server of the tests' own or on one that was given to them."""

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.services.errors import ServiceMissing


class Databases:
    """A server on which the tests are superuser."""

    def url(self, database: str = "postgres") -> str:
        """The superuser's connection URL of one of its databases."""
        raise NotImplementedError

    def ensure_running(self) -> None:
        """Make sure that it can be used again, whatever a test did to it."""

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """A new database, a copy of `template`; its URL."""
        self._execute("create database {} template {}", name, template)
        return self.url(name)

    def seal_database(self, name: str) -> None:
        """Nobody may connect any more (TimescaleDB's background workers would), so that it can be a template."""
        self._execute("alter database {} allow_connections false", name)
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", [name])

    def drop_database(self, name: str) -> None:
        self._execute("drop database if exists {} with (force)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


class GivenServer(Databases):
    """The server of HOMECARE_TEST_DATABASE_URL; it is never stopped by a test."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        try:
            with psycopg.connect(url, connect_timeout=5) as db:
                row = db.execute(
                    "select current_setting('server_version'), usesuper,"
                    " (select default_version from pg_available_extensions where name = 'timescaledb')"
                    " from pg_user where usename = current_user"
                ).fetchone()
        except psycopg.OperationalError as error:
            raise ServiceMissing("TimescaleDB", f"HOMECARE_TEST_DATABASE_URL: {str(error).splitlines()[0]}") from error
        if row is None or not row[1] or not row[2]:
            raise ServiceMissing("TimescaleDB", "HOMECARE_TEST_DATABASE_URL needs a superuser, and TimescaleDB")
        self._versions = f"PostgreSQL {row[0].split()[0]}, TimescaleDB {row[2]} (given)"

    def url(self, database: str = "") -> str:
        return urlunsplit(self._url._replace(path=f"/{database}")) if database else urlunsplit(self._url)

    def versions(self) -> str:
        return self._versions
