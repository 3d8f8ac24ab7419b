"""A wrong pack is refused with the rule, the field and what was expected."""

from pathlib import Path

import pytest

from alerts.rules.pack import DEFAULT, load_pack, parse_pack
from homecare.errors import InputError

TEXT = DEFAULT.read_text("utf-8")


def test_the_default_pack_has_the_first_rules() -> None:
    pack = load_pack()
    assert set(pack.limit) == {"heart_rate", "spo2", "blood_pressure", "temperature", "glucose", "battery"}
    assert pack.lateness_ms == 300_000
    assert pack.silence is not None
    assert (pack.silence.intervals, pack.silence.floor_s) == (3, 60)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("lateness_s = 300", "lateness_s = -1", "rule pack, field lateness_s: expected 0 to 86400 seconds, got -1.0"),
        ("lateness_s = 300", 'lateness_s = "5 min"', "rule pack, field lateness_s: Expected `float`, got `str`"),
        ("[silence]", "[quiet]", "section quiet: expected one of pack, limit, silence, event"),
        ("[limit.spo2]\nversion = 1", "[limit.spo2]", "rule limit.spo2: Object missing required field `version`"),
        (
            "[limit.spo2]\nversion = 1",
            "[limit.spo2]\nversion = 0",
            "rule limit.spo2, field version: expected 1 or more, got 0",
        ),
        (
            "[limit.spo2]\nversion = 1",
            "[limit.spo2]\nversion = 1\nhysterisis = 2",
            "rule limit.spo2: Object contains unknown field `hysterisis`",
        ),
        (
            'metric = "spo2"',
            'metric = "sp02"',
            "rule limit.spo2, field reading[0].metric: expected one of heart_rate, spo2,",
        ),
        (
            '{ severity = "urgent", limit = 93 }',
            '{ severity = "urgent", limit = 930 }',
            "rule limit.spo2, field reading[0].bands[0].limit: expected 40 to 100 %, got 930.0",
        ),
        (
            '{ severity = "urgent", limit = 93 }',
            '{ severity = "grave", limit = 93 }',
            "rule limit.spo2, field reading[0].bands[0].severity: Invalid enum value 'grave'",
        ),
        (
            '{ severity = "urgent", limit = 93 }',
            '{ severity = "urgent", limit = 90 }',
            "rule limit.spo2, field reading[0].bands[1].limit: expected bands from mild to severe, got 91.0",
        ),
        (
            '{ severity = "urgent", limit = 93 }',
            '{ severity = "critical", limit = 93 }',
            "rule limit.spo2, field reading[0].bands[1].severity: expected more severe than critical, got 'critical'",
        ),
        (
            "hysteresis = 2 ",
            "hysteresis = -2 ",
            "rule limit.spo2, field reading[0].hysteresis: expected 0 or more, less than the metric's range, got -2.0",
        ),
        (
            'hysteresis = 5  # here\nbands = [\n    { severity = "warning", limit = 100 }',
            'hysteresis = 50  # here\nbands = [\n    { severity = "warning", limit = 100 }',
            "rule limit.heart_rate, field reading of heart_rate: expected room between the low and the high side",
        ),
        (
            "心率 {value} {unit}，已恢复",
            "心率 {wert} {unit}，已恢复",
            "rule limit.heart_rate, field cleared_zh: expected a text whose fields are among {metric}, {unit}, {value}",
        ),
        (
            'cleared_en = "Heart rate',
            'cleared_en = "" # "Heart rate',
            "rule limit.heart_rate, field cleared_en: expected a text, got ''",
        ),
        ("intervals = 3", "intervals = 0", "rule silence, field intervals: expected 1 to 1000, got 0.0"),
        ("floor_s = 60", "floor_s = 0", "rule silence, field floor_s: expected more than 0"),
        ("[event.door]", "[event.window]", "rule event.door: expected a section, for every event of the contract has"),
        ("[event.door]", "[event.door]\n[event.dawn]", "rule event.dawn: expected one of assist, bed_exit,"),
        (
            '[event.sos]\nversion = 1\nkind = "sos"',
            '[event.sos]\nversion = 1\nkind = "home"',
            "rule event.sos, field kind: expected 'sos': it always raises an alert, got 'home'",
        ),
        (
            'services = { health = "urgent" }',
            'services = { haelth = "urgent" }',
            "rule event.assist, field services: expected health, housekeeping, other, shopping, got 'haelth'",
        ),
        ("[pack]", "[pack", "not TOML: "),
    ],
)
def test_names_the_rule_the_field_and_what_was_expected(old: str, new: str, problem: str) -> None:
    assert old in TEXT
    with pytest.raises(InputError) as error:
        parse_pack(TEXT.replace(old, new, 1))
    assert str(error.value).startswith(problem)


def test_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: cannot be read"):
        load_pack(tmp_path / "nowhere.toml")
    (tmp_path / "mine.toml").write_text("[silence]\n", "utf-8")
    with pytest.raises(InputError, match=r"mine\.toml: rule pack: Object missing required field `lateness_s`"):
        load_pack(tmp_path / "mine.toml")
