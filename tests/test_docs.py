"""The documentation is under test: settings, files and commands it names are there."""

import re
from pathlib import Path

import pytest

from homecare.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_operations_lists_every_setting_and_no_other() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    listed = set(re.findall(rf"^\| `({PREFIX}\w+)`", text, re.MULTILINE))
    assert listed == {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_architecture_names_files_that_are_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    named = re.findall(r"`((?:gateway|ingest|alerts|dashboards|simulators|homecare)/[\w/.]*)`", text)
    assert named
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_decision_is_listed() -> None:
    pages = {page.name for page in (ROOT / "docs/decisions").glob("0*.md")}
    listed = set(re.findall(r"\((0\d+-[\w-]+\.md)\)", (ROOT / "docs/decisions/README.md").read_text("utf-8")))
    assert pages == listed
