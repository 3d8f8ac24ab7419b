"""Migrations: once each, in order, never silently different; and a schema that keeps its own promises."""

import psycopg
import pytest
from psycopg import errors

from homecare.database import as_service, check_database, migrate, migrations
from homecare.errors import DatabaseUnavailable, NotMigrated, SettingsError
from homecare.messages import RejectionReason
from homecare.metrics import METRICS


def test_migrations_are_applied_once(empty_database_url: str) -> None:
    with pytest.raises(NotMigrated, match="homecare migrate"):
        check_database(empty_database_url)
    assert migrate(empty_database_url) == [name for name, _ in migrations()]
    assert migrate(empty_database_url) == []
    check_database(empty_database_url)


def test_a_changed_or_foreign_migration_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        db.execute("insert into schema_migration values ('9999_from_the_future.sql', 'x')")
    with pytest.raises(NotMigrated) as caught:
        check_database(database_url)
    assert caught.value.unknown == ["9999_from_the_future.sql"]
    assert "homecare migrate" not in str(caught.value)
    with pytest.raises(NotMigrated):
        migrate(database_url)


def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        migrate("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["pw-that-must-not-show", "postgresql://care:pw-that-must-not-show@[::1/care"])
def test_an_address_that_is_none_is_a_wrong_setting_and_is_not_shown(url: str) -> None:
    for use in (check_database, migrate):
        with pytest.raises(SettingsError) as caught:
            use(url)
        assert caught.value.setting == "HOMECARE_DATABASE_URL"
        assert "must-not-show" not in str(caught.value)


def test_samples_go_to_a_hypertable_where_timescaledb_is(database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        rows = db.execute("select hypertable_name from timescaledb_information.hypertables order by 1").fetchall()
    assert [row[0] for row in rows] == ["acceleration", "sample"]


def test_plain_postgresql_serves_too(plain_database_url: str) -> None:
    check_database(plain_database_url)
    with psycopg.connect(plain_database_url) as db:
        assert db.execute("select count(*) from sample").fetchone() == (0,)


def test_each_metric_has_a_column_whose_comment_is_its_unit(database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        rows = db.execute(
            "select attname, col_description(attrelid, attnum) from pg_attribute where attrelid = 'sample'::regclass"
        )
        comments: dict[str, str] = {str(name): str(comment) for name, comment in rows.fetchall()}
    for metric in METRICS:
        assert comments[metric.name].split(",")[0] == metric.unit


def test_the_quarantine_knows_every_reason_of_the_contract(database_url: str) -> None:
    with psycopg.connect(database_url) as db:
        for reason in RejectionReason.__args__:  # type: ignore[attr-defined]
            db.execute(
                "insert into quarantine (received, last_received, lane, topic, payload, reason, detail)"
                " values (now(), now(), 'telemetry', 't', ''::bytea, %s, '')",
                [reason],
            )


SEED = """
    insert into area (code, parent, level, name_zh, name_en) values
        ('1', null, 'county', '县', 'County'), ('11', '1', 'township', '镇', 'Township'), ('111', '11', 'village', '村', 'Village');
    insert into resident (id, area, name) values ('R-1', '111', '示例甲'), ('R-2', '111', '示例乙');
    insert into device (id, area, kind) values ('h-1', '111', 'handset'), ('k-1', '111', 'kiosk');
"""


def test_areas_are_a_tree(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(SEED)
        assert {row[0] for row in db.execute("select area_within('11')").fetchall()} == {"11", "111"}
        assert db.execute("select code from area_above('111') order by distance").fetchall() == [
            ("111",),
            ("11",),
            ("1",),
        ]
        with pytest.raises(errors.CheckViolation):
            db.execute("update area set parent = '111' where code = '1'")


def test_a_device_is_worn_by_one_person_at_a_time_and_a_kiosk_by_none(database_url: str) -> None:
    wear = "insert into wearing (device, resident, since, until) values (%s, %s, %s, %s)"
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(SEED)
        db.execute(wear, [1, 1, "2026-01-01Z", "2026-02-01Z"])
        db.execute(wear, [1, 2, "2026-02-01Z", None])
        with pytest.raises(errors.ExclusionViolation):
            db.execute(wear, [1, 1, "2026-03-01Z", None])
        with pytest.raises(errors.CheckViolation):
            db.execute(wear, [2, 1, "2026-03-01Z", None])


def test_the_log_is_append_only(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("insert into log (actor, action) values ('system', 'test.made')")
        for statement in ("update log set actor = 'operator:x'", "delete from log", "truncate log"):
            with pytest.raises(errors.InsufficientPrivilege):
                db.execute(statement)


def test_a_running_service_cannot_change_what_was_written_into_the_log(database_url: str) -> None:
    url = as_service(database_url)
    with psycopg.connect(url, autocommit=True) as db:
        assert db.execute("select current_user").fetchone() == ("homecare_app",)
        db.execute("insert into log (actor, action) values ('system', 'service.started')")
        assert db.execute("select place from log where action = 'service.started'").fetchone() == (1,)
        for statement in (
            "update log set actor = 'system'",
            "delete from log",
            "truncate log",
            "alter table log disable trigger user",
            "drop trigger log_is_append_only on log",
            "update log_seal set number = 1",
            "delete from log_chain",
            "update log_chain set place = 7",
            "insert into log_chain values ('x', 1, '')",
            "delete from schema_migration",
            "create table other (x int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement.encode())


def test_options_of_the_url_are_kept_beside_the_role(database_url: str) -> None:
    with psycopg.connect(as_service(f"{database_url}?options=-c%20statement_timeout%3D4321"), autocommit=True) as db:
        assert db.execute("select current_user, current_setting('statement_timeout')").fetchone() == (
            "homecare_app",
            "4321ms",
        )
