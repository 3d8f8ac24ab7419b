"""Connections and migrations: the one place that knows how to reach PostgreSQL and what its schema should be."""

import hashlib
import importlib.resources
import select
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from homecare.errors import DatabaseUnavailable, NotMigrated, SettingsError

log = structlog.get_logger()
ROLE = "homecare_app"
"""What running services become (migration 0013)."""
MIGRATION_LOCK = 0x686F6D65
"""Advisory lock so that two `migrate` wait for each other."""


def migrations() -> list[tuple[str, str]]:
    """(name, SQL) of every numbered migration this program brings, in order."""
    folder = importlib.resources.files("homecare") / "migrations"
    return sorted((f.name, f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql"))


def migrate(url: str) -> list[str]:
    """Bring the database to the current schema, each migration in a transaction of its own; returns those applied.

    Raises:
        SettingsError: `url` is none.
        DatabaseUnavailable: it cannot be reached.
        NotMigrated: an applied migration differs from this program's, or is unknown to it.
    """
    check_database_url(url)
    applied = []
    with unavailable(), psycopg.connect(url, autocommit=True) as db:
        db.add_notice_handler(lambda notice: log.warning("migrate", notice=notice.message_primary))
        db.execute("set client_min_messages = warning")
        db.execute("select pg_advisory_lock(%s)", [MIGRATION_LOCK])
        db.execute(
            "create table if not exists schema_migration (name text primary key, sha256 text not null,"
            " applied_at timestamptz not null default now())"
        )
        known = _applied(db)
        _refuse_foreign(known)
        for name, sql in migrations():
            if name in known:
                continue
            with db.transaction():
                db.execute(sql.encode())
                db.execute("insert into schema_migration values (%s, %s)", [name, _digest(sql)])
            log.info("migrated", name=name)
            applied.append(name)
    return applied


def require_migrated(db: psycopg.Connection) -> None:
    """Raises NotMigrated unless the database has exactly this program's migrations."""
    exists = db.execute("select to_regclass('schema_migration') is not null").fetchone()
    known = _applied(db) if exists and exists[0] else {}
    _refuse_foreign(known)
    missing = [name for name, _ in migrations() if name not in known]
    if missing:
        raise NotMigrated(missing, [])


def check_database_url(url: str) -> None:
    """SettingsError where libpq cannot read it; neither it nor the password in it is shown."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise SettingsError(
            "HOMECARE_DATABASE_URL", "must look like postgresql://user:password@host:5432/database"
        ) from None


def check_database(url: str) -> None:
    """At a process's start: reachable and migrated, else SettingsError, DatabaseUnavailable or NotMigrated."""
    check_database_url(url)
    with unavailable(), psycopg.connect(url, autocommit=True, connect_timeout=5) as db:
        require_migrated(db)


def as_service(url: str) -> str:
    """`url` for a running service: its connections become ROLE, which may not change what was written into the log.

    Where the database has no such role (`migrate` was not allowed to make it), `url` as it is, with a warning.
    """
    with unavailable(), psycopg.connect(url, autocommit=True, connect_timeout=5) as db:
        row = db.execute(
            "select exists (select from pg_roles where rolname = %(role)s and pg_has_role(oid, 'member'))",
            {"role": ROLE},
        ).fetchone()
    if row is None or not row[0]:
        log.warning("no_service_role", role=ROLE, meaning="the service has all the rights of its database user")
        return url
    options = conninfo_to_dict(url).get("options")
    return make_conninfo(url, options=f"{options or ''} -c role={ROLE}".strip())


def _applied(db: psycopg.Connection) -> dict[str, str]:
    rows = db.execute("select name, sha256 from schema_migration").fetchall()
    return {str(name): str(digest) for name, digest in rows}


def _refuse_foreign(known: dict[str, str]) -> None:
    ours = {name: _digest(sql) for name, sql in migrations()}
    foreign = sorted(name for name, digest in known.items() if ours.get(name) != digest)
    if foreign:
        raise NotMigrated([], foreign)


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


@contextmanager
def unavailable() -> Iterator[None]:
    """Turns psycopg's "cannot reach it now" errors into DatabaseUnavailable; everything else passes as it is."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DatabaseUnavailable(f"the database cannot be used now: {first_line}") from error


@asynccontextmanager
async def open_pool(
    url: str, *, name: str, max_size: int = 8, plan_once: bool = False
) -> AsyncIterator[AsyncConnectionPool[AsyncConnection]]:
    """A pool of autocommit connections, opened (DatabaseUnavailable if it cannot be) and closed with the block.

    `plan_once`: for short queries by key whose plan never depends on the values, and would take longer than they do.
    """
    pool: AsyncConnectionPool[AsyncConnection] = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=max_size,
        open=False,
        name=name,
        timeout=10,
        # Give up an attempt soon, so that the next one who asks starts a new one at once: the pool's own pauses double
        # up to minutes, and a database that is back must be used within seconds.
        reconnect_timeout=4,
        kwargs={"autocommit": True, "application_name": name} | ({"prepare_threshold": 0} if plan_once else {}),
        configure=partial(_configure, plan_once=plan_once),
        check=_check,
    )
    try:
        with unavailable():
            await pool.open(wait=True, timeout=10)
        yield pool
    finally:
        await pool.close()


async def _check(db: AsyncConnection) -> None:
    """Raises where the server has ended the connection meanwhile: a round trip only where it said something unasked."""
    with select.epoll() as poll:
        poll.register(db.fileno(), select.EPOLLIN)
        heard = poll.poll(0)
    if heard:
        await AsyncConnectionPool.check_connection(db)


async def _configure(db: AsyncConnection, plan_once: bool) -> None:
    # Our queries take milliseconds; compiling one of them takes fifty.
    await db.execute("set jit = off")
    if plan_once:
        await db.execute("set plan_cache_mode = force_generic_plan")


def load_queries(package: str) -> dict[str, str]:
    """The queries of `queries.sql` in `package`: each begins with a line `-- name: the_name`, comments may follow."""
    text = (importlib.resources.files(package) / "queries.sql").read_text("utf-8")
    queries: dict[str, str] = {}
    for block in text.split("-- name: ")[1:]:
        name, _, body = block.partition("\n")
        queries[name.strip()] = body.strip()
    return queries
