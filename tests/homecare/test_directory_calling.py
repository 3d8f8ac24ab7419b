"""Who is called, in directory files: rotas, quiet hours, watch groups, providers, targets; and the preview that reads them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest
from typer.testing import CliRunner

from homecare.commands.policy import _moment, app
from homecare.directory import files, store
from homecare.errors import InputError
from homecare.secrets import Vault

VAULT = Vault("a secret of the tests, 32 characters at least")
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
AREA = {"code": "990100", "level": "county", "name_zh": "示例县", "name_en": "Sample County"}
HOOK = {"kind": "webhook", "address": "https://example.invalid/a", "secret": SECRET}


def contact(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": f"Sample {name}", "role": "neighbour", "area": "990100", "channels": [HOOK]} | more


DAY = {"contact": "C-1", "days": ["mon", "tue"], "begins": "08:00", "ends": "20:00"}
FEAST = {"contact": "C-2", "begins": "2026-12-25T00:00", "ends": "2026-12-26T00:00"}
ROTA: dict[str, Any] = {
    "id": "duty",
    "area": "990100",
    "name": "Duty",
    "shifts": [DAY, FEAST],
    "timezone": "Europe/Berlin",
}
TARGETS = [
    {"rota": "duty"},
    {"role": "village_doctor"},
    {"nearest": 3, "radius_m": 800},
    {"provider": 1},
    {"area_up": 2},
    {"contact_rank": 1},
    {"contact": "C-2"},
    {"operators": True},
]
POLICY: dict[str, Any] = {
    "id": "P-1",
    "area": "990100",
    "repeat_s": 120,
    "answer_s": 7200,
    "steps": [{"delay_s": 0, "to": TARGETS[:4]}, {"delay_s": 60.5, "to": TARGETS[4:]}],
}
PEOPLE: dict[str, Any] = {
    "areas": [AREA],
    "residents": [{"id": "R-1", "area": "990100", "name": "示例·一", "lat": 26.5921, "lon": 104.8302}],
    "contacts": [
        contact("C-1", quiet="22:00-07:00", watch_group=True, lat=26.5922, lon=104.8303),
        contact("C-2", role="service", services=["health", "other"], accept_within_s=300, done_within_s=3600),
        contact("C-3", channels=[]),
    ],
    "resident_contacts": [{"resident": "R-1", "contact": "C-1", "rank": 1}],
}
WHOLE: dict[str, Any] = {**PEOPLE, "rotas": [ROTA], "policies": [POLICY]}


def run_import(url: str, content: object, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "directory.json"
    path.write_bytes(msgspec.json.encode(content))
    return {kind: dict(count) for kind, count in store.import_directory(url, files.read(path), VAULT).items()}


def test_who_is_called_goes_in_once_and_comes_out_the_same(plain_database_url: str, tmp_path: Path) -> None:
    assert run_import(plain_database_url, WHOLE, tmp_path) == {
        "areas": {"added": 1},
        "residents": {"added": 1},
        "contacts": {"added": 3},
        "resident_contacts": {"added": 1},
        "rotas": {"added": 1},
        "policies": {"added": 1},
    }
    exported = store.export_directory(plain_database_url, VAULT)
    given = files.read(tmp_path / "directory.json").directory
    for kind in ("contacts", "rotas", "policies"):
        assert getattr(exported, kind) == getattr(given, kind)
    for path in (tmp_path / "out.json", tmp_path / "tables"):
        files.write(path, exported)
        assert files.read(path).directory == exported
        again = store.import_directory(plain_database_url, files.read(path), VAULT)
        assert all(set(count) == {"unchanged"} for count in again.values())


def test_what_differs_is_changed(plain_database_url: str, tmp_path: Path) -> None:
    run_import(plain_database_url, WHOLE, tmp_path)
    changed: dict[str, Any] = {
        "contacts": [contact("C-1", quiet="21:00-07:00")],
        "rotas": [{**ROTA, "shifts": [FEAST]}],
        "policies": [{**POLICY, "answer_s": 3600, "steps": [{"delay_s": 0, "to": [{"nearest": 2, "radius_m": 800}]}]}],
    }
    assert run_import(plain_database_url, changed, tmp_path) == {kind: {"changed": 1} for kind in changed}
    with psycopg.connect(plain_database_url) as db:
        assert db.execute("select quiet_from, watch_group from contact where id = 'C-1'").fetchone() == (1260, False)
        assert db.execute("select count(*) from rota_shift").fetchone() == (1,)
        assert db.execute("select answer_s, nearest from policy join step_target on policy = id").fetchall() == [
            (3600, 2)
        ]


@pytest.mark.parametrize(
    ("to", "more"),
    [
        ([{"contact": "C-3"}], {}),
        ([{"rota": "mute"}], {}),
        ([{"contact_rank": 2}], {"area": None, "resident": "R-1"}),
    ],
)
def test_a_last_step_that_can_reach_nobody_is_refused(
    plain_database_url: str, tmp_path: Path, to: list[Any], more: dict[str, Any]
) -> None:
    mute = {**ROTA, "id": "mute", "shifts": [{**DAY, "contact": "C-3"}]}
    policy = {**POLICY, **more, "steps": [{"delay_s": 0, "to": [{"operators": True}]}, {"delay_s": 9, "to": to}]}
    with pytest.raises(InputError, match=r"policies\[0\] \(P-1\): steps: the last one can reach nobody"):
        run_import(plain_database_url, {**PEOPLE, "rotas": [mute], "policies": [policy]}, tmp_path)
    policy["steps"][-1]["to"].append({"contact": "C-1"})
    run_import(plain_database_url, {**PEOPLE, "rotas": [mute], "policies": [policy]}, tmp_path)


def steps(*targets: dict[str, Any]) -> dict[str, Any]:
    return {"policies": [{**POLICY, "steps": [{"delay_s": 0, "to": list(targets)}]}]}


def shift(**members: Any) -> dict[str, Any]:
    return {"rotas": [{**ROTA, "shifts": [{**DAY, **members}]}]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (steps({"role": "neighbour", "operators": True}), r"to: expected exactly one of"),
        (steps({"nearest": 3}), r"to: expected radius_m with nearest"),
        (steps({"rota": "duty", "radius_m": 5}), r"to: expected radius_m with nearest"),
        (steps({"role": "plumber"}), r"invalid enum value 'plumber'"),
        (steps({"nearest": 21, "radius_m": 5}), r"nearest"),
        (steps({"area_up": 0}), r"area_up"),
        ({"rotas": [{**ROTA, "shifts": []}]}, r"rotas\[0\] \(duty\), shifts: expected array of length >= 1"),
        ({"rotas": [{**ROTA, "timezone": "Mars"}]}, r"timezone: expected an IANA name"),
        (shift(begins="8:00"), r"begins, ends: expected HH:MM with days"),
        (shift(begins="2026-12-25T00:00"), r"begins, ends: expected HH:MM with days"),
        (shift(days=[]), r"begins, ends: expected times like 2026-12-24T08:00"),
        (shift(days=[], begins="2026-12-25T00:00", ends="2026-12-25T00:00"), r"ends: expected a time after begins"),
        (shift(days=["lunes"]), r"invalid enum value"),
        ({"contacts": [contact("C-1", quiet="22:00")]}, r"quiet: expected str matching"),
        ({"contacts": [contact("C-1", quiet="22:00-22:00")]}, r"quiet: expected two times that differ"),
        ({"contacts": [contact("C-1", watch_group=True)]}, r"watch_group: expected lat and lon"),
        ({"contacts": [contact("C-1", lat=1.0)]}, r"lat, lon: expected both or neither"),
        ({"contacts": [contact("C-1", services=["gardening"])]}, r"invalid enum value"),
    ],
)
def test_wrong_entries_are_named(tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "directory.json"
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(InputError, match=said):
        files.read(path)


@pytest.mark.parametrize("word", ["nearest:3", "nearest:@5", "nearest:3@", "role:", "helper:1"])
def test_a_wrong_word_in_a_table_is_named(tmp_path: Path, word: str) -> None:
    (tmp_path / "policies.csv").write_text(f"id,area,delay_s,to\np,1,0,{word}\n")
    with pytest.raises(InputError, match=rf"line 2, to: {word}: expected operators, nearest:3@800"):
        files.read(tmp_path / "policies.csv")


def test_the_preview_says_who_would_be_called(
    plain_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {
        **POLICY,
        "steps": [
            {"delay_s": 30, "to": [{"rota": "duty"}]},
            {"delay_s": 60, "to": [{"contact_rank": 1}]},
            {"delay_s": 60, "to": [{"role": "village_doctor"}]},
            {"delay_s": 60, "to": [{"operators": True}]},
        ],
    }
    run_import(plain_database_url, {**WHOLE, "policies": [policy]}, tmp_path)
    monkeypatch.setenv("HOMECARE_DATABASE_URL", plain_database_url)

    def said(*arguments: str) -> list[str]:
        ran = CliRunner().invoke(app, ["preview", "--resident", "R-1", *arguments], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        return ran.output.splitlines()

    # A Sunday night in Shanghai, Saturday evening in Berlin: nobody is on duty.
    assert said("--kind", "sos", "--at", "2026-11-22T02:00") == [
        "R-1: sos (critical) at 2026-11-22 02:00 Asia/Shanghai, if nobody answers",
        "policy P-1",
        "Sun 02:00:00  nobody yet: step 1 waits 30 s",
        "Sun 02:00:30  step 1: nobody on duty by rota duty",
        "Sun 02:00:30  step 1: reaches nobody, the next one at once",
        "Sun 02:00:30  step 2: Sample C-1 (C-1) by webhook",
        "Sun 02:01:30  step 3: reaches nobody, the next one at once",
        "Sun 02:01:30  step 4: operators of 990100",
        "Sun 02:03:30  step 4, again after 120 s: operators of 990100",
    ]
    battery = said("--kind", "battery", "--at", "2026-11-22T02:00")
    assert "Sun 02:00:30  step 2: Sample C-1 (C-1) by webhook is told at Sun 07:00, after quiet hours" in battery
    assert battery[-2] == "Sun 02:00:30  step 4: operators of 990100"
    assist = said("--kind", "assist", "--service", "health", "--at", "2026-11-22T02:00")
    assert assist[1:] == [
        "no policy: the built-in one",
        "Sun 02:00:00  step 1: Sample C-2 (C-2) by webhook",
        "Sun 02:05:00  step 2: operators of 990100",
        "Sun 03:05:00  step 2, again after 3600 s: operators of 990100",
    ]
    with psycopg.connect(plain_database_url) as db:
        assert db.execute("select count(*) from log where action = 'policy.previewed'").fetchone() == (3,)
    for wrong in (["--resident", "R-9"], ["--kind", "fire"], ["--at", "soon"]):
        with pytest.raises(InputError, match=wrong[0]):
            said(*wrong)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("", "2026-11-21T15:00:30+00:00"),
        ("23:00", "2026-11-22T15:00:00+00:00"),
        ("23:01", "2026-11-21T15:01:00+00:00"),
        ("02:00", "2026-11-21T18:00:00+00:00"),
        ("2026-12-01T02:00", "2026-11-30T18:00:00+00:00"),
    ],
)
def test_a_time_of_day_is_the_next_there_is(at: str, expected: str) -> None:
    now = datetime(2026, 11, 21, 15, 0, 30, tzinfo=UTC)  # 23:00:30 in Shanghai
    assert _moment(at, ZoneInfo("Asia/Shanghai"), now) == datetime.fromisoformat(expected)


def test_the_documentations_example_goes_in(plain_database_url: str, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/calling.md").read_text("utf-8")
    example = msgspec.json.decode(text.split("```json\n")[1].split("```")[0])
    areas = [{**AREA, "code": "520201"}]
    assert run_import(plain_database_url, {"areas": areas, **example}, tmp_path)["policies"] == {"added": 1}
