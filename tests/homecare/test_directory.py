"""Import and export of the directory: all or nothing, the same twice, an error that says where."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import argon2
import msgspec
import psycopg
import pytest

from homecare.broker import verify_password
from homecare.directory import files, store
from homecare.directory.entries import KINDS, Directory, Source
from homecare.errors import InputError
from homecare.secrets import Vault
from simulators.county import Secrets, sample_county

VAULT = Vault("a secret of the tests, 32 characters at least")
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
AREA = {"code": "990100", "level": "county", "name_zh": "示例县", "name_en": "Sample County"}
RESIDENT = {"id": "R-1", "area": "990100", "name": "示例·一"}
DEVICE = {"id": "D-1", "area": "990100", "kind": "handset", "wearer": "R-1", "password": "plain"}
CONTACT = {
    "id": "C-1",
    "name": "示例家属",
    "role": "family",
    "channels": [{"kind": "webhook", "address": "https://example.invalid/a", "secret": SECRET}],
}


def county() -> Directory:
    return sample_county(Secrets(lambda d: f"of {d}", lambda c: (f"http://127.0.0.1:9/{c}", SECRET), "ten letters"))


def run_import(url: str, content: object, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "directory.json"
    path.write_bytes(msgspec.json.encode(content))
    return {kind: dict(count) for kind, count in store.import_directory(url, files.read(path), VAULT).items()}


def key(entry: object) -> str:
    return str(files.entry_key(entry))


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as db:
        return db.execute(query.encode()).fetchall()


def test_sample_county_goes_in_once_and_comes_out_the_same(plain_database_url: str, tmp_path: Path) -> None:
    first = store.import_directory(plain_database_url, Source(county()), VAULT)
    assert {kind: dict(count) for kind, count in first.items()} == {
        "areas": {"added": 15},
        "residents": {"added": 60},
        "contacts": {"added": 80},
        "resident_contacts": {"added": 60},
        "devices": {"added": 90},
        "policies": {"added": 3},
        "operators": {"added": 1},
    }
    again = store.import_directory(plain_database_url, Source(county()), VAULT)
    assert all(set(count) == {"unchanged"} for count in again.values())
    exported = store.export_directory(plain_database_url, VAULT)
    for kind in ("areas", "residents", "contacts", "resident_contacts", "policies"):
        assert sorted(getattr(exported, kind), key=key) == sorted(getattr(county(), kind), key=key)
    for path in (tmp_path / "out.json", tmp_path / "tables"):
        files.write(path, exported)
        assert files.read(path).directory == exported
        back = store.import_directory(plain_database_url, files.read(path), VAULT)
        assert all(set(count) == {"unchanged"} for count in back.values())


def test_no_plain_secret_is_stored_or_exported(plain_database_url: str, tmp_path: Path) -> None:
    store.import_directory(plain_database_url, Source(county()), VAULT)
    ((password,),) = rows(plain_database_url, "select mqtt_password from device where id = 'HS-0001'")
    assert verify_password("of HS-0001", password)
    ((login_hash,),) = rows(plain_database_url, "select password_hash from operator")
    assert login_hash.startswith("$argon2id$")
    assert argon2.PasswordHasher().verify(login_hash, "ten letters")
    files.write(tmp_path / "out.json", store.export_directory(plain_database_url, None))
    text = (tmp_path / "out.json").read_text()
    assert "whsec_" not in text
    assert "of HS-0001" not in text
    assert (tmp_path / "out.json").stat().st_mode & 0o077 == 0
    # Without secrets it can still be imported: the stored ones stay.
    again = store.import_directory(plain_database_url, files.read(tmp_path / "out.json"), VAULT)
    assert all(set(count) == {"unchanged"} for count in again.values())


def test_one_wrong_entry_keeps_all_others_out(plain_database_url: str, tmp_path: Path) -> None:
    content = {"areas": [AREA], "residents": [RESIDENT, {**RESIDENT, "id": "R-2", "area": "nowhere"}]}
    with pytest.raises(InputError, match=r"directory\.json: residents\[1\] \(R-2\): .*\(nowhere\)"):
        run_import(plain_database_url, content, tmp_path)
    assert rows(plain_database_url, "select 1 from area") == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"residents": [{**RESIDENT, "lat": "north", "lon": 1}]}, r"residents\[0\] \(R-1\), lat: expected float"),
        ({"residents": [{**RESIDENT, "lat": 26.5}]}, r"residents\[0\] \(R-1\): lat, lon: expected both or neither"),
        ({"residents": [{**RESIDENT, "nmae": "x"}]}, r"residents\[0\] \(R-1\): object contains unknown field nmae"),
        ({"residents": [RESIDENT, RESIDENT]}, r"residents\[1\] \(R-1\): already stated at .*residents\[0\]"),
        (
            {"residents": [{"id": "a b", "area": "1", "name": "x"}]},
            r"residents\[0\] \(a b\), id: expected str matching",
        ),
        ({"devices": [{**DEVICE, "kind": "kiosk"}]}, r"devices\[0\] \(D-1\): wearer: a kiosk serves many"),
        ({"devices": [{**DEVICE, "id": "a:b"}]}, r"devices\[0\] \(a:b\): password: a ':' in the id"),
        ({"devices": [{**DEVICE, "id": "homecare"}]}, r"devices\[0\] \(homecare\): id: the broker keeps this name"),
        (
            {"policies": [{"id": "p", "area": "1", "steps": []}]},
            r"policies\[0\] \(p\), steps: expected array of length",
        ),
        ({"areas": [{**AREA, "timezone": "Mars"}]}, r"areas\[0\] \(990100\): timezone: expected an IANA name"),
        ({"areas": 3}, r"areas: expected array"),
        ({"people": []}, r"unknown field people"),
        ([], r"expected an object with areas, residents"),
    ],
)
def test_error_names_file_entry_field_and_expectation(tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "directory.json"
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(InputError, match=said) as error:
        files.read(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("residents.csv", "id,area,name,lat,lon\nR-1,1,x,north,1\n", r"line 2 \(R-1\), lat: expected float"),
        ("residents.csv", "id,area,name\nR-1,1\n", r"line 2: expected 3 cells"),
        ("residents.csv", "id,area,name\nR-1,1,a,b\n", r"line 2: expected 3 cells"),
        ("residents.csv", "id,area,nmae\nR-1,1,x\n", r"line 1: column nmae does not fit; residents has id, card"),
        ("residents.csv", "id,area,name\nR-1,1,x\nR-1,1,y\n", r"line 3: R-1 is already stated at .*line 2"),
        ("policies.csv", "id,area,delay_s,to\np,1,0,first\n", r"line 2, to: first: expected operators, nearest:3@800"),
        ("what.csv", "a,b\n1,2\n", r"expected the header of one of areas, residents"),
    ],
)
def test_error_in_csv_names_the_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8-sig")
    with pytest.raises(InputError, match=said):
        files.read(path)


def test_csv_not_in_utf8_is_said(tmp_path: Path) -> None:
    path = tmp_path / "residents.csv"
    path.write_bytes("id,area,name\nR-1,1,示例\n".encode("gbk"))
    with pytest.raises(InputError, match="expected UTF-8"):
        files.read(path)


def test_csv_is_known_by_its_header_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "people-2026.csv").write_text("id,area,name,conditions\nR-1,990100,示例,hypertension; diabetes\n")
    source = files.read(tmp_path / "people-2026.csv")
    assert source.directory.residents[0].conditions == ["hypertension", "diabetes"]
    assert source.place("residents", 0).endswith("people-2026.csv, line 2")


def test_wearer_left_out_stays_and_null_takes_off(plain_database_url: str, tmp_path: Path) -> None:
    base = {"areas": [AREA], "residents": [RESIDENT, {**RESIDENT, "id": "R-2"}], "devices": [DEVICE]}
    run_import(plain_database_url, base, tmp_path)
    without = {k: v for k, v in DEVICE.items() if k != "wearer"}
    assert run_import(plain_database_url, {"devices": [without]}, tmp_path)["devices"] == {"unchanged": 1}
    changed = run_import(plain_database_url, {"devices": [{**DEVICE, "wearer": "R-2"}]}, tmp_path)
    assert changed["devices"] == {"changed": 1}
    run_import(plain_database_url, {"devices": [{**DEVICE, "wearer": None}]}, tmp_path)
    worn = rows(
        plain_database_url,
        "select resident.id, until is not null from wearing join resident on key = resident order by wearing.id",
    )
    assert worn == [("R-1", True), ("R-2", True)]


def test_since_dates_a_wearing(plain_database_url: str, tmp_path: Path) -> None:
    since = datetime(2019, 4, 1, tzinfo=UTC)
    device = {**DEVICE, "since": since}
    run_import(plain_database_url, {"areas": [AREA], "residents": [RESIDENT], "devices": [device]}, tmp_path)
    assert rows(plain_database_url, "select since from wearing") == [(since,)]


def test_changed_secret_keeps_signing_with_the_old_one_beside_it(plain_database_url: str, tmp_path: Path) -> None:
    run_import(plain_database_url, {"contacts": [CONTACT]}, tmp_path)
    channel = {**CONTACT["channels"][0], "secret": SECRET[:-5] + "ZZZZ="}  # type: ignore[dict-item]
    changed = run_import(plain_database_url, {"contacts": [{**CONTACT, "channels": [channel]}]}, tmp_path)
    assert changed["contacts"] == {"changed": 1}
    ((new, old, until),) = rows(
        plain_database_url, "select secret, previous_secret, previous_secret_until > now() from channel"
    )
    assert (VAULT.open(new), VAULT.open(old), until) == (channel["secret"], SECRET, True)


def test_new_webhook_needs_a_secret(plain_database_url: str, tmp_path: Path) -> None:
    contact = {**CONTACT, "channels": [{"kind": "webhook", "address": "https://example.invalid/a"}]}
    with pytest.raises(InputError, match=r"contacts\[0\] \(C-1\): channel 1, secret: a new webhook address needs one"):
        run_import(plain_database_url, {"contacts": [contact]}, tmp_path)


def test_contacts_may_swap_their_ranks(plain_database_url: str, tmp_path: Path) -> None:
    other = {**CONTACT, "id": "C-2"}
    people = {"areas": [AREA], "residents": [RESIDENT], "contacts": [CONTACT, other]}

    def ranked(*contacts: str) -> dict[str, Any]:
        return {"resident_contacts": [{"resident": "R-1", "contact": c, "rank": n} for n, c in enumerate(contacts, 1)]}

    run_import(plain_database_url, people | ranked("C-1", "C-2"), tmp_path)
    run_import(plain_database_url, ranked("C-2", "C-1"), tmp_path)
    assert rows(plain_database_url, "select contact from resident_contact order by rank") == [("C-2",), ("C-1",)]


def test_areas_may_stand_in_any_order_but_not_in_a_circle(plain_database_url: str, tmp_path: Path) -> None:
    below = {**AREA, "code": "99010001", "parent": "990100", "level": "township"}
    run_import(plain_database_url, {"areas": [below, AREA]}, tmp_path)
    with pytest.raises(InputError, match=r"areas\[0\] \(990100\): area 990100 cannot lie below itself"):
        run_import(plain_database_url, {"areas": [{**AREA, "parent": "99010001"}, below]}, tmp_path)


def test_import_is_in_the_log_without_any_name(plain_database_url: str) -> None:
    store.import_directory(plain_database_url, Source(county()), VAULT)
    ((actor, action, detail),) = rows(plain_database_url, "select actor, action, detail from log")
    assert (actor, action, detail["residents"]) == ("system", "directory.imported", {"added": 60})


def test_csv_holds_every_kind(tmp_path: Path) -> None:
    files.write(tmp_path / "all", county())
    assert {path.stem for path in (tmp_path / "all").iterdir()} == set(KINDS)


HOME = {
    "resident": "R-1",
    "name": "home",
    "watch": "home_by",
    "points": [[26.5921, 104.8302]],
    "radius_m": 150,
    "by": "21:00",
}
POND = {"resident": "R-1", "name": "pond", "watch": "enter", "points": [[26.5, 104.8], [26.5, 104.9], [26.6, 104.9]]}
ORDER = {"resident": "R-1", "what": "spo2_scale_2", "by": "Dr. Sample", "at": "2026-11-01T08:00:00Z"}
OVERRIDE = {"area": "990100", "rule": "limit.heart_rate", "field": "again_s", "value": 3600, "by": "Dr. Sample"}
OWN = {"resident": "R-1", "rule": "limit.spo2", "field": "reading.spo2:low.of", "value": [2, 3]}
PEOPLE: dict[str, Any] = {"areas": [AREA], "residents": [RESIDENT, {**RESIDENT, "id": "R-2"}]}


def import_rules(url: str, content: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Of the rules, `nothing.*` is wrong, and so is anything for R-2."""

    def check(overrides: Any, areas: Any) -> list[tuple[str, str, str]]:
        assert [area.code for area in areas] == ["990100"]
        return [(o.whose, o.rule, "no") for o in overrides if o.rule.startswith("nothing") or o.resident == "R-2"]

    path = tmp_path / "directory.json"
    path.write_bytes(msgspec.json.encode(content))
    return {kind: dict(count) for kind, count in store.import_directory(url, files.read(path), VAULT, check).items()}


def test_places_orders_and_overrides_go_in_once_and_come_out_the_same(plain_database_url: str, tmp_path: Path) -> None:
    content = PEOPLE | {"places": [HOME, POND], "orders": [ORDER], "overrides": [OVERRIDE, OWN]}
    first = import_rules(plain_database_url, content, tmp_path)
    assert (first["places"], first["orders"], first["overrides"]) == ({"added": 1}, {"added": 1}, {"added": 2})
    again = import_rules(plain_database_url, content, tmp_path)
    assert all(set(count) == {"unchanged"} for count in again.values())
    exported = store.export_directory(plain_database_url, None)
    for path in (tmp_path / "out.json", tmp_path / "tables"):
        files.write(path, exported)
        assert files.read(path).directory == exported
    given = files.read(tmp_path / "directory.json").directory
    assert (exported.places, exported.orders) == (given.places, given.orders)
    assert sorted(exported.overrides, key=key) == sorted(given.overrides, key=key)


def test_a_file_states_all_places_of_a_resident_and_ends_orders_and_overrides(
    plain_database_url: str, tmp_path: Path
) -> None:
    content = PEOPLE | {"places": [HOME, POND], "orders": [ORDER], "overrides": [OVERRIDE, OWN]}
    import_rules(plain_database_url, content, tmp_path)
    changed = {
        "places": [{**HOME, "by": "20:30"}],
        "orders": [{**ORDER, "until": "2026-11-20T08:00:00Z"}],
        "overrides": [{**OVERRIDE, "value": 7200}, {**OWN, "value": None}],
    }
    counts = import_rules(plain_database_url, changed, tmp_path)
    assert counts == {"places": {"changed": 1}, "orders": {"changed": 1}, "overrides": {"changed": 1, "removed": 1}}
    assert rows(plain_database_url, "select name, minute from place") == [("home", 1230)]
    assert rows(plain_database_url, "select ended_at is not null from resident_order") == [(True,)]
    assert rows(plain_database_url, "select rule, value from rule_override") == [("limit.heart_rate", 7200)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"places": [{**HOME, "resident": "R-9"}]}, r"places\[0\] \(R-9\): resident: there is no resident R-9"),
        ({"orders": [{**ORDER, "resident": "R-9"}]}, r"orders\[0\] \(R-9\): resident: there is no resident R-9"),
        ({"overrides": [{**OVERRIDE, "area": "1"}]}, r"overrides\[0\] \(1\): area: there is no area 1"),
        ({"overrides": [{**OWN, "resident": "R-9"}]}, r"overrides\[0\] \(R-9\): resident: there is no resident R-9"),
        ({"overrides": [OVERRIDE, {**OVERRIDE, "rule": "nothing.at_all"}]}, r"overrides of area 990100: no"),
        ({"overrides": [{**OVERRIDE, "rule": "No rule"}]}, r"overrides\[0\] \(990100\): "),
    ],
)
def test_what_does_not_fit_the_database_or_the_rules_is_refused_whole(
    plain_database_url: str, tmp_path: Path, content: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        import_rules(plain_database_url, PEOPLE | content, tmp_path)
    assert rows(plain_database_url, "select from area union all select from rule_override") == []


def test_an_override_that_was_wrong_before_is_in_nobodys_way(plain_database_url: str, tmp_path: Path) -> None:
    import_rules(plain_database_url, PEOPLE, tmp_path)
    with psycopg.connect(plain_database_url, autocommit=True) as db:
        db.execute(
            "insert into rule_override (resident, rule, field, value, set_by)"
            " select key, 'limit.spo2', 'gone', '1', 'before' from resident where id = 'R-2'"
        )
    assert import_rules(plain_database_url, {"overrides": [OVERRIDE]}, tmp_path) == {"overrides": {"added": 1}}


def test_overrides_are_not_written_where_nothing_checks_them(plain_database_url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing checks them"):
        run_import(plain_database_url, PEOPLE | {"overrides": [OVERRIDE]}, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"places": [{**HOME, "radius_m": 0}]}, r"points: expected 3 or more where there is no radius_m"),
        ({"places": [{**POND, "radius_m": 9}]}, r"points: expected one point in a place with radius_m"),
        ({"places": [{**HOME, "by": None}]}, r"by: expected HH:MM with home_by"),
        ({"places": [{**HOME, "by": "24:00"}]}, r"places\[0\] \(R-1\), by: expected str matching"),
        ({"places": [{**HOME, "points": [[91, 0]]}]}, r"places\[0\] \(R-1\), points\[0\]\[0\]: expected float <= 90"),
        ({"places": [HOME, HOME]}, r"places\[1\] \(R-1\): already stated at .*places\[0\]"),
        ({"orders": [{**ORDER, "what": "rest"}]}, r"orders\[0\] \(R-1\), what: invalid enum value"),
        ({"orders": [{**ORDER, "until": ORDER["at"]}]}, r"until: expected a time after at"),
        ({"overrides": [{**OVERRIDE, "resident": "R-1"}]}, r"area, resident: expected exactly one of the two"),
        ({"overrides": [OVERRIDE, OVERRIDE]}, r"overrides\[1\] \(990100\): already stated"),
    ],
)
def test_error_in_what_the_rules_know_names_the_entry(tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "directory.json"
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(InputError, match=said):
        files.read(path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("places.csv", "resident,name,watch,points\nR-1,x,enter,1 2;3\n", r"line 2, points: 3: expected latitude"),
        ("overrides.csv", "area,rule,field,value\n1,limit.x,y,{\n", r"line 2, value: expected JSON"),
    ],
)
def test_error_in_a_table_of_the_rules_names_the_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        files.read(tmp_path / name)


ROBOT = "wecombot://0123456789abcdef-token"
WAYS = {**CONTACT, "channels": [{"kind": "apprise", "address": ROBOT}, {"kind": "email", "address": "x@example.org"}]}


def test_an_address_with_tokens_is_kept_sealed_and_comes_out_only_when_asked_for(
    plain_database_url: str, tmp_path: Path
) -> None:
    run_import(plain_database_url, {"contacts": [WAYS]}, tmp_path)
    ((address, sealed),) = rows(plain_database_url, "select address, secret from channel where kind = 'apprise'")
    assert address.startswith("wecombot://\N{HORIZONTAL ELLIPSIS}")
    assert "token" not in address
    assert VAULT.open(sealed) == ROBOT
    assert run_import(plain_database_url, {"contacts": [WAYS]}, tmp_path) == {"contacts": {"unchanged": 1}}
    for vault, there in ((None, False), (VAULT, True)):
        exported = store.export_directory(plain_database_url, vault)
        for out in (tmp_path / "out.json", tmp_path / "tables"):
            files.write(out, exported)
            again = store.import_directory(plain_database_url, files.read(out), VAULT)
            assert set(again["contacts"]) == {"unchanged"}
        assert (ROBOT in (tmp_path / "out.json").read_text()) is there
    ((still,),) = rows(plain_database_url, "select secret from channel where kind = 'apprise'")
    assert still == sealed
    other = {**WAYS, "channels": [{"kind": "apprise", "address": ROBOT + "2"}, WAYS["channels"][1]]}
    assert run_import(plain_database_url, {"contacts": [other]}, tmp_path) == {"contacts": {"changed": 1}}
    ((now, before),) = rows(plain_database_url, "select secret, previous_secret from channel where kind = 'apprise'")
    assert (VAULT.open(now), before) == (ROBOT + "2", None)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({"kind": "email", "address": "nobody"}, "address: expected an address like name@example.org"),
        ({"kind": "email", "address": "a@b.org\nBcc: c@d.org"}, "address: expected an address like"),
        ({"kind": "device", "address": "a b"}, "address: expected a device's id"),
        ({"kind": "device", "address": "H-1?do=explode"}, "address: expected a device's id"),
        ({"kind": "webhook", "address": "ftp://example.org", "secret": SECRET}, "address: expected a URL like https"),
        ({"kind": "apprise", "address": "no address"}, "address: expected a URL with its tokens"),
        ({"kind": "apprise", "address": "wecombot://\N{HORIZONTAL ELLIPSIS}01"}, "address: expected the whole URL"),
        ({"kind": "email", "address": "a@b.org", "secret": SECRET}, "secret: only a webhook has one"),
    ],
)
def test_a_channels_address_is_what_its_kind_expects(
    plain_database_url: str, tmp_path: Path, channel: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=rf"contacts\[0\] \(C-1\): channel 1, {said}"):
        run_import(plain_database_url, {"contacts": [{**CONTACT, "channels": [channel]}]}, tmp_path)
