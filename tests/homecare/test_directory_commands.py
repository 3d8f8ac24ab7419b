"""`homecare directory`, `device` and `simulate` as a person calls them: what they print, write and return."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from homecare.broker import Broker
from homecare.commands.rules import app
from homecare.directory import files, store
from homecare.directory.entries import Source
from homecare.errors import InputError
from homecare.secrets import Vault
from simulators.county import Secrets, sample_county
from simulators.scenarios import SCENARIOS
from tests.conftest import TEMPLATE
from tests.services.postgres import PostgresServer

PROGRAM = Path(sys.executable).with_name("homecare")
KEY = "a secret of the tests, 32 characters at least"
SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


def homecare(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOMECARE_")}
    own = {f"HOMECARE_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [PROGRAM, *map(str, arguments)], env=environment | own, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def county_file(tmp_path: Path) -> Path:
    secrets = Secrets(lambda d: f"of {d}", lambda c: (f"http://127.0.0.1:9/{c}", SECRET), "ten letters")
    files.write(tmp_path / "county.json", sample_county(secrets))
    return tmp_path / "county.json"


def test_import_export_import_changes_nothing(plain_database_url: str, county_file: Path, tmp_path: Path) -> None:
    settings = {"database_url": plain_database_url, "secret_key": KEY}
    first = homecare("directory", "import", county_file, **settings)
    assert first.returncode == 0, first.stderr
    assert "devices: 90 added" in first.stdout.splitlines()
    exported = homecare("directory", "export", tmp_path / "folder", "--secrets", **settings)
    assert (exported.returncode, exported.stdout) == (0, f"wrote {tmp_path / 'folder'}\n")
    again = homecare("directory", "import", tmp_path / "folder", **settings)
    assert again.returncode == 0, again.stderr
    assert all(line.split()[2] == "unchanged" for line in again.stdout.splitlines())


async def test_added_device_gets_in_with_the_password_it_was_shown(
    plain_database_url: str, county_file: Path, broker: Broker
) -> None:
    settings = {"database_url": plain_database_url, "secret_key": KEY, "mqtt_url": broker.url()}
    homecare("directory", "import", county_file, **settings)
    options = ("--area", "99010001", "--kind", "handset", "--wearer", "R-000001")
    added = homecare("device", "add", "new-1", *options, **settings)
    assert added.returncode == 0, added.stderr
    password = added.stdout.split("password")[1].split()[0]
    written = homecare("device", "passwords", "--output", broker.directory / "passwords", **settings)
    assert written.stdout.startswith("wrote 91 devices and the backend's user")
    assert password not in (broker.directory / "passwords").read_text()
    broker.reload()
    await gets_in(broker, "new-1", password)
    await gets_in(broker, "homecare", broker.users["homecare"])

    twice = homecare("device", "add", "new-1", *options, **settings)
    assert (twice.returncode, twice.stdout) == (2, "")
    assert "is registered already" in twice.stderr
    renewed = homecare("device", "renew", "new-1", **settings)
    new = renewed.stdout.split("password")[1].split()[0]
    settings["traccar_password"] = "Traccar's own"
    homecare("device", "passwords", "--output", broker.directory / "passwords", **settings)
    broker.reload()
    await gets_in(broker, "new-1", new)
    await gets_in(broker, "traccar", "Traccar's own")


async def gets_in(broker: Broker, user: str, password: str) -> None:
    """Until the broker has read its file again."""
    async with asyncio.timeout(5):
        while True:
            try:
                async with aiomqtt.Client("127.0.0.1", broker.port, username=user, password=password):
                    return
            except aiomqtt.MqttError:
                await asyncio.sleep(0.02)


def test_device_with_a_colon_is_told_to_use_a_certificate(plain_database_url: str, county_file: Path) -> None:
    settings = {"database_url": plain_database_url, "secret_key": KEY}
    homecare("directory", "import", county_file, **settings)
    added = homecare("device", "add", "aa:bb:cc", "--area", "990100", "--kind", "home_sensor", **settings)
    assert added.returncode == 0, added.stderr
    assert "client certificate whose common name is aa:bb:cc" in added.stdout
    assert "password  " not in added.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("directory", "import", "nowhere.json"), "nowhere.json: No such file"),
        (
            ("device", "add", "d-1", "--area", "990100", "--kind", "toaster"),
            "devices[0] (d-1), kind: invalid enum value",
        ),
        (("device", "add", "homecare", "--area", "990100", "--kind", "handset"), "the broker keeps this name"),
        (("device", "add", "d-1", "--area", "nowhere", "--kind", "handset"), "device d-1: "),
        (("device", "renew", "nobody"), "device nobody: not registered"),
        (("simulate", "scenario", "flood"), "expected one of night_fall"),
        (("simulate", "scenario", "night_fall", "--broker", "http://x"), "expected mqtt://host:port"),
        (("simulate", "play", "nowhere.gz"), "nowhere.gz: No such file"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(plain_database_url: str, arguments: tuple[str, ...], said: str) -> None:
    settings = {"database_url": plain_database_url, "secret_key": KEY, "mqtt_url": "mqtt://a:b@127.0.0.1:1"}
    result = homecare(*arguments, **settings)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.startswith("homecare: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("missing", ["DATABASE_URL", "SECRET_KEY"])
def test_missing_setting_is_named(plain_database_url: str, county_file: Path, missing: str) -> None:
    settings = {"database_url": plain_database_url, "secret_key": KEY}
    del settings[missing.lower()]
    result = homecare("directory", "import", county_file, **settings)
    assert (result.returncode, result.stderr) == (2, f"homecare: HOMECARE_{missing}: is not set\n")


def test_absent_services_are_one_line_and_status_1(county_file: Path, tmp_path: Path) -> None:
    nobody = "postgresql://postgres@127.0.0.1:1/x"
    no_database = homecare("directory", "import", county_file, database_url=nobody, secret_key=KEY)
    assert no_database.returncode == 1
    assert no_database.stderr.startswith("homecare: the database cannot be used now")
    options = ("--directory", county_file, "--broker", "mqtt://127.0.0.1:1", "--state", tmp_path)
    no_broker = homecare("simulate", "scenario", "night_fall", *options)
    assert no_broker.returncode == 1
    assert no_broker.stderr.startswith("homecare: no connection to the MQTT broker: FS-0031: ")
    assert no_broker.stderr.count("\n") == 1


def test_scenarios_are_listed_in_both_languages() -> None:
    listed = homecare("simulate", "scenario", "list")
    assert listed.returncode == 0
    assert "night_fall" in listed.stdout
    assert "夜间跌倒" in listed.stdout
    assert len(listed.stdout.splitlines()) == len(SCENARIOS)


def test_county_file_is_plain_json(county_file: Path) -> None:
    content = json.loads(county_file.read_text())
    assert content["devices"][0]["password"] == "of HS-0001"


HIGH = "reading.heart_rate:high"


def test_rules_are_shown_set_and_unset(plain_database_url: str, county_file: Path) -> None:
    settings = {"database_url": plain_database_url, "secret_key": KEY}
    homecare("directory", "import", county_file, **settings)
    set_ = homecare(
        "rules", "set", "limit.heart_rate", f"{HIGH}.bands.warning.limit=120", f"{HIGH}.bands.urgent.limit=125",
        "--area", "990100", "--by", "Dr. Sample", **settings,
    )  # fmt: skip
    assert set_.returncode == 0, set_.stderr
    shown = homecare("rules", "show", "limit.heart_rate", "--resident", "R-000001", **settings).stdout.splitlines()
    assert f"limit.heart_rate {HIGH}.bands.warning.limit = 120.0  (area 990100)" in shown
    assert f"limit.heart_rate {HIGH}.bands.critical.limit = 131.0" in shown
    unset = homecare(
        "rules", "unset", "limit.heart_rate", f"{HIGH}.bands.warning.limit", f"{HIGH}.bands.urgent.limit",
        "--area", "990100", **settings,
    )  # fmt: skip
    assert unset.stdout.count(": removed\n") == 2
    shown = homecare("rules", "show", "limit.heart_rate", "--area", "990100", **settings).stdout.splitlines()
    assert f"limit.heart_rate {HIGH}.bands.warning.limit = 100.0" in shown


def test_rules_of_the_pack_are_shown_without_a_database() -> None:
    shown = homecare("rules", "show", "limit.spo2")
    assert shown.returncode == 0, shown.stderr
    assert "limit.spo2 reading.spo2:low.bands.critical.limit = 91.0" in shown.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "limit.heart_rate", f"{HIGH}.bands.warning.limit=115", "--area", "990100"), "overrides of area 990100: rule limit.heart_rate, field reading[0].bands[1].limit: expected bands from mild to severe"),
        (("set", "limit.heart_rate", "agian_s=60", "--area", "990100"), "field agian_s: agian_s: expected one of version"),
        (("set", "limit.pulse", "again_s=60", "--area", "990100"), "rule limit.pulse: there is no such rule"),
        (("set", "limit.spo2", "again_s=60", "--area", "nowhere"), "area: there is no area nowhere"),
        (("set", "limit.spo2", "again_s=60", "--resident", "R-none"), "resident: there is no resident R-none"),
        (("set", "limit.spo2", "again_s=60"), "expected exactly one of --area and --resident"),
        (("set", "limit.spo2", "again_s", "--area", "990100"), "again_s: expected FIELD=VALUE"),
        (("set", "limit.spo2", "again_s=null", "--area", "990100"), "homecare rules unset"),
        (("show", "pulse"), "rule pulse: expected one of limit.heart_rate"),
        (("show", "--resident", "R-none"), "resident R-none: there is no such resident"),
        (("show", "--area", "nowhere"), "area nowhere: there is no such area"),
    ],
)  # fmt: skip
def test_wrong_use_of_the_rules_says_what_was_expected(
    county_database: str, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("HOMECARE_DATABASE_URL", county_database)
    with pytest.raises(InputError, match=re.escape(said)):
        app(arguments, standalone_mode=False)


@pytest.fixture(scope="module")
def county_database(plain_server: PostgresServer) -> Iterator[str]:
    """A county that nobody changes."""
    name = "county_of_rules"
    url = plain_server.create_database(name, template=TEMPLATE)
    secrets = Secrets(lambda d: f"of {d}", lambda c: (f"http://127.0.0.1:9/{c}", SECRET), "ten letters")
    store.import_directory(url, Source(sample_county(secrets)), Vault(KEY))
    yield url
    plain_server.drop_database(name)
