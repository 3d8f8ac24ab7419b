"""`homecare drill`: begun, shown, stopped and reported from the command line."""

import psycopg
import pytest
from typer.testing import CliRunner

from homecare.commands.drill import app
from homecare.errors import InputError

AREAS = """
insert into area (code, parent, level, name_zh, name_en) values ('990100', null, 'county', '示例县', 'Sample County');
insert into resident (id, area, name) values ('R-1', '990100', '示例·甲1'), ('R-2', '990100', '示例·甲2');
"""


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_drill_is_begun_shown_stopped_and_reported(plain_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMECARE_DATABASE_URL", plain_database_url)
    with psycopg.connect(plain_database_url, autocommit=True) as db:
        db.execute(AREAS.encode())
        with pytest.raises(InputError, match="no drill yet"):
            said("report")
        assert "drill 1 of 990100 begun" in said("start", "--area", "990100", "--from", "09:30", "--per-minute", "3")
        with pytest.raises(InputError, match="990100: there is no such area, or a drill of it runs"):
            said("start", "--area", "990100")
        with pytest.raises(InputError, match="--until: expected a time after --from"):
            said("start", "--area", "990100", "--from", "18:00", "--until", "09:00")
        with pytest.raises(InputError, match="--from: expected HH:MM"):
            said("start", "--area", "990100", "--from", "noon")
        assert "runs 09:30 to 17:00: 0 of 2 told, 0 reached, 0 not reached" in said("status", "--area", "990100")
        db.execute(
            "update drill_household set ended_at = now(), told_at = now(), device = 'no_device',"
            " people = case when resident = 1 then 'answered' else 'no_contact' end"
        )
        assert "drill 1 stopped" in said("stop", "--area", "990100")
        lines = said("report").splitlines()
    assert len(lines) == 2
    assert "R-2" in lines[0]
    assert lines[0].endswith("no contact: has no contact to tell")
    assert lines[1].endswith("2 of 2 told, 1 reached, 1 not reached")
