"""When areas are drilled goes in and out with the directory's files."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from homecare.directory import files, store
from homecare.directory.entries import Drill
from homecare.errors import InputError
from homecare.secrets import Vault

VAULT = Vault("a secret of the tests, 32 characters at least")
AREA = {"code": "990100", "level": "county", "name_zh": "示例县", "name_en": "Sample County"}
DRILL = {"area": "990100", "day": 3, "begins": "09:30", "ends": "16:00", "per_minute": 4, "answer_hours": 48}


def imported(url: str, tmp_path: Path, *drills: dict[str, Any]) -> dict[str, int]:
    path = tmp_path / "directory.json"
    path.write_bytes(msgspec.json.encode({"areas": [AREA], "drills": drills}))
    return dict(store.import_directory(url, files.read(path), VAULT)["drills"])


def test_a_schedule_goes_in_once_comes_out_the_same_and_ends(plain_database_url: str, tmp_path: Path) -> None:
    assert imported(plain_database_url, tmp_path, DRILL) == {"added": 1}
    assert imported(plain_database_url, tmp_path, DRILL) == {"unchanged": 1}
    exported = store.export_directory(plain_database_url, None)
    assert exported.drills == [Drill("990100", 3, "09:30", "16:00", 4, 48)]
    for path in (tmp_path / "out.json", tmp_path / "tables"):
        files.write(path, exported)
        assert files.read(path).directory == exported
    assert imported(plain_database_url, tmp_path, {**DRILL, "day": 4}) == {"changed": 1}
    assert imported(plain_database_url, tmp_path, {**DRILL, "day": None}) == {"removed": 1}
    assert imported(plain_database_url, tmp_path, {**DRILL, "day": None}) == {"unchanged": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"day": 29}, {"begins": "16:00"}, {"per_minute": 0}, {"area": "1"}, {"answer_hours": 0}, {"ends": "25:00"}],
)
def test_what_cannot_be_is_refused(plain_database_url: str, tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="drills"):
        imported(plain_database_url, tmp_path, {**DRILL, **wrong})
