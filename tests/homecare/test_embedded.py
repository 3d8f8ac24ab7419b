"""The embedded PostgreSQL: starts where nobody may look, survives a restart, dies with its parent."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from homecare.database import migrate
from homecare.embedded import EmbeddedPostgres
from homecare.errors import DatabaseUnavailable


def value(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute(query.encode()).fetchone()
    return row and row[0]


@pytest.mark.parametrize("name", ["short", "with spaces and 中文", "long" * 25])
def test_data_survives_a_restart_in_any_folder(tmp_path: Path, name: str) -> None:
    postgres = EmbeddedPostgres(tmp_path / name)
    postgres.start()
    try:
        migrate(postgres.url)
        with psycopg.connect(postgres.url) as db:
            db.execute("insert into area (code, level, name_zh, name_en) values ('1', 'county', '示例县', 'Sample')")
        postgres.stop()
        assert not postgres.running
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.url)
        postgres.start()
        assert value(postgres.url, "select name_zh from area") == "示例县"
        assert value(postgres.url, "show listen_addresses") == ""
    finally:
        postgres.stop()


def test_damaged_cluster_is_said_in_one_line(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "pg")
    postgres.start()
    postgres.stop()
    (tmp_path / "pg/data/global/pg_control").unlink()
    with pytest.raises(DatabaseUnavailable, match="did not start") as error:
        postgres.start()
    assert "\n" not in str(error.value)


def test_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from homecare.embedded import EmbeddedPostgres\n"
        "p = EmbeddedPostgres(pathlib.Path(sys.argv[1])); p.start(); print(p.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "pg")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    with parent:
        server = os.pidfd_open(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        assert select.select([server], [], [], 10)[0], "the server outlived its parent"
        os.close(server)
    again = EmbeddedPostgres(tmp_path / "pg")
    again.start()
    assert value(again.url, "select 1") == 1
    again.stop()
