"""What is installed is pinned, hashed and complete, and no file names where it comes from."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGES = ("gateway", "ingest", "alerts", "dashboards", "simulators", "homecare")


@pytest.mark.parametrize("name", ["base", "dev", "node"])
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    text = (PROJECT / f"requirements/{name}.txt").read_text()
    blocks = re.findall(r"^\S[^\n]*(?:\n {4}--hash=[^\n]*)+", text, re.MULTILINE)
    names = re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==", text, re.MULTILINE)
    assert len(names) == len(blocks) > 0
    assert "://" not in text
    wanted = re.findall(r"^([A-Za-z0-9-]+)", (PROJECT / f"requirements/{name}.in").read_text(), re.MULTILINE)
    assert {want.lower() for want in wanted if not want.startswith("-")} <= set(names)


def test_browser_libraries_are_locked_with_their_hashes() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text())
    locked = {path: package for path, package in lock["packages"].items() if path}
    assert {path.removeprefix("node_modules/") for path in locked} >= set(lock["packages"][""]["dependencies"])
    assert all(package["integrity"].startswith("sha512-") for package in locked.values())
    assert not any("resolved" in package for package in locked.values())


def test_an_installed_homecare_has_every_file_of_its_packages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    for package in (*PACKAGES, "requirements"):
        shutil.copytree(PROJECT / package, source / package, ignore=ignored)
    for file in ("pyproject.toml", "LICENSE"):
        shutil.copy(PROJECT / file, source)
    expected = {
        str(path.relative_to(source))
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    said = subprocess.run([*build, "-w", str(tmp_path), str(source)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    (wheel,) = tmp_path.glob("homecare-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        assert expected <= set(opened.namelist())
