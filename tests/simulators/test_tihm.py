"""The conversion of the TIHM data set: nothing is lost, nothing made up."""

import gzip
from pathlib import Path

import pytest

from simulators import tihm

ROWS = """patient_id,date,device_type,value,unit
b,2019-06-28 13:45:15,Systolic blood pressure,165.0,mm[Hg]
b,2019-06-28 13:45:15,Diastolic blood pressure,80.0,mm[Hg]
a,2019-06-28 13:42:09,Body Temperature,36.072,Cel
b,2019-06-28 13:45:15,Heart rate,0.0,beats/min
b,2019-06-29 13:45:15,Skin Temperature,30.0,Cel
a,2019-06-28 13:42:09,Body Temperature,36.5,Cel
"""


@pytest.fixture
def homes(tmp_path: Path) -> tihm.Homes:
    with gzip.open(tmp_path / "physiology.csv.gz", "wt") as file:
        file.write(ROWS)
    return tihm.read(tmp_path / "physiology.csv.gz")


def test_readings_of_one_time_are_one_sample(homes: tihm.Homes) -> None:
    assert [(r.home, r.ts, r.values) for r in homes.readings] == [
        ("a", 1_561_729_329_000, {"temperature": 36.5}),
        ("b", 1_561_729_515_000, {"systolic": 165, "diastolic": 80, "heart_rate": 0}),
    ]
    assert homes.readings[1].kept() == {"systolic": 165, "diastolic": 80}
    assert homes.left_out == {"Skin Temperature": 1, "repeated at one time": 1}


def test_messages_are_of_the_contract(homes: tihm.Homes) -> None:
    first, second = tihm.lines(homes, "990100")
    assert first.topic == "care/v1/990100/tihm-a/telemetry"
    assert first.payload == {
        "boot": 1,
        "seq": 1,
        "samples": [{"ts": 1_561_729_329_000, "values": {"temperature": 36.5}}],
    }
    assert second.at == 1_561_729_515_000 + tihm.UPLOAD_MS
