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
        ("policies.csv", "id,area,delay_s,to\np,1,0,first\n", r"line 2, to: first: expected rank:1, contact:ID"),
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
